"""DNS errors. Messages name the server, zone or name, and what to do; none contains a TSIG secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.portable import PortableError

if TYPE_CHECKING:
    from collections.abc import Sequence


class DnsError(PortableError):
    """The base of every error of this package.

    Attributes:
        names: The affected record names, if only some of several are affected; otherwise empty.
        retry_after: Seconds that the server asked to wait before the next attempt, or None.
    """

    names: tuple[str, ...] = ()
    retry_after: float | None = None


class InvalidName(DnsError):
    """A text is not a domain name."""


class InvalidServer(DnsError):
    """A text is not a DNS server: not a host, `host:port` or an address."""


class InvalidTsigKey(DnsError):
    """A TSIG key cannot be used: its name, algorithm or secret is not valid. The message says which key."""


class NameserverUnreachable(DnsError):
    """A server does not answer: the connection failed, the request timed out, or its host name has no address.

    Attributes:
        server: The server, as users write it.
        reason: What happened, without the server.
        timed_out: Whether it timed out, rather than refused.
    """

    def __init__(self, server: str, reason: str, *, timed_out: bool = False) -> None:
        self.server = server
        self.reason = reason
        self.timed_out = timed_out
        super().__init__(f"the DNS server {server} cannot be reached: {reason}")


class MalformedAnswer(DnsError):
    """A server sent an invalid or oversized response.

    Attributes:
        server: The server, as users write it.
    """

    def __init__(self, server: str, what: str = "") -> None:
        self.server = server
        super().__init__(f"the DNS server {server} sent an invalid DNS response{f' {what}' if what else ''}")


class ProviderUnreachable(DnsError):
    """The API of a DNS provider gave no usable answer: a broken connection, a timeout, a 429 or a 5xx.

    Attributes:
        host: Host and port of the API.
    """

    def __init__(self, message: str, *, host: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.host = host
        self.retry_after = retry_after


class ProviderRefused(DnsError):
    """A DNS provider refused a request, or the credentials lack a permission.

    Attributes:
        host: Host and port of its API, or empty.
        code: The API's error code, or empty.
        for_all: Whether it refuses every change in the zone, because a permission is missing. Then there is no point in
            trying each record.
    """

    def __init__(self, message: str, *, host: str = "", code: str = "", for_all: bool = False) -> None:
        super().__init__(message)
        self.host = host
        self.code = code
        self.for_all = for_all


class InvalidCredential(DnsError):
    """A credential of a DNS provider is missing or cannot be used. The message says which one, and where it is."""


class ResolutionFailed(DnsError):
    """None of the recursive resolvers answered."""


class CnameLoop(DnsError):
    """A chain of CNAMEs is circular or too long.

    Attributes:
        chain: The names in the order they were followed.
    """

    def __init__(self, chain: Sequence[str], *, looped: bool) -> None:
        self.chain = tuple(chain)
        self.names = self.chain[:1]
        what = "is a loop" if looped else f"is longer than {len(self.chain) - 1} steps"
        super().__init__(f"the chain of CNAME records at {self.chain[0]} {what}: {' -> '.join(self.chain)}")


class CnameNotAllowed(DnsError):
    """A CNAME points to a zone in which the solver may not write.

    Attributes:
        owner: The name that is an alias.
        target: The target of the CNAME.
        allowed: The zones that it may lead to, in addition to the validated domain.
    """

    def __init__(self, owner: str, target: str, allowed: Sequence[str]) -> None:
        self.owner = owner
        self.target = target
        self.allowed = tuple(allowed)
        self.names = (owner,)
        where = f"outside of {', '.join(self.allowed)}" if allowed else "and the solver has no allowedTargets"
        super().__init__(f"{owner} is a CNAME that points to another domain, {target}, {where}")


class ZoneNotFound(DnsError):
    """No zone contains the name, or the zone lists no name server."""


class UpdateRefused(DnsError):
    """A server did not accept an RFC 2136 update.

    Attributes:
        server: The server, as users write it.
        zone: The zone of the update.
        rcode: The response code: `REFUSED`, `NOTAUTH`, `SERVFAIL`...
    """

    def __init__(self, server: str, zone: str, rcode: str, message: str) -> None:
        self.server = server
        self.zone = zone
        self.rcode = rcode
        super().__init__(message)


class TsigRejected(DnsError):
    """A server rejected a TSIG signature, or its own does not verify.

    Attributes:
        server: The server, as users write it.
        key_name: The TSIG key.
        reason: `BADKEY`, `BADSIG`, `BADTIME`, `BADTRUNC` (RFC 8945), or `ANSWER` if the signature of the server's
            response does not verify.
    """

    def __init__(self, server: str, key_name: str, reason: str, message: str) -> None:
        self.server = server
        self.key_name = key_name
        self.reason = reason
        super().__init__(message)


class UpdatesFailed(DnsError):
    """Several zones could not be updated. Records that are not in `names` were.

    Attributes:
        errors: One error for each zone, each with its own `names`.
    """

    def __init__(self, errors: Sequence[DnsError]) -> None:
        self.errors = tuple(errors)
        self.names = tuple(sorted({name for error in errors for name in error.names}))
        self.retry_after = max((error.retry_after for error in errors if error.retry_after is not None), default=None)
        super().__init__("; ".join(str(error) for error in errors))
