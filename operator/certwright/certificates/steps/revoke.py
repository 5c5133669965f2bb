"""Revoke certificates, on request or because the Certificate is being deleted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.acme import AcmeError, BadRevocationReason, ProblemError, Unauthorized, revoke_with_certificate_key
from certwright.certificates.compromised import with_compromised
from certwright.certificates.evidence_reading import evidence_in, kept_evidence
from certwright.certificates.private_keys import reuses_key
from certwright.certificates.revocations import COMPROMISE, PATIENCE, REASONS, finished, with_revocation
from certwright.certificates.secret.beside import held_name, held_secret
from certwright.certificates.status import save
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError, classify
from certwright.pki import private_key_to_pem
from certwright.pki.keys import public_key_digest
from certwright.resources import MAX_COUNT, RevocationStatus, UsedIssuer
from certwright.runtime.aside import SLOW_CA_SECONDS, aside_if_slow
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator

    from certwright.certificates.evidence import Evidence
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.issuers.registry import ReadyIssuer
    from certwright.resources import RequestStatus, RevocationReasonName

logger = logging.getLogger(__name__)


class _Refused(Exception):
    """The certificate is not revoked, and trying again does not help. The message is for people."""


@dataclass(frozen=True)
class HoldForRevocation(Act):
    """Put what is to be revoked where its replacement does not overwrite it, and write down that it is.

    Attributes:
        request: Who asked for it, and why.
    """

    is_revoking: ClassVar[bool] = True

    request: RequestStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Hold it. What cannot be revoked is written down as failed.

        Raises:
            KubeError: A Secret cannot be read or written, or the status cannot.
        """
        now, secret = tools.clock(), observation.secret
        reason = self.request.reason or "unspecified"
        try:
            evidence = await evidence_in(observation, tools, held=False)
        except IssuanceError as error:
            yield _failed_to_begin(observation, tools, self.request, error.message)
            return
        if evidence is None or evidence.key is None:
            yield _failed_to_begin(
                observation, tools, self.request, ("The Secret does not exist: there is nothing to revoke.")
            )
            return
        manifest = held_secret(
            observation.certificate, evidence.leaf_der, private_key_to_pem(evidence.key), evidence.issuer
        )
        await tools.kube_api.apply_secret(manifest, force=True)
        revision = secret.revision if secret is not None else 0
        revocation = _begun(evidence, reason, now, request=self.request, revision=revision)
        if reason == COMPROMISE and observation.status.order is not None and reuses_key(observation):
            # It may be for the key that others have: see `abandon_order`.
            observation = observation.with_order(url=None).remember(open_order=None)
        if reason == COMPROMISE:
            observation = with_compromised(observation, public_key_digest(evidence.key.public_key()))
        observation = await save(with_revocation(observation, revocation), tools)
        yield observation.remember(revoking=Backoff(), issuing=Backoff())


@dataclass(frozen=True)
class Revoke(Act):
    """Have a CA revoke a certificate that is held for it.

    Attributes:
        revocation: Its entry in the status.
    """

    is_revoking: ClassVar[bool] = True

    revocation: RevocationStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Revoke it, and write down what came of it before anything else.

        Raises:
            IssuanceError: It could not be done now.
            KubeError: The status cannot be written.
        """
        now, revocation = tools.clock(), self.revocation
        try:
            evidence = await _held_evidence(observation, tools, revocation)
            message = await _revoke(evidence, revocation.reason, tools)
            revocation = finished(revocation, "Revoked", message, now)
        except _Refused as refused:
            revocation = finished(revocation, "Failed", str(refused), now)
        except IssuanceError as error:
            if error.reason != "RevocationRefused" and now - revocation.started_time <= PATIENCE:
                raise
            revocation = finished(revocation, "Failed", error.message, now)
        async for latest in _closed(observation, tools, revocation):
            yield latest


@dataclass(frozen=True)
class DropHeld(Act):
    """Remove what a revocation that is finished left behind: the process died in between.

    Attributes:
        revocation: Its entry in the status.
    """

    is_revoking: ClassVar[bool] = True

    revocation: RevocationStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Remove it. Raises `KubeError`."""
        yield (await _drop(observation, tools, self.revocation)).remember(revoking=Backoff())


