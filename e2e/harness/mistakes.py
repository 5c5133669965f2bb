"""Deliberate mistakes: the condition that each must lead to, and its correction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cluster import conditions
from testbed.exchanges import Respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from harness.cluster import Cluster, Object
    from harness.tenant import Tenant

MARKER = "b0dy-0f-somebody-else"
"""In what is no ACME answer: must never be seen again."""
HTML = Respond(200, f"<html><body>{MARKER} Sign in to the Wi-Fi</body></html>".encode(), {"Content-Type": "text/html"})
CUT_JSON = Respond(
    200, f'{{"newNonce": "https://{MARKER}/nonce", "newAcc'.encode(), {"Content-Type": "application/json"}
)
KINDS = ("Certificate", "Issuer", "Event")


@dataclass(frozen=True)
class Mistake:
    """The expected result of a mistake.

    Attributes:
        reason: Of the Certificate's Ready condition and of its Event.
        words: All of them must be in the message.
        put_right: Does what the message says.
        issuer: Kind, namespace and name of an issuer that has to say it as well, for this reason.
        issuer_reason: Of that issuer's Ready condition and Event.
    """

    reason: str
    words: tuple[str, ...]
    put_right: Callable[[], object]
    issuer: tuple[str, str | None, str] | None = None
    issuer_reason: str = ""


def message_of(found: Object, condition: str = "Ready") -> str:
    """Return the message of one of an object's conditions."""
    return str(conditions(found)[condition]["message"])


def wait_event(cluster: Cluster, namespace: str, name: str, reason: str) -> Object:
    """Wait for the Event of a reason about an object, and return it: Events are posted a moment later."""

    def look() -> Object | None:
        found = (event for event in cluster.events(namespace, name) if event["reason"] == reason)
        return next(found, None)

    return cluster.wait_for(f"no Event {reason} about {name}", look, lambda _: True)


def shown(tenant: Tenant, operator_log: Path, *, namespaces: Iterable[str] = ()) -> str:
    """Return everything that users can see of a tenant: its objects except Secrets, its Events, the operator's log."""
    objects: list[dict[str, Any]] = [
        found
        for namespace in (tenant.namespace, *namespaces)
        for kind in KINDS
        for found in tenant.cluster.find_all(kind, namespace)
    ]
    return json.dumps(objects) + operator_log.read_text(errors="replace")
