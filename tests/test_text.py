from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.text import MAX_TEXT, listed, printable, rfc3339, sentence


@given(st.text(st.characters(), max_size=3000))
def test_any_text_becomes_one_short_line_that_can_be_encoded(text: str) -> None:
    line = printable(text)
    assert len(line) <= MAX_TEXT
    line.encode()
    assert not any(unicodedata.category(character).startswith("C") for character in line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\r\nlines\x1b[31m red", "two lines [31m red"),
        ("evil\u202egnp.exe", "evil gnp.exe"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("  spaces\t kept  apart ", "spaces kept apart"),
        ("Grüße, 東京", "Grüße, 東京"),
    ],
)
def test_controls_and_their_like_are_taken_out(text: str, line: str) -> None:
    assert printable(text) == line


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert printable("x" * 1_000_000, 10) == "xxxxxxxxx…"


@pytest.mark.parametrize(
    ("items", "text"),
    [((), "no names"), (("a",), "a"), (("a", "b", "c"), "a, b, c"), (("a", "b", "c", "d", "e"), "a, b, c and 2 more")],
)
def test_a_list_is_cut_and_the_rest_counted(items: tuple[str, ...], text: str) -> None:
    assert listed(items, none="no names") == text


@pytest.mark.parametrize(
    ("text", "whole"), [("it failed", "It failed."), ("Why?", "Why?"), ("DNS is down.", "DNS is down."), ("", ".")]
)
def test_a_sentence_begins_with_a_capital_and_ends_once(text: str, whole: str) -> None:
    assert sentence(text) == whole


def test_an_instant_of_any_zone_is_told_in_utc_and_whole_seconds() -> None:
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 999999, tzinfo=UTC)) == "2026-01-31T12:00:00Z"
    assert rfc3339(datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-31T10:00:00Z"
