"""The forms of names: what a certificate is for, what Kubernetes calls things, where servers are."""

import ipaddress
from dataclasses import replace
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, JsonValue

from certwright.names import normal_address, normal_domain, normal_name
from certwright.resources.rules import ATOMIC_LIST
from certwright.resources.text_rule import Hint, TextRule
from certwright.text import PLACEHOLDER_DOMAIN

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"(?:{_LABEL}\.)*{_LABEL}"
# A name whose last label has no letter cannot be told from an IPv4 address (RFC 3696, section 2).
_NUMERIC_END = r"(?:.*\.)?[0-9]+"
# 1 to 65535.
_PORT = "(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_BRACKETED = r"\[[0-9a-fA-F:.]+\]"
_BARE_IPV6 = "[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*"
_LABEL_CHARACTERS = "1 to 63 of a-z, 0-9 and - (not first or last)"

# The same as it may be written: in capitals, in any script, with the dot that may end a name. The API server counts the
# length of a pattern as cost, so there is one label in it.
_LETTER = "[0-9A-Za-z\u00a1-\U0003fffd]"
_WRITTEN_LABEL = rf"{_LETTER}(?:{_LETTER[:-1]}-]{{0,61}}{_LETTER})?"
_WRITTEN_NAME = rf"(?:{_WRITTEN_LABEL}(?:\.|$))+"
_WRITTEN_NUMERIC_END = r"(?:.*\.)?[0-9]+\.?"

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_GROUP = "[0-9a-fA-F]{1,4}"
_IPV6 = "|".join(
    (
        rf"(?:{_GROUP}:){{7}}{_GROUP}",
        rf"(?:{_GROUP}:){{1,7}}:",
        *(rf"(?:{_GROUP}:){{1,{before}}}(?::{_GROUP}){{1,{7 - before}}}" for before in range(1, 7)),
        rf":(?::{_GROUP}){{1,7}}",
        "::",
        rf"(?:{_GROUP}:){{6}}{_IPV4}",
        rf"::(?:{_GROUP}:){{0,5}}{_IPV4}",
        rf"(?:{_GROUP}:){{1,4}}:{_IPV4}",
    )
)
_ADDRESS = f"{_IPV4}|{_IPV6}"
_LOOKS_LIKE_IPV4 = Hint("^[0-9.]+$", "is an IP address or a number: IP addresses belong into ipAddresses")
_LOOKS_LIKE_IPV6 = Hint(
    "^[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*$", "is an IP address, which belongs into ipAddresses"
)


def _normal_range(text: str) -> str:
    return ipaddress.ip_network(text, strict=False).compressed


_NO_DOMAIN = (
    Hint("^$", "is empty"),
    Hint("[:/]", "must be only the domain, without scheme, port or path"),
    Hint("[*].*[*]|.[*]|[*][^.]|[*]$", "may have a * only as the whole first label, as in *.example.com"),
    Hint("_", "has an underscore: host names cannot have one, so no CA issues a certificate for it"),
    Hint("[.][0-9]+[.]?$", "ends in a number, as only IP addresses do"),
    Hint("[^.]{64}", "has a label longer than 63 characters"),
)

_NO_WILDCARD = Hint("[*]", "must be a zone such as example.com, without *: a zone covers every name in it")

_NORMAL_DNS_NAME = TextRule(
    pattern=rf"(?:\*\.)?{_NAME}",
    unless=_NUMERIC_END,
    message=f"is not a DNS name: labels of {_LABEL_CHARACTERS}, separated by dots",
    max_length=253,
    hints=_NO_DOMAIN,
)
_NORMAL_NAME = replace(_NORMAL_DNS_NAME, also=_ADDRESS)

DNS_NAME: Final = replace(
    _NORMAL_DNS_NAME,
    pattern=rf"(?:\*\.)?{_WRITTEN_NAME}",
    unless=_WRITTEN_NUMERIC_END,
    hints=(_NO_DOMAIN[0], _LOOKS_LIKE_IPV4, _LOOKS_LIKE_IPV6, *_NO_DOMAIN[1:]),
    normal=normal_domain,
    strict=_NORMAL_DNS_NAME,
)
"""A domain as people write it; the model has it in lower case, in A-labels, without a final dot."""

COMMON_NAME: Final = replace(
    DNS_NAME,
    max_length=64,
    hints=_NO_DOMAIN,
    also=_ADDRESS,
    normal=normal_name,
    strict=replace(_NORMAL_NAME, max_length=64),
)
"""A domain or an IP address. The longest that a subject can have (RFC 5280, appendix A, ub-common-name)."""

