"""Contents of a certificate other than its names: the subject's fields, the key usages."""

from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, Field

from certwright.names import distinguished_name
from certwright.resources.base import Model
from certwright.resources.names import COMMON_NAME
from certwright.resources.rules import ATOMIC_LIST
from certwright.resources.text_rule import Hint, TextRule

MAX_VALUES: Final = 8
_COMMON_NAME_OID: Final = "2.5.4.3"

_TEXT = TextRule(
    pattern=r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*",
    message="must be one line of text",
    max_length=64,
    hints=(Hint("^ *$", "is empty"),),
)
_LONG_TEXT = TextRule(_TEXT.pattern, _TEXT.message, max_length=128, hints=_TEXT.hints)
_COUNTRY = TextRule(
    pattern="[A-Z]{2}",
    message="is not the two letters of a country (ISO 3166), such as DE",
    max_length=64,
    hints=(Hint("^[a-zA-Z]{2}$", "must be in capitals, such as DE"),),
)
_POSTAL_CODE = TextRule(_TEXT.pattern, _TEXT.message, max_length=40, hints=_TEXT.hints)
# X.520's PrintableString, which RFC 5280 demands for it.
_SERIAL_NUMBER = TextRule(
    pattern=r"[A-Za-z0-9 \x27()+,./:=?-]+",  # no quote, which would end the rule
    message="may have A-Z, a-z, 0-9, space and '()+,-./:=? only",
    max_length=64,
    hints=(Hint("^$", "is empty"),),
)

_FEW: Final[dict[str, Any]] = {"max_length": MAX_VALUES, "json_schema_extra": ATOMIC_LIST}


class Subject(Model):
    """The subject of the certificate, apart from its common name. Public CAs leave it out of their certificates."""

    organizations: Annotated[tuple[Annotated[str, _TEXT], ...], Field(**_FEW)] = ()
    """Organizations (O)."""
    countries: Annotated[tuple[Annotated[str, _COUNTRY], ...], Field(**_FEW)] = ()
    """Countries (C), two letters each."""
    organizational_units: Annotated[tuple[Annotated[str, _TEXT], ...], Field(**_FEW)] = ()
    """Organizational units (OU)."""
    localities: Annotated[tuple[Annotated[str, _LONG_TEXT], ...], Field(**_FEW)] = ()
    """Localities, such as cities (L)."""
    provinces: Annotated[tuple[Annotated[str, _LONG_TEXT], ...], Field(**_FEW)] = ()
    """Provinces or states (ST)."""
    street_addresses: Annotated[tuple[Annotated[str, _LONG_TEXT], ...], Field(**_FEW)] = ()
    """Street addresses."""
    postal_codes: Annotated[tuple[Annotated[str, _POSTAL_CODE], ...], Field(**_FEW)] = ()
    """Postal codes."""
    serial_number: Annotated[str, _SERIAL_NUMBER] | None = None
    """The serial number of the subject, which is not that of the certificate."""


KeyUsage = Literal[
    "signing",
    "digital signature",
    "content commitment",
    "key encipherment",
    "key agreement",
    "data encipherment",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
    "any",
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
    "netscape sgc",
]
USAGES: Final[tuple[str, ...]] = get_args(KeyUsage)


def _in_order(usages: tuple[KeyUsage, ...]) -> tuple[KeyUsage, ...]:
    return tuple(sorted(set(usages), key=USAGES.index))


Usages = Annotated[
    tuple[KeyUsage, ...],
    Field(max_length=len(USAGES), json_schema_extra=ATOMIC_LIST),
    AfterValidator(_in_order),
]
"""Usages of the key, each once, in an order of ours: theirs means nothing."""

LITERAL_SUBJECT: Final = TextRule(
    # A loose form: what a type is called, and how values are escaped, the model checks (RFC 4514).
    pattern=r"[^\x00-\x1f\x7f]*=[^\x00-\x1f\x7f]*",
    message="is not a distinguished name as in RFC 4514, such as CN=www.example.com,O=Example,C=DE",
    max_length=1024,
    hints=(Hint("^$", "is empty"), Hint("^/", "is in OpenSSL's form: write CN=www.example.com,O=Example,C=DE")),
)

URI: Final = TextRule(
    pattern="[a-zA-Z][a-zA-Z0-9+.-]*:[!-~]+",
    message="is not a URI, such as spiffe://example.com/service",
    max_length=2048,
    hints=(Hint("^$", "is empty"), Hint("[^!-~]", "must be in ASCII, without spaces: percent-encode the rest")),
)
MAILBOX: Final = TextRule(
    # RFC 5280 section 4.2.1.6: a mailbox alone, in ASCII; dot-atoms, as a quoted one is none that anybody has.
    pattern=r"[A-Za-z0-9!#$%&*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
    message="is not an e-mail address, such as name@example.com",
    max_length=320,
    hints=(Hint("^$", "is empty"), Hint("^mailto:", "must be the address alone, without mailto:")),
)


@lru_cache(maxsize=256)
def common_name_of(literal_subject: str) -> str | None:
    """Return the CN of a distinguished name, in the form that names have, or None if it has none.

    Raises:
        ValueError: It is no distinguished name, has more than one CN, or a CN that no CA could validate.
    """
    try:
        name = distinguished_name(literal_subject)
    except ValueError:
        raise ValueError(f"literalSubject {LITERAL_SUBJECT.message}") from None
    found = [str(one.value) for one in name if one.oid.dotted_string == _COMMON_NAME_OID]
    if not found:
        return None
    if len(found) > 1:
        raise ValueError("literalSubject has more than one CN")
    try:
        return COMMON_NAME.check(found[0])
    except ValueError as error:
        raise ValueError(f"the CN of literalSubject {error}: CAs validate it like any other name") from None
