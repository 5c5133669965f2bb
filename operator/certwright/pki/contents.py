"""Contents of a certificate other than DNS names, addresses and common name: requested in the CSR, checked later."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.issuing import UNREADABLE
from certwright.names import distinguished_name
from certwright.pki.errors import CsrError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# RFC 5280 section 4.2.1.3, by their names in Kubernetes and cert-manager.
_KEY_USAGES: Final = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_NEED_AGREEMENT: Final = ("encipher_only", "decipher_only")
_EXTENDED: Final = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


SERVER_USAGES: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
"""The extended key usages that allow TLS servers to use a certificate."""


@dataclass(frozen=True)
class Subject:
    """Fields of a subject other than the common name (RFC 5280 section 4.1.2.4)."""

    countries: Sequence[str] = ()
    organizations: Sequence[str] = ()
    organizational_units: Sequence[str] = ()
    localities: Sequence[str] = ()
    provinces: Sequence[str] = ()
    street_addresses: Sequence[str] = ()
    postal_codes: Sequence[str] = ()
    serial_number: str | None = None

    def attributes(self) -> list[x509.NameAttribute[str]]:
        """Return the fields for a CSR, from the most general to the most specific.

        Raises:
            CsrError: A value is invalid for its field.
        """
        return [_attribute(oid, value) for oid, value in self._values()]

    def _values(self) -> Iterator[tuple[x509.ObjectIdentifier, str]]:
        for oid, values in (
            (NameOID.COUNTRY_NAME, self.countries),
            (NameOID.ORGANIZATION_NAME, self.organizations),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.organizational_units),
            (NameOID.LOCALITY_NAME, self.localities),
            (NameOID.STATE_OR_PROVINCE_NAME, self.provinces),
            (NameOID.STREET_ADDRESS, self.street_addresses),
            (NameOID.POSTAL_CODE, self.postal_codes),
            (NameOID.SERIAL_NUMBER, (self.serial_number,) if self.serial_number else ()),
        ):
            for value in values:
                yield oid, value


def _attribute(oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    try:
        return x509.NameAttribute(oid, value)
    except ValueError as error:
        raise CsrError(f"the subject cannot have {value!r}: {error}") from None


@dataclass(frozen=True)
class CertificateContents:
    """Requested contents other than DNS names, addresses and common name.

    ACME does not validate these. Public CAs ignore subject and usages, and refuse URIs and e-mail addresses;
    `missing_in` returns what a certificate lacks.

    Attributes:
        subject: Fields of the subject.
        literal_subject: The whole subject in RFC 4514 form, instead of the common name and `subject`; or None.
        usages: Names as in Kubernetes, such as `digital signature` and `client auth`.
        uris: URIs (RFC 3986) for the subjectAltName.
        email_addresses: E-mail addresses for the subjectAltName.
    """

    subject: Subject = field(default_factory=Subject)
    literal_subject: str | None = None
    usages: Sequence[str] = ()
    uris: Sequence[str] = ()
    email_addresses: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is requested."""
        return self == CertificateContents()

    @property
    def is_for_servers(self) -> bool:
        """Whether TLS servers will use the certificate: yes, unless the usages say otherwise."""
        extended = [_EXTENDED[one] for one in self.usages if one in _EXTENDED]
        return not extended or not SERVER_USAGES.isdisjoint(extended)

    def to_json(self) -> dict[str, Any]:
        """Return the requested contents as JSON values, without empty ones."""
        values = asdict(self)
        values["subject"] = {name: value for name, value in values["subject"].items() if value}
        return {name: value for name, value in values.items() if value}

    def name(self, common_name: str | None) -> x509.Name:
        """Return the subject.

        Args:
            common_name: The CN; None for none. It replaces the CN in a literal subject.

        Raises:
            CsrError: The given values do not make a valid subject.
        """
        if self.literal_subject is None:
            last = [_attribute(NameOID.COMMON_NAME, common_name)] if common_name else []
            return x509.Name([*self.subject.attributes(), *last])
        if self.subject != Subject():
            raise CsrError("a literal subject is the whole subject: omit the other fields")
        try:
            literal = distinguished_name(self.literal_subject)
        except ValueError:
            raise CsrError(f"{self.literal_subject!r} is not a distinguished name in RFC 4514 form") from None
        return x509.Name(
            x509.RelativeDistinguishedName(
                _attribute(NameOID.COMMON_NAME, common_name) if common_name and one.oid == NameOID.COMMON_NAME else one
                for one in part
            )
            for part in literal.rdns
        )

    def other_names(self) -> list[x509.GeneralName]:
        """Return URIs and e-mail addresses for the subjectAltName, without duplicates.

        Raises:
            CsrError: One is not ASCII.
        """
        found: list[x509.GeneralName] = []
        try:
            found += [x509.UniformResourceIdentifier(one) for one in dict.fromkeys(self.uris)]
            found += [x509.RFC822Name(one) for one in dict.fromkeys(self.email_addresses)]
        except ValueError as error:
            raise CsrError(f"a URI or an e-mail address cannot be in a certificate: {error}") from None
        return found

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        """Return the extensions for the usages, each with whether it is critical.

        Raises:
            CsrError: A usage is unknown, or cannot be combined with the others.
        """
        unknown = [one for one in self.usages if one not in _KEY_USAGES and one not in _EXTENDED]
        if unknown:
            raise CsrError(f"there is no usage {unknown[0]!r}: use {', '.join([*_KEY_USAGES, *_EXTENDED])}")
        found: list[tuple[x509.ExtensionType, bool]] = []
        if flags := {_KEY_USAGES[one] for one in self.usages if one in _KEY_USAGES}:
            found.append((_key_usage(flags), True))
        if extended := dict.fromkeys(_EXTENDED[one] for one in self.usages if one in _EXTENDED):
            found.append((x509.ExtendedKeyUsage(list(extended)), False))
        return found

    def missing_in(self, leaf: x509.Certificate) -> tuple[str, ...]:
        """Return descriptions of requested contents that the CA left out, such as `usages client auth`."""
        try:
            usages, names, subject = _usages_of(leaf), _names_of(leaf), list(leaf.subject)
        except UNREADABLE:
            return ("anything that can be read",)
        missing: list[str] = []
        if lacking := [one for one in self.usages if one not in usages]:
            missing.append(f"usages {', '.join(lacking)}")
        wanted = [one for one in self.name(None) if one.oid != NameOID.COMMON_NAME]
        if lacking := [one.rfc4514_string() for one in wanted if one not in subject]:
            missing.append(f"subject {', '.join(lacking)}")
        if lacking := [one for one in (*self.uris, *self.email_addresses) if one not in names]:
            missing.append(f"names {', '.join(lacking)}")
        return tuple(missing)


def _key_usage(flags: set[str]) -> x509.KeyUsage:
    if "key_agreement" not in flags and not flags.isdisjoint(_NEED_AGREEMENT):
        raise CsrError("encipher only and decipher only need key agreement as well (RFC 5280 section 4.2.1.3)")
    return x509.KeyUsage(**{name: name in flags for name in dict.fromkeys(_KEY_USAGES.values())})


def _usages_of(leaf: x509.Certificate) -> set[str]:
    """Return the usages of a certificate, under each of their names."""
    found: set[str] = set()
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        agrees = usage.key_agreement
        found |= {
            name
            for name, flag in _KEY_USAGES.items()
            if (agrees or flag not in _NEED_AGREEMENT) and getattr(usage, flag)
        }
    except x509.ExtensionNotFound:
        found |= set(_KEY_USAGES)  # without the extension the key is for everything
    try:
        extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        found |= {name for name, oid in _EXTENDED.items() if oid in extended}
    except x509.ExtensionNotFound:
        found |= set(_EXTENDED)
    return found


def _names_of(leaf: x509.Certificate) -> set[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *names.get_values_for_type(x509.RFC822Name),
    }
