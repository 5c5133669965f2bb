from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme.text import MAX_TEXT, printable


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