@dataclass(frozen=True)
class WithdrawRevocation(Act):
    """Leave a certificate valid whose revocation was asked for, but is no longer.

    Attributes:
        revocation: Its entry in the status.
    """

    is_revoking: ClassVar[bool] = True

    revocation: RevocationStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Leave it. Raises `KubeError`."""
        message = "Withdrawn: the request ended before the certificate was revoked."
        revocation = finished(self.revocation, "Failed", message, tools.clock())
        async for latest in _closed(observation, tools, revocation):
            yield latest


@dataclass(frozen=True)
class NoteRevocable(Act):
    """Remember the certificate, which is to be revoked when the Certificate is deleted: its Secret may go first."""

    is_revoking: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Remember it.

        Raises:
            IssuanceError: Its private key is not in the Secret.
            KubeError: The Secret cannot be read.
        """
        evidence = await evidence_in(observation, tools, held=False)
        if evidence is None:
            raise IssuanceError("SecretChanged", f"Secret {observation.certificate.spec.secret_name} has just gone.")
        yield observation.remember(revocable=evidence, revoking=Backoff())


@dataclass(frozen=True)
class RevokeOnDelete(Act):
    """Revoke the certificate of a Certificate that is deleted, before its Secret goes."""

    is_revoking: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Revoke it. What cannot be revoked is told, and holds nothing up.

        Raises:
            IssuanceError: It could not be done now.
            KubeError: The Secret cannot be read.
        """
        now = tools.clock()
        reason: RevocationReasonName = "cessationOfOperation"
        evidence, why = observation.memory.revocable, "Its Secret was deleted before."
        try:
            evidence = await evidence_in(observation, tools, held=False) or evidence
            evidence = evidence or await kept_evidence(observation, tools)
        except IssuanceError as error:
            why = error.message
        if evidence is None:
            yield _not_revoked(observation, tools, why)
            return
        revocation = _begun(evidence, reason, now)
        view = tools.registry.view(evidence.issuer)
        if view.state == "missing":
            yield _not_revoked(observation, tools, f"{evidence.issuer} does not exist any more.")
            return
        try:
            revocation = finished(revocation, "Revoked", await _revoke(evidence, reason, tools), now)
        except _Refused as refused:
            revocation = finished(revocation, "Failed", str(refused), now)
        _tell(observation, tools, revocation)
        yield with_revocation(observation, revocation).remember(revoking=Backoff(), revoked_on_delete=True)


def tell_not_revoked(observation: Observation, tools: Tools, why: str) -> None:
    """Say that a certificate is left valid although its Certificate, which is deleted, has `revokeOnDelete`."""
    message = f"The certificate was not revoked (revokeOnDelete), and is valid until it expires. {why}"
    logger.warning("%s: NotRevoked: %s", observation.certificate.display_name, message)
    tools.recorder.record(observation.subject, "Warning", "NotRevoked", message)


def _not_revoked(observation: Observation, tools: Tools, why: str) -> Observation:
    tell_not_revoked(observation, tools, why)
    return observation.remember(revoked_on_delete=True, revoking=Backoff())


def _begun(
    evidence: Evidence,
    reason: RevocationReasonName,
    now: dt.datetime,
    *,
    request: RequestStatus | None = None,
    revision: int = 0,
) -> RevocationStatus:
    return RevocationStatus(
        serial_number=evidence.serial[:64],
        fingerprint=evidence.fingerprint,
        revision=min(revision, MAX_COUNT),
        reason=reason,
        request_id=request.id if request is not None else None,
        issuer=UsedIssuer.model_validate({"kind": evidence.issuer.kind, "name": evidence.issuer.name}),
        state="Pending",
        held=request is not None,
        started_time=now,
    )


def _failed_to_begin(observation: Observation, tools: Tools, request: RequestStatus, message: str) -> Observation:
    """Return the observation with a request's revocation that failed before there was anything to write down."""
    logger.warning("%s: RevocationFailed: %s", observation.certificate.display_name, message)
    tools.recorder.record(observation.subject, "Warning", "RevocationFailed", message)
    return observation.remember(unrevocable=(request.id, message), revoking=Backoff())


def _tell(observation: Observation, tools: Tools, revocation: RevocationStatus) -> None:
    """Tell people and Prometheus what came of a revocation."""
    name = observation.certificate.display_name
    if revocation.state == "Revoked":
        tools.recorder.record(observation.subject, "Normal", "Revoked", revocation.message)
        logger.info("%s: Revoked: %s", name, revocation.message)
        issuer = revocation.issuer
        if issuer is not None:
            tools.metrics.revoked(issuer.kind, issuer.name, revocation.reason)
        return
    message = f"Certificate {revocation.serial_number} is not revoked. {revocation.message}"
    tools.recorder.record(observation.subject, "Warning", "RevocationFailed", message)
    logger.warning("%s: RevocationFailed: %s", name, message)


