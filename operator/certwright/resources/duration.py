"""Durations as Go writes them (`2160h`, `15m`, `1h30m`), as Kubernetes objects hold them."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from certwright.resources.errors import InvalidDuration
from certwright.resources.text_rule import Hint, TextRule

_NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
_MICROSECONDS: Final = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_PART = re.compile(r"([0-9.]+)(ms|h|m|s)")
_LARGEST = timedelta(hours=999_999)

DURATION: Final = TextRule(
    # One of each unit at most, largest first, as Go prints them: what fits cannot overflow Go's 292 years.
    pattern=rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:[0-9]{{1,6}}ms)?",
    message="is not a duration: write hours, minutes and seconds, such as 2160h, 15m or 1h30m",
    max_length=40,
    hints=(
        Hint("[0-9][dwDW]", "has a unit for days or weeks: write hours, such as 2160h for 90 days"),
        Hint("^-", "is negative: write a positive duration, such as 2160h or 15m"),
        Hint("^[0-9.]+$", "has no unit: write h, m or s after the number, such as 2160h or 15m"),
    ),
)


def parse_duration(text: str) -> timedelta:
    """Reads a Go duration; parts finer than a microsecond are dropped.

    Raises:
        InvalidDuration: The text is not a duration; the message says why.
    """
    try:
        DURATION.check(text)
    except ValueError as error:
        raise InvalidDuration(str(error)) from None
    if not text:
        raise InvalidDuration(DURATION.message)
    microseconds = sum(Decimal(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(text))
    return timedelta(microseconds=int(microseconds))


def format_duration(duration: timedelta) -> str:
    """Writes a duration in its shortest Go form: `2160h`, `1h30m`, `1.5s`, `0s`.

    Raises:
        InvalidDuration: It is negative or longer than a Kubernetes object can hold (999999h).
    """
    if not timedelta(0) <= duration <= _LARGEST:
        raise InvalidDuration(f"{duration} is out of range: 0s to 999999h")
    seconds, microseconds = divmod(duration // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{microseconds:06d}".rstrip("0") if microseconds else ""
    parts = (
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{seconds}{fraction}s" if seconds or fraction else "",
    )
    return "".join(parts) or "0s"


class AtLeast:
    """A duration field: text outside, `timedelta` inside, no shorter than a bound.

    Use it as `Annotated[timedelta, AtLeast("1h")]`.
    """

    def __init__(self, shortest: str) -> None:
        self._text = shortest
        self._shortest = parse_duration(shortest)

    def _read(self, value: Any) -> timedelta:
        duration = value if isinstance(value, timedelta) else parse_duration(str(value))
        if duration < self._shortest:
            raise ValueError(self._message)
        return duration

    @property
    def _message(self) -> str:
        return f"must be {self._text} or longer"

    @property
    def _bound(self) -> str:
        """The bound as a CEL expression."""
        return f"duration(self) >= duration('{self._text}')"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic read and write the field."""
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_duration, return_schema=core_schema.str_schema(), when_used="json"
            ),
            json_schema_input_schema=core_schema.str_schema(),
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the generated schema carry the form and the bound."""
        return {
            "type": "string",
            "maxLength": DURATION.max_length,
            "minLength": 2,
            "x-kubernetes-validations": [
                DURATION.validation,
                {
                    # A text of a wrong form has its own error already.
                    "rule": f"!{DURATION.cel} || {self._bound}",
                    "message": self._message,
                },
            ],
        }


class Between(AtLeast):
    """The same, and no longer than another bound. Use it as `Annotated[timedelta, Between("1s", "60s")]`."""

    def __init__(self, shortest: str, longest: str) -> None:
        super().__init__(shortest)
        self._longest_text = longest
        self._longest = parse_duration(longest)

    def _read(self, value: Any) -> timedelta:
        duration = super()._read(value)
        if duration > self._longest:
            raise ValueError(self._message)
        return duration

    @property
    def _message(self) -> str:
        return f"must be between {self._text} and {self._longest_text}"

    @property
    def _bound(self) -> str:
        return f"({super()._bound} && duration(self) <= duration('{self._longest_text}'))"
