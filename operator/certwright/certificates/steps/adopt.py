"""Adopt a Secret, and keep everything around its certificate as the spec says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certwright.certificates.contested import having_lost, having_written
from certwright.certificates.need import renamed_issuer
from certwright.certificates.secret.alteration import Alteration
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.keystores import derived_outputs, looked_at
from certwright.certificates.secret.manifest import adopted_secret, present_sources
from certwright.certificates.secret_writing import write_secret
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.kube.secrets import EntryTooLarge
from certwright.pki import PkiError, load_private_key, private_key_to_pem
from certwright.pki.keys import key_encoding
from certwright.runtime.backoff import Backoff
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.resources import Certificate


@dataclass(frozen=True)
class Adopt(Act):
    """The certificate is right: write our labels, annotations and owner, and what is made from it.

    Certificate and key stay byte for byte, but for a key that the spec has in another encoding.

    Attributes:
        outputs: What is to be written besides labels and annotations, for people; None if nothing is.
    """

    cleans_up: ClassVar[bool] = True

    outputs: str | None = None

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Adopt it.

        Raises:
            IssuanceError: It changed at the same moment, or cannot be read.
        """
        certificate, known = observation.certificate, observation.secret
        name, alteration = certificate.spec.secret_name, observation.memory.alteration
        existing = await tools.kube_api.read_secret(observation.namespace, name)
        observation = observation.remember(unwatched=None)
        if existing is None or known is None or existing["metadata"]["resourceVersion"] != known.resource_version:
            yield observation  # it is read again
            raise IssuanceError("SecretChanged", f"Secret {name} has just changed; it will be checked again.")
        if alteration is not None:
            existing = alteration.undone_in(existing)
        try:
            key_pem, sources = _reencoded(certificate, present_sources(existing))
            outputs, problem = await derived_outputs(
                certificate, sources, tools.kube_api, now=tools.clock(), before=known, existing=existing
            )
        except (EntryTooLarge, PkiError) as error:
            raise IssuanceError("SecretChanged", f"Secret {name} cannot be read any more: {error}.") from error
        renamed = renamed_issuer(observation, known)
        manifest = adopted_secret(certificate, existing, key_pem=key_pem, outputs=outputs, issuer=renamed)
        written = await write_secret(tools.kube_api, manifest, uid=observation.uid, before=known)
        secret = await in_thread(SecretFacts.of, written)
        tools.on_secret_written(secret)
        alteration = Alteration.between(manifest, written)
        secret = secret if alteration is None else alteration.undone(secret)
        observation = observation.remember(alteration=alteration).with_secret(secret)
        observation = observation.remember(outputs=looked_at(certificate, secret, problem, tools.clock()))
        yield observation
        if alteration is not None:
            # An admission webhook. The plan says so in a condition, and writes them again after a pause.
            yield having_lost(observation, tools.clock())
            return
        observation = having_written(observation, tools.clock())
        yield observation.remember(cleaning_up=Backoff())
        if (known.certificate_name is None or renamed is not None) and not observation.memory.contested.failures:
            message = f"Secret {name} already holds a certificate for these domains; it is kept and will be renewed."
            tools.recorder.record(observation.subject, "Normal", "Adopted", message)
        elif self.outputs is not None:
            message = f"Secret {name} was written with {self.outputs}; the certificate is the same."
            tools.recorder.record(observation.subject, "Normal", "OutputsWritten", message)


def _reencoded(certificate: Certificate, sources: dict[str, bytes]) -> tuple[bytes | None, dict[str, bytes]]:
    """Return the key in the encoding of the spec, if that is another than it has, and the entries with it."""
    encoding, pem = certificate.spec.private_key.encoding, sources.get("tls.key", b"")
    if encoding is None or key_encoding(pem) in (None, encoding):
        return None, sources
    key = load_private_key(pem, trusted=True)
    if isinstance(key, Ed25519PrivateKey):
        return None, sources
    key_pem = private_key_to_pem(key, encoding)
    return key_pem, {**sources, "tls.key": key_pem}
