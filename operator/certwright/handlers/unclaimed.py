"""Drops everything about Secrets that no Certificate names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.certificates.store import Certificates
    from certwright.kube.store import Store
    from certwright.runtime.key import Key

UNCLAIMED_SECONDS: Final = 60.0
"""How often Secrets are dropped that no Certificate names; the first lists arrive long before."""


class Unclaimed:
    """Secrets with our label that no Certificate names: whoever may write Secrets may fill our memory with them.

    At the start everything is kept for a while, as Secrets may be listed before the Certificates that name them; later
    a Secret that a Certificate comes to name is read once.

    Args:
        secrets: What is known of Secrets.
        certificates: Who names them.
    """

    def __init__(self, secrets: Store[SecretFacts], certificates: Certificates) -> None:
        self._secrets = secrets
        self._certificates = certificates
        self._settled = False

    def keeps(self, key: Key) -> bool:
        """Whether the facts of a Secret are kept."""
        return not self._settled or bool(self._certificates.of_secret(key.namespace, key.name))

    def drop(self) -> None:
        """Drop what is known of Secrets that no Certificate names, and keep no more of them."""
        self._settled = True
        for facts in self._secrets:
            if not self._certificates.of_secret(facts.namespace, facts.name):
                self._secrets.drop(facts.namespace, facts.name)

    async def run(self) -> None:
        """Do so again and again, until cancelled."""
        while True:
            await asyncio.sleep(UNCLAIMED_SECONDS)
            self.drop()
