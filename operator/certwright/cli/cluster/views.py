"""Objects from the API server in a form that is safe to show.

They are read without the models, so a command can show what an operator of another version wrote, and starts in half
the time. Every text is reduced to one line of printable characters, because anyone may have written it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 4096
"""Of a message: as long as a condition's may be."""
SHORT: Final = 253
MAX_SHOWN_NAMES: Final = 100


def at(body: Any, *path: str) -> Any:
    """Return what is at a path through objects, or None."""
    for part in path:
        body = body.get(part) if isinstance(body, dict) else None
    return body


def text_at(body: Any, *path: str, limit: int = SHORT) -> str:
    """Return the text at a path as one printable line; empty if there is none."""
    found = at(body, *path)
    return printable(str(found), limit) if isinstance(found, str | int | float) else ""


def time_at(body: Any, *path: str) -> dt.datetime | None:
    """Return the time at a path, in UTC; None if there is none that can be read."""
    found = at(body, *path)
    try:
        time = dt.datetime.fromisoformat(found) if isinstance(found, str) else None
        return time.astimezone(dt.UTC) if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):  # the latter for an offset from the first or the last day there is
        return None


def list_at(body: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of a list at a path."""
    found = at(body, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def texts_at(body: Any, *path: str) -> list[str]:
    """Return the texts of a list at a path."""
    found = at(body, *path)
    kept = found[:MAX_SHOWN_NAMES] if isinstance(found, list) else []
    return [printable(one, SHORT) for one in kept if isinstance(one, str)]


@dataclass(frozen=True)
class ConditionView:
    """A condition."""

    status: str
    reason: str
    message: str
    since: dt.datetime | None
    generation: int | None


@dataclass(frozen=True)
class ResourceView:
    """What Certificates and issuers have in common.

    Attributes:
        body: The object.
        kind: Its kind.
    """

    body: Mapping[str, Any]
    kind: str = "Certificate"

    @property
    def namespace(self) -> str:
        """Its namespace; empty for a ClusterIssuer."""
        return text_at(self.body, "metadata", "namespace")

    @property
    def name(self) -> str:
        """Its name."""
        return text_at(self.body, "metadata", "name")

    @property
    def label(self) -> str:
        """It for messages: `Certificate shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def uid(self) -> str:
        """Its UID."""
        return text_at(self.body, "metadata", "uid")

    @property
    def generation(self) -> int:
        """Of its spec."""
        found = at(self.body, "metadata", "generation")
        return found if isinstance(found, int) else 0

    @property
    def deleted(self) -> dt.datetime | None:
        """Since when it is being deleted."""
        return time_at(self.body, "metadata", "deletionTimestamp")

    @cached_property
    def conditions(self) -> Mapping[str, ConditionView]:
        """Its conditions by their type."""
        return {
            text_at(one, "type"): ConditionView(
                status=text_at(one, "status"),
                reason=text_at(one, "reason"),
                message=text_at(one, "message", limit=LONGEST),
                since=time_at(one, "lastTransitionTime"),
                generation=one.get("observedGeneration") if isinstance(one.get("observedGeneration"), int) else None,
            )
            for one in list_at(self.body, "status", "conditions")
        }

    @property
    def is_seen(self) -> bool:
        """Whether the operator has looked at the object at all."""
        return "Ready" in self.conditions

    @property
    def is_current(self) -> bool:
        """Whether the status is about the spec as it is."""
        observed = at(self.body, "status", "observedGeneration")
        return isinstance(observed, int) and observed >= self.generation

    @property
    def ready(self) -> str:
        """True, False or Unknown."""
        return self.conditions["Ready"].status if self.is_seen else "Unknown"

    @property
    def reason(self) -> str:
        """Why it is ready or not, in one word."""
        if self.deleted is not None:
            return "Deleting"
        return self.conditions["Ready"].reason if self.is_seen else "NotSeen"

    @property
    def message(self) -> str:
        """Why it is ready or not."""
        return self.conditions["Ready"].message if self.is_seen else "The operator has not reconciled it yet."

    @property
    def next_attempt(self) -> dt.datetime | None:
        """When the next attempt starts."""
        return time_at(self.body, "status", "nextAttemptTime")


@dataclass(frozen=True)
class IssuerView(ResourceView):
    """An Issuer or ClusterIssuer."""

    @property
    def server(self) -> str:
        """Directory URL of its CA; of a preset, what the operator uses."""
        named = text_at(self.body, "spec", "acme", "server", limit=2048)
        return named or text_at(self.body, "status", "acme", "server", limit=2048)

    @property
    def account(self) -> str:
        """URL of its account."""
        return text_at(self.body, "status", "acme", "uri", limit=2048)

    @property
    def more(self) -> list[tuple[str, ConditionView]]:
        """What other conditions say that is not as it should be."""
        return [
            (kind, one)
            for kind, one in self.conditions.items()
            if one.status == ("True" if kind == "OrphanedRecords" else "False") and kind != "Ready"
        ]

    @property
    def missing_records(self) -> list[tuple[str, str, str]]:
        """Name, value and state of permanent records (dns-persist-01) that are not published."""
        return [
            (text_at(one, "name"), text_at(one, "value", limit=1024), text_at(one, "state"))
            for one in list_at(self.body, "status", "persistentRecords")
            if text_at(one, "state") in {"Missing", "Superseded", "Expiring"}
        ]

    @property
    def name_servers(self) -> list[str]:
        """The name servers to which its solvers send updates, without duplicates."""
        parts = (part for one in list_at(self.body, "spec", "acme", "solvers") for part in one.values())
        found = (text_at(part, "rfc2136", "nameserver") for part in parts)
        return [server for server in dict.fromkeys(found) if server]


@dataclass(frozen=True)
class AuthorizationView:
    """The validation of one domain, as the status says."""

    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The domain."""
        return text_at(self.body, "name")

    @property
    def state(self) -> str:
        """Its state at the CA."""
        return text_at(self.body, "state")

    @property
    def error(self) -> str:
        """Why it failed."""
        return text_at(self.body, "error", limit=LONGEST)

    @property
    def challenge(self) -> str:
        """The type of its challenge."""
        return text_at(self.body, "challenge", "type")

    @property
    def record(self) -> tuple[str, str] | None:
        """Name and value of the TXT record that it needs."""
        name = text_at(self.body, "record", "name")
        return (name, text_at(self.body, "record", "value")) if name else None

    @property
    def url(self) -> str:
        """URL of the file that it needs."""
        return text_at(self.body, "resource", "url", limit=2048)

    @property
    def content(self) -> str:
        """Content of that file."""
        return text_at(self.body, "resource", "keyAuthorization", limit=1024)

    @property
    def last_seen(self) -> str:
        """What the servers answered last."""
        return text_at(self.body, "lastSeen", limit=LONGEST)

    @property
    def last_look(self) -> dt.datetime | None:
        """When."""
        return time_at(self.body, "lastLookTime")


@dataclass(frozen=True)
class CertificateView(ResourceView):
    """A Certificate."""

    @property
    def domains(self) -> list[str]:
        """What it is for."""
        fields = ("dnsNames", "ipAddresses", "uris", "emailAddresses")
        return [name for field in fields for name in texts_at(self.body, "spec", field)]

    @property
    def secret(self) -> str:
        """The name of its Secret."""
        return text_at(self.body, "spec", "secretName")

    @property
    def issuer(self) -> tuple[str, str]:
        """Kind and name of its issuer; of several the one of the certificate, or that it is requested from."""
        listed = list_at(self.body, "spec", "issuerRefs")
        reference = at(self.body, "spec", "issuerRef") or at(self.body, "status", "issuer") or next(iter(listed), {})
        return text_at(reference, "kind") or "Issuer", text_at(reference, "name")

    @property
    def issuer_label(self) -> str:
        """Its issuer for tables: `pebble`, `clusterissuer/letsencrypt`."""
        kind, name = self.issuer
        return name if kind == "Issuer" else f"{kind.lower()}/{name}"

    @property
    def is_paused(self) -> bool:
        """Whether it is paused."""
        return at(self.body, "spec", "paused") is True

    @property
    def not_after(self) -> dt.datetime | None:
        """When its certificate expires."""
        return time_at(self.body, "status", "notAfter")

    @property
    def renewal(self) -> dt.datetime | None:
        """When it is renewed."""
        return time_at(self.body, "status", "renewalTime")

    @property
    def renewal_lines(self) -> list[str]:
        """What the time of renewal is based on, and how its rehearsal went."""
        renewal = at(self.body, "status", "renewal")
        basis, page = text_at(renewal, "basis"), text_at(renewal, "explanationURL", limit=512)
        start, end = text_at(renewal, "windowStart"), text_at(renewal, "windowEnd")
        lines = []
        if basis == "ARI" and start and end:
            lines.append(f"the CA suggests {start} to {end}{f', see {page}' if page else ''}")
        if basis == "Disabled":
            lines.append("renewal.policy is Disabled")
        rehearsal = at(renewal, "rehearsal")
        if state := text_at(rehearsal, "state"):
            message = text_at(rehearsal, "message", limit=1600)
            lines.append(f"rehearsal at {text_at(rehearsal, 'issuer')}: {state}{f': {message}' if message else ''}")
        return lines

    @property
    def order(self) -> Mapping[str, Any] | None:
        """The order of the status."""
        found = at(self.body, "status", "order")
        return found if isinstance(found, dict) and found else None

    @property
    def authorizations(self) -> list[AuthorizationView]:
        """Those of the order."""
        return [AuthorizationView(one) for one in list_at(self.order, "authorizations")]

    @property
    def request(self) -> Mapping[str, Any] | None:
        """What a person asks for."""
        found = at(self.body, "spec", "request")
        return found if isinstance(found, dict) else None

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The record of requests."""
        return list_at(self.body, "status", "requests")

    def entry(self, request_id: str) -> Mapping[str, Any] | None:
        """Return the record of a request, or None if it was not begun."""
        return next((one for one in self.requests if one.get("id") == request_id), None)
