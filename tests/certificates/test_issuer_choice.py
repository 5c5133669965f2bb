"""Which of a Certificate's issuers is used."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, cast

import pytest

from certwright.certificates.issuer_choice import GRACE, Candidate, choose, patience
from certwright.issuers.circuits import Obstacle
from certwright.issuers.registry import IssuerView
from certwright.resources import IssuerRef
from certwright.runtime.key import Key

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
State = Literal["unknown", "missing", "not-ready", "ready"]


def candidate(
    name: str, state: State = "ready", *, open_until: dt.datetime | None = None, since: dt.datetime | None = None
) -> Candidate:
    obstacle = None if open_until is None else Obstacle("its circuit is open", open_until, NOW - MINUTE)
    return Candidate(
        IssuerRef(name=name),
        Key("Issuer", "team", name),
        IssuerView(state, f"{name} is {state}.", since),
        cast("Any", object()) if state == "ready" else None,
        obstacle,
        is_held=obstacle is not None,
    )


def chosen(*candidates: Candidate, order_of: str | None = None, patient_until: dt.datetime | None = None) -> str:
    key = None if order_of is None else Key("Issuer", "team", order_of)
    return choose(candidates, order_of=key, patient_until=patient_until, now=NOW).candidate.reference.name


def is_open(name: str) -> Candidate:
    return candidate(name, open_until=NOW + 5 * MINUTE)


def missing(name: str, ago: dt.timedelta) -> Candidate:
    return candidate(name, "missing", since=NOW - ago)


@pytest.mark.parametrize(
    ("candidates", "options", "name"),
    [
        ((candidate("a"), candidate("b")), {}, "a"),
        ((is_open("a"), candidate("b")), {}, "b"),
        ((is_open("a"), is_open("b"), candidate("c")), {}, "c"),
        ((is_open("a"), is_open("b")), {}, "a"),
        ((is_open("a"),), {}, "a"),
        ((missing("a", GRACE / 2), candidate("b")), {}, "a"),
        ((missing("a", GRACE), candidate("b")), {}, "b"),
        ((candidate("a", "not-ready", since=NOW - DAY), candidate("b")), {}, "b"),
        ((candidate("a", "not-ready", since=NOW + DAY), candidate("b")), {}, "b"),  # the clock was set back
        ((candidate("a", "unknown"), candidate("b")), {}, "a"),
        ((candidate("a"), candidate("b", "unknown")), {}, "a"),
        ((is_open("a"), candidate("b", "unknown"), candidate("c")), {}, "b"),
        ((is_open("a"), candidate("b")), {"patient_until": NOW + DAY}, "a"),
        ((is_open("a"), candidate("b")), {"patient_until": NOW}, "b"),
        ((missing("a", DAY), candidate("b")), {"patient_until": NOW + DAY}, "a"),
        ((candidate("a"), candidate("b")), {"order_of": "b"}, "b"),
        ((candidate("a"), is_open("b")), {"order_of": "b"}, "a"),
        ((is_open("a"), is_open("b")), {"order_of": "b"}, "b"),
        ((candidate("a"), candidate("b", "unknown")), {"order_of": "b"}, "b"),
        ((candidate("a"), candidate("b")), {"order_of": "gone"}, "a"),
    ],
)
def test_the_issuer_is_the_first_that_works(candidates: tuple[Candidate, ...], options: Any, name: str) -> None:
    assert chosen(*candidates, **options) == name


def test_the_next_look_is_when_the_choice_may_change() -> None:
    waiting = choose((is_open("a"), candidate("b")), order_of=None, patient_until=NOW + DAY, now=NOW)
    assert waiting.look_at == NOW + 5 * MINUTE
    waiting = choose((missing("a", GRACE / 2), candidate("b")), order_of=None, patient_until=None, now=NOW)
    assert waiting.look_at == NOW + GRACE / 2
    none_works = choose((is_open("a"), missing("b", DAY)), order_of=None, patient_until=None, now=NOW)
    assert none_works.look_at == NOW + 5 * MINUTE


def test_who_is_passed_over_is_named() -> None:
    choice = choose((is_open("a"), missing("b", DAY), candidate("c")), order_of=None, patient_until=None, now=NOW)
    assert [one.why_not for one in choice.instead_of] == ["its circuit is open", "b is missing"]


def test_a_renewal_waits_for_half_of_its_time() -> None:
    assert patience(NOW, NOW + 30 * DAY) == NOW + 15 * DAY
    assert patience(NOW, NOW + 80 * DAY, is_called_back=True) == NOW + DAY / 2
    assert patience(NOW, NOW + DAY / 2, is_called_back=True) == NOW + DAY / 4
