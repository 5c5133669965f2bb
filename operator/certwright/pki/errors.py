"""Errors about keys, CSRs and chains. No message contains key material."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from certwright.portable import PortableError
from certwright.text import listed, printable, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


LONGEST_WAIT_FOR_START: Final = timedelta(hours=1)
"""How far in the future a certificate may start and still be waited for; clocks differ by less than this."""

_MAX_NAME: Final = 100


class PkiError(PortableError):
    """Base class of all errors of this package."""


class PrivateKeyError(PkiError):
    """A private key cannot be read: not PEM, damaged, encrypted, or of an unsupported kind."""


class UnsupportedKey(PrivateKeyError):
    """Certwright does not support the requested algorithm, size or encoding."""


class CsrError(PkiError):
    """The given names or contents cannot be put into a certificate signing request."""


class KeystoreError(PkiError):
    """A keystore cannot be created with this password or encryption. The message never quotes the password."""


class ChainError(PkiError):
    """A PEM chain cannot be read: a foreign block, damage, or too long."""


class GateRefused(PkiError):
    """The check before writing failed: this certificate must not replace the current one."""


class KeyMismatch(GateRefused):
    """The leaf is not for the private key that is stored with it."""

    def __init__(self) -> None:
        super().__init__("the certificate is for another private key than requested")


class MissingNames(GateRefused):
    """The leaf lacks some of the requested names; `names` lists them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"the certificate does not cover {', '.join(self.names)}")


class SurplusNames(GateRefused):
    """The leaf has names that were not requested (RFC 8555 section 7.4); `names` lists them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        shown = listed([printable(name, _MAX_NAME) for name in self.names])
        super().__init__(f"the certificate is also for {shown}, which was not requested")


class IsAuthority(GateRefused):
    """The leaf may issue certificates itself, which was not requested; a stolen key would be a stolen CA."""

    def __init__(self) -> None:
        super().__init__(
            "the certificate is a CA certificate (CA:TRUE, or the key usage cert sign), which was not requested"
        )


class NotForServers(GateRefused):
    """The leaf's extended key usage forbids TLS servers to use it (RFC 5280 section 4.2.1.12)."""

    def __init__(self) -> None:
        super().__init__(
            "the certificate is not for TLS servers: its extended key usage lacks server auth. If it is to be for "
            "something else, request that by its usages"
        )


class UnknownCriticalExtension(GateRefused):
    """The leaf has a critical extension that TLS clients do not know and must therefore refuse; `oid` is its type."""

    def __init__(self, oid: str) -> None:
        self.oid = oid
        super().__init__(
            f"the certificate has the critical extension {printable(oid, _MAX_NAME)}, which clients do not know and so "
            "must refuse (RFC 5280 section 4.2)"
        )


class BrokenChain(GateRefused):
    """A certificate of the chain was not issued by the one that should have."""


class NotYetValid(GateRefused):
    """The leaf is not valid yet; the usual cause is a wrong clock on either side.

    Attributes:
        not_before: When it becomes valid.
        usable_from: When it may be written: a little earlier than `not_before`, because clocks differ.
        starts_soon: Whether it starts soon enough to wait for it.
    """

    def __init__(self, not_before: datetime, now: datetime, *, usable_from: datetime) -> None:
        self.not_before = not_before
        self.usable_from = usable_from
        self.starts_soon = usable_from - now <= LONGEST_WAIT_FOR_START
        super().__init__(
            f"the certificate is valid only from {rfc3339(not_before)}, and here it is "
            f"{rfc3339(now)}: compare this machine's clock with the CA's"
        )


class Expired(GateRefused):
    """The leaf has expired."""

    def __init__(self, not_after: datetime) -> None:
        self.not_after = not_after
        super().__init__(f"the certificate expired at {rfc3339(not_after)}")


class OlderThanCurrent(GateRefused):
    """The leaf was issued before the certificate it would replace."""

    def __init__(self, not_before: datetime, current: datetime) -> None:
        self.not_before = not_before
        super().__init__(
            f"the certificate starts at {rfc3339(not_before)}, before the one it would replace ({rfc3339(current)})"
        )
