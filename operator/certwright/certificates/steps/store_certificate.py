"""Store what was issued."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.need import issuance_need
from certwright.certificates.order_request import requested_identifiers, subject_names
from certwright.certificates.private_keys import with_key
from certwright.certificates.secret import SecretFacts, tls_secret
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.kube.errors import Conflict, Invalid
from certwright.pki import check_before_write, parse_chain, private_key_to_pem
from certwright.runtime.backoff import Backoff
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class StoreCertificate(Act):
    """Download the chain, pass it through the gate, and replace the Secret in one write."""

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Store it.

        Raises:
            GateRefused: The chain is not what was requested; the Secret is untouched.
            IssuanceError: The Secret is not ours to write, or what is in it now is not what the spec asks for.
        """
        observation, key = await with_key(observation, tools.kube_api)
        yield observation
        certificate, issuer, open_order = observation.certificate, observation.ready_issuer, observation.open_order
        downloaded = await issuer.client.download_certificate(open_order.order)
        chain = parse_chain(downloaded.pem)
        now = tools.clock()
        current = observation.secret
        names = subject_names(requested_identifiers(certificate))
        await asyncio.to_thread(
            check_before_write,
            chain,
            key,
            dns_names=names.dns_names,
            ip_addresses=names.ip_addresses,
            now=now,
            current=current.leaf if current is not None else None,
        )
        key_pem = private_key_to_pem(key, certificate.spec.private_key.encoding)
        revision = observation.status.revision + 1
        manifest = tls_secret(certificate, chain, key_pem, server=issuer.spec.server, revision=revision)
        if current is not None:
            manifest["metadata"]["resourceVersion"] = current.resource_version
        observation = observation.remember(unwatched=None)
        yield observation  # the Secret is read again, whatever becomes of the write
        try:
            written = await tools.kube_api.apply_secret(manifest, force=current is not None)
        except (Conflict, Invalid) as error:
            raise IssuanceError(
                "SecretNotWritten",
                f"Secret {certificate.spec.secret_name} changed or appeared while the certificate was being issued, or "
                f"cannot be changed. It was left untouched and is looked at again. The API server said: "
                f"{error.message}",
            ) from error
        secret = SecretFacts.of(written)
        tools.on_secret_written(secret)
        tools.metrics.issued(certificate, (now - open_order.started_at).total_seconds())
        observation = observation.with_secret(secret)
        ends = rfc3339(chain.leaf.not_valid_after_utc)
        message = f"The certificate is in Secret {secret.name} (revision {revision}), valid until {ends}."
        tools.recorder.record(observation.subject, "Normal", "Issued", message)
        need = issuance_need(observation, now)
        if need is not None:
            yield observation.with_status(revision=revision)
            # Without a pause the next one would be ordered at once, and the next, until the CA's limits are used up.
            raise IssuanceError(
                "NotAsAsked",
                f"The CA's certificate is in Secret {secret.name}, and yet {need.message}. Compare the spec (names, "
                "renewBefore) with what the CA issues.",
                costly=True,
            )
        observation = observation.with_status(
            revision=revision, failed_attempts=0, last_failure_time=None, next_attempt_time=None
        )
        yield observation.remember(issuing=Backoff(), note=None)
