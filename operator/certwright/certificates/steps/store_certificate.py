"""Store the issued certificate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.acme import AcmeError, NoSuchChain
from certwright.certificates.contested import having_written
from certwright.certificates.evidence import evidence_of
from certwright.certificates.need import issuance_need
from certwright.certificates.order_request import contents_of, subject_names
from certwright.certificates.private_keys import with_key
from certwright.certificates.seal import IssuanceSeals
from certwright.certificates.secret.alteration import Alteration
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.issued import Issued
from certwright.certificates.secret.keystores import derived_outputs, looked_at
from certwright.certificates.secret.manifest import issued_annotations, issued_sources, tls_secret
from certwright.certificates.secret_writing import write_secret
from certwright.certificates.steps.step import Act
from certwright.failures import MAX_MESSAGE_CHARACTERS, IssuanceError
from certwright.kube.errors import Conflict, Invalid
from certwright.pki import NotYetValid, PkiError, check_before_write, parse_chain, private_key_to_pem
from certwright.resources import MAX_COUNT
from certwright.runtime.backoff import Backoff
from certwright.runtime.labour import in_thread
from certwright.text import listed, printable, rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cryptography import x509

    from certwright.acme import CertificateChainPem
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.keystores import OutputsProblem
    from certwright.certificates.tools import Tools
    from certwright.pki import CertificateChain, PrivateKey
    from certwright.resources import IssuerRef


LONGEST_CHOICE_SECONDS: Final = 40.0
"""For the chains besides the default one: a step has two minutes, and the certificate is not to wait for them."""
MAX_SHOWN_NAME: Final = 100
"""Of a common name in a CA's certificate."""


@dataclass(frozen=True)
class StoreCertificate(Act):
    """Download the chain, pass it through the gate, and replace the Secret in one write."""

    asks_ca: ClassVar[bool] = True
    uses_order: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Store it.

        A certificate that starts soon, from a CA whose clock is ahead, is waited for.

        Raises:
            GateRefused: The chain is not what was requested; the Secret is untouched.
            IssuanceError: The Secret is not ours to write, or what is in it now is not what the spec asks for.
        """
        observation, key = await with_key(observation, tools)
        yield observation
        certificate, open_order = observation.certificate, observation.open_order
        try:
            chain = await checked_chain(observation, tools, key)
        except NotYetValid as early:
            if not early.starts_soon:
                raise
            yield _waiting(observation, tools, early)
            return
        revision = min(observation.status.revision + 1, MAX_COUNT)
        key_pem = private_key_to_pem(key, certificate.spec.private_key.effective_encoding)
        server = observation.ready_issuer.spec.server
        seal = IssuanceSeals(observation.ready_issuer.client.key).of(chain.leaf, server)
        manifest, problem = await manifest_of(
            observation,
            tools,
            chain,
            key_pem,
            server=server,
            revision=revision,
            issuer=observation.reference,
            seal=seal,
        )
        observation = observation.remember(unwatched=None)
        yield observation  # the Secret is read again, whatever becomes of the write
        current = observation.secret
        observation, secret = await replace_certificate(observation, tools, manifest, problem)
        now = tools.clock()
        tools.metrics.issued(observation.reference, (now - open_order.started_at).total_seconds())
        issued = Issued(secret, chain, key_pem, server, now, issued_annotations(manifest))
        observation = observation.remember(issued=issued, contested=Backoff())
        ends = rfc3339(chain.leaf.not_valid_after_utc)
        message = f"The certificate is in Secret {secret.name} (revision {revision}), valid until {ends}."
        tools.recorder.record(observation.subject, "Normal", "Issued", message)
        if certificate.spec.revoke_on_delete:
            observation = observation.remember(revocable=evidence_of(chain.leaf, observation.issuer_key))
        _tell_ignored(observation, tools, chain.leaf)
        if current is not None and secret.other_entries:
            _tell_stale(observation, tools, secret)
        need = issuance_need(observation, now)
        if need is not None:
            yield observation.with_status(revision=revision)
            # Without a pause the next one would be ordered at once, and the next, until the CA's limits are used up.
            raise IssuanceError(
                "NotAsAsked",
                f"The CA's certificate is in Secret {secret.name}, but {need.message}. Compare the spec (renewBefore) "
                "with what the CA issues.",
                costly=True,
            )
        observation = observation.with_status(
            revision=revision, failed_attempts=0, last_failure_time=None, next_attempt_time=None
        )
        yield observation.remember(issuing=Backoff(), note=None)


async def manifest_of(
    observation: Observation,
    tools: Tools,
    chain: CertificateChain,
    key_pem: bytes,
    *,
    server: str,
    revision: int,
    issuer: IssuerRef | None,
    seal: str | None,
) -> tuple[dict[str, Any], OutputsProblem | None]:
    """Return the Secret for a chain and its key, with all that is made from them, and what could not be made.

    Raises:
        KubeError: A Secret with a password cannot be read.
    """
    certificate = observation.certificate
    sources = issued_sources(chain, key_pem)
    outputs, problem = await derived_outputs(
        certificate, sources, tools.kube_api, now=tools.clock(), before=observation.secret
    )
    manifest = tls_secret(
        certificate, chain, key_pem, server=server, revision=revision, issuer=issuer, seal=seal, outputs=outputs
    )
    return manifest, problem


def _tell_ignored(observation: Observation, tools: Tools, leaf: x509.Certificate) -> None:
    """Say what the CA left out of what was requested: another order would not change it."""
    missing = contents_of(observation.certificate).missing_in(leaf)
    if missing:
        message = (
            f"The CA issued the certificate without parts of the spec: {'; '.join(missing)}. The operator orders no "
            "other certificate because of this. Remove them from the spec, or use a CA or profile that allows them."
        )
        tools.recorder.record(observation.subject, "Warning", "ContentsIgnored", message[:MAX_MESSAGE_CHARACTERS])


def _tell_stale(observation: Observation, tools: Tools, secret: SecretFacts) -> None:
    """Say that what others made of the earlier certificate is in the Secret still: we cannot make it again."""
    by = f", written by {listed(secret.other_managers)}" if secret.other_managers else ""
    message = (
        f"Secret {secret.name} also has {listed(secret.other_entries)}{by}. Certwright did not write these entries and "
        "does not update them: if they contain the earlier certificate, update them."
    )
    tools.recorder.record(observation.subject, "Warning", "StaleEntries", message)


def _waiting(observation: Observation, tools: Tools, early: NotYetValid) -> Observation:
    """Return the observation with an order whose certificate is fetched again once its life has begun."""
    message = (
        f"The certificate is issued, but is valid only from {rfc3339(early.not_before)}: the CA's clock is ahead of "
        f"this one's. It is stored at {rfc3339(early.usable_from)}; any current one stays until then."
    )
    tools.recorder.record(observation.subject, "Warning", "WaitingForStart", message)
    waiting = observation.with_open_order(usable_from=early.usable_from)
    return waiting.noting("WaitingForStart", message, under_way=False)


async def checked_chain(observation: Observation, tools: Tools, key: PrivateKey) -> CertificateChain:
    """Download the chain that the issuer prefers, or else the CA's default one; return it if it passes the gate."""
    issuer, client = observation.ready_issuer, observation.ready_issuer.client
    default = await client.download_certificate(observation.open_order.order)
    preferred = issuer.spec.preferred_chain
    if preferred is None:
        return await _passed(default, observation, tools, key)
    # The certificate is issued: it must not be lost, nor wait, for the sake of its chain.
    chosen, problem = default, None
    try:
        async with asyncio.timeout(LONGEST_CHOICE_SECONDS):
            chosen = await client.choose_chain(default, preferred)
    except NoSuchChain as error:
        offered = listed(printable(name, MAX_SHOWN_NAME) for name in error.offered)
        problem = (
            f"{issuer.spec.server} offers no chain that leads to {preferred}; it offers {offered}. The "
            "default chain is used. Correct the issuer's spec.acme.preferredChain, or leave it out."
        )
    except (AcmeError, TimeoutError) as error:
        why = str(error) or f"they took longer than {LONGEST_CHOICE_SECONDS:g} s"
        problem = (
            f"The other chains of {issuer.spec.server} could not be read: {why}. The default chain is used, and "
            f"the one that leads to {preferred} is tried again at the renewal."
        )
    try:
        passed = await _passed(chosen, observation, tools, key)
    except PkiError as error:
        if chosen is default:
            raise
        passed = await _passed(default, observation, tools, key)
        problem = (
            f"The chain of {issuer.spec.server} that leads to {preferred} cannot be used: {error}. The default chain "
            "is used, and that one is tried again at the renewal."
        )
    if problem is not None:
        message = problem[:MAX_MESSAGE_CHARACTERS]
        tools.recorder.record(observation.subject, "Warning", "PreferredChainMissing", message)
    return passed