IP_ADDRESS: Final = TextRule(
    pattern=_ADDRESS,
    message="is not an IP address, such as 192.0.2.1 or 2001:db8::1",
    max_length=45,
    hints=(
        Hint("^$", "is empty"),
        Hint("/", "must be one address: a certificate cannot be for a range"),
        Hint("[%]", "has a zone, which is of use on one host only"),
        Hint(r"^\[", "must be the address alone, without brackets and port"),
        Hint(r"^[0-9.]+:[0-9]+$", "must be the address alone, without port"),
        Hint(r"^(?:0[0-9]|.*\.0[0-9])[0-9.]*$", "has a number with a leading zero, which may mean an octal one"),
        Hint("[g-zG-Z]", "is not an IP address: domains belong into dnsNames"),
    ),
    normal=normal_address,
)

IP_RANGE: Final = TextRule(
    pattern=rf"(?:{_IPV4})(?:/(?:3[0-2]|[12]?[0-9]))?|(?:{_IPV6})(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?",
    message="is not a range of IP addresses, such as 192.0.2.0/24 or 2001:db8::/32, nor one address",
    max_length=49,
    normal=_normal_range,
)

_NORMAL_ZONE = TextRule(
    pattern=_NAME,
    unless=_NUMERIC_END,
    message=f"is not a DNS zone: labels of {_LABEL_CHARACTERS}, separated by dots",
    max_length=253,
    hints=(_NO_WILDCARD,),
)
ZONE_NAME: Final = replace(
    _NORMAL_ZONE, pattern=_WRITTEN_NAME, unless=_WRITTEN_NUMERIC_END, normal=normal_domain, strict=_NORMAL_ZONE
)

_PLACE = r"(?:[a-z0-9]|\{namespace\})"
_PART = rf"{_PLACE}(?:(?:{_PLACE}|-)*{_PLACE})?"
_WRITTEN_PLACE = rf"(?:{_LETTER}|\{{namespace\}})"
_WRITTEN_PART = rf"{_WRITTEN_PLACE}(?:(?:{_WRITTEN_PLACE}|-)*{_WRITTEN_PLACE})?"
_ONE_EXPRESSION = Hint("[{}]", "may have {namespace} as its only expression in braces")

_NORMAL_ALLOWED_NAME = TextRule(
    pattern=rf"(?:\*\.)?(?:{_PART}\.)*{_PART}",
    unless=_NUMERIC_END,
    message=f"is no DNS name: labels of {_LABEL_CHARACTERS}, or {{namespace}}, separated by dots",
    max_length=253,
    hints=(_ONE_EXPRESSION, Hint("[*]", "may have a * only as its whole first label, as in *.example.com")),
)
ALLOWED_NAME: Final = replace(
    _NORMAL_ALLOWED_NAME,
    pattern=rf"(?:\*\.)?(?:{_WRITTEN_PART}(?:\.|$))+",
    unless=_WRITTEN_NUMERIC_END,
    normal=normal_domain,
    strict=_NORMAL_ALLOWED_NAME,
)

_NORMAL_ALLOWED_ZONE = TextRule(
    pattern=rf"(?:{_PART}\.)*{_PART}",
    unless=_NUMERIC_END,
    message=f"is no DNS zone: labels of {_LABEL_CHARACTERS}, or {{namespace}}, separated by dots",
    max_length=253,
    hints=(_ONE_EXPRESSION, _NO_WILDCARD),
)
ALLOWED_ZONE: Final = replace(
    _NORMAL_ALLOWED_ZONE,
    pattern=rf"(?:{_WRITTEN_PART}(?:\.|$))+",
    unless=_WRITTEN_NUMERIC_END,
    normal=normal_domain,
    strict=_NORMAL_ALLOWED_ZONE,
)

OBJECT_NAME: Final = TextRule(
    # An RFC 1123 subdomain as Kubernetes means it: numbers everywhere are fine.
    pattern=_NAME,
    message=f"is not the name of a Kubernetes object: labels of {_LABEL_CHARACTERS}, separated by dots",
    max_length=253,
    hints=(
        Hint("^$", "is empty"),
        Hint("[A-Z]", "has upper-case letters: names of Kubernetes objects are in lower case"),
        Hint("_", "has an underscore: names of Kubernetes objects cannot have one; use -"),
        Hint("/", "must be a name without a namespace: objects in other namespaces cannot be used"),
    ),
)

