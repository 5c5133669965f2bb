"""A process that dies in the middle of its writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

WRITES: Final = frozenset(
    {
        "add_finalizer",
        "apply_secret",
        "apply_status",
        "create_secret",
        "delete_secret",
        "patch_secret",
        "remove_finalizer",
        "take_out",
    }
)
"""The requests of `KubeApi` that change something."""


class Killed(BaseException):
    """The process is killed: nothing that handles errors takes it for one."""


class DyingCluster:
    """The API server of a process that dies right before, or right after, its nth write.

    Args:
        cluster: The API server.
        at: The number of the write, from 1.
        after: Whether it is carried out.
    """

    def __init__(self, cluster: Any, at: int, *, after: bool) -> None:
        self.cluster, self.at, self.after, self.writes = cluster, at, after, 0

    def __getattr__(self, verb: str) -> Any:
        call = getattr(self.cluster, verb)
        if verb not in WRITES:
            return call

        async def write(*arguments: Any, **options: Any) -> Any:
            self.writes += 1
            if self.writes == self.at and not self.after:
                raise Killed
            found = await call(*arguments, **options)
            if self.writes == self.at:
                raise Killed
            return found

        return write


def kill_after(cluster: Any, writes: int, verbs: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process that works with an API server already die once, right after so many of these writes."""
    dying = DyingCluster(cluster, writes, after=True)
    for verb in verbs:
        monkeypatch.setattr(cluster, verb, getattr(dying, verb), raising=False)