async def _passed(
    downloaded: CertificateChainPem, observation: Observation, tools: Tools, key: PrivateKey
) -> CertificateChain:
    """Return a chain if it passes the gate."""
    current, names = observation.secret, subject_names(observation.identifiers)
    return await in_thread(
        check_before_write,
        parse_chain(downloaded.pem),
        key,
        dns_names=names.dns_names,
        ip_addresses=names.ip_addresses,
        now=tools.clock(),
        current=current.leaf if current is not None and current.placeholder is None else None,
        is_exact=True,
        for_servers=contents_of(observation.certificate).is_for_servers,
    )


async def replace_certificate(
    observation: Observation, tools: Tools, manifest: dict[str, Any], problem: OutputsProblem | None
) -> tuple[Observation, SecretFacts]:
    """Replace the Secret by one with a certificate, and remember that; return what was written.

    Args:
        observation: What is known.
        tools: What it is done with.
        manifest: The Secret.
        problem: Why not all of its outputs are in it.

    Raises:
        IssuanceError: It has changed, or cannot be changed.
    """
    observation, secret = await replace_secret(observation, tools, manifest)
    now = tools.clock()
    observation = having_written(observation, now).with_secret(secret)
    return observation.remember(outputs=looked_at(observation.certificate, secret, problem, now)), secret


async def replace_secret(
    observation: Observation, tools: Tools, manifest: dict[str, Any]
) -> tuple[Observation, SecretFacts]:
    """Replace the Secret as it was when that was decided, or create it; return what was written.

    Raises:
        IssuanceError: It has changed, or cannot be changed.
    """
    current, name = observation.secret, observation.certificate.spec.secret_name
    if current is not None:
        manifest["metadata"]["resourceVersion"] = current.resource_version
    try:
        written = await write_secret(tools.kube_api, manifest, uid=observation.uid, before=current)
    except (Conflict, Invalid) as error:
        raise IssuanceError(
            "SecretNotWritten",
            f"Secret {name} changed or appeared while the certificate was being issued, or cannot be changed. It was "
            f"left untouched and will be checked again. The API server said: {error.message}",
        ) from error
    secret = SecretFacts.of(written)
    tools.on_secret_written(secret)
    alteration = Alteration.between(manifest, written)
    return observation.remember(alteration=alteration), secret if alteration is None else alteration.undone(secret)
