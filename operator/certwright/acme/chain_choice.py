"""Choosing among the chains that a CA offers for one certificate, by the name of the issuer they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from certwright.acme.errors import InvalidCertificate, NoSuchChain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme.certificate import CertificateChainPem


def issuer_names(chain: CertificateChainPem) -> tuple[str, ...]:
    """Return the common names of the issuers of a chain's certificates, the leaf's issuer first, the root's last.

    An issuer without a common name is given by its whole distinguished name (RFC 4514).

    Raises:
        InvalidCertificate: A certificate of the chain cannot be read.
    """
    try:
        issuers = [x509.load_der_x509_certificate(der).issuer for der in chain.certificates]
    except (ValueError, x509.InvalidVersion):
        raise InvalidCertificate(f"A certificate of the chain at {chain.url} cannot be read") from None
    return tuple(map(_name, issuers))


def leads_to(chain: CertificateChainPem, issuer: str) -> bool:
    """Whether the last certificate of a chain was issued by an issuer of this common name.

    Raises:
        InvalidCertificate: A certificate of the chain cannot be read.
    """
    return issuer_names(chain)[-1] == issuer


def choose_chain(chains: Sequence[CertificateChainPem], issuer: str) -> CertificateChainPem:
    """Return the first chain that ends at an issuer of this common name, else the first that passes through one.

    Args:
        chains: The default chain first.
        issuer: The common name, such as `ISRG Root X1`.

    Raises:
        NoSuchChain: There is none.
        InvalidCertificate: A certificate cannot be read.
    """
    names = [issuer_names(chain) for chain in chains]
    for chain, on_the_way in zip(chains, names, strict=True):
        if on_the_way[-1] == issuer:
            return chain
    for chain, on_the_way in zip(chains, names, strict=True):
        if issuer in on_the_way:
            return chain
    raise NoSuchChain(wanted=issuer, offered=tuple(dict.fromkeys(on_the_way[-1] for on_the_way in names)))


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
