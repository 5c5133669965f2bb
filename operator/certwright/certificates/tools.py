"""The collaborators that steps need, created once at startup."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.certificates.key_maker import KeyMaker

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable

    from certwright.acme import AcmeServer
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.challenges.holders import Holders
    from certwright.challenges.response import RecordResponse
    from certwright.issuers.budgets import Budgets
    from certwright.issuers.caa_forecast import CaaForecast
    from certwright.issuers.left_records import LeftRecords
    from certwright.issuers.namespaces import Namespaces
    from certwright.issuers.presenters import PresenterFactory
    from certwright.issuers.registry import IssuerRegistry
    from certwright.kube.api import KubeApi
    from certwright.kube.events import EventRecorder
    from certwright.metrics import Metrics
    from certwright.runtime.backoff import Backoff
    from certwright.runtime.key import Key
    from certwright.runtime.leadership import Leadership


async def _no_server(_key: Key) -> AcmeServer | None:
    return None


@dataclass(frozen=True)
class Tools:
    """What acts are done with.

    Attributes:
        kube_api: The API server.
        namespaces: Their labels.
        registry: The issuers.
        presenters: Makes presenters of an issuer's solvers.
        ledger: Who needs which record.
        left: Records that may be left in the DNS.
        recorder: For Events.
        budgets: What is left of the limits that CAs publish.
        metrics: Counts what happens.
        clock: The present time, aware UTC.
        leadership: Whether this process may act.
        on_written: Told of every Certificate the API server returned for a write, before the watch brings it.
        on_secret_written: The same for the Secrets of Certificates.
        number: How many Certificates there are.
        quiet: For how long the CAs, by their URL, are not asked for renewal information that did not answer.
        keys: Makes private keys.
        server_of: Returns the CA of an issuer that exists, whether or not it has an account there; see
            `IssuerReconciler.server_of`.
        caa: Looks at CAA records before the CA does; None leaves them to the CA.
    """

    kube_api: KubeApi
    namespaces: Namespaces
    registry: IssuerRegistry
    presenters: PresenterFactory
    ledger: Holders[RecordResponse]
    left: LeftRecords
    recorder: EventRecorder
    budgets: Budgets
    metrics: Metrics
    clock: Callable[[], dt.datetime]
    leadership: Leadership
    on_written: Callable[[dict[str, Any]], object]
    on_secret_written: Callable[[SecretFacts], object]
    number: Callable[[], int] = lambda: 1
    quiet: dict[str, Backoff] = field(default_factory=dict)
    keys: KeyMaker = field(default_factory=KeyMaker)
    server_of: Callable[[Key], Awaitable[AcmeServer | None]] = _no_server
    caa: CaaForecast | None = None
