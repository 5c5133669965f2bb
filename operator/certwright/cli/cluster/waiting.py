"""Waits for the end of requests, with progress."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.human import relative, table
from certwright.cli.cluster.rows import as_text
from certwright.cli.cluster.runner import complain, say, tell
from certwright.cli.cluster.screen import Screen, no_answer
from certwright.cli.cluster.selection import CERTIFICATES
from certwright.cli.cluster.views import CertificateView, text_at
from certwright.kube.errors import Unavailable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.cli.cluster.connection import Session
    from certwright.cli.cluster.rows import Format

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 10
"""Certificates that are read one by one; more are listed."""
RUNNING: Final = frozenset({"Waiting", "Running"})


@dataclass(frozen=True)
class Asked:
    """A request that was written.

    Attributes:
        namespace: Of its Certificate.
        name: Of its Certificate.
        request_id: Its ID.
        not_before: When it begins, if that is later.
        joined: Whether somebody else had asked for the same before.
    """

    namespace: str
    name: str
    request_id: str
    not_before: dt.datetime | None = None
    joined: bool = False

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        begins = self.not_before.isoformat() if self.not_before is not None else None
        return {"namespace": self.namespace, "name": self.name, "id": self.request_id, "notBefore": begins}


@dataclass(frozen=True)
class Progress:
    """How far a request is.

    Attributes:
        state: Waiting, or one of `status.requests`; Superseded and Gone if nothing comes of it.
        message: For people.
    """

    state: str
    message: str


async def wait_for(connected: Session, asked: Sequence[Asked], patience: dt.timedelta, form: Format) -> ExitCode:
    """Wait until all requests have ended; show how far they are."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + patience.total_seconds()
    screen = screen_for(form)
    progress = {one: Progress("Waiting", "no status yet") for one in asked}
    with screen.live():
        while True:
            try:
                found = await certificates_of(connected, asked)
            except (Unreachable, Unavailable) as error:
                screen.trouble(no_answer(error))
            else:
                progress = {one: progress_of(found.get((one.namespace, one.name)), one) for one in asked}
                screen.show(_picture(progress), {_label(one): f"{p.state}: {p.message}" for one, p in progress.items()})
            if all(one.state not in RUNNING for one in progress.values()) or loop.time() >= ends:
                break
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, ends - loop.time())))
    if form in {"json", "yaml"}:
        whole = [{**one.document(), "state": p.state, "message": p.message} for one, p in progress.items()]
        say([as_text({"requests": whole}, form)])
    return _code(progress)


def progress_of(certificate: CertificateView | None, asked: Asked) -> Progress:
    """Return how far a request is."""
    if certificate is None:
        return Progress("Gone", "the Certificate was deleted")
    entry = certificate.entry(asked.request_id)
    if entry is not None:
        state, message = text_at(entry, "state"), text_at(entry, "message", limit=1000)
        if state != "Running":
            return Progress(state, message)
        issuing = certificate.conditions.get("Issuing")
        if issuing is None or issuing.reason == "NothingToDo":
            return Progress("Running", message or "the operator goes on")
        return Progress("Running", f"{issuing.reason}: {issuing.message}")
    current = certificate.request
    if current is None or current.get("id") != asked.request_id:
        by = f"request {text_at(current, 'id')}" if current is not None else "somebody who removed it"
        return Progress("Superseded", f"replaced by {by} before it began")
    if asked.not_before is not None and asked.not_before > dt.datetime.now(dt.UTC):
        return Progress("Waiting", f"begins {relative(asked.not_before, dt.datetime.now(dt.UTC))}")
    return Progress("Waiting", "the operator has not started; if this persists: kubectl certwright check")


class OfCertificate(Protocol):
    """What concerns a Certificate, by its name."""

    @property
    def namespace(self) -> str:
        """Of the Certificate."""

    @property
    def name(self) -> str:
        """Of the Certificate."""


def screen_for(form: Format) -> Screen:
    """Return what shows progress while a command waits: beside an output for scripts, on standard error."""
    return Screen(complain, is_terminal=False) if form in {"json", "yaml", "name"} else Screen(tell)


async def certificates_of(
    connected: Session, asked: Sequence[OfCertificate]
) -> Mapping[tuple[str, str], CertificateView]:
    """Return the Certificates as they are now, by namespace and name, and others of these namespaces beside them."""
    if len(asked) <= AT_ONCE:
        bodies = [await connected.read(CERTIFICATES, one.namespace, one.name) for one in asked]
    else:
        bodies = []
        for namespace in dict.fromkeys(one.namespace for one in asked):
            bodies += (await connected.list_all(CERTIFICATES, namespace)).items
    views = [CertificateView(body) for body in bodies if body is not None]
    return {(one.namespace, one.name): one for one in views}


def _picture(progress: Mapping[Asked, Progress]) -> list[str]:
    done = sum(one.state not in RUNNING for one in progress.values())
    rows = [[_label(asked), one.state, one.message] for asked, one in progress.items() if one.state in RUNNING]
    rows += [[_label(asked), one.state, one.message] for asked, one in progress.items() if one.state not in RUNNING]
    return [f"{done} of {len(progress)} done", *table(["CERTIFICATE", "STATE", "MESSAGE"], rows)]


def _label(asked: Asked) -> str:
    return f"{asked.namespace}/{asked.name}"


def _code(progress: Mapping[Asked, Progress]) -> ExitCode:
    states = {one.state for one in progress.values()}
    if states & RUNNING:
        complain("Error: not finished in time; the operator continues. kubectl certwright status shows how far it is.")
        return ExitCode.TIMED_OUT
    return ExitCode.DONE if states == {"Succeeded"} else ExitCode.FAILED
