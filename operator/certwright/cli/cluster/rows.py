"""Certificates as a table, as JSON and as YAML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from certwright.cli.cluster.human import relative, table
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from certwright.cli.cluster.views import CertificateView

Format = Literal["table", "wide", "json", "yaml", "name"]
MAX_DOMAINS: Final = 3
MAX_MESSAGE: Final = 160


def certificates_table(
    certificates: Sequence[CertificateView], now: dt.datetime, *, wide: bool, with_namespace: bool
) -> list[str]:
    """Return the lines of a table of Certificates."""
    headings = ["NAME", "READY", "REASON", "EXPIRES", "RENEWS", "ISSUER"]
    if wide:
        headings += ["SECRET", "DOMAINS", "MESSAGE"]
    rows = []
    for one in certificates:
        row = [one.name, one.ready, reason(one), expires(one, now), renews(one, now), one.issuer_label or "-"]
        if wide:
            row += [one.secret, _shown_domains(one.domains), _cut(one.message)]
        rows.append([one.namespace, *row] if with_namespace else row)
    return table((["NAMESPACE", *headings] if with_namespace else headings), rows)


def reason(one: CertificateView) -> str:
    """Return the reason, with a sign if the status is older than the spec."""
    return one.reason if one.is_current or not one.is_seen else f"{one.reason} (outdated)"


def expires(one: CertificateView, now: dt.datetime) -> str:
    """Return when the certificate expires: `in 59d`, `EXPIRED 3d ago`."""
    ends = one.not_after
    return f"EXPIRED {relative(ends, now)}" if ends is not None and ends <= now else relative(ends, now)


def renews(one: CertificateView, now: dt.datetime) -> str:
    """Return when it is renewed: `in 29d`, `due since 2h`, `paused`."""
    if one.is_paused:
        return "paused"
    due = one.renewal
    return f"due {relative(due, now)}" if due is not None and due <= now else relative(due, now)


def document(one: CertificateView) -> dict[str, Any]:
    """Return what scripts get of a Certificate; docs/kubectl.md has the shape."""
    order = one.order
    kind, issuer = one.issuer
    return {
        "namespace": one.namespace,
        "name": one.name,
        "ready": one.ready,
        "reason": one.reason,
        "message": one.message,
        "paused": one.is_paused,
        "domains": one.domains,
        "secret": one.secret,
        "issuer": {"kind": kind, "name": issuer},
        "notAfter": _stamp(one.not_after),
        "renewalTime": _stamp(one.renewal),
        "nextAttemptTime": _stamp(one.next_attempt),
        "order": None
        if order is None
        else {"state": str(order.get("state") or ""), "url": str(order.get("url") or "")},
        "requests": [
            {key: entry.get(key) for key in ("id", "action", "state", "requestedBy", "message", "finishedTime")}
            for entry in one.requests
        ],
    }


def as_text(whole: Mapping[str, Any], form: Format) -> str:
    """Return a document as JSON or YAML, all of it ASCII: what is not printable is escaped."""
    if form == "json":
        return json.dumps(whole, indent=2)
    import yaml

    text: str = yaml.safe_dump(json.loads(json.dumps(whole)), sort_keys=False, allow_unicode=False)
    return text.rstrip("\n")


def resource_name(one: CertificateView) -> str:
    """Return it as `kubectl -o name` does."""
    return f"certificate.certwright.io/{one.name}"


def _shown_domains(domains: Sequence[str]) -> str:
    more = len(domains) - MAX_DOMAINS
    return ",".join(domains[:MAX_DOMAINS]) + (f" and {more} more" if more > 0 else "")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def _stamp(time: dt.datetime | None) -> str | None:
    return None if time is None else rfc3339(time)
