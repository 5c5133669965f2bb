"""The normal form of domain names and addresses, independent of their spelling.

`Example.COM.`, `example.com` and `EXAMPLE.com` are one domain, and `2001:DB8:0::1` and `2001:db8::1` are one address.
Names are compared, hashed and requested in this form, so that another spelling changes nothing.
"""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

MAX_WRITTEN = 1024
"""Longer texts are not converted, because the work grows with the length, and no name is as long."""


def normal_domain(text: str) -> str:
    """Return a domain name in lower case, without a final dot, in A-labels (RFC 5890); a leading `*.` stays.

    ASCII text that is not a domain name is returned in lower case; the caller validates it.

    Raises:
        ValueError: It has non-ASCII characters, and is not an internationalized domain name (RFC 5891).
    """
    if text.isascii():
        return text.removesuffix(".").lower()
    import idna  # noqa: PLC0415 - for the few who need it: its tables take memory

    if len(text) > MAX_WRITTEN:
        raise ValueError("is longer than a domain name can be")
    wildcard = "*." if text.startswith("*.") else ""
    try:
        mapped = idna.uts46_remap(text.removeprefix("*."), std3_rules=False).removesuffix(".")
        labels = [one.lower() if one.isascii() else idna.encode(one).decode("ascii") for one in mapped.split(".")]
    except UnicodeError:  # IDNAError is one
        raise ValueError("is not a valid internationalized domain name (RFC 5891)") from None
    return wildcard + ".".join(labels)


def normal_address(text: str) -> str:
    """Return an IP address in its shortest form (RFC 5952); an IPv6 form of an IPv4 address becomes the latter.

    Raises:
        ValueError: The text is not an IPv4 or IPv6 address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("has a zone, which is of use on one host only")
        return str(address.ipv4_mapped or address.compressed)
    return address.compressed


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def normal_name(text: str) -> str:
    """Return the normal form of a domain name or an address, see `normal_domain` and `normal_address`.

    Raises:
        ValueError: It is neither.
    """
    return normal_address(text) if is_address(text) else normal_domain(text)


def distinguished_name(text: str) -> x509.Name:
    """Read a distinguished name as in RFC 4514; attribute types may be in any case, or dotted numbers.

    Raises:
        ValueError: It is not a distinguished name, or a value is invalid for its type.
    """
    from cryptography import x509  # noqa: PLC0415 - for the few who need it

    return x509.Name.from_rfc4514_string(text, _attribute_names())


@cache
def _attribute_names() -> dict[str, x509.ObjectIdentifier]:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    known = {
        "CN": NameOID.COMMON_NAME,
        "C": NameOID.COUNTRY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "L": NameOID.LOCALITY_NAME,
        "ST": NameOID.STATE_OR_PROVINCE_NAME,
        "STREET": NameOID.STREET_ADDRESS,
        "DC": NameOID.DOMAIN_COMPONENT,
        "UID": NameOID.USER_ID,
        "postalCode": NameOID.POSTAL_CODE,
        "serialNumber": NameOID.SERIAL_NUMBER,
        "SN": NameOID.SURNAME,
        "GN": NameOID.GIVEN_NAME,
        "title": NameOID.TITLE,
        "emailAddress": NameOID.EMAIL_ADDRESS,
    }
    return {form: oid for name, oid in known.items() for form in (name, name.lower(), name.upper())}
