"""Acts on the Secret: store what was issued, adopt what is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from certwright.certificates.need import issuance_need
from certwright.certificates.order_request import wanted_names
from certwright.certificates.private_keys import obtain_key
from certwright.certificates.secret import adopted_secret, metadata_fingerprint, tls_secret
from certwright.certificates.secret_facts import SecretFacts
from certwright.failures import IssuanceError
from certwright.kube.errors import Conflict, Invalid
from certwright.pki import check_before_write, parse_chain, private_key_to_pem

if TYPE_CHECKING:
    from certwright.certificates.observation import Case
    from certwright.certificates.tools import Tools


async def store_certificate(case: Case, tools: Tools) -> None:
    """Download the chain, pass it through the gate, and replace the Secret in one write.

    Raises:
        GateRefused: The chain is not what was asked for; the Secret is untouched.
        IssuanceError: The Secret is not ours to write, or what is in it now is not what the spec asks for.
    """
    certificate, memory = case.certificate, case.memory
    key = await obtain_key(case, tools.kube_api)
    downloaded = await case.ready_issuer.client.download_certificate(case.flight.order)
    chain = parse_chain(downloaded.pem)
    now = tools.clock()
    current = case.secret
    await asyncio.to_thread(
        check_before_write,
        chain,
        key,
        dns_names=wanted_names(certificate),
        now=now,
        current=current.leaf if current is not None else None,
    )
    key_pem = private_key_to_pem(key, certificate.spec.private_key.encoding)
    revision = case.status.revision + 1
    manifest = tls_secret(certificate, chain, key_pem, server=case.ready_issuer.spec.server, revision=revision)
    if current is not None:
        manifest["metadata"]["resourceVersion"] = current.resource_version
    try:
        written = await tools.kube_api.apply_secret(manifest, force=current is not None)
    except (Conflict, Invalid) as error:
        memory.forget_secret()
        raise IssuanceError(
            "SecretNotWritten",
            f"Secret {certificate.spec.secret_name} changed or appeared while the certificate was being issued, or "
            f"cannot be changed. It was left untouched and is looked at again. The API server said: {error.message}",
        ) from error
    case.secret = SecretFacts.of(written)
    tools.on_secret_written(case.secret)
    memory.forget_secret()
    tools.metrics.issued(certificate, (now - memory.started_at).total_seconds() if memory.started_at else None)
    case.status = case.status.replace(revision=revision)
    tools.recorder.record(
        case.subject,
        "Normal",
        "Issued",
        f"The certificate is in Secret {certificate.spec.secret_name} (revision {revision}), valid until "
        f"{chain.leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}.",
    )
    need = issuance_need(certificate, case.secret, case.wanted, now)
    if need is not None:
        # Without a pause the next one would be ordered at once, and the next, until the CA's limits are used up.
        raise IssuanceError(
            "NotAsAsked",
            f"The CA's certificate is in Secret {certificate.spec.secret_name}, and yet {need.message}. Compare the "
            "spec (names, renewBefore) with what the CA issues.",
            costly=True,
        )
    case.status = case.status.replace(failed_attempts=0, last_failure_time=None, next_attempt_time=None)
    memory.clear_setbacks()
    memory.note = None


async def adopt(case: Case, tools: Tools) -> None:
    """Write our metadata onto the Secret; chain and key stay byte for byte."""
    certificate, memory = case.certificate, case.memory
    existing = await tools.kube_api.read_secret(certificate.metadata.namespace or "", certificate.spec.secret_name)
    if (
        existing is None
        or case.secret is None
        or existing["metadata"]["resourceVersion"] != case.secret.resource_version
    ):
        memory.forget_secret()
        raise IssuanceError(
            "SecretChanged", f"Secret {certificate.spec.secret_name} changed just now; it is looked at again."
        )
    stranger = case.secret.certificate_name is None
    written = await tools.kube_api.apply_secret(adopted_secret(certificate, existing), force=True)
    case.secret = await asyncio.to_thread(SecretFacts.of, written)
    tools.on_secret_written(case.secret)
    memory.forget_secret()
    if case.secret.metadata_fingerprint != metadata_fingerprint(certificate):
        raise IssuanceError(
            "SecretChanged",
            f"Secret {certificate.spec.secret_name} came back without the labels and annotations that were written: "
            "something in the cluster takes them off.",
        )
    memory.tidied_up()
    if stranger:
        tools.recorder.record(
            case.subject,
            "Normal",
            "Adopted",
            f"Secret {certificate.spec.secret_name} held a certificate for these names; it is kept and renewed.",
        )
