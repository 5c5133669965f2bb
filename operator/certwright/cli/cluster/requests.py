"""`renew`, `revoke`, `rollback`, `pause` and `resume`: set a field of the Certificate, and report the result."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from certwright.cli.cluster.connection import session, told
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.human import relative, span
from certwright.cli.cluster.rows import as_text
from certwright.cli.cluster.runner import complain, confirm, say, tell
from certwright.cli.cluster.selection import CERTIFICATES, select
from certwright.cli.cluster.views import CertificateView, text_at, time_at
from certwright.cli.cluster.waiting import Asked, wait_for
from certwright.cli.exits import CommandError
from certwright.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.cluster.connection import Session, Target
    from certwright.cli.cluster.rows import Format
    from certwright.cli.cluster.selection import Selection

MAX_TRIES: Final = 5
REVOKE_WARNINGS: Final = (
    (
        "Revocation cannot be undone. Clients that check for revocation reject the certificate, even if servers "
        "still use it."
    ),
)
UNSPECIFIED: Final = "unspecified"
"""The reason of a revocation that has none."""
MANY: Final = 20
"""From so many on a rate is suggested."""
_RATE: Final = re.compile(r"([1-9]\d{0,5})/(s|m|h|d)")
_UNITS: Final = {
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
}
_FIELDS: Final = ("id", "action", "reason", "revision", "notBefore", "requestedBy")


@dataclass(frozen=True)
class Ask:
    """What is asked for, of each Certificate.

    Attributes:
        action: As in `spec.request`.
        reason: Of a revocation.
        revision: Of a rollback.
        interval: Between two Certificates.
        wait: Whether to wait for the end.
        timeout: For how long.
        yes: Whether it is confirmed already.
        form: Output format.
        warnings: What the user has to know before.
    """

    action: str
    reason: str | None = None
    revision: int | None = None
    interval: dt.timedelta = field(default_factory=dt.timedelta)
    wait: bool = False
    timeout: dt.timedelta = dt.timedelta(minutes=10)
    yes: bool = False
    form: Format = "table"
    warnings: tuple[str, ...] = ()


def parse_rate(text: str | None) -> dt.timedelta:
    """Return the time between two: of `10/h` six minutes.

    Raises:
        CommandError: It is no rate.
    """
    if text is None:
        return dt.timedelta()
    match = _RATE.fullmatch(text)
    if match is None:
        raise CommandError(f"--rate {text}: write a number and a unit, such as 10/h (s, m, h or d).", ExitCode.USAGE)
    return _UNITS[match[2]] / int(match[1])


async def request(target: Target, selection: Selection, ask: Ask) -> ExitCode:
    """Ask the operator for something, and wait for it if that is wanted."""
    async with session(target) as connected:
        found = await chosen(connected, selection)
        await _confirm(found, ask, always=ask.action == "Revoke")
        by = await who_am_i(connected)
        asked: list[Asked] = []
        try:
            await _ask_all(connected, found, ask, by, asked)
        except KubeError as error:
            if ask.form in {"json", "yaml"}:
                say([as_text({"requests": [one.document() for one in asked]}, ask.form)])
            if len(found) == 1:
                raise
            cause = told(error)
            number = f"{len(asked)} of {len(found)} Certificates"
            raise CommandError(f"Only {number} have been asked for, then this happened. {cause}", cause.code) from error
        if ask.wait and asked:
            code = await wait_for(connected, asked, ask.timeout, ask.form)
            return code if len(asked) == len(found) else code or ExitCode.FAILED
        if ask.form in {"json", "yaml"}:
            say([as_text({"requests": [one.document() for one in asked]}, ask.form)])
        return ExitCode.DONE if len(asked) == len(found) else ExitCode.FAILED


async def set_paused(target: Target, selection: Selection, *, paused: bool, yes: bool) -> ExitCode:
    """Pause or resume Certificates."""
    word = "pause" if paused else "resume"
    async with session(target) as connected:
        found = await chosen(connected, selection)
        if len(found) > 1:
            await confirm(f"{word.capitalize()} {len(found)} Certificates?", yes=yes)
        failed = 0
        for one in found:
            if one.is_paused == paused:
                tell(f"{one.label} is {'already' if paused else 'not'} paused")
                continue
            try:
                await connected.change(CERTIFICATES, one.namespace, one.name, {"spec": {"paused": paused or None}})
            except (NotFound, Forbidden, Invalid, Conflict) as error:
                raise_for_all(error)
                failed += 1
                complain(f"Error: {told(error)}")
            else:
                tell(f"{one.label} {word}d")
        return ExitCode.REFUSED if failed else ExitCode.DONE


async def chosen(connected: Session, selection: Selection) -> list[CertificateView]:
    """Return the Certificates that a command changes.

    Raises:
        CommandError: There are none, or too many.
    """
    found, is_cut = await select(connected, selection, must_select=True)
    if is_cut:
        raise CommandError("There are more Certificates than one command changes. Choose some with -n or -l.")
    if not found:
        raise CommandError("No Certificate matches.", ExitCode.NOT_FOUND)
    return found


def raise_for_all(error: KubeError) -> None:
    """Raise what holds of all Certificates, such as credentials that have ended meanwhile."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        raise error


