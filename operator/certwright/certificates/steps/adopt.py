"""Adopt a Secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.contested import having_written
from certwright.certificates.secret import SecretFacts, adopted_secret, metadata_fingerprint
from certwright.certificates.secret_writing import write_secret
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.runtime.backoff import Backoff
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class Adopt(Act):
    """The Secret's content is right: write our labels, annotations and owner, and leave the content byte for byte."""

    cleans_up: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Adopt it.

        Raises:
            IssuanceError: It changed at the same moment, or something takes the metadata off again.
        """
        certificate, known = observation.certificate, observation.secret
        name = certificate.spec.secret_name
        existing = await tools.kube_api.read_secret(observation.namespace, name)
        observation = observation.remember(unwatched=None)
        if existing is None or known is None or existing["metadata"]["resourceVersion"] != known.resource_version:
            yield observation  # it is read again
            raise IssuanceError("SecretChanged", f"Secret {name} has just changed; it will be checked again.")
        manifest = adopted_secret(certificate, existing)
        written = await write_secret(tools.kube_api, manifest, uid=observation.uid, before=known)
        secret = await in_thread(SecretFacts.of, written)
        tools.on_secret_written(secret)
        observation = observation.with_secret(secret)
        yield observation
        if secret.metadata_fingerprint != metadata_fingerprint(certificate):
            raise IssuanceError(
                "SecretChanged",
                f"Secret {name} lost the labels and annotations that were written: something in the "
                "cluster removes them.",
            )
        observation = having_written(observation, tools.clock())
        yield observation.remember(cleaning_up=Backoff())
        if known.certificate_name is None and not observation.memory.contested.failures:
            message = f"Secret {name} already holds a certificate for these domains; it is kept and will be renewed."
            tools.recorder.record(observation.subject, "Normal", "Adopted", message)
