"""Reads a certificate and its private key from a Secret, and checks that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.certificates.evidence import Evidence, fingerprint_of
from certwright.certificates.revisions.secret import read_revisions, revisions_name
from certwright.certificates.secret.beside import held_name
from certwright.certificates.secret.facts import SecretFacts
from certwright.failures import IssuanceError
from certwright.issuers.registry import key_of
from certwright.key_file import MAX_KEY_BYTES
from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.pki import CertificateFacts, PkiError, load_private_key, parse_chain, public_key_matches
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.runtime.key import Key


async def evidence_in(observation: Observation, tools: Tools, *, held: bool) -> Evidence | None:
    """Read the Certificate's Secret, or the one that holds what is to be revoked; None if it is not there.

    Args:
        observation: What is known.
        tools: What it is read with.
        held: Which of the two.

    Raises:
        IssuanceError: It does not hold a certificate with its private key.
        KubeError: It cannot be read.
    """
    certificate = observation.certificate
    name = held_name(certificate) if held else certificate.spec.secret_name
    found = await tools.kube_api.read_secret(observation.namespace, name)
    return None if found is None else await in_thread(_evidence, found, observation, tools)


async def kept_evidence(observation: Observation, tools: Tools) -> Evidence | None:
    """Read the present certificate from the kept revisions; None if it is not among them.

    Raises:
        IssuanceError: It is kept without its private key.
        KubeError: They cannot be read.
    """
    if not observation.status.revisions:
        return None
    name = revisions_name(observation.certificate)
    found = await in_thread(read_revisions, await tools.kube_api.read_secret(observation.namespace, name))
    kept = next((one for one in found if one.number == observation.status.revision), None)
    if kept is None:
        return None
    place = {"namespace": observation.namespace, "name": name}
    metadata = {**place, "annotations": kept.annotations, "uid": "", "resourceVersion": ""}
    data = {entry: encoded(content) for entry, content in kept.sources.items()}
    return await in_thread(_evidence, {"metadata": metadata, "data": data}, observation, tools)


def _evidence(secret: Mapping[str, Any], observation: Observation, tools: Tools) -> Evidence:
    name, data = secret["metadata"]["name"], secret.get("data") or {}
    try:
        chain = parse_chain(decoded(data, "tls.crt"))
        # No digest in an annotation stands for the key here: it has to sign something, and that to fit the certificate.
        key = load_private_key(decoded(data, "tls.key", limit=MAX_KEY_BYTES))
        if not public_key_matches(chain.leaf, key):
            raise _unproven(name, "its tls.key does not match its tls.crt")
        serial = CertificateFacts.of(chain.leaf).serial
    except (PkiError, EntryTooLarge) as error:
        raise _unproven(name, str(error)) from error
    return Evidence(
        leaf_der=chain.leaf.public_bytes(Encoding.DER),
        fingerprint=fingerprint_of(chain.leaf),
        serial=serial,
        issuer=_issuer(SecretFacts.of(secret), observation, tools),
        key=key,
    )


def _issuer(facts: SecretFacts, observation: Observation, tools: Tools) -> Key:
    """Return who is asked to revoke a certificate: the issuer that the Secret names, if it is known.

    Anybody may have written that name. Who has the key of a certificate may have it revoked by whoever can.
    """
    if facts.issuer_name is None or facts.issuer_kind is None:
        return observation.issuer_key
    named = key_of(facts.issuer_kind, facts.issuer_name, observation.namespace)
    listed = {key_of(one.kind, one.name, observation.namespace) for one in observation.certificate.spec.issuers}
    return named if named in listed or tools.registry.loaded(named) is not None else observation.issuer_key


def _unproven(name: str, why: str) -> IssuanceError:
    return IssuanceError(
        "RevocationRefused",
        f"The certificate in Secret {name} is not revoked, because {why}. The operator revokes a certificate only if "
        "the Secret also holds its private key: anyone could put someone else's certificate there.",
    )
