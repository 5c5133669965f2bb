"""The outcomes of changes in several zones: a failure in one must not affect the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from certwright.dns.errors import DnsError, UpdatesFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from certwright.dns.records import TxtRecord

_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)


async def caught(work: Awaitable[_T]) -> _T | DnsError:
    """Return the result of an awaitable, or the `DnsError` that it raises."""
    try:
        return await work
    except DnsError as error:
        return error


def about(records: Iterable[TxtRecord], error: DnsError) -> DnsError:
    """Add the affected record names to an error."""
    error.names = tuple(sorted({record.name for record in records}))
    return error


def joined(failures: Sequence[DnsError]) -> DnsError:
    """Return one error for all failures; errors with the same message are merged."""
    by_message: dict[str, list[DnsError]] = {}
    for failure in failures:
        by_message.setdefault(str(failure), []).append(failure)
    distinct = []
    for alike in by_message.values():
        alike[0].names = tuple(sorted({name for error in alike for name in error.names}))
        distinct.append(alike[0])
    return distinct[0] if len(distinct) == 1 else UpdatesFailed(distinct)


def of_ones_own(error: _E) -> _E:
    """Return a copy of an error for one of several waiting callers, each of which names only its own records."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
