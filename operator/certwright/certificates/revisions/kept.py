"""Evaluates kept revisions before a restore: a useful one is one that would not be replaced immediately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.certificates.evidence import fingerprint_of
from certwright.certificates.need import issuance_need
from certwright.certificates.order_request import contents_of, subject_names
from certwright.certificates.revisions.secret import Revision, read_revisions, revisions_name
from certwright.certificates.revocations import COMPROMISE, revocation_of
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.keystores import derived_outputs
from certwright.certificates.secret.manifest import kept_secret
from certwright.pki import CertificateFacts, PkiError, check_before_write, load_private_key, parse_chain
from certwright.pki.keys import certified_key_digest, key_encoding, private_key_to_pem
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.annotations import RolledBack
    from certwright.certificates.secret.keystores import OutputsProblem
    from certwright.certificates.tools import Tools
    from certwright.pki import CertificateChain

RENEWALS = frozenset({"Renewal", "Requested"})
"""Why a certificate would be replaced that is good all the same."""


@dataclass(frozen=True)
class KeptRevision:
    """A kept revision that can be put back.

    Attributes:
        revision: What was kept.
        facts: Of its certificate.
        manifest: The Secret with it.
        problem: What could not be made from it.
    """

    revision: Revision
    facts: CertificateFacts
    manifest: dict[str, Any] = field(repr=False)
    problem: OutputsProblem | None


async def read_kept(observation: Observation, tools: Tools, *, first: str | None = None) -> list[Revision]:
    """Return the kept revisions, the latest first; before all others the one with a serial number, if it is there.

    Raises:
        KubeError: The Secret cannot be read.
    """
    found = await tools.kube_api.read_secret(observation.namespace, revisions_name(observation.certificate))
    revisions = await in_thread(read_revisions, found)
    numbers = {one.revision for one in observation.certificate.status.revisions if one.serial_number == first}
    return sorted(revisions, key=lambda one: one.number not in numbers)


async def usable(
    observation: Observation,
    tools: Tools,
    revision: Revision,
    *,
    even_if_due: bool,
    compromised: frozenset[str],
    rolled_back: RolledBack | None = None,
) -> KeptRevision | str:
    """Return a revision ready to be put back, or why it cannot be, to follow "revision 3 cannot be used: ...".

    Args:
        observation: What is known.
        tools: For passwords and the time.
        revision: What was kept.
        even_if_due: Whether it may be one whose renewal is due.
        compromised: See `compromised_keys`.
        rolled_back: That somebody asked for it.

    Raises:
        KubeError: A password cannot be read.
    """
    now = tools.clock()
    try:
        facts = await in_thread(_checked, observation, revision, now)
    except PkiError as error:
        return str(error)
    sources = await in_thread(_sources, observation, revision)
    certificate = observation.certificate
    outputs, problem = await derived_outputs(certificate, sources, tools.kube_api, now=now, before=observation.secret)
    manifest = kept_secret(
        certificate,
        sources,
        revision.annotations,
        revision=revision.number,
        outputs=outputs,
        rolled_back=rolled_back,
    )
    metadata = {**manifest["metadata"], "uid": "", "resourceVersion": ""}
    as_written = await in_thread(SecretFacts.of, {**manifest, "metadata": metadata})
    revocation = revocation_of(observation, as_written)
    if revocation is not None and revocation.state != "Failed":
        return "it was revoked, or is to be revoked"
    if certified_key_digest(parse_chain(revision.chain_pem).leaf) in compromised:
        return "others have its private key"
    need = issuance_need(observation.with_secret(as_written), now)
    if need is not None and not (even_if_due and need.reason in RENEWALS):
        return need.message
    return KeptRevision(revision, facts, manifest, problem)


def compromised_keys(observation: Observation, kept: Iterable[Revision]) -> frozenset[str]:
    """Return digests of the public keys whose private keys others have.

    A revocation that an earlier version began is known by its certificate only: with ``rotationPolicy: Never`` other
    revisions have the same key.
    """
    spoiled = {one.fingerprint for one in observation.status.revocations if one.reason == COMPROMISE}
    if not spoiled:
        return observation.compromised
    leaves = [chain.leaf for one in kept if (chain := _parsed(one)) is not None]
    digests = (certified_key_digest(leaf) for leaf in leaves if fingerprint_of(leaf) in spoiled)
    return observation.compromised | {digest for digest in digests if digest is not None}


def _parsed(revision: Revision) -> CertificateChain | None:
    try:
        return parse_chain(revision.chain_pem)
    except PkiError:
        return None


def _checked(observation: Observation, revision: Revision, now: dt.datetime) -> CertificateFacts:
    """Pass a revision through the gate, and return what is known of its certificate. Raises `PkiError`."""
    names = subject_names(observation.identifiers)
    key = load_private_key(revision.key_pem)
    chain = check_before_write(
        parse_chain(revision.chain_pem),
        key,
        dns_names=names.dns_names,
        ip_addresses=names.ip_addresses,
        now=now,
        for_servers=contents_of(observation.certificate).is_for_servers,
    )
    return CertificateFacts.of(chain.leaf)


def _sources(observation: Observation, revision: Revision) -> dict[str, bytes]:
    """Return the entries of the Secret, with the key in the encoding that the spec asks for."""
    encoding = observation.certificate.spec.private_key.encoding
    if encoding is None or key_encoding(revision.key_pem) in (None, encoding):
        return revision.sources
    key = load_private_key(revision.key_pem, trusted=True)
    try:
        return {**revision.sources, "tls.key": private_key_to_pem(key, encoding)}
    except PkiError:
        return revision.sources  # it has one encoding only
