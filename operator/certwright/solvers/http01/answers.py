"""What the operator's own responder answers: the files of every order that needs one, forgotten with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from certwright.solvers.proof import HttpResource


class SharedAnswers(dict[tuple[str, str], str]):
    """Key authorizations by host and token, with a note of who needs them.

    Two Certificates may need the same one, when a CA hands one pending authorization to two orders.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, frozenset[HttpResource]] = {}

    def hold(self, holder: str, resources: Iterable[HttpResource]) -> None:
        """Answer for these files, and for no others of this holder.

        Args:
            holder: UID of the Certificate.
            resources: Its files.
        """
        self._change(holder, frozenset(resources))

    def forget(self, holder: str) -> None:
        """Answer for none of a holder's files any more, unless another one needs them too."""
        self._change(holder, frozenset())

    def _change(self, holder: str, resources: frozenset[HttpResource]) -> None:
        if resources:
            self._held[holder] = resources
        else:
            self._held.pop(holder, None)
        self.clear()
        self.update(((one.host, one.token), one.key_authorization) for one in self._needed())

    def _needed(self) -> Iterator[HttpResource]:
        for resources in self._held.values():
            yield from resources
