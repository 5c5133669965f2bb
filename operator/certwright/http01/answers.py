"""What the operator's own responder answers: the files of every order that needs one, forgotten with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.challenges.response import FileResponse


class SharedAnswers(dict[tuple[str, str], str]):
    """Key authorizations by host and token, with a note of who needs them.

    Two Certificates may need the same one, when a CA hands one pending authorization to two orders.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, set[FileResponse]] = {}

    def hold(self, holder: str, resources: Iterable[FileResponse]) -> None:
        """Answer for these files as well: an order may have several solvers that are answered for here.

        Args:
            holder: UID of the Certificate.
            resources: Files of its order.
        """
        for resource in resources:
            self._held.setdefault(holder, set()).add(resource)
            self[resource.host, resource.token] = resource.key_authorization

    def forget(self, holder: str) -> None:
        """Answer for none of a holder's files any more, unless another one needs them too."""
        for resource in self._held.pop(holder, ()):
            if not any(resource in held for held in self._held.values()):
                self.pop((resource.host, resource.token), None)
