"""What an API answers is read within bounds, and what is none of its answers is told as that."""

from __future__ import annotations

import json

import pytest

from certwright.dns import ProviderUnreachable
from certwright.dns.hosted.answer import MAX_VALUES, json_of, value_of
from certwright.http.message import Headers, Response


def answer(body: bytes) -> Response:
    return Response(200, Headers({}), body, "https://api.dns.example/v1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": "\\ud800"}',
        b'{"\\uDFFF": 1}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": [' + b"{}," * (MAX_VALUES // 2) + b"{}]}",
    ],
    ids=[
        "nothing",
        "html",
        "cut",
        "deep lists",
        "deep objects",
        "half a pair",
        "half a pair in a name",
        "raw surrogate",
        "no UTF-8",
        "UTF-16",
        "a number without end",
        "too many values",
    ],
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert value_of(answer(body)) is None
    with pytest.raises(ProviderUnreachable, match=r"api\.dns\.example answered with HTTP 200 and nothing that is an"):
        json_of(answer(body))


@pytest.mark.parametrize("text", ["😀", "ümläut", '"\\', "\u202e", "\0"])
def test_other_characters_are_read_however_they_are_written(text: str) -> None:
    for ascii_only in (True, False):
        assert value_of(answer(json.dumps({"a": text}, ensure_ascii=ascii_only).encode())) == {"a": text}


def test_a_mark_in_front_of_it_does_no_harm() -> None:
    assert value_of(answer(b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}
