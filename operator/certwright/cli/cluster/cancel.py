"""`cancel`: take requests back that have not ended, and say how far each one was."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.connection import session, told
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.human import relative
from certwright.cli.cluster.requests import chosen, raise_for_all
from certwright.cli.cluster.rows import as_text
from certwright.cli.cluster.runner import complain, confirm, say, tell
from certwright.cli.cluster.screen import no_answer
from certwright.cli.cluster.selection import CERTIFICATES
from certwright.cli.cluster.views import CertificateView, list_at, text_at, time_at
from certwright.cli.cluster.waiting import LOOK_SECONDS, certificates_of, screen_for
from certwright.cli.exits import CommandError
from certwright.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable, Unreachable
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from certwright.cli.cluster.connection import Session, Target
    from certwright.cli.cluster.rows import Format
    from certwright.cli.cluster.selection import Selection

AT_ONCE: Final = 8
"""Requests to the API server at once: two thousand Certificates take seconds, and others notice nothing of it."""
ISSUED: Final = frozenset({"processing", "valid"})
"""States of an order whose certificate the CA has been asked for."""


@dataclass(frozen=True)
class Wish:
    """What is to be cancelled, of each selected Certificate, and how.

    Attributes:
        action: Only requests for it; None for all.
        requested_by: Only requests of this user; None for those of all.
        dry_run: Whether to say only what would be cancelled.
        wait: Whether to wait for the operator where the request was running.
        timeout: For how long.
        yes: Whether it is confirmed already.
        form: Output format.
    """

    action: str | None = None
    requested_by: str | None = None
    dry_run: bool = False
    wait: bool = False
    timeout: dt.timedelta = dt.timedelta(minutes=10)
    yes: bool = False
    form: Format = "table"


@dataclass(frozen=True)
class Open:
    """A request that has not ended, and what became of the attempt to cancel it.

    Attributes:
        namespace: Of its Certificate.
        name: Of its Certificate.
        uid: Of its Certificate.
        id: Of the request.
        action: As in `spec.request`.
        requested_by: As the request says; empty if it does not.
        not_before: When it was to begin, if it says so.
        stage: ``Waiting`` until the operator has begun it, then ``Running``.
        at_ca: What the CA has been asked for already, for people; empty if nothing.
        state: ``Open``, ``Cancelled``, ``Ended`` or ``Replaced`` (it was not there any more), ``Gone`` (nor was the
            Certificate), ``Failed`` (it could not be cancelled).
        message: What the state means.
    """

    namespace: str
    name: str
    uid: str
    id: str
    action: str
    requested_by: str
    not_before: dt.datetime | None
    stage: str
    at_ca: str
    state: str = "Open"
    message: str = ""
    is_settled: bool = False
    """Whether the operator has ended its record."""

    @property
    def label(self) -> str:
        """It and its Certificate, for people."""
        return f"Certificate {self.namespace}/{self.name}: request {self.id} ({self.action})"

    def document(self) -> dict[str, Any]:
        """Return it for scripts; docs/kubectl.md has the shape."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "id": self.id,
            "action": self.action,
            "requestedBy": self.requested_by or None,
            "notBefore": rfc3339(self.not_before) if self.not_before is not None else None,
            "stage": self.stage,
            "atCA": self.at_ca or None,
            "state": self.state,
            "message": self.message,
        }


def open_request(one: CertificateView, wish: Wish) -> Open | None:
    """Return the request of a Certificate if it has not ended and is of those that are wished for."""
    request = one.request
    if request is None:
        return None
    request_id, action, by = text_at(request, "id"), text_at(request, "action"), text_at(request, "requestedBy")
    entry = one.entry(request_id)
    if entry is not None and entry.get("state") != "Running":
        return None  # the operator removes it, or GitOps has written it back
    if wish.action not in {None, action} or wish.requested_by not in {None, by}:
        return None
    is_begun = entry is not None
    return Open(
        one.namespace,
        one.name,
        one.uid,
        request_id,
        action,
        by,
        time_at(request, "notBefore"),
        "Running" if is_begun else "Waiting",
        _at_ca(one, action, request_id) if is_begun else "",
    )


