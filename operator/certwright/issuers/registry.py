"""The issuers as Certificates find them: loaded with their account, or with the reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from certwright.issuers.authorities import Authority
from certwright.issuers.rate_limits import AccountLimits
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from certwright.acme import Client
    from certwright.resources import AcmeIssuerSpec, AllowedDomains, Certificate


MAX_TYPES: Final = 16
"""Challenge types that are remembered of one CA, which may name any."""
MAX_TYPE: Final = 64
"""Characters of one of them."""


@dataclass(frozen=True)
class IssuerView:
    """What a Certificate needs to know of its issuer.

    Attributes:
        state: ``unknown`` until the operator has looked at it since its start.
        message: Why it is not ready, for people.
    """

    state: Literal["unknown", "missing", "not-ready", "ready"]
    message: str = ""


@dataclass(frozen=True)
class ReadyIssuer:
    """An issuer whose account is registered.

    Attributes:
        key: Its kind, namespace and name.
        uid: Of the object; another one may come under the same name.
        generation: Of the spec it was loaded from.
        spec: That spec.
        client: Speaks for its account.
        account_url: The account at the CA.
        allowed: Who may request which domains; None for everybody and everything.
        secrets_namespace: Where its credentials are read: its own, for a ClusterIssuer the operator's.
        limits: What the CA's rate limits leave to all who use the account.
        authority: The connection; None for one that only the URL of the directory tells.
        former_servers: Directories at the same CA at which the account was used before.
    """

    key: Key
    uid: str
    generation: int
    spec: AcmeIssuerSpec
    client: Client
    account_url: str
    secrets_namespace: str
    limits: AccountLimits = field(default_factory=AccountLimits, compare=False)
    allowed: tuple[AllowedDomains, ...] | None = None
    authority: Authority | None = field(default=None, repr=False)
    former_servers: tuple[str, ...] = ()


class IssuerRegistry:
    """What is known of each issuer since the operator started."""

    def __init__(self) -> None:
        self._ready: dict[Key, ReadyIssuer] = {}
        self._views: dict[Key, IssuerView] = {}
        self._challenges: dict[Key, frozenset[str]] = {}

    def learn_challenges(self, key: Key, types: Iterable[str]) -> None:
        """Note which challenge types an issuer's CA offers; its status shows them at its next look."""
        known = self._challenges.get(key, frozenset())
        new = sorted(one for one in set(types) - known if len(one) <= MAX_TYPE)
        self._challenges[key] = known | set(new[: MAX_TYPES - len(known)])

    def challenges(self, key: Key) -> frozenset[str]:
        """Return the challenge types that an issuer's CA has offered since the operator started."""
        return self._challenges.get(key, frozenset())

    def view(self, key: Key) -> IssuerView:
        """Return the state of an issuer."""
        view = self._views.get(key, IssuerView("unknown"))
        namesake = self._views.get(Key("ClusterIssuer", "", key.name))
        if view.state == "missing" and key.kind == "Issuer" and namesake is not None and namesake.state != "missing":
            return IssuerView(
                "missing",
                f"{key} does not exist. There is a ClusterIssuer of that name: to use it, set spec.issuerRef.kind to "
                "ClusterIssuer.",
            )
        return view

    def ready(self, key: Key) -> ReadyIssuer | None:
        """Return an issuer that certificates can be ordered from, or None."""
        return self._ready.get(key)

    def set_ready(self, issuer: ReadyIssuer) -> None:
        """Make an issuer available."""
        self._ready[issuer.key] = issuer
        self._views[issuer.key] = IssuerView("ready")

    def set_not_ready(self, key: Key, message: str) -> None:
        """Say why an issuer is not available."""
        self._ready.pop(key, None)
        self._views[key] = IssuerView("not-ready", message)

    def set_missing(self, key: Key) -> None:
        """Say that there is no such issuer."""
        self._ready.pop(key, None)
        self._challenges.pop(key, None)
        self._views[key] = IssuerView("missing", f"{key} does not exist. Create it, or correct spec.issuerRef.")

    def authorities(self) -> Iterator[Authority]:
        """The CAs in use."""
        return (issuer.authority or Authority(issuer.spec.server) for issuer in self._ready.values())


def issuer_key(certificate: Certificate) -> Key:
    """Return the key of the issuer a Certificate refers to."""
    reference = certificate.spec.issuer_ref
    if reference.kind == "ClusterIssuer":
        return Key("ClusterIssuer", "", reference.name)
    return Key("Issuer", certificate.metadata.namespace or "", reference.name)
