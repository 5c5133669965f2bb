"""The base of the library's errors: they can be copied, and pickled on their way out of another process."""

from __future__ import annotations

from typing import Any


class PortableError(Exception):
    """An error that a worker of a process pool or a task queue can hand over to its caller.

    Python makes an error again from its message alone, which fails for a class that takes further arguments, and breaks
    the pool. Here class, message and attributes are restored without calling the class. As with all errors the cause
    and the traceback stay behind.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), vars(self)


def _restored(kind: type[PortableError], arguments: tuple[Any, ...]) -> PortableError:
    return kind.__new__(kind, *arguments)