def _at_ca(one: CertificateView, action: str, request_id: str) -> str:
    """Return what the CA has been asked for because of a request that runs."""
    said = []
    if action == "Revoke":
        for revocation in list_at(one.body, "status", "revocations"):
            if text_at(revocation, "requestID") != request_id:
                continue
            serial, state = text_at(revocation, "serialNumber"), text_at(revocation, "state")
            if state == "Revoked":
                said.append(f"the CA has revoked certificate {serial}")
            elif text_at(revocation, "reason") == "keyCompromise":
                said.append("the key stays on record as compromised, and is replaced")
    state = text_at(one.order, "state")
    if one.order is not None and text_at(one.order, "url") and state != "invalid":
        # An order may be for another reason, such as a renewal that is due: then it goes on.
        what = "the certificate may be issued, and is not stored" if state in ISSUED else "it counts for rate limits"
        said.append(f"an order is placed ({state}); unless it is needed anyway, the operator gives it up: {what}")
    return "; ".join(said)


async def cancel(target: Target, selection: Selection, wish: Wish) -> ExitCode:
    """Take back the requests of the selected Certificates that have not ended."""
    async with session(target) as connected:
        found = await chosen(connected, selection)
        requests = [one for view in found if (one := open_request(view, wish)) is not None]
        # Those that have not begun come first: each of them that begins meanwhile is an order at the CA.
        requests.sort(key=lambda one: one.stage != "Waiting")
        if wish.dry_run or not requests:
            _show(requests, wish, len(found))
            return ExitCode.DONE
        await _confirm(requests, wish)
        try:
            results = await _cancel_all(connected, requests, wish)
        except _Interrupted as interrupted:
            _show(interrupted.results, wish, len(found))
            cause = told(interrupted.error)
            done = sum(one.state == "Cancelled" for one in interrupted.results)
            raise CommandError(
                f"Only {done} of {len(requests)} requests have been cancelled, then this happened. {cause} Run the "
                "command again for the rest.",
                cause.code,
            ) from interrupted.error
        if wish.wait:
            results = await _settled(connected, results, wish)
        _show(results, wish, len(found))
        return _code(results, wish)


class _Interrupted(Exception):
    """The API server answers no more, or knows us no more."""

    def __init__(self, error: KubeError, results: list[Open]) -> None:
        super().__init__(str(error))
        self.error, self.results = error, results


async def _confirm(requests: Sequence[Open], wish: Wish) -> None:
    if len(requests) == 1:
        return
    running = sum(one.stage == "Running" for one in requests)
    begun = f", {running} of them already begun" if running else ""
    await confirm(f"Cancel {len(requests)} requests{begun}?", yes=wish.yes)


async def _cancel_all(connected: Session, requests: Sequence[Open], wish: Wish) -> list[Open]:
    """Cancel each, a few at a time, and tell of each.

    Raises:
        _Interrupted: The API server answers no more, or knows us no more.
    """
    results: dict[int, Open] = {}
    failure: list[KubeError] = []
    left = iter(enumerate(requests))

    async def work() -> None:
        for number, one in left:
            if failure:
                return
            try:
                results[number] = await _cancel(connected, one)
            except KubeError as error:
                failure.append(error)
                return
            if wish.form in {"table", "wide"}:
                tell(_told(results[number]))
            elif results[number].state == "Failed":
                complain(f"Error: {results[number].label}: {results[number].message}")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    if failure:
        raise _Interrupted(failure[0], [results.get(number, one) for number, one in enumerate(requests)])
    return [results[number] for number in range(len(requests))]


async def _cancel(connected: Session, one: Open) -> Open:
    """Remove a request from its Certificate, if it is still the one that was seen there.

    Raises:
        KubeError: The API server answers no more, or knows us no more.
    """
    seen = {"/metadata/uid": one.uid, "/spec/request/id": one.id}
    try:
        await connected.take_out(CERTIFICATES, one.namespace, one.name, "/spec/request", seen)
    except (Invalid, Conflict) as error:
        # One of the two tests failed, or the object is refused for something else.
        body = await connected.read(CERTIFICATES, one.namespace, one.name)
        now = _now_of(one, None if body is None else CertificateView(body))
        return now if now.state != "Open" else replace(one, state="Failed", message=str(told(error)))
    except NotFound:
        return replace(one, state="Gone", message="the Certificate was deleted")
    except Forbidden as error:
        raise_for_all(error)
        return replace(one, state="Failed", message=str(told(error)))
    return replace(one, state="Cancelled", message=_meaning(one))