async def who_am_i(connected: Session) -> str | None:
    """Return who the API server takes us for; None if it does not say."""
    try:
        answer = await connected.review("authentication.k8s.io/v1", "SelfSubjectReview", {})
    except KubeError:
        return None
    return text_at(answer, "status", "userInfo", "username") or None


async def _confirm(found: Sequence[CertificateView], ask: Ask, *, always: bool) -> None:
    for line in ask.warnings:
        complain(line)
    if len(found) == 1 and not always:
        return
    what = found[0].label if len(found) == 1 else f"{len(found)} Certificates"
    spread = ""
    if ask.interval and len(found) > 1:
        last = ask.interval * (len(found) - 1)
        spread = f", one every {span(ask.interval)}; the last one begins in {span(last)}"
    elif len(found) >= MANY and ask.action == "Renew":
        spread = ", all at once; --rate spreads them, for example --rate 10/h"
    await confirm(f"{ask.action} {what}{spread}?", yes=ask.yes)


async def _ask_all(
    connected: Session, found: Sequence[CertificateView], ask: Ask, by: str | None, asked: list[Asked]
) -> None:
    """Ask for each, and add to the list what was asked for.

    Raises:
        KubeError: The API server answers no more, or knows us no more.
    """
    begin = dt.datetime.now(dt.UTC)
    if ask.wait and ask.interval * (len(found) - 1) > ask.timeout:
        raise CommandError("--wait: the last one begins after --timeout. Raise it, or do not wait.", ExitCode.USAGE)
    for one in found:
        not_before = begin + ask.interval * len(asked)
        try:
            result = await _ask(connected, one, ask, by, not_before if not_before > begin else None)
        except (NotFound, Forbidden, Invalid, Conflict) as error:
            raise_for_all(error)
            complain(f"Error: {told(error)}")
            continue
        if result is not None:
            asked.append(result)
            if ask.form == "name":
                tell(f"certificate.certwright.io/{one.name}")
            elif ask.form in {"table", "wide"}:
                tell(_told(result, begin))


async def _ask(
    connected: Session, one: CertificateView, ask: Ask, by: str | None, not_before: dt.datetime | None
) -> Asked | None:
    """Write the request into the Certificate as it is; None if it cannot be asked for."""
    request_id = f"{ask.action.lower()}-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    wanted = {
        "id": request_id,
        "action": ask.action,
        "reason": ask.reason,
        "revision": ask.revision,
        "notBefore": rfc3339(not_before) if not_before is not None else None,
        "requestedBy": by,
    }
    for tries_left in reversed(range(MAX_TRIES)):
        if one.is_paused:
            complain(
                f"Warning: {one.label} is paused, so no request was sent. Resume it first: kubectl certwright resume"
            )
            return None
        if one.deleted is not None:
            complain(f"Warning: {one.label} is being deleted, so no request was sent.")
            return None
        same = _same_request(one, ask, not_before)
        if same is not None:
            return Asked(one.namespace, one.name, same, joined=True)
        metadata = {"resourceVersion": text_at(one.body, "metadata", "resourceVersion")}
        # A merge keeps what is not mentioned, so each field of an earlier request is.
        change = {"metadata": metadata, "spec": {"request": {key: wanted[key] for key in _FIELDS}}}
        try:
            await connected.change(CERTIFICATES, one.namespace, one.name, change)
        except Conflict:
            body = await connected.read(CERTIFICATES, one.namespace, one.name)
            if body is None or not tries_left:
                raise
            one = CertificateView(body)
        else:
            return Asked(one.namespace, one.name, request_id, not_before)
    raise AssertionError("the last try returns or raises")


def _same_request(one: CertificateView, ask: Ask, not_before: dt.datetime | None) -> str | None:
    """Return the ID of a request for the same that runs already, or that begins no later than this one would.

    Who asks twice in a hurry gets one certificate, and whoever waits for the first request goes on waiting for it.
    """
    request_ = one.request
    if request_ is None:
        return None
    entry = one.entry(str(request_.get("id")))
    if entry is None:
        begins = time_at(request_, "notBefore")
        if begins is not None and begins > (not_before or dt.datetime.now(dt.UTC)):
            return None
    elif entry.get("state") != "Running":
        return None
    asked = entry or request_
    if asked.get("action") != ask.action:
        return None
    # Another reason is another request: a compromised key is revoked at once, not after its replacement.
    reason = text_at(asked, "reason") or (UNSPECIFIED if ask.action == "Revoke" else "")
    is_same = (reason or None) == ask.reason and asked.get("revision") == ask.revision
    return text_at(asked, "id") if is_same else None


def _told(asked: Asked, now: dt.datetime) -> str:
    label = f"Certificate {asked.namespace}/{asked.name}"
    if asked.joined:
        return f"{label}: request {asked.request_id} for the same is open already"
    begins = f", begins {relative(asked.not_before, now)}" if asked.not_before is not None else ""
    return f"{label}: request {asked.request_id}{begins}"
