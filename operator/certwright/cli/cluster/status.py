"""`status` and `explain`: reads their objects, once or repeatedly."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from certwright.cli.cluster.calendar import calendar, calendar_document
from certwright.cli.cluster.connection import CORE, session
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.explain import Explanation, explain_certificate, explain_issuer
from certwright.cli.cluster.rows import as_text, certificates_table, document, resource_name
from certwright.cli.cluster.runner import complain, say
from certwright.cli.cluster.screen import Screen, no_answer
from certwright.cli.cluster.selection import PLURALS, named, select, split_name
from certwright.cli.cluster.tree import event_time, tree
from certwright.cli.cluster.views import CertificateView, IssuerView
from certwright.cli.exits import CommandError
from certwright.kube.errors import Forbidden, NotFound, Unavailable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.cli.cluster.connection import Session, Target
    from certwright.cli.cluster.rows import Format
    from certwright.cli.cluster.selection import Selection

WATCH_SECONDS: Final = 2.0
LARGE: Final = 1000
"""With more objects than this `--watch` looks less often."""
MAX_EVENTS: Final = 200


@dataclass(frozen=True)
class Shown:
    """What a command shows: for people, for changes, for scripts.

    Attributes:
        lines: For people.
        states: What each object is at, by its name.
        document: For scripts.
        names: For `-o name`.
        count: How many objects were read.
    """

    lines: list[str]
    states: dict[str, str]
    document: dict[str, Any]
    names: list[str]
    count: int


async def status(target: Target, selection: Selection, *, form: Format, watch: bool, with_calendar: bool) -> ExitCode:
    """Show a table of Certificates, the tree of one, or the calendar of renewals."""
    async with session(target) as connected:
        if not watch:
            _print(await _status(connected, selection, form, with_calendar=with_calendar), form)
            return ExitCode.DONE
        _refuse_watch(form)
        return await _watch(lambda: _status(connected, selection, form, with_calendar=with_calendar))


async def explain(target: Target, names: Sequence[str], *, form: Format, watch: bool) -> ExitCode:
    """Explain Certificates and issuers."""
    async with session(target) as connected:
        if not watch:
            _print(await _explain(connected, names), form)
            return ExitCode.DONE
        _refuse_watch(form)
        return await _watch(lambda: _explain(connected, names))


async def _watch(look: Callable[[], Awaitable[Shown]]) -> NoReturn:
    """Look again and again, also after the API server was restarted."""
    screen, count = Screen(), None
    with screen.live():
        while True:
            try:
                shown = await look()
            except (Unreachable, Unavailable) as error:
                if count is None:
                    raise
                screen.trouble(no_answer(error))
            else:
                screen.show(shown.lines, shown.states)
                count = shown.count
            await asyncio.sleep(WATCH_SECONDS * max(1, (count or 0) // LARGE))


def present() -> dt.datetime:
    """Return the present time."""
    return dt.datetime.now(dt.UTC)


async def _status(connected: Session, selection: Selection, form: Format, *, with_calendar: bool) -> Shown:
    found, is_cut = await select(connected, selection, must_select=False)
    now = present()
    if is_cut:
        complain(f"Warning: there are more Certificates; the first {len(found)} are shown. Choose some with -n or -l.")
    states = {_label(one, selection): f"Ready={one.ready} {one.reason}: {one.message}" for one in found}
    names = [resource_name(one) for one in found]
    if with_calendar:
        lines = calendar(found, now, wide=form == "wide") or [_none(connected, selection)]
        return Shown(lines, states, calendar_document(found, now), names, len(found))
    if len(selection.names) == 1 and form == "table":
        lines = tree(found[0], await issuer_of(connected, found[0]), await events_of(connected, found[0]), now)
    elif found:
        lines = certificates_table(found, now, wide=form == "wide", with_namespace=selection.all_namespaces)
    else:
        lines = [_none(connected, selection)]
    return Shown(lines, states, {"certificates": [document(one) for one in found]}, names, len(found))


async def _explain(connected: Session, names: Sequence[str]) -> Shown:
    explanations = [await explained(connected, text) for text in dict.fromkeys(names)]
    lines = [line for one in explanations for line in (*one.lines(), "")][:-1]
    states = {one.subject: f"{one.headline}; {one.step}" for one in explanations}
    return Shown(lines, states, {"explanations": [one.document() for one in explanations]}, [], len(names))


async def explained(connected: Session, text: str) -> Explanation:
    """Explain one object.

    Args:
        connected: The API server.
        text: `NAME` or `KIND/NAME`.

    Raises:
        CommandError: There is none.
    """
    kind, name = split_name(text)
    now = present()
    if kind == "Certificate":
        certificate = await named(connected, text)
        issuer, events = await issuer_of(connected, certificate), await events_of(connected, certificate)
        return explain_certificate(certificate, issuer, events, now)
    namespace = connected.namespace if kind == "Issuer" else None
    body = await connected.read(PLURALS[kind], namespace, name)
    if body is None:
        raise CommandError(f"There is no {kind} {name}{f' in {namespace}' if namespace else ''}.", ExitCode.NOT_FOUND)
    issuer = IssuerView(body, kind)
    return explain_issuer(issuer, await events_of(connected, issuer), now)


async def issuer_of(connected: Session, certificate: CertificateView) -> IssuerView | None:
    """Return the issuer of a Certificate; None if there is none, or it may not be read."""
    kind, name = certificate.issuer
    if not name or kind not in PLURALS:
        return None
    try:
        body = await connected.read(PLURALS[kind], certificate.namespace if kind == "Issuer" else None, name)
    except Forbidden:
        return None
    return None if body is None else IssuerView(body, kind)


async def events_of(connected: Session, one: CertificateView | IssuerView) -> list[dict[str, Any]] | None:
    """Return the Events of an object, the latest first; None if they may not be read."""
    fields = f"involvedObject.kind={one.kind},involvedObject.name={one.name},involvedObject.uid={one.uid}"
    try:
        # Those of a ClusterIssuer are in the namespace default.
        found = await connected.list_all(
            "events", one.namespace or "default", root=CORE, fields=fields, most=MAX_EVENTS
        )
    except (Forbidden, NotFound):
        return None
    earliest = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(found.items, key=lambda event: event_time(event) or earliest, reverse=True)


def _print(shown: Shown, form: Format) -> None:
    if form == "name":
        say(shown.names)
    elif form in {"json", "yaml"}:
        say([as_text(shown.document, form)])
    else:
        say(shown.lines)


def _refuse_watch(form: Format) -> None:
    if form not in {"table", "wide"}:
        raise CommandError(f"--watch excludes -o {form}.", ExitCode.USAGE)


def _label(one: CertificateView, selection: Selection) -> str:
    return f"{one.namespace}/{one.name}" if selection.all_namespaces else one.name


def _none(connected: Session, selection: Selection) -> str:
    if selection.labels or selection.issuer:
        return "No Certificate matches."
    return "There are no Certificates." if selection.all_namespaces else f"No Certificates in {connected.namespace}."
