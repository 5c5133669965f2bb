"""Conditions: what is true of an object right now, and why (the Kubernetes API conventions' form)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.timestamp import Timestamp

ConditionStatus = Literal["True", "False", "Unknown"]

READY = "Ready"
ISSUING = "Issuing"
PAUSED = "Paused"
"""Only there while it is True."""
RECORDS_PUBLISHED = "RecordsPublished"
"""Of an issuer; only there if it has a solver for dns-persist-01."""
ORPHANED_RECORDS = "OrphanedRecords"
"""Of an issuer; only there while it is True: challenge records of its orders are left in the DNS."""
OPERATOR_CONFLICT = "OperatorConflict"
"""Written by a release that leaves an object to another release, and read by people only."""

UNOBSERVED: Final = -1
"""The `observedGeneration` of a status that nobody has written: no generation of an object is equal to it."""

_LONGEST_MESSAGE = 4096


class Condition(Model):
    """One aspect of the object's state."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """The type of the condition, such as Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=1024)] = ""
    """The machine-readable reason for the status, in CamelCase."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """The human-readable reason for the status, and what to do about it."""
    last_transition_time: Timestamp | None = None
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """
    The metadata.generation that this condition describes. If the object's generation is newer, the condition is
    outdated.
    """


def without_conflict(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions without the one of another release: applied by us, it would be ours as well, and stay."""
    return tuple(condition for condition in conditions if condition.type != OPERATOR_CONFLICT)


def find_condition(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of a type, such as `Ready`."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether the condition of a type is there and True."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def without_condition(conditions: Iterable[Condition], kind: str) -> tuple[Condition, ...]:
    """The conditions without the one of a type."""
    return tuple(condition for condition in conditions if condition.type != kind)


def set_condition(conditions: Iterable[Condition], new: Condition, now: datetime) -> tuple[Condition, ...]:
    """The conditions with one added or replaced, the others and their order as they were.

    `lastTransitionTime` becomes `now` only if the status changed; `new.last_transition_time` is ignored.
    A message that is too long for an object is cut.
    """
    kept = tuple(conditions)
    old = find_condition(kept, new.type)
    since = old.last_transition_time if old is not None and old.status == new.status else None
    new = new.replace(last_transition_time=since or now, message=_shorten(new.message))
    if old is None:
        return (*kept, new)
    if old == new:
        return kept  # the same object: a status with it is the same as well
    return tuple(new if condition is old else condition for condition in kept)


def _shorten(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 3]}..."
