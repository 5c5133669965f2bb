"""Write a temporary self-signed certificate, if the spec asks for it, for servers that cannot start without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.order_request import requested_identifiers, subject_names
from certwright.certificates.secret.manifest import temporary_secret
from certwright.certificates.steps.restore_secret import check_it_is_wanted
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import replace_secret
from certwright.pki import private_key_to_pem
from certwright.pki.self_signed import self_signed
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class WriteTemporary(Act):
    """There is no Secret and none was issued yet: write one with a certificate that is signed by its own key.

    It does not say which CA it is from, so nothing takes it for an issued one: the need to issue stays. It is written
    once, and if that fails the issuance goes on without it.
    """

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Write it.

        Raises:
            NotFound: The Certificate is gone.
            KeyNotReady: Its key takes long to make.
            IssuanceError: A Secret has appeared.
        """
        certificate = observation.certificate
        wanted = certificate.spec.private_key
        # Of the kind that the spec asks for: with rotationPolicy Never it is the key of the real one as well.
        key = await tools.keys.make(observation, wanted.effective_algorithm, wanted.size)
        observation = observation.remember(wrote_temporary=True, unwatched=None)
        yield observation  # whatever becomes of the write, it is not tried again
        await check_it_is_wanted(observation, tools)
        names = subject_names(requested_identifiers(certificate))
        pem = await in_thread(
            lambda: self_signed(key, dns_names=names.dns_names, ip_addresses=names.ip_addresses, now=tools.clock())
        )
        manifest = temporary_secret(certificate, pem, private_key_to_pem(key, wanted.effective_encoding))
        observation, secret = await replace_secret(observation, tools, manifest)
        yield observation.with_secret(secret)
        name = certificate.spec.secret_name
        message = f"Secret {name} has a self-signed certificate until the CA has issued the first one."
        tools.recorder.record(observation.subject, "Normal", "TemporaryWritten", message)
