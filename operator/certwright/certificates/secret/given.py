"""The watched Secrets, and the origins of the chains that each issuer's CA has issued."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from certwright.certificates.secret.facts import SecretFacts
from certwright.kube.store import Store
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from certwright.certificates.secret.origin import ChainOrigin

MAX_COMPARED: Final = 64
"""Origins of one issuer, those of most Secrets: a CA has a handful."""
MAX_REMEMBERED: Final = 1000
"""Issuers whose last chain is remembered when its Secret is not there any more."""


class GivenChains:
    """Where the chains are from that were issued through each issuer.

    Counted as Secrets come and go, so that a look at one does not go through all of them. The last one is remembered
    for as long as the process runs: what others put into its Secret must not decide what the issuer's CA gives.
    """

    def __init__(self) -> None:
        self._counts: dict[Key, Counter[tuple[str, ChainOrigin]]] = {}
        self._last: dict[Key, tuple[str, ChainOrigin]] = {}

    def of(self, issuer: Key, server: str | None) -> tuple[ChainOrigin, ...]:
        """Return the origins that are known of an issuer; none if it has issued nothing yet.

        Args:
            issuer: Its key.
            server: Directory URL of its CA: what it gave when it was for another does not count. None, while it is not
                ready, for whatever it gave.
        """
        counts = self._counts.get(issuer, Counter())
        found = [one for one, _ in counts.most_common(MAX_COMPARED)]
        last = self._last.get(issuer)
        if last is not None and last not in found:
            found.append(last)
        return tuple(origin for its_server, origin in found if server in (None, its_server))

    def see(self, before: SecretFacts | None, after: SecretFacts | None) -> None:
        """Take note of a Secret that has come, changed or gone."""
        old, new = _entry(before), _entry(after)
        if new is not None:
            issuer, given = new
            self._counts.setdefault(issuer, Counter())[given] += 1
            self._last.pop(issuer, None)
            self._last[issuer] = given
            if len(self._last) > MAX_REMEMBERED:
                del self._last[next(iter(self._last))]
        if old is not None:
            self._take_back(*old)

    def _take_back(self, issuer: Key, given: tuple[str, ChainOrigin]) -> None:
        counts = self._counts[issuer]
        counts[given] -= 1
        if not counts[given]:
            del counts[given]
        if not counts:
            del self._counts[issuer]


class Secrets(Store[SecretFacts]):
    """The watched Secrets: those that Certwright wrote.

    Attributes:
        given: What they show of the issuers' CAs.
    """

    def __init__(self) -> None:
        self.given = GivenChains()
        super().__init__(on_change=self.given.see)


def _entry(secret: SecretFacts | None) -> tuple[Key, tuple[str, ChainOrigin]] | None:
    """Return the issuer that a Secret's chain was issued through, and server and origin; None if it was not."""
    if secret is None or not secret.is_ours or secret.certificate_name is None:
        return None
    if secret.issuer_name is None or secret.server is None or secret.origin is None:
        return None
    given = secret.server, secret.origin
    if secret.issuer_kind == "ClusterIssuer":
        return Key("ClusterIssuer", "", secret.issuer_name), given
    return Key("Issuer", secret.namespace, secret.issuer_name), given
