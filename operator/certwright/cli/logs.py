"""Log lines: JSON objects for programs, or short lines for people."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Any, Final

MAX_MESSAGE_CHARACTERS: Final = 8000
QUIET: Final = ("httpx", "httpcore", "asyncio", "aiohttp.access")
"""Libraries that log their routine work at level INFO."""

REPORTED_ELSEWHERE: Final = (
    "storage is (re)initializing",
    "Unresolved resources cannot be served",
)
"""Messages of kopf that it repeats for every attempt and CRD; `handlers.watches` logs one line for each instead."""


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", "exception"?}``, one line each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_MESSAGE_CHARACTERS],
        }
        if record.exc_info:
            # The end of a traceback is the important part.
            entry["exception"] = self.formatException(record.exc_info)[-MAX_MESSAGE_CHARACTERS:]
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``12:34:56.789 INFO    message``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        time = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7} {record.getMessage()[:MAX_MESSAGE_CHARACTERS]}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(*, level: str, as_json: bool) -> None:
    """Send all logs to standard error.

    Args:
        level: The minimum level of Certwright's own messages; libraries log warnings only, unless it is ``debug``.
        as_json: Whether to write JSON.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    handler.addFilter(_is_reported_here)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("certwright").setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # kopf logs every event of every object at level INFO.
    logging.getLogger("kopf").setLevel(logging.WARNING)


def _is_reported_here(record: logging.LogRecord) -> bool:
    return not (record.name.startswith("kopf.") and any(words in record.getMessage() for words in REPORTED_ELSEWHERE))