async def _closed(observation: Observation, tools: Tools, revocation: RevocationStatus) -> AsyncIterator[Observation]:
    """Tell what came of a revocation, write it down, and then remove what held the certificate. Raises `KubeError`."""
    _tell(observation, tools, revocation)
    observation = await save(with_revocation(observation, revocation), tools)
    yield observation.remember(revoking=Backoff())
    yield await _drop(observation, tools, revocation)


async def _drop(observation: Observation, tools: Tools, revocation: RevocationStatus) -> Observation:
    """Remove the Secret that held a certificate for its revocation."""
    await tools.kube_api.delete_secret(observation.namespace, held_name(observation.certificate))
    return with_revocation(observation, revocation.replace(held=False))


async def _held_evidence(observation: Observation, tools: Tools, revocation: RevocationStatus) -> Evidence:
    evidence = await evidence_in(observation, tools, held=True)
    if evidence is None or evidence.fingerprint != revocation.fingerprint:
        raise _Refused("The certificate no longer exists: something else deleted its Secret.")
    return evidence


async def _revoke(evidence: Evidence, reason: RevocationReasonName, tools: Tools) -> str:
    """Have the CA of the issuer revoke a certificate, and return what came of it.

    Raises:
        IssuanceError: It could not be done now.
        _Refused: The CA refuses.
    """
    issuer = tools.registry.ready(evidence.issuer)
    try:
        async with aside_if_slow(SLOW_CA_SECONDS):
            if issuer is not None:
                server, now_revoked = issuer.spec.server, await _by_account_or_key(issuer, evidence, reason)
            else:
                server, now_revoked = await _by_key(evidence, reason, tools)
    except BadRevocationReason as error:
        raise _Refused(f"{_ca_of(issuer, evidence)} does not take the reason {reason}: {error}") from error
    except Unauthorized as error:
        raise _Refused(
            f"{_ca_of(issuer, evidence)} does not let {evidence.issuer} revoke it: {error}. Another account may have "
            "obtained it."
        ) from error
    except AcmeError as error:
        if isinstance(error, ProblemError) and not error.temporary:
            raise _Refused(f"{_ca_of(issuer, evidence)} does not revoke it: {error}") from error
        failure = classify(error, tools.clock())
        raise IssuanceError(failure.reason, failure.message) from error
    if now_revoked:
        return f"{server} has revoked certificate {evidence.serial} (reason {reason})."
    return f"{server} had already revoked certificate {evidence.serial}, and does not say for which reason."


def _ca_of(issuer: ReadyIssuer | None, evidence: Evidence) -> str:
    return issuer.spec.server if issuer is not None else f"The CA of {evidence.issuer}"


async def _by_key(evidence: Evidence, reason: RevocationReasonName, tools: Tools) -> tuple[str, bool]:
    """Have a CA revoke a certificate whose issuer has no account there now, with the certificate's own key.

    Who has lost the account key, or whose account the CA has closed, must still be able to report a leaked key.

    Raises:
        IssuanceError: It is not for a compromised key, or the issuer is not known yet: it takes the account then.
        AcmeError: The CA refuses, or cannot be reached.
    """
    view = tools.registry.view(evidence.issuer)
    if reason == COMPROMISE and evidence.key is not None and view.state == "not-ready":
        server = await tools.server_of(evidence.issuer)
        if server is not None:
            now_revoked = await revoke_with_certificate_key(server, evidence.leaf_der, evidence.key)
            return server.directory_url, now_revoked
    raise IssuanceError(
        "IssuerNotReady", f"{evidence.issuer} cannot revoke the certificate now. {view.message}".rstrip()
    )


async def _by_account_or_key(issuer: ReadyIssuer, evidence: Evidence, reason: RevocationReasonName) -> bool:
    """Revoke with the account, or with the certificate's own key if the account may not and that key is known.

    A CA takes a certificate's own key for a report that others have it, whatever the reason says: Let's Encrypt refuses
    that key from then on. So it is used for no other reason.
    """
    try:
        return await issuer.client.revoke_certificate(evidence.leaf_der, reason=REASONS[reason])
    except Unauthorized:
        if reason != COMPROMISE or evidence.key is None:
            raise
    return await revoke_with_certificate_key(issuer.client.server, evidence.leaf_der, evidence.key)
