"""The renewal calendar: what is renewed on each day, and what is never renewed."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.human import relative, table
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.cluster.views import CertificateView

LONGEST_BAR: Final = 30
MAX_NAMED: Final = 3
"""Certificates that a day names, unless all are asked for."""


def calendar(certificates: Sequence[CertificateView], now: dt.datetime, *, wide: bool) -> list[str]:
    """Return the lines of the calendar, in UTC.

    Args:
        certificates: All of them.
        now: The present time.
        wide: Name every Certificate, each on a line of its own.
    """
    if not certificates:
        return []
    due, overdue, without = _sorted(certificates, now)
    lines = _days(due, now, wide=wide) if due else ["No renewal is planned."]
    for title, some in (("Due now", overdue), ("Not renewed as things are", without)):
        if some:
            rows = [[f"{one.namespace}/{one.name}", _why(one, now), _ends(one, now)] for one in some]
            lines += ["", f"{title}: {len(some)}", *table(["CERTIFICATE", "WHY", "EXPIRES"], rows)]
    return lines


def calendar_document(certificates: Sequence[CertificateView], now: dt.datetime) -> dict[str, Any]:
    """Return the calendar for scripts; docs/kubectl.md has the shape."""
    due, overdue, without = _sorted(certificates, now)
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in due:
        if one.renewal is not None:
            days[_day(one.renewal)].append(_entry(one))
    return {
        "days": [{"date": day, "renewals": renewals} for day, renewals in sorted(days.items())],
        "dueNow": [_entry(one) for one in overdue],
        "notRenewed": [{**_entry(one), "why": _why(one, now)} for one in without],
    }


def _sorted(
    certificates: Sequence[CertificateView], now: dt.datetime
) -> tuple[list[CertificateView], list[CertificateView], list[CertificateView]]:
    planned = [one for one in certificates if one.renewal is not None and not one.is_paused]
    due = sorted((one for one in planned if _renewal(one) > now), key=_renewal)
    overdue = sorted((one for one in planned if _renewal(one) <= now), key=_renewal)
    without = [one for one in certificates if one.renewal is None or one.is_paused]
    return due, overdue, without


def _renewal(one: CertificateView) -> dt.datetime:
    return one.renewal or dt.datetime.max.replace(tzinfo=dt.UTC)


def _days(due: Sequence[CertificateView], now: dt.datetime, *, wide: bool) -> list[str]:
    by_day: dict[str, list[CertificateView]] = defaultdict(list)
    for one in due:
        by_day[_day(_renewal(one))].append(one)
    if wide:
        rows = [
            [
                rfc3339(_renewal(one)),
                relative(one.renewal, now),
                f"{one.namespace}/{one.name}",
                one.issuer_label,
                _ends(one, now),
            ]
            for one in due
        ]
        return table(["RENEWAL", "IN", "CERTIFICATE", "ISSUER", "EXPIRES"], rows)
    most = max(len(some) for some in by_day.values())
    rows = []
    for day, some in by_day.items():
        names = ", ".join(f"{one.namespace}/{one.name}" for one in some[:MAX_NAMED])
        more = f" and {len(some) - MAX_NAMED} more" if len(some) > MAX_NAMED else ""
        bar = "█" * max(1, round(len(some) * min(LONGEST_BAR, most) / most))
        rows.append(
            [day, _renewal(some[0]).strftime("%a"), relative(some[0].renewal, now), str(len(some)), bar, names + more]
        )
    return table(["DATE (UTC)", "DAY", "FROM", "RENEWALS", "", "CERTIFICATES"], rows)


def _day(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).date().isoformat()


def _why(one: CertificateView, now: dt.datetime) -> str:
    if one.is_paused:
        return "paused"
    if one.renewal is not None:
        return f"due {relative(one.renewal, now)}: {one.reason}"
    return one.reason


def _ends(one: CertificateView, now: dt.datetime) -> str:
    return relative(one.not_after, now)


def _entry(one: CertificateView) -> dict[str, Any]:
    kind, issuer = one.issuer
    return {
        "namespace": one.namespace,
        "name": one.name,
        "renewalTime": rfc3339(one.renewal) if one.renewal else None,
        "notAfter": rfc3339(one.not_after) if one.not_after else None,
        "issuer": {"kind": kind, "name": issuer},
        "ready": one.ready,
    }