API_GROUP: Final = TextRule(
    pattern=_NAME,
    message=f"is not an API group such as acme.example.com: labels of {_LABEL_CHARACTERS}, separated by dots",
    max_length=253,
    hints=(
        Hint("^$", "is empty"),
        Hint("/", "must be the group alone, without a version or a solver"),
    ),
)

SOLVER_NAME: Final = TextRule(
    # Also a segment of a path, where "." and ".." mean something else.
    pattern="[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?",
    message="is not the name of a solver: 1 to 63 of A-Z, a-z, 0-9, -, . and _, with a letter or digit at both ends",
    max_length=63,
)

SECRET_KEY: Final = TextRule(
    pattern="[-._a-zA-Z0-9]+",
    message="is not a key of a Secret: 1 to 253 of A-Z, a-z, 0-9, -, . and _",
    max_length=253,
)

ENDPOINT: Final = TextRule(
    pattern=rf"(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_.])?|{_BRACKETED}){_PORT}|{_BARE_IPV6}",
    message="is not a server: write host, host:port, or [address]:port for an IPv6 address",
    max_length=260,
    hints=(
        Hint("^$", "is empty"),
        Hint("://", "must be host or host:port, without a scheme"),
    ),
)

TSIG_KEY_NAME: Final = TextRule(
    pattern=r"[a-zA-Z0-9_-]{1,63}(?:\.[a-zA-Z0-9_-]{1,63})*\.?",
    message="is not the name of a TSIG key: labels of A-Z, a-z, 0-9, - and _, separated by dots",
    max_length=254,
)

RESOLVER: Final = TextRule(
    pattern=rf"{ENDPOINT.pattern}|https://(?:[a-zA-Z0-9.-]+|{_BRACKETED}){_PORT}(?:/[!-~]*)?",
    message="is not a DNS server: write host, host:port, [address]:port, or an https:// URL for DNS over HTTPS",
    max_length=512,
    hints=(
        Hint("^$", "is empty"),
        Hint("^https://[^/]*@", "must not contain a user name or password"),
        Hint("^[a-z]+://", "must be host or host:port, or start with https:// for DNS over HTTPS"),
        *(hint for hint in ENDPOINT.hints if hint.pattern not in {"^$", "://"}),
    ),
)

HTTPS_URL: Final = TextRule(
    pattern=rf"https://(?:[a-zA-Z0-9.-]+|{_BRACKETED}){_PORT}(?:/[!-~]*)?",
    message="is not an https:// URL, such as https://acme-staging-v02.api.letsencrypt.org/directory",
    max_length=2048,
    hints=(
        Hint("^http://", "must start with https://: ACME requires HTTPS (RFC 8555, section 6.1)"),
        Hint("^https://[^/]*@", "must not contain a user name or password"),
    ),
)

API_URL: Final = TextRule(
    # A path is added to it, so nothing may come after its own.
    pattern=rf"https://(?:[a-zA-Z0-9.-]+|{_BRACKETED}){_PORT}(?:/[a-zA-Z0-9._~/-]*)?",
    message="is not an https:// URL of host and path, such as https://dns.example.net:8443/acme",
    max_length=512,
    hints=(
        Hint(
            "^http://",
            "must start with https://, as credentials are sent there: put a proxy that speaks TLS in front of a server "
            "that does not, and set caBundle if its certificate is from a CA of your own",
        ),
        Hint("^https://[^/]*@", "must not contain a user name or password"),
        Hint("[?#]", "must not have a query or a fragment"),
    ),
)

SERVER_ID: Final = TextRule(
    pattern="[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?",
    message="is not the ID of a server: 1 to 63 of A-Z, a-z, 0-9, -, . and _, with a letter or digit at both ends",
    max_length=63,
)

PLUGIN_NAME: Final = TextRule(
    pattern="[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?",
    message="is not the name of a plugin: 1 to 63 of a-z, 0-9, -, . and _, with a letter or digit at both ends",
    max_length=63,
)

PROXY_URL: Final = TextRule(
    pattern=rf"https?://(?:[a-zA-Z0-9.-]+|{_BRACKETED}){_PORT}/?",
    message="is not the URL of a proxy, such as http://proxy.example.net:3128",
    max_length=300,
    hints=(
        Hint("@", "must not contain a user name or password: name a Secret in credentialsSecretRef"),
        Hint("^socks", "is a SOCKS proxy: only HTTP proxies are supported"),
        Hint("^[^:/]+(?::[0-9]+)?$", "has no scheme: write http:// or https:// in front"),
    ),
)

