"""The checks before a Secret is written: a certificate that fails one never replaces the current certificate."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from certwright.pki.certificate import CertificateFacts
from certwright.pki.chain import arrange_chain
from certwright.pki.errors import Expired, MissingNames, NotYetValid, OlderThanCurrent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from certwright.key_file import PrivateKey
    from certwright.pki.chain import CertificateChain
    from certwright.pki.request import SigningRequest

CLOCK_SKEW = timedelta(minutes=5)
# Let's Encrypt backdates by an hour, others not at all: a change of CA may seem to go back by that much.
BACKDATING = timedelta(hours=1)


def check_before_write(
    chain: CertificateChain,
    key: PrivateKey | SigningRequest,
    *,
    dns_names: Sequence[str],
    ip_addresses: Sequence[str] = (),
    now: datetime,
    current: x509.Certificate | None = None,
) -> CertificateChain:
    """Check everything that a server and its clients rely on, and return the chain to write.

    Args:
        chain: What the CA delivered, in any order.
        key: The key that will stand beside it, or the request that was made with it.
        dns_names: The requested names, as A-labels. Each must be a subjectAltName itself: a wildcard covers
            only the same wildcard, because what was requested is what must be there.
        ip_addresses: The requested addresses.
        now: The present, UTC.
        current: The certificate that is to be replaced, if there is one.

    Returns:
        The certificate for the key and its issuers; see `arrange_chain`.

    Raises:
        KeyMismatch: No certificate of the chain is for the key.
        MissingNames: A requested name is not in the leaf.
        BrokenChain: The issuer of the leaf is not among the certificates beside it.
        NotYetValid: The leaf's life begins more than five minutes from now; see `NotYetValid.usable_from`.
        Expired: The leaf has expired.
        OlderThanCurrent: The leaf was issued before `current`.
        ChainError: The leaf's extensions or the name of its issuer cannot be read.
    """
    arranged = arrange_chain(chain, key)
    facts = CertificateFacts.of(arranged.leaf)
    _check_names(facts, dns_names, ip_addresses)
    if facts.not_after <= now:
        raise Expired(facts.not_after)
    if current is not None:
        _check_newer(arranged.leaf, current, now)
    # Last: whoever waits for it will find nothing else wrong with it.
    if facts.not_before > now + CLOCK_SKEW:
        raise NotYetValid(facts.not_before, now, usable_from=facts.not_before - CLOCK_SKEW)
    return arranged


def _check_names(facts: CertificateFacts, dns_names: Sequence[str], ip_addresses: Sequence[str]) -> None:
    missing = [name for name in dns_names if name.lower() not in facts.dns_names]
    covered = {ipaddress.ip_address(address) for address in facts.ip_addresses}
    missing += [address for address in ip_addresses if ipaddress.ip_address(address) not in covered]
    if missing:
        raise MissingNames(missing)


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
        # What somebody put there may name its issuer in a way that cannot be read.
        return False
