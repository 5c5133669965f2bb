"""The renewal of a certificate: a new order for the same names, that says what it renews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.x509.oid import NameOID

from certwright.client.certificate import KeySpec, chain_of, names_of
from certwright.client.events import ignore
from certwright.client.issue import DEFAULT_TIMEOUT, issue

if TYPE_CHECKING:
    from certwright.acme import Budget, Client
    from certwright.challenges.solver import Solvers
    from certwright.client.certificate import CertificateKey, IssuedCertificate
    from certwright.client.events import OnEvent
    from certwright.pki import CertificateChain


async def renew(
    client: Client,
    certificate_pem: bytes,
    *,
    solvers: Solvers,
    key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
    profile: str | None = None,
    preferred_chain: str | None = None,
    resume: str | None = None,
    budget: Budget | None = None,
    on_event: OnEvent = ignore,
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as for issue
) -> IssuedCertificate:
    """Renew a certificate for the names that it has, whoever issued it.

    The order says which certificate it renews (RFC 9773 section 5), where the CA has renewal information; what comes
    must not be older than what is renewed.

    Args:
        client: An account that is registered.
        certificate_pem: The certificate, with or without its chain.
        solvers: See `issue`.
        key: The key of the new certificate: a new one unless the old one is given, in PEM.
        profile: See `issue`; a CA with several does not remember which one it was.
        preferred_chain: See `issue`.
        resume: See `issue`.
        budget: See `issue`; renewals are exempt from some limits or all.
        on_event: See `issue`.
        timeout: See `issue`.

    Raises:
        InvalidCertificate: It is no certificate, or names nothing.
        AcmeError: As by `issue`.
    """
    chain = chain_of(certificate_pem)
    return await issue(
        client,
        names_of(chain),
        solvers=solvers,
        key=key,
        common_name=_common_name(chain),
        profile=profile,
        preferred_chain=preferred_chain,
        replaces=certificate_pem,
        resume=resume,
        budget=budget,
        on_event=on_event,
        timeout=timeout,
    )


def _common_name(chain: CertificateChain) -> str | None:
    names = {name.value for name in names_of(chain)}
    found = chain.leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(found[0].value) if found else None
    return name if name in names else None
