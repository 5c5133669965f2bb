"""One Certificate as a tree: Secret, issuer, requests, order with its challenges, Events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.cli.cluster.human import both, relative, span
from certwright.cli.cluster.views import list_at, text_at, time_at
from certwright.text import listed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from certwright.cli.cluster.views import AuthorizationView, CertificateView, IssuerView

MAX_EVENTS: Final = 8
MAX_REQUESTS: Final = 3
MAX_AUTHORIZATIONS: Final = 20


@dataclass(frozen=True)
class Branch:
    """A line of the tree and what is below it."""

    line: str
    below: tuple[Branch, ...] = ()

    def lines(self, first: str = "", rest: str = "") -> Iterator[str]:
        """Return the lines."""
        yield f"{first}{self.line}"
        for branch in self.below:
            is_last = branch is self.below[-1]
            yield from branch.lines(rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  "))


def tree(
    certificate: CertificateView,
    issuer: IssuerView | None,
    events: Sequence[Mapping[str, Any]] | None,
    now: dt.datetime,
) -> list[str]:
    """Return the tree's lines.

    Args:
        certificate: The Certificate.
        issuer: Its issuer, or None if there is none, or it cannot be read.
        events: Its Events, or None if they cannot be read.
        now: The present time.
    """
    branches = [
        Branch(f"Domains: {listed(certificate.domains, most=10)}"),
        _secret(certificate, now),
        _issuer(certificate, issuer),
        *_requests(certificate, now),
        *_revocations(certificate, now),
        *_order(certificate, now),
        _events(events, now),
    ]
    head = f"{certificate.label}: Ready={certificate.ready} ({certificate.reason})"
    if certificate.is_paused:
        since = certificate.conditions["Paused"].since if "Paused" in certificate.conditions else None
        head += f", paused for {span(now - since)}" if since is not None else ", paused"
    return list(Branch(head, (Branch(certificate.message), *branches)).lines())


def _secret(certificate: CertificateView, now: dt.datetime) -> Branch:
    ends, renews = certificate.not_after, certificate.renewal
    if ends is None:
        return Branch(f"Secret {certificate.secret}: no certificate yet")
    serial = text_at(certificate.body, "status", "serialNumber")
    revision = text_at(certificate.body, "status", "revision")
    word = "valid until" if ends > now else "EXPIRED at"
    basis = tuple(Branch(line) for line in certificate.renewal_lines)
    renewal = Branch(f"renewal: {both(renews, now, none='none planned')}", basis)
    lines = [Branch(f"{word} {both(ends, now)}"), renewal]
    return Branch(f"Secret {certificate.secret}: revision {revision or '?'}, serial {serial or '?'}", tuple(lines))


def _issuer(certificate: CertificateView, issuer: IssuerView | None) -> Branch:
    kind, name = certificate.issuer
    if issuer is None:
        return Branch(f"{kind} {name}: does not exist, or you may not read it")
    below = [Branch(f"CA: {issuer.server}")]
    if issuer.account:
        below.append(Branch(f"account: {issuer.account}"))
    if issuer.ready != "True":
        below.append(Branch(issuer.message))
    below += [Branch(f"{name} is {one.status} ({one.reason}): {one.message}") for name, one in issuer.more]
    return Branch(f"{kind} {name}: Ready={issuer.ready} ({issuer.reason})", tuple(below))


def _requests(certificate: CertificateView, now: dt.datetime) -> list[Branch]:
    branches = []
    request = certificate.request
    if request is not None and certificate.entry(str(request.get("id"))) is None:
        begins = time_at(request, "notBefore")
        when = f"begins {both(begins, now)}" if begins is not None and begins > now else "not begun yet"
        branches.append(Branch(f"Request {text_at(request, 'id')}: {text_at(request, 'action')}, {when}"))
    for entry in certificate.requests[: -MAX_REQUESTS - 1 : -1]:
        by = text_at(entry, "requestedBy") or "someone"
        when = relative(time_at(entry, "finishedTime") or time_at(entry, "startedTime"), now)
        line = f"Request {text_at(entry, 'id')} of {by}: {text_at(entry, 'action')} {text_at(entry, 'state')} ({when})"
        message = text_at(entry, "message", limit=1000)
        branches.append(Branch(line, (Branch(message),) if message else ()))
    return branches


def _revocations(certificate: CertificateView, now: dt.datetime) -> list[Branch]:
    branches = []
    for one in list_at(certificate.body, "status", "revocations")[: -MAX_REQUESTS - 1 : -1]:
        when = relative(time_at(one, "finishedTime") or time_at(one, "startedTime"), now)
        what = f"serial {text_at(one, 'serialNumber')} ({text_at(one, 'reason')})"
        message = text_at(one, "message", limit=1024)
        line = f"Revocation of {what}: {text_at(one, 'state')} ({when})"
        branches.append(Branch(line, (Branch(message),) if message else ()))
    return branches


def _order(certificate: CertificateView, now: dt.datetime) -> list[Branch]:
    order = certificate.order
    if order is None:
        return []
    shown = certificate.authorizations[:MAX_AUTHORIZATIONS]
    below = [_authorization(one, now) for one in shown]
    if len(certificate.authorizations) > len(shown):
        below.append(Branch(f"and {len(certificate.authorizations) - len(shown)} more domains"))
    objects = list_at(order, "solverObjects")[:MAX_AUTHORIZATIONS]
    below += [Branch(f"{text_at(one, 'kind')} {text_at(one, 'name')}") for one in objects]
    look = time_at(order, "nextLookTime")
    if look is not None and look > now:
        below.append(Branch(f"next check {relative(look, now)}"))
    if certificate.next_attempt is not None and certificate.next_attempt > now:
        below.append(Branch(f"next attempt {both(certificate.next_attempt, now)}"))
    placed = relative(time_at(order, "createdAt"), now)
    where = text_at(order, "url", limit=2048) or "none at the CA"
    return [Branch(f"Order {text_at(order, 'state')}, placed {placed}: {where}", tuple(below))]


def _authorization(one: AuthorizationView, now: dt.datetime) -> Branch:
    below = []
    if one.record is not None:
        below.append(Branch(f'record: {one.record[0]} TXT "{one.record[1]}"'))
    if one.url:
        below.append(Branch(f"file: {one.url}"))
    if one.last_seen:
        below.append(Branch(f"last seen ({relative(one.last_look, now)}): {one.last_seen}"))
    if one.error:
        below.append(Branch(f"error: {one.error}"))
    return Branch(f"{one.name}: {one.state}{f', {one.challenge}' if one.challenge else ''}", tuple(below))


def _events(events: Sequence[Mapping[str, Any]] | None, now: dt.datetime) -> Branch:
    if events is None:
        return Branch("Events: you may not read them")
    if not events:
        return Branch("Events: none (they are kept for an hour)")
    return Branch("Events", tuple(Branch(event_line(event, now)) for event in events[:MAX_EVENTS]))


def event_line(event: Mapping[str, Any], now: dt.datetime) -> str:
    """Return an Event in one line."""
    when = relative(event_time(event), now)
    message = text_at(event, "message", limit=1000)
    return f"{when}  {text_at(event, 'type')}  {text_at(event, 'reason')}: {message}"


def event_time(event: Mapping[str, Any]) -> dt.datetime | None:
    """Return when an Event was."""
    return (
        time_at(event, "eventTime")
        or time_at(event, "lastTimestamp")
        or time_at(event, "metadata", "creationTimestamp")
    )
