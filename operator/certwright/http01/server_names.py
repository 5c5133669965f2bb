"""For whom the operator's own TLS responder presents the validation certificate of a server name.

A TLSRoute leads by server name alone: whoever is answered for while another's route is in place is validated by way of
that route. So a name is answered for one account, or one namespace, at a time, and for no other until Gateways have
surely taken up that its route is gone.
"""

from __future__ import annotations

import time
from collections import deque
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
LEARNING_PAUSE_SECONDS: Final = 15.0
"""Between two looks at all statuses."""


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
        self._uses: dict[str, dict[str, NameUse]] = {}
        """By name, then by Certificate."""
        self._hosts: dict[str, set[str]] = {}
        """By Certificate."""
        self._ending: deque[tuple[float, str]] = deque()
        """When uses of names end, in that order."""
        self._learns_until: float | None = None
        self._learns_next = 0.0

    def claim(self, owner: Owner, responses: Sequence[FileResponse]) -> list[str]:
        """Take names for a Certificate, all of them or none; return those that others have.

        Call it before its routes are made. If it was refused, remove those that an earlier process has made, and then
        `release` it.
        """
        now = self._monotonic()
        self._learn(now)
        wanted = [NameUse.of(one, uid=owner.uid, namespace=owner.namespace) for one in responses]
        taken = {mine.host for mine in wanted if any(use.excludes(mine) for use in self._at(mine.host, now))}
        if not taken:
            for one in wanted:
                self._put(one)
        return sorted(taken)

    def release(self, uid: str) -> None:
        """Give up the names of a Certificate whose routes have been removed."""
        now = self._monotonic()
        for host in sorted(self._hosts.get(uid, ())):
            use = self._uses[host][uid]
            if use.until is None:
                self._put(replace(use, until=now + LINGER_SECONDS))
                self._ending.append((now + LINGER_SECONDS, host))
        while self._ending and self._ending[0][0] <= now:
            self._at(self._ending.popleft()[1], now)

    def _at(self, host: str, now: float) -> list[NameUse]:
        """Return the uses of a name that have not ended, and forget those that have."""
        here = self._uses.get(host, {})
        for uid in [uid for uid, use in here.items() if use.until is not None and use.until <= now]:
            del here[uid]
            self._hosts[uid].discard(host)
            if not self._hosts[uid]:
                del self._hosts[uid]
        if not here:
            self._uses.pop(host, None)
        return list(here.values())

    def _put(self, use: NameUse) -> None:
        self._uses.setdefault(use.host, {})[use.uid] = use
        self._hosts.setdefault(use.uid, set()).add(use.host)

    def _learn(self, now: float) -> None:
        if self._learns_until is None:
            self._learns_until = now + LEARNING_SECONDS
        if now >= self._learns_until or now < self._learns_next:
            return
        self._learns_next = now + LEARNING_PAUSE_SECONDS
        for use in self._in_statuses():
            if use.uid not in self._uses.get(use.host, {}):
                self._put(use)
