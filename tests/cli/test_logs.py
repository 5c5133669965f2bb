from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import Any

import pytest

from certwright.cli.logs import MAX_MESSAGE_CHARACTERS, JsonFormatter, TextFormatter, configure_logging


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info: Any = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("certwright.x", logging.WARNING, "x.py", 1, message, arguments, info)
    made.created = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC).timestamp()
    return made


def caught(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


def test_a_line_for_machines() -> None:
    assert json.loads(JsonFormatter().format(record("%s is %d", "x", 5))) == {
        "time": "2026-03-01T12:00:00.123+00:00",
        "level": "warning",
        "logger": "certwright.x",
        "message": "x is 5",
    }


@pytest.mark.parametrize("text", ['a "quoted"\nsecond line\x00\x1b[31m', "Ünïcödé \u2028 🔒", "\udc80 alone", "%d {x}"])
def test_whatever_is_said_is_one_valid_line(text: str) -> None:
    line = JsonFormatter().format(record("%s", text))
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_a_long_message_is_cut() -> None:
    assert len(json.loads(JsonFormatter().format(record("x" * 100_000)))["message"]) == MAX_MESSAGE_CHARACTERS
    assert len(TextFormatter().format(record("x" * 100_000))) < MAX_MESSAGE_CHARACTERS + 100


def test_a_traceback_keeps_its_end_which_says_what_happened() -> None:
    entry = json.loads(JsonFormatter().format(record("oh", error=caught(ValueError("f" * 20_000 + " the reason")))))
    assert len(entry["exception"]) == MAX_MESSAGE_CHARACTERS
    assert entry["exception"].endswith("the reason")
    short = json.loads(JsonFormatter().format(record("oh", error=caught(ValueError("short")))))
    assert short["exception"].startswith("Traceback (most recent call last)")


def test_a_line_for_people() -> None:
    assert re.fullmatch(r"\d\d:00:00\.123 WARNING x is 5", TextFormatter().format(record("%s is %d", "x", 5)))
    lines = TextFormatter().format(record("oh", error=caught(ValueError("no")))).splitlines()
    assert (lines[0][-2:], lines[1], lines[-1]) == ("oh", "Traceback (most recent call last):", "ValueError: no")


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", {"certwright.x debug", "certwright.x info", "other debug", "other info"}),
        ("info", {"certwright.x info"}),
        ("error", set()),
    ],
)
def test_libraries_are_quiet_unless_somebody_looks_for_a_defect(
    capsys: pytest.CaptureFixture[str], level: str, heard: set[str]
) -> None:
    configure_logging(level=level, as_json=True)
    for name in ("certwright.x", "other", "httpx", "kopf.objects"):
        logging.getLogger(name).debug("debug")
        logging.getLogger(name).info("info")
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {f"{entry['logger']} {entry['message']}" for entry in entries} == heard


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_go_to_standard_error_in_the_form_asked_for(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure_logging(level="info", as_json=as_json)
    configure_logging(level="info", as_json=as_json)
    logging.getLogger("certwright.x").info("hello")
    shown = capsys.readouterr()
    assert shown.out == ""
    [line] = shown.err.splitlines()
    assert line.startswith("{") is as_json


def test_what_kopf_repeats_and_we_say_once_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", as_json=True)
    kopf = logging.getLogger("kopf._cogs.clients.watching")
    kopf.error("Request attempt #1 failed; will retry: GET x -> APITooManyRequestsError('storage is (re)initializing')")
    kopf.warning("Unresolved resources cannot be served (try creating their CRDs): issuers")
    kopf.error("Request attempt #1 failed; will retry: GET x -> APITooManyRequestsError('too many requests')")
    logging.getLogger("certwright.x").info("storage is (re)initializing")
    first, second = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert first.endswith("('too many requests')")
    assert second == "storage is (re)initializing"
