"""The conditions of cert-manager's objects, as its controller keeps them: one of a type, the times of others kept.

They are lists of plain maps, because they belong to another program's API, and may contain anything from a tenant.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.cert_manager.spec import entries, mapping
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

READY: Final = "Ready"
ISSUING: Final = "Issuing"

MAX_FOREIGN: Final = 8
"""Conditions of other types that are kept, as other programs may have added them."""
MAX_FOREIGN_TEXT: Final = 1024
"""Characters of each text in one of them. What is longer is not kept."""
MAX_MESSAGE: Final = 2048
"""Characters of a message of ours."""
MAX_GENERATION: Final = 2**63 - 1
"""As large as the API server counts."""
_TEXTS: Final = ("type", "status", "reason", "message", "lastTransitionTime")
_STATES: Final = frozenset({"True", "False", "Unknown"})


class Fact(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


def find(conditions: Collection[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of a type, or None."""
    return next((one for one in conditions if one.get("type") == kind), None)


def readable(status: Any) -> list[dict[str, Any]]:
    """Return the conditions of a status that can be kept: one of a type, whole and short.

    Args:
        status: Of an object of cert-manager, whatever it is.
    """
    found: dict[str, dict[str, Any]] = {}
    foreign = 0
    for one in entries(mapping(status).get("conditions"))[: 4 * MAX_FOREIGN]:
        if not _is_readable(one) or one["type"] in found:
            continue
        foreign += one["type"] not in {READY, ISSUING}
        if foreign <= MAX_FOREIGN:
            found[one["type"]] = dict(one)
    return list(found.values())


def composed(
    present: Collection[Mapping[str, Any]],
    facts: Mapping[str, Fact | None],
    *,
    generation: int,
    now: dt.datetime,
) -> list[dict[str, Any]]:
    """Return the conditions with those of some types as they should be, and the others as they are.

    Args:
        present: As `readable` returned them.
        facts: What is to be said, by type; None for a condition that should not be there.
        generation: Of the spec that this is about.
        now: The time of a transition; a condition whose status stays keeps its own.
    """
    wanted = {
        kind: _condition(kind, fact, find(present, kind), generation, now) for kind, fact in facts.items() if fact
    }
    kept = [wanted.pop(one["type"]) if one["type"] in wanted else dict(one) for one in present if _stays(one, facts)]
    return [*kept, *wanted.values()]


def _stays(one: Mapping[str, Any], facts: Mapping[str, Fact | None]) -> bool:
    return one["type"] not in facts or facts[one["type"]] is not None


def _condition(
    kind: str, fact: Fact, before: Mapping[str, Any] | None, generation: int, now: dt.datetime
) -> dict[str, Any]:
    since = None
    if before is not None and before.get("status") == fact.status:
        since = _past(before.get("lastTransitionTime"), now)
    return {
        "type": kind,
        "status": fact.status,
        "reason": fact.reason,
        "message": fact.message[:MAX_MESSAGE],
        "lastTransitionTime": since or rfc3339(now),
        "observedGeneration": generation,
    }


def _past(text: Any, now: dt.datetime) -> str | None:
    """Return a time as it is written if it is one and has come, else None."""
    try:
        instant = dt.datetime.fromisoformat(text)
        return str(text) if instant.tzinfo is not None and instant <= now else None
    except (TypeError, ValueError):
        return None


def _is_readable(one: Any) -> bool:
    """Whether a condition has no more than is known of conditions. Our CRDs take anything, of any type."""
    if not isinstance(one, dict) or not one.keys() <= {*_TEXTS, "observedGeneration"}:
        return False
    longest = MAX_FOREIGN_TEXT if one.get("type") not in (READY, ISSUING) else MAX_MESSAGE
    texts = [one[name] for name in _TEXTS if one.get(name) is not None]
    if not all(isinstance(text, str) and len(text) <= longest for text in texts):
        return False
    generation = one.get("observedGeneration", 0)
    is_whole = isinstance(generation, int) and 0 <= generation <= MAX_GENERATION
    return is_whole and one.get("type") is not None and one.get("status") in _STATES
