from __future__ import annotations

import pytest

from certwright.dns import InvalidName, TxtRecord, normalise
from certwright.dns.records import self_and_parents


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("_acme-challenge.Example.TEST.", "_acme-challenge.example.test"),
        ("a.test", "a.test"),
        ("*.a.test", "*.a.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("x" * 63 + ".test", "x" * 63 + ".test"),
    ],
)
def test_a_name_has_one_form(written: str, normal: str) -> None:
    assert normalise(written) == normal
    assert TxtRecord(written, "v") == TxtRecord(normal, "v")


@pytest.mark.parametrize("text", ["", ".", "bücher.test", "a..test", "x" * 64 + ".test", ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="not a domain name"):
        TxtRecord(text, "v")


def test_the_walk_upward_ends_below_the_root() -> None:
    assert list(self_and_parents("a.b.Test.")) == ["a.b.test", "b.test", "test"]


def test_records_sort_by_name_then_value() -> None:
    records = [TxtRecord("b.test", "1"), TxtRecord("a.test", "2"), TxtRecord("a.test", "1")]
    assert [(record.name, record.value) for record in sorted(records)] == [
        ("a.test", "1"),
        ("a.test", "2"),
        ("b.test", "1"),
    ]


def test_the_zone_and_the_ttl_of_a_record_make_no_difference_between_two() -> None:
    record = TxtRecord("a.example.test", "v", zone="Example.TEST.", ttl=300)
    assert record == TxtRecord("a.example.test", "v")
    assert record.zone == "example.test"
    with pytest.raises(InvalidName):
        TxtRecord("a.test", "v", zone="a..test")
