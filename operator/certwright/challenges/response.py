"""Challenge responses (a TXT record, a file, a certificate), and how conditions, Events and logs describe them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from certwright.acme import dns01_value
from certwright.dns import TxtRecord
from certwright.names import is_address
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from certwright.reasons import Reason


class ChallengeResponse(Protocol):
    """The response to one challenge (RFC 8555 section 8): its location and its description.

    Attributes:
        challenge_type: The type of the challenge.
        waiting_reason: The condition reason while the operator waits for it to become visible.
        failure_reason: The condition reason if it did not become visible in time.
        warn_after: How long it may take before a Warning Event.
        advice: What the user can do if it is not visible.
    """

    challenge_type: ClassVar[str]
    waiting_reason: ClassVar[Reason]
    failure_reason: ClassVar[Reason]
    warn_after: ClassVar[dt.timedelta]
    advice: ClassVar[str]

    def __hash__(self) -> int:
        """Return the hash: equal responses are one."""
        ...

    @property
    def location(self) -> str:
        """Where the CA looks for it: the name of a TXT record, or the URL of a file."""
        ...

    @property
    def title(self) -> str:
        """What it is called, for messages."""
        ...

    def describe_missing(self, name: str, seen: str) -> str:
        """Say that it cannot be seen.

        Args:
            name: The identifier that it is for.
            seen: What was seen in its place.
        """
        ...


@dataclass(frozen=True, order=True)
class RecordResponse(TxtRecord):
    """The TXT record of dns-01 (RFC 8555 section 8.4)."""

    challenge_type: ClassVar[str] = "dns-01"
    waiting_reason: ClassVar[Reason] = "WaitingForDNS"
    failure_reason: ClassVar[Reason] = "RecordNotVisible"
    # The servers of a zone need a few seconds to take a record over from each other when all is well.
    warn_after: ClassVar[dt.timedelta] = dt.timedelta(seconds=10)
    advice: ClassVar[str] = "Check the zone's servers, or the solver's authoritativeNameservers and nameservers."

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same record, also as a plain `TxtRecord`, which is what a DNS provider knows."""
        if not isinstance(other, TxtRecord):
            return NotImplemented
        return (self.name, self.value) == (other.name, other.value)

    def __hash__(self) -> int:
        """Return the hash of the record."""
        return hash((self.name, self.value))

    @property
    def location(self) -> str:
        """The name of the record."""
        return self.name

    @property
    def title(self) -> str:
        """What it is called, for messages."""
        return f"the TXT record {self.name}"

    def describe_missing(self, name: str, seen: str) -> str:
        """Say that it cannot be seen, and what was seen in its place."""
        return f"{self.name} TXT {self.value} for {name} is not visible: {seen}"


class AccountRecordResponse(RecordResponse):
    """The TXT record of dns-account-01 (draft-ietf-acme-dns-account-label)."""

    challenge_type: ClassVar[str] = "dns-account-01"


def vouched(key_authorization: object, value: str) -> str | None:
    """Return a key authorization that was written down beside a value, if the value is its digest; else None.

    So whoever vouches for the value, which may be removed, vouches for it as well.
    """
    if not isinstance(key_authorization, str) or not key_authorization.isascii():
        return None
    return key_authorization if dns01_value(key_authorization) == value else None


@dataclass(frozen=True, order=True)
class FileResponse:
    """A key authorization at the place where http-01 looks for it (RFC 8555 section 8.3).

    Attributes:
        host: The DNS name, lower-case; or the IP address.
        token: Of the challenge.
        key_authorization: The file's content (RFC 8555 section 8.1); no secret.
    """

    challenge_type: ClassVar[str] = "http-01"
    waiting_reason: ClassVar[Reason] = "WaitingForHTTP"
    failure_reason: ClassVar[Reason] = "SelfCheckFailed"
    warn_after: ClassVar[dt.timedelta] = dt.timedelta(seconds=5)
    advice: ClassVar[str] = (
        "Check that the domain points to the ingress controller, on port 80. If it does so only from outside, set the "
        "solver's selfCheck to advisory or off."
    )

    host: str
    token: str
    key_authorization: str

    @property
    def path(self) -> str:
        """The path that the CA asks for."""
        return f"{WELL_KNOWN_PATH}{self.token}"

    @property
    def url(self) -> str:
        """The URL that the CA asks for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}{self.path}"

    @property
    def route_host(self) -> str | None:
        """The host that routes have; None for an address, which neither an Ingress nor an HTTPRoute takes as a host."""
        return None if is_address(self.host) else self.host

    @property
    def location(self) -> str:
        """The URL that the CA asks for."""
        return self.url

    @property
    def title(self) -> str:
        """What it is called, for messages."""
        return f"the file {self.url}"

    def describe_missing(self, name: str, seen: str) -> str:  # noqa: ARG002 - the URL has the name
        """Say that it cannot be seen, and what was seen in its place."""
        return f"{self.url} does not answer with the key authorization: {seen}"


@dataclass(frozen=True, order=True)
class TlsAlpnResponse(FileResponse):
    """What a TLS handshake with the protocol acme-tls/1 has to show (RFC 8737 section 3).

    Attributes:
        host: The DNS name or IP address, lower-case.
        token: Of the challenge.
        key_authorization: What the validation certificate is made from; no secret.
    """

    challenge_type: ClassVar[str] = "tls-alpn-01"
    waiting_reason: ClassVar[Reason] = "WaitingForTLS"
    advice: ClassVar[str] = (
        "Check that the domain points to the Gateway or load balancer, whose port 443 must pass TLS through. If it "
        "does so only from outside, set the solver's selfCheck to advisory or off."
    )

    @property
    def url(self) -> str:
        """The place that the CA connects to, as a URL."""
        return f"tls://{f'[{self.host}]' if ':' in self.host else self.host}:443"

    @property
    def title(self) -> str:
        """What it is called, for messages."""
        return f"the validation certificate of {self.host}"

    def describe_missing(self, name: str, seen: str) -> str:  # noqa: ARG002 - the host is the name
        """Say that it cannot be seen, and what was seen in its place."""
        return f"{self.host} does not present the validation certificate on port 443: {seen}"


class Sighting(Protocol):
    """What was seen of a response."""

    @property
    def complete(self) -> bool:
        """Whether the CA can be expected to see it."""
        ...

    @property
    def cause(self) -> str:
        """What keeps it from being seen, in words that are the same as long as it is the same; or an empty text."""
        ...

    @property
    def remark(self) -> str:
        """What could not be looked at from here, in words, although it is complete; or an empty text."""
        ...

    def describe(self) -> str:
        """Say for people what was seen, where."""
        ...
