"""The checks before a Secret is written: a certificate that fails one never replaces the current certificate."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from certwright.issuing import UNREADABLE
from certwright.pki.certificate import CertificateFacts
from certwright.pki.chain import arrange_chain
from certwright.pki.contents import SERVER_USAGES
from certwright.pki.errors import (
    ChainError,
    Expired,
    IsAuthority,
    MissingNames,
    NotForServers,
    NotYetValid,
    OlderThanCurrent,
    SurplusNames,
    UnknownCriticalExtension,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from certwright.key_file import PrivateKey
    from certwright.pki.chain import CertificateChain
    from certwright.pki.request import SigningRequest

CLOCK_SKEW = timedelta(minutes=5)
# Let's Encrypt backdates by an hour and others do not, so a change of CA may seem to go back by that much.
BACKDATING = timedelta(hours=1)


def check_before_write(
    chain: CertificateChain,
    key: PrivateKey | SigningRequest,
    *,
    dns_names: Sequence[str],
    ip_addresses: Sequence[str] = (),
    now: datetime,
    current: x509.Certificate | None = None,
    is_exact: bool = False,
    for_servers: bool = False,
) -> CertificateChain:
    """Check everything that servers and clients rely on, and return the chain to write.

    Args:
        chain: The chain from the CA, in any order.
        key: The key that will be stored with it, or the CSR.
        dns_names: The requested names, as A-labels. Each must itself be a subjectAltName, so a wildcard does not cover
            other requested names.
        ip_addresses: The requested addresses.
        now: The current time, UTC.
        current: The certificate to replace, if there is one.
        is_exact: Whether the leaf must have no other DNS names and addresses than those requested.
        for_servers: Whether TLS servers will use it.

    Returns:
        The certificate for the key and its issuers; see `arrange_chain`.

    Raises:
        KeyMismatch: No certificate of the chain is for the key.
        MissingNames: A requested name is not in the leaf.
        SurplusNames: The leaf has other names, and must be exact.
        IsAuthority: The leaf is a CA certificate.
        NotForServers: Its extended key usage forbids its use by servers.
        UnknownCriticalExtension: It has a critical extension that clients do not know.
        BrokenChain: The issuer of the leaf is not among the other certificates.
        NotYetValid: The leaf's validity begins more than five minutes from now; see `NotYetValid.usable_from`.
        Expired: The leaf has expired, or ends before it begins.
        OlderThanCurrent: The leaf was issued before `current`.
        ChainError: The leaf's extensions or the name of its issuer cannot be read.
    """
    arranged = arrange_chain(chain, key)
    facts = CertificateFacts.of(arranged.leaf)
    _check_names(facts, dns_names, ip_addresses, is_exact=is_exact)
    _check_uses(arranged.leaf, for_servers=for_servers)
    if facts.not_after <= max(now, facts.not_before):
        raise Expired(facts.not_after)
    if current is not None:
        _check_newer(arranged.leaf, current, now)
    # Checked last, so that a caller who waits for it knows that nothing else is wrong.
    if facts.not_before > now + CLOCK_SKEW:
        raise NotYetValid(facts.not_before, now, usable_from=facts.not_before - CLOCK_SKEW)
    return arranged


def _check_names(
    facts: CertificateFacts, dns_names: Sequence[str], ip_addresses: Sequence[str], *, is_exact: bool
) -> None:
    covered_names, covered = set(facts.dns_names), {ipaddress.ip_address(address) for address in facts.ip_addresses}
    missing = [name for name in dns_names if name.lower() not in covered_names]
    missing += [address for address in ip_addresses if ipaddress.ip_address(address) not in covered]
    if missing:
        raise MissingNames(missing)
    if not is_exact:
        return
    requested = {ipaddress.ip_address(address) for address in ip_addresses}
    surplus = sorted(covered_names - {name.lower() for name in dns_names})
    surplus += sorted(str(address) for address in covered - requested)
    if surplus:
        raise SurplusNames(surplus)


def _check_uses(leaf: x509.Certificate, *, for_servers: bool) -> None:
    """Check that clients will accept the certificate for its purpose; one without usages is for all purposes."""
    try:
        extensions = list(leaf.extensions)
    except UNREADABLE:
        raise ChainError("the certificate's extensions cannot be read") from None
    for extension in extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True) | x509.KeyUsage(key_cert_sign=True):
                raise IsAuthority
            case x509.ExtendedKeyUsage() as usages if for_servers and SERVER_USAGES.isdisjoint(usages):
                raise NotForServers
            case x509.UnrecognizedExtension() | x509.PrecertPoison() if extension.critical:
                raise UnknownCriticalExtension(extension.oid.dotted_string)


def _check_newer(leaf: x509.Certificate, current: x509.Certificate, now: datetime) -> None:
    """Prevent the late certificate of an old order from replacing a newer, valid one."""
    if not current.not_valid_before_utc <= now < current.not_valid_after_utc:
        return
    tolerance = timedelta() if _same_issuer(leaf, current) else BACKDATING
    if leaf.not_valid_before_utc < current.not_valid_before_utc - tolerance:
        raise OlderThanCurrent(leaf.not_valid_before_utc, current.not_valid_before_utc)


def _same_issuer(leaf: x509.Certificate, current: x509.Certificate) -> bool:
    try:
        return leaf.issuer == current.issuer
    except ValueError:
        # The current certificate may come from anyone, with an issuer name that cannot be read.
        return False
