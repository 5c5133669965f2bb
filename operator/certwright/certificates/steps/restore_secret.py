"""Write the certificate that was just issued again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.contested import having_written
from certwright.certificates.secret import tls_secret
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import replace_secret
from certwright.text import listed, rfc3339, sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class RestoreSecret(Act):
    """Something else has deleted or spoiled the Secret: what was just issued is still at hand, and nothing is ordered.

    Attributes:
        message: What is wrong with the Secret, for people.
    """

    cleans_up: ClassVar[bool] = True

    message: str

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Write it.

        Raises:
            IssuanceError: The Secret changed at the same moment, or cannot be changed.
        """
        issued, certificate = observation.memory.issued, observation.certificate
        if issued is None:
            raise AssertionError("there is nothing to restore")
        revision = issued.facts.revision
        manifest = tls_secret(
            certificate,
            issued.chain,
            issued.key_pem,
            server=issued.server,
            revision=revision,
            seal=issued.facts.seal,
        )
        by = changed_by(observation)
        observation = observation.remember(unwatched=None)
        yield observation  # the Secret is read again, whatever becomes of the write
        secret = await replace_secret(observation, tools, manifest)
        yield having_written(observation, tools.clock()).with_secret(secret)
        message = (
            f"{sentence(self.message)}{by} The certificate that was issued at {rfc3339(issued.at)} was written to it "
            "again; no other one was ordered."
        )
        tools.recorder.record(observation.subject, "Warning", "SecretRestored", message)


def changed_by(observation: Observation) -> str:
    """Return who else writes the Secret, as a sentence that begins with a space; empty if nobody is known."""
    secret = observation.secret
    if secret is None:
        return ""
    return f" Other field managers of it: {listed(secret.other_managers)}." if secret.other_managers else ""
