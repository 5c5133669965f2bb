"""Write the last issued certificate to its Secret again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ValidationError

from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import manifest_of, replace_certificate
from certwright.kube.errors import NotFound
from certwright.resources import Certificate, IssuerRef
from certwright.text import listed, rfc3339, sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
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
            NotFound: The Certificate is gone too, or goes: whoever deleted both would find the Secret again.
            IssuanceError: The Secret changed at the same moment, or cannot be changed.
        """
        if observation.secret is None:
            await check_it_is_wanted(observation, tools)
        issued = observation.memory.issued
        if issued is None:
            raise AssertionError("there is nothing to restore")
        revision = issued.facts.revision
        manifest, problem = await manifest_of(
            observation,
            tools,
            issued.chain,
            issued.key_pem,
            server=issued.server,
            revision=revision,
            issuer=issuer_of(issued.facts),
            seal=issued.facts.seal,
        )
        by = changed_by(observation)
        observation = observation.remember(unwatched=None)
        yield observation  # the Secret is read again, whatever becomes of the write
        observation, _ = await replace_certificate(observation, tools, manifest, problem)
        yield observation
        message = (
            f"{sentence(self.message)}{by} The certificate that was issued at {rfc3339(issued.at)} was written to it "
            "again; no other one was ordered."
        )
        tools.recorder.record(observation.subject, "Warning", "SecretRestored", message)


async def check_it_is_wanted(observation: Observation, tools: Tools) -> None:
    """Read the Certificate: the watch of Secrets may be ahead of the other one.

    Raises:
        NotFound: It is gone, or goes.
    """
    certificate = observation.certificate
    found = await tools.kube_api.read_custom(Certificate.PLURAL, observation.namespace, certificate.metadata.name)
    if found is None or found["metadata"]["uid"] != observation.uid or "deletionTimestamp" in found["metadata"]:
        raise NotFound(f"restore Secret {certificate.spec.secret_name} of {certificate.display_name}", status=404)


def issuer_of(facts: SecretFacts) -> IssuerRef | None:
    """Return the issuer that a Secret records, which need not be the first one of the spec; None without one."""
    if facts.issuer_name is None:
        return None
    try:
        return IssuerRef.model_validate({"name": facts.issuer_name, "kind": facts.issuer_kind or "Issuer"})
    except ValidationError:
        return None  # somebody else wrote it


def changed_by(observation: Observation) -> str:
    """Return who else writes the Secret, as a sentence that begins with a space; empty if nobody is known."""
    secret = observation.secret
    if secret is None:
        return ""
    return f" Other field managers of it: {listed(secret.other_managers)}." if secret.other_managers else ""
