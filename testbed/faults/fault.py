"""What a fault is: what it does, to which exchanges, how often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from testbed.exchanges import Action, Request, Response

from .resources import RESOURCES

if TYPE_CHECKING:
    from .forger import Forger

MARKER = "b0dy-0f-somebody-else"
"""Stands in whatever a fault makes up. It must never be seen in an error, a log, an event or a status."""


@dataclass(frozen=True)
class Exchange:
    """A request that a fault is to be applied to.

    Attributes:
        request: As the client sent it.
        answer: What Pebble answered, as earlier faults left it; of a fault in place of an answer, an empty 200.
        forger: A CA that signs anything.
        memory: What the fault keeps from one exchange to the next.
    """

    request: Request
    answer: Response
    forger: Forger
    memory: dict[str, str]

    @property
    def origin(self) -> str:
        """The scheme, host and port by which the client knows the CA."""
        return f"https://{self.request.headers['Host']}"


Effect = Callable[[Exchange], Response | Action]


@dataclass(frozen=True)
class Turns:
    """Which of the exchanges that fit a fault are hit.

    Attributes:
        numbers: these, counted from 1; None for every one.
        probability: of each of them, decided by `seed` and the number alone, so that a run can be repeated.
        seed: of the decisions.
    """

    numbers: frozenset[int] | None = None
    probability: float = 1.0
    seed: int = 0

    def hit(self, number: int) -> bool:
        """Tell whether the exchange with this number is hit."""
        if self.numbers is not None and number not in self.numbers:
            return False
        return self.probability >= 1.0 or random.Random(f"{self.seed}/{number}").random() < self.probability  # noqa: S311 - no secret


@dataclass(frozen=True)
class Fault:
    """One misbehaviour of a CA.

    Attributes:
        name: what it is called, in words joined by hyphens.
        summary: what the CA does, in one line.
        resources: where; empty for everywhere.
        in_place: True answers in place of Pebble, which never sees the request; False changes what Pebble answered.
        effect: what it does.
        errors: whether it changes errors too (a rejected nonce, say).
        turns: how often.
    """

    name: str
    summary: str
    resources: frozenset[str]
    in_place: bool
    effect: Effect = field(repr=False)
    errors: bool = False
    turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        unknown = self.resources - RESOURCES
        if unknown:
            raise ValueError(f"{self.name}: no such resource: {', '.join(sorted(unknown))}")

    def at(self, *resources: str) -> Fault:
        """Return the same at other resources; at all of them if none is named."""
        return replace(self, resources=frozenset(resources))

    def only(self, *numbers: int) -> Fault:
        """Return the same for the exchanges of these numbers, counted from 1."""
        return replace(self, turns=replace(self.turns, numbers=frozenset(numbers)))

    def sometimes(self, probability: float, *, seed: int) -> Fault:
        """Return the same for a share of the exchanges."""
        return replace(self, turns=replace(self.turns, probability=probability, seed=seed))

    def fits(self, resource: str) -> bool:
        """Tell whether it is for this resource."""
        return not self.resources or resource in self.resources


def in_place_of(*resources: str) -> Callable[[Effect], Fault]:
    """Make a fault of a function that answers in place of Pebble: its name and the first line of its docstring."""
    return lambda effect: _fault(effect, resources, in_place=True)


def changing(*resources: str, errors: bool = False) -> Callable[[Effect], Fault]:
    """Make a fault of a function that changes what Pebble answered: its successes, or its errors as well."""
    return lambda effect: _fault(effect, resources, in_place=False, errors=errors)


def _fault(effect: Effect, resources: tuple[str, ...], *, in_place: bool, errors: bool = False) -> Fault:
    summary = (effect.__doc__ or "").partition("\n")[0].rstrip(".")
    return Fault(effect.__name__.replace("_", "-"), summary, frozenset(resources), in_place, effect, errors)
