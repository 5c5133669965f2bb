"""Log lines: one JSON object each for machines, or short readable lines for people."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Any, Final

MAX_MESSAGE_CHARACTERS: Final = 8000
QUIET: Final = ("httpx", "httpcore", "asyncio", "aiohttp.access")
"""Libraries whose routine is no news."""

SAID_BETTER: Final = (
    # `handlers.watches` has one line for each of these, where kopf has one a try or a CRD.
    "storage is (re)initializing",
    "Unresolved resources cannot be served",
)


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
            # The end of a traceback says what happened.
            entry["exception"] = self.formatException(record.exc_info)[-MAX_MESSAGE_CHARACTERS:]
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``12:34:56.789 INFO    message``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback below it if there is one."""
        time = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7} {record.getMessage()[:MAX_MESSAGE_CHARACTERS]}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(*, level: str, as_json: bool) -> None:
    """Send all logs to standard error.

    Args:
        level: The least level of our own lines; libraries speak from warnings on, unless it is ``debug``.
        as_json: JSON, or readable lines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("certwright").setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # kopf tells of every event of every object at the level of information.
    logging.getLogger("kopf").setLevel(logging.WARNING)


def _is_news(record: logging.LogRecord) -> bool:
    return not (record.name.startswith("kopf.") and any(words in record.getMessage() for words in SAID_BETTER))