EMAIL: Final = TextRule(
    # RFC 8555, section 7.3: one address, no header fields; the CA checks the rest.
    pattern="[!-+.-9;->A-~-]+@[a-zA-Z0-9.-]+",
    unless=f".*{PLACEHOLDER_DOMAIN}",
    message="is not an e-mail address, such as name@domain",
    max_length=320,
    hints=(
        Hint(f"{PLACEHOLDER_DOMAIN}$", "is a placeholder: write your own address, or leave email out"),
        Hint("^mailto:", "must be the address alone, without mailto:"),
        Hint("[,; ]", "must be one address"),
    ),
)

BASE64_PEM: Final = TextRule(
    pattern=r"[A-Za-z0-9+/\r\n]+={0,2}[\r\n]*",
    message="is not base64: write the PEM file in base64, as `base64 < ca.pem` prints it",
    max_length=262_144,
    hints=(
        Hint("^$", "is empty"),
        Hint("-----BEGIN", "is PEM that is not encoded: write it in base64, as `base64 < ca.pem` prints it"),
    ),
)

SMALL_BUNDLE: Final = replace(BASE64_PEM, max_length=16_384)
"""One of several in a list: the API server counts the longest of each against what a CRD may cost."""

DnsName = Annotated[str, DNS_NAME]
CommonName = Annotated[str, COMMON_NAME]
IpAddress = Annotated[str, IP_ADDRESS]
IpRange = Annotated[str, IP_RANGE]
ZoneName = Annotated[str, ZONE_NAME]
AllowedName = Annotated[str, ALLOWED_NAME]
AllowedZone = Annotated[str, ALLOWED_ZONE]
ObjectName = Annotated[str, OBJECT_NAME]
ApiGroup = Annotated[str, API_GROUP]
SolverName = Annotated[str, SOLVER_NAME]
SecretKey = Annotated[str, SECRET_KEY]
Endpoint = Annotated[str, ENDPOINT]
Resolver = Annotated[str, RESOLVER]
TsigKeyName = Annotated[str, TSIG_KEY_NAME]
HttpsUrl = Annotated[str, HTTPS_URL]
ApiUrl = Annotated[str, API_URL]
ServerId = Annotated[str, SERVER_ID]
PluginName = Annotated[str, PLUGIN_NAME]
ProxyUrl = Annotated[str, PROXY_URL]
Email = Annotated[str, EMAIL]
Base64Pem = Annotated[str, BASE64_PEM]
SmallBundle = Annotated[str, SMALL_BUNDLE]

_Item = TypeVar("_Item", bound=str)


def _refuse_duplicates(items: tuple[_Item, ...] | None) -> tuple[_Item, ...] | None:
    if items is None:
        return None
    folded = [item.lower() for item in items]
    if len(set(folded)) < len(folded):
        twice = next(item for item, text in zip(items, folded, strict=True) if folded.count(text) > 1)
        raise ValueError(f"has {twice!r} more than once")
    return items


def _unique_list(twice: str) -> dict[str, JsonValue]:
    return {
        **ATOMIC_LIST,
        "x-kubernetes-validations": [
            {
                "rule": f"!self.exists(one, {twice})",
                "message": "has an entry more than once",
                "messageExpression": f"'has ' + self.filter(one, {twice})[0] + ' more than once'",
            }
        ],
    }


# Of what CEL has for this, `exists_one` is estimated lowest: about 106 for each pair of names.
UNIQUE_LIST: Final = _unique_list("!self.exists_one(other, one == other)")
"""A list that one writer owns as a whole, of names that are in lower case; the API server refuses duplicates."""
UNIQUE_ENDPOINTS: Final = _unique_list("!self.exists_one(other, one.lowerAscii() == other.lowerAscii())")
"""The same for texts in which case means nothing. It costs the API server more: for short lists."""
Unique = AfterValidator(_refuse_duplicates)
"""Python's side of both."""


def _each_once(items: tuple[_Item, ...] | None) -> tuple[_Item, ...] | None:
    return None if items is None else tuple(dict.fromkeys(items))


Distinct = AfterValidator(_each_once)
"""A list in which a second spelling of the same name means nothing: the model has each once."""
