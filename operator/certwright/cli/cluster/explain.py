"""Explains why a Certificate or an issuer is not Ready: the step, its cause, what to run, what to do.

Everything comes from the objects, because the operator records what it waits for.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.advice import ADVICE, OPERATOR_RETRIES
from certwright.cli.cluster.human import both, relative
from certwright.cli.cluster.tree import event_line
from certwright.cli.cluster.views import list_at, text_at, time_at

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from certwright.cli.cluster.views import AuthorizationView, CertificateView, IssuerView, ResourceView

MAX_DOMAINS: Final = 5
MAX_EVENTS: Final = 3
CONFLICT: Final = "OperatorConflict"
_SERVER: Final = re.compile(
    r"\((\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?\)|\b(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?\b"
)
"""The address of a name server, as `lastSeen` has it: `ns1.example.test (192.0.2.1)`, `127.0.0.1:5353`."""
CIRCUIT: Final = "IssuerUnavailable"
TRIAL: Final = "the operator continues on its own once an order has shown that the CA works, and checks every 5 minutes"
NO_ISSUER: Final = "the operator continues on its own once the issuer is Ready, and checks every 5 minutes"
GROWING: Final = "at increasing intervals of at most 5 minutes"


@dataclass(frozen=True)
class Explanation:
    """Why things are as they are.

    Attributes:
        subject: The object, for people.
        headline: How it is, in one line.
        step: What it is at, or waits for.
        cause: Why.
        evidence: What was seen.
        commands: What to run to see it oneself, each with what is expected.
        next_look: When the operator looks again.
        to_do: What to do.
        events: The last Warnings.
    """

    subject: str
    headline: str
    step: str
    cause: str = ""
    evidence: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    next_look: str = ""
    to_do: tuple[str, ...] = ()
    events: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """Return it for people."""
        lines = [f"{self.subject}: {self.headline}", "", f"Step:       {self.step}"]
        lines += [f"Cause:      {self.cause}"] if self.cause else []
        lines += _block("Seen:", self.evidence)
        lines += _block(
            "Check it:", [line for command, expected in self.commands for line in _shown(command, expected)]
        )
        lines += [f"Next check: {self.next_look}"] if self.next_look else []
        lines += _block("To do:", self.to_do)
        lines += _block("Warnings:", self.events)
        return lines

    def document(self) -> dict[str, Any]:
        """Return it for scripts; docs/kubectl.md has the shape."""
        return {
            "subject": self.subject,
            "headline": self.headline,
            "step": self.step,
            "cause": self.cause,
            "seen": list(self.evidence),
            "commands": [{"command": command, "expected": expected} for command, expected in self.commands],
            "nextLook": self.next_look,
            "toDo": list(self.to_do),
            "warnings": list(self.events),
        }


def explain_certificate(
    certificate: CertificateView,
    issuer: IssuerView | None,
    events: Sequence[Mapping[str, Any]] | None,
    now: dt.datetime,
) -> Explanation:
    """Explain a Certificate.

    Args:
        certificate: The Certificate.
        issuer: Its issuer, or None if there is none, or it cannot be read.
        events: Its Events, or None if they cannot be read.
        now: The present time.
    """
    general = _general(certificate, now)
    if general is not None:
        return general
    warnings = _warnings(events, now)
    if certificate.is_paused:
        return _paused(certificate, now, warnings)
    condition = certificate.conditions.get("Issuing") or certificate.conditions["Ready"]
    idle = condition.reason in {"NothingToDo", ""}
    if certificate.ready == "True" and idle:
        return _well(certificate, now)
    reason = certificate.reason if idle else condition.reason
    message = certificate.message if idle else condition.message
    waits_for_issuer = reason in {"IssuerNotReady", "IssuerNotFound", CIRCUIT}
    order = _of_order(certificate, issuer, now) if not waits_for_issuer else _Order()
    nested = _of_issuer(certificate, issuer) if waits_for_issuer else ()
    return Explanation(
        subject=certificate.label,
        headline=_headline(certificate, now),
        step=_step(certificate, reason, now),
        cause=message,
        evidence=(*nested, *order.evidence),
        commands=order.commands,
        next_look=_issuers_look(reason) if waits_for_issuer else _next_look(certificate, now),
        to_do=_to_do(certificate, reason),
        events=warnings,
    )


def explain_issuer(issuer: IssuerView, events: Sequence[Mapping[str, Any]] | None, now: dt.datetime) -> Explanation:
    """Explain an Issuer or a ClusterIssuer."""
    general = _general(issuer, now)
    if general is not None:
        return general
    waits = tuple(_rate_limit(one, now) for one in list_at(issuer.body, "status", "rateLimits"))
    account = (f"account: {issuer.account}",) if issuer.account else ()
    said = tuple(f"{kind} is {one.status} ({one.reason}): {one.message}" for kind, one in issuer.more)
    records = issuer.missing_records[:MAX_DOMAINS]
    published = tuple(f'{state}: {name} TXT "{value}"' for name, value, state in records)
    if issuer.ready == "True" and not (waits or said or published):
        step = "Nothing blocks it: certificates can be ordered."
        return Explanation(issuer.label, "Ready", step, evidence=(f"CA: {issuer.server}", *account))
    is_ready, attempt = issuer.ready == "True", issuer.next_attempt
    reasons = [one.reason for _, one in issuer.more] if is_ready else [issuer.reason]
    advice = tuple(dict.fromkeys(ADVICE.get(reason, OPERATOR_RETRIES) for reason in reasons))
    directory = (f"curl -sS {shlex.quote(issuer.server)}", "the CA's directory, as JSON with newOrder in it")
    commands = [directory] if issuer.server else []
    commands += [(f"dig +short TXT {shlex.quote(name)}", f'"{value}"') for name, value, _ in records]
    return Explanation(
        subject=issuer.label,
        headline=f"Ready={issuer.ready} ({issuer.reason})",
        step=_issuer_step(issuer, waits=bool(waits)),
        cause=issuer.message,
        evidence=(f"CA: {issuer.server}", *account, *waits, *said, *published),
        commands=tuple(commands),
        next_look=both(attempt, now) if attempt is not None and attempt > now else GROWING,
        to_do=advice or ("Nothing: the operator waits and continues on its own.",),
        events=_warnings(events, now),
    )


def _issuer_step(issuer: IssuerView, *, waits: bool) -> str:
    if issuer.ready != "True":
        return f"not Ready: {issuer.reason}"
    if waits:
        return "waits for the CA's rate limit"
    return f"Ready, but {', '.join(f'{kind} is {one.status}' for kind, one in issuer.more) or 'records are missing'}"


@dataclass(frozen=True)
class _Order:
    evidence: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()


def _general(one: ResourceView, now: dt.datetime) -> Explanation | None:
    """Explain what holds of any object that the operator does not look at as it is."""
    check = (("kubectl certwright check", "the operator is running and leads"),)
    if one.deleted is not None:
        held = text_at({"all": ", ".join(map(str, one.body["metadata"].get("finalizers") or ()))}, "all")
        return Explanation(
            one.label,
            f"being deleted for {relative(one.deleted, now).removesuffix(' ago')}",
            "waits for its finalizers" if held else "is about to be removed",
            cause=f"finalizers: {held}" if held else "",
            evidence=(one.message,) if one.is_seen else (),
            commands=check,
            next_look="the operator removes the finalizer after 10 minutes, even if records remain",
        )
    conflict = one.conditions.get(CONFLICT)
    if conflict is not None and conflict.status == "True":
        return Explanation(
            one.label,
            "served by another release",
            "left to another release of Certwright",
            conflict.message,
            to_do=("Set the chart value namespaces so that each namespace has one release.",),
        )
    if one.is_seen and one.is_current:
        return None
    what = (
        "the operator has not reconciled it" if not one.is_seen else ("the operator has not reconciled the last change")
    )
    return Explanation(
        one.label,
        f"Ready={one.ready}",
        what,
        cause="It is not running, does not lead, does not serve this namespace, or has only just noticed it.",
        evidence=(f"the status says: {one.message}",) if one.is_seen else (),
        commands=check,
        to_do=("Start the operator, or add the namespace to the chart value namespaces.",),
    )


def _well(certificate: CertificateView, now: dt.datetime) -> Explanation:
    renewal = certificate.renewal
    return Explanation(
        certificate.label,
        _headline(certificate, now),
        "Nothing blocks it: the Secret holds a certificate that matches the spec.",
        cause=certificate.message if certificate.reason != "Ready" else "",
        evidence=(f"Secret {certificate.secret}", *certificate.renewal_lines, *_pending_request(certificate, now)),
        next_look=f"{both(renewal, now)}: the renewal" if renewal is not None else "",
    )


def _paused(certificate: CertificateView, now: dt.datetime, warnings: tuple[str, ...]) -> Explanation:
    since = certificate.conditions["Paused"].since if "Paused" in certificate.conditions else None
    ends = certificate.not_after
    return Explanation(
        certificate.label,
        f"paused {f'since {both(since, now)}' if since else ''}".rstrip(),
        "spec.paused is set: the operator changes nothing",
        cause=certificate.message,
        evidence=(f"the certificate expires {relative(ends, now)}",)
        if ends is not None
        else ("there is no certificate",),
        to_do=(f"kubectl certwright resume -n {shlex.quote(certificate.namespace)} {shlex.quote(certificate.name)}",),
        events=warnings,
    )


def _headline(certificate: CertificateView, now: dt.datetime) -> str:
    ends = certificate.not_after
    validity = "no certificate yet"
    if ends is not None:
        validity = f"valid until {both(ends, now)}" if ends > now else f"EXPIRED at {both(ends, now)}"
    return f"Ready={certificate.ready}, {validity}"


def _step(certificate: CertificateView, reason: str, now: dt.datetime) -> str:
    order, attempt = certificate.order, certificate.next_attempt
    if reason == CIRCUIT:
        return "waits for the issuer's CA, which has failed: one order at a time tries it"
    if order is None or reason in {"IssuerNotReady", "IssuerNotFound"}:
        return f"no order yet: {reason}"
    state = text_at(order, "state")
    placed = relative(time_at(order, "createdAt"), now)
    if state == "invalid" and attempt is not None and attempt > now:
        return f"the order that was placed {placed} has failed ({reason}); the next attempt is {relative(attempt, now)}"
    names = [one.name for one in certificate.authorizations if one.state == "pending"]
    what = f" of {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""
    return f"{reason}{what}; the order was placed {placed} and is {state}"


def _of_order(certificate: CertificateView, issuer: IssuerView | None, now: dt.datetime) -> _Order:
    evidence: list[str] = []
    commands: list[tuple[str, str]] = []
    blocking = [one for one in certificate.authorizations if one.state != "valid"]
    for one in blocking[:MAX_DOMAINS]:
        evidence += _seen(one, now)
        commands += _commands(one, issuer)
    if len(blocking) > MAX_DOMAINS:
        evidence.append(f"and {len(blocking) - MAX_DOMAINS} more domains: kubectl certwright status {certificate.name}")
    return _Order(tuple(evidence), tuple(dict.fromkeys(commands)))


def _seen(one: AuthorizationView, now: dt.datetime) -> list[str]:
    lines = []
    if one.record is not None:
        lines.append(f'{one.name} needs {one.record[0]} TXT "{one.record[1]}"')
    elif one.url:
        lines.append(f"{one.name} needs {one.url} with the content {one.content}")
    if one.last_seen:
        lines.append(f"{one.name}, last seen {relative(one.last_look, now)}: {one.last_seen}")
    if one.error:
        lines.append(f"{one.name}, the error: {one.error}")
    return lines or [f"{one.name} is {one.state}"]


def _commands(one: AuthorizationView, issuer: IssuerView | None) -> list[tuple[str, str]]:
    """Return what shows a person whether the CA can see it."""
    if one.record is not None:
        name, value = one.record
        servers = _servers(one.last_seen) or (
            [] if issuer is None else [_dig_server(text) for text in issuer.name_servers[:1]]
        )
        commands = [f"dig +short TXT {shlex.quote(name)}{server}" for server in dict.fromkeys((*servers[:2], ""))]
        return [(command, f'"{value}"') for command in commands]
    if one.url:
        return [(f"curl -sS {shlex.quote(one.url)}", one.content)]
    return []


def _servers(seen: str) -> list[str]:
    found = []
    for match in _SERVER.finditer(seen):
        address, port = match[1] or match[3], match[2] or match[4]
        found.append(f" @{address}{f' -p {port}' if port and port != '53' else ''}")
    return list(dict.fromkeys(found))


def _dig_server(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = text, ""
    return f" @{shlex.quote(host.strip('[]'))}{f' -p {port}' if port not in {'', '53'} else ''}"


def _of_issuer(certificate: CertificateView, issuer: IssuerView | None) -> tuple[str, ...]:
    kind, name = certificate.issuer
    if issuer is None:
        return (f"{kind} {name} does not exist, or you may not read it",)
    where = f" -n {shlex.quote(certificate.namespace)}" if kind == "Issuer" else ""
    return (
        f"{issuer.label}: Ready={issuer.ready} ({issuer.reason}): {issuer.message}",
        *(f"{issuer.label}: {type_} is {one.status} ({one.reason}): {one.message}" for type_, one in issuer.more),
        f"more: kubectl certwright explain {kind.lower()}/{shlex.quote(name)}{where}",
    )


def _issuers_look(reason: str) -> str:
    return TRIAL if reason == CIRCUIT else NO_ISSUER


def _next_look(certificate: CertificateView, now: dt.datetime) -> str:
    times = (certificate.next_attempt, time_at(certificate.order, "nextLookTime"))
    to_come = min((time for time in times if time is not None and time > now), default=None)
    return both(to_come, now) if to_come is not None else GROWING


def _to_do(certificate: CertificateView, reason: str) -> tuple[str, ...]:
    advice = ADVICE.get(reason, OPERATOR_RETRIES)
    if certificate.next_attempt is None or text_at(certificate.order, "state") != "invalid":
        return (advice,)
    again = f"kubectl certwright renew -n {shlex.quote(certificate.namespace)} {shlex.quote(certificate.name)}"
    return (advice, f"To try again without waiting: {again}")


def _pending_request(certificate: CertificateView, now: dt.datetime) -> tuple[str, ...]:
    request = certificate.request
    if request is None or certificate.entry(str(request.get("id"))) is not None:
        return ()
    begins = time_at(request, "notBefore")
    when = both(begins, now) if begins is not None and begins > now else "now"
    return (f"request {text_at(request, 'id')} ({text_at(request, 'action')}) begins {when}",)


def _rate_limit(one: Mapping[str, Any], now: dt.datetime) -> str:
    what = "new orders" if text_at(one, "requests") == "newOrder" else "other requests"
    return f"{what} wait until {both(time_at(one, 'until'), now)}: {text_at(one, 'message', limit=1024)}"


def _warnings(events: Sequence[Mapping[str, Any]] | None, now: dt.datetime) -> tuple[str, ...]:
    warnings = [event for event in events or () if text_at(event, "type") == "Warning"]
    return tuple(event_line(event, now) for event in warnings[:MAX_EVENTS])


def _block(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading if number == 0 else '':<12}{line}" for number, line in enumerate(lines)]


def _shown(command: str, expected: str) -> list[str]:
    return [f"$ {command}", f"  expected: {expected}"]
