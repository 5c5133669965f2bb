"""For whom the operator's own TLS responder presents the validation certificate of a server name.

A TLSRoute leads by server name alone: whoever is answered for while another's route is in place is validated by way of
that route. So a name is answered for one account, or one namespace, at a time, and for no other until Gateways have
surely taken up that its route is gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from certwright.challenges.response import FileResponse
    from certwright.http01.settings import Owner

LINGER_SECONDS: Final = 300.0
"""How long a Gateway may serve a route after its removal."""
LEARNING_SECONDS: Final = 60.0
"""After its first claim a process looks for this long at what statuses say: an earlier process may have made routes."""


@dataclass(frozen=True)
class NameUse:
    """A name for which a Certificate has, or may have, a route to the responder.

    Attributes:
        uid: Of the Certificate.
        host: The name, or an IP address.
        namespace: Of the Certificate: whoever may create Issuers there may have any certificate that is issued there.
        account: The thumbprint of the account key. Orders of one account may share an authorization.
        until: When it ends, on the clock; None as long as the route may be in place.
    """

    uid: str
    host: str
    namespace: str
    account: str
    until: float | None = field(default=None, compare=False)

    @classmethod
    def of(cls, response: FileResponse, *, uid: str, namespace: str) -> NameUse:
        """Return the use of the name that a response is for."""
        return cls(uid, response.host, namespace, response.key_authorization.rpartition(".")[2])

    def excludes(self, other: NameUse) -> bool:
        """Whether another Certificate's response must not be presented meanwhile."""
        return self.host == other.host and self.namespace != other.namespace and self.account != other.account


class ServerNames:
    """The names that the responder presents certificates for.

    Args:
        in_statuses: Lists what statuses of Certificates say. They may claim too much, which keeps others waiting.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self, in_statuses: Callable[[], Iterable[NameUse]] = tuple, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._in_statuses = in_statuses
        self._monotonic = monotonic
        self._uses: dict[tuple[str, str], NameUse] = {}
        self._learns_until: float | None = None

    def claim(self, owner: Owner, responses: Sequence[FileResponse]) -> list[str]:
        """Take names for a Certificate, all of them or none; return those that others have.

        Call it before its routes are made. If it was refused, remove those that an earlier process has made, and then
        `release` it.
        """
        now = self._monotonic()
        self._uses = {key: use for key, use in self._uses.items() if use.until is None or use.until > now}
        self._learn(now)
        wanted = [NameUse.of(one, uid=owner.uid, namespace=owner.namespace) for one in responses]
        taken = {mine.host for mine in wanted for use in self._uses.values() if use.excludes(mine)}
        if not taken:
            self._uses |= {(one.uid, one.host): one for one in wanted}
        return sorted(taken)

    def release(self, uid: str) -> None:
        """Give up the names of a Certificate whose routes have been removed."""
        until = self._monotonic() + LINGER_SECONDS
        for key, use in self._uses.items():
            if use.uid == uid and use.until is None:
                self._uses[key] = replace(use, until=until)

    def _learn(self, now: float) -> None:
        if self._learns_until is None:
            self._learns_until = now + LEARNING_SECONDS
        if now < self._learns_until:
            for use in self._in_statuses():
                self._uses.setdefault((use.uid, use.host), use)