def _now_of(one: Open, view: CertificateView | None) -> Open:
    """Return a request as it is now; still ``Open`` if it is there."""
    if view is None or view.uid != one.uid:
        return replace(one, state="Gone", message="the Certificate was deleted")
    entry = view.entry(one.id)
    if entry is not None and entry.get("state") != "Running":
        said = f"{text_at(entry, 'state')}: {text_at(entry, 'message', limit=1000)}"
        return replace(one, state="Ended", message=f"it had ended before ({said})")
    current = view.request
    if current is None:  # by somebody else, or by this request, whose answer was lost
        return replace(one, state="Cancelled", message="it is removed already")
    if text_at(current, "id") != one.id:
        by = f"request {text_at(current, 'id')} ({text_at(current, 'action')})"
        return replace(one, state="Replaced", message=f"{by} has taken its place, and is not cancelled")
    return one


def _meaning(one: Open) -> str:
    if one.stage == "Waiting":
        return "it had not begun"
    return f"it had begun; {one.at_ca}" if one.at_ca else "it had begun, and the CA was not asked for anything yet"


async def _settled(connected: Session, results: Sequence[Open], wish: Wish) -> list[Open]:
    """Wait until the operator's records have ended of those that ran; what was done before counts as ended."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + wish.timeout.total_seconds()
    screen = screen_for(wish.form)
    settled = list(results)
    while True:
        waiting = [number for number, one in enumerate(settled) if _is_awaited(one)]
        try:
            views = await certificates_of(connected, [settled[number] for number in waiting])
        except (Unreachable, Unavailable) as error:
            screen.trouble(no_answer(error))
        else:
            for number in waiting:
                one = settled[number]
                settled[number] = _ended(one, views.get((one.namespace, one.name)))
                if settled[number].is_settled and wish.form in {"table", "wide"}:
                    tell(_told(settled[number]))
        if not any(map(_is_awaited, settled)) or loop.time() >= ends:
            return settled
        await asyncio.sleep(min(LOOK_SECONDS, max(0.0, ends - loop.time())))


def _is_awaited(one: Open) -> bool:
    """Whether the operator is still to end its record."""
    return one.state == "Cancelled" and one.stage == "Running" and not one.is_settled


def _ended(one: Open, view: CertificateView | None) -> Open:
    """Return a cancelled request with what the operator says of its end; as it is, as long as it says nothing."""
    entry = view.entry(one.id) if view is not None and view.uid == one.uid else None
    state = text_at(entry, "state") if entry is not None else "Failed"
    if state == "Running":
        return one
    message = text_at(entry, "message", limit=1000) if entry is not None else "its record is gone"
    is_late = state == "Succeeded"
    return replace(one, is_settled=True, state="Ended" if is_late else "Cancelled", message=f"{state}: {message}")


def _told(one: Open) -> str:
    word = {"Cancelled": "cancelled", "Open": "would be cancelled"}.get(one.state, "not cancelled")
    return f"{one.label} {word}: {one.message}" if one.message else f"{one.label} {word}"


def _show(requests: Iterable[Open], wish: Wish, of: int) -> None:
    requests = list(requests)
    if wish.form in {"json", "yaml"}:
        say([as_text({"dryRun": wish.dry_run, "requests": [one.document() for one in requests]}, wish.form)])
        return
    if wish.form == "name":
        say([f"certificate.certwright.io/{one.name}" for one in requests if wish.dry_run or one.state == "Cancelled"])
        return
    if not requests:
        say([f"Nothing to cancel: {of} Certificate{'s' * (of != 1)} selected, none with such a request that is open."])
        return
    now = dt.datetime.now(dt.UTC)
    if wish.dry_run:
        for one in requests:
            later = one.not_before is not None and one.not_before > now
            begins = f"begins {relative(one.not_before, now)}" if later else "has not begun"
            how_far = begins if one.stage == "Waiting" else f"running{f'; {one.at_ca}' if one.at_ca else ''}"
            by = f" of {one.requested_by}" if one.requested_by else ""
            say([f"{one.label}{by} would be cancelled: {how_far}"])
    done = sum(one.state in {"Cancelled", "Open"} for one in requests)
    begun = sum(one.stage != "Waiting" and one.state in {"Cancelled", "Open"} for one in requests)
    verb = "would be cancelled" if wish.dry_run else "cancelled"
    say([f"{done} of {len(requests)} open requests {verb}; {begun} of them had begun."])


def _code(results: Sequence[Open], wish: Wish) -> ExitCode:
    if wish.wait and any(map(_is_awaited, results)):
        complain("Error: the operator has not ended all of them in time; the requests are removed all the same.")
        return ExitCode.TIMED_OUT
    if any(one.state == "Failed" for one in results):
        return ExitCode.REFUSED
    return ExitCode.DONE if all(one.state in {"Cancelled", "Gone"} for one in results) else ExitCode.FAILED
