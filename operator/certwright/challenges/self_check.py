"""Request http-01 responses as the CA will, before the CA counts a failure."""

from __future__ import annotations

import asyncio
import enum
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from certwright.acme import AcmeError, HttpxTransport, UnsupportedChallenge, UntrustedServer
from certwright.challenges.errors import NotVisible
from certwright.dns import DnsView, TxtRecord
from certwright.http.url import MAX_SHOWN_HOST
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Transport
    from certwright.challenges.proof import Proof
    from certwright.challenges.solver import Solver

CHECK_SECONDS: Final = 30.0
"""The default time, in seconds, within which a response must be visible."""
MAX_REDIRECTS: Final = 10
"""The number of redirects that Boulder follows."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443

_PAUSE: Final = 1.0
_MAX_ANSWER: Final = 4096
_WHITE_SPACE: Final = 16
"""How many bytes of white space may follow a key authorization (RFC 8555 section 8.3)."""
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", re.ASCII)
_HOST: Final = re.compile(r"[a-z0-9._-]+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True)
class CheckPolicy:
    """What a check may do.

    Attributes:
        port: The port of the first request, which redirects may also lead to: 80, except for test CAs.
        follow_addresses: Whether to follow redirects to IP addresses. Boulder does not, and in a cluster, the author of
            a Certificate must not choose where requests go.
        seconds: The time limit for all requests of one check; None for no limit.
    """

    port: int = HTTP_PORT
    follow_addresses: bool = True
    seconds: float | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        status: The HTTP status.
        location: The header field of a redirect, or None.
        media_type: The content type, lower-case and without parameters, or an empty text.
        body: The beginning of the content; not needed for a redirect.
    """

    status: int
    location: str | None = None
    media_type: str = ""
    body: bytes = b""

    @property
    def redirects(self) -> bool:
        """Whether it is a redirect."""
        return self.status in REDIRECTS and self.location is not None


@dataclass(frozen=True)
class NoAnswer:
    """A request without an answer.

    Attributes:
        reason: Why, in words.
        untrusted: Whether the reason is that the server's certificate did not verify.
    """

    reason: str
    untrusted: bool = False


class Fetch(Protocol):
    """Sends one GET request."""

    async def __call__(self, url: str, *, enough: int) -> Answer | NoAnswer:
        """Return the answer, without following redirects, or the reason why there is none.

        Args:
            url: The URL to request.
            enough: How many bytes of the content to read.

        Raises:
            TimeoutError: There was no answer in time.
            ValueError: The URL cannot be requested.
        """
        ...


class Found(enum.Enum):
    """The outcome of a check."""

    RIGHT = enum.auto()
    UNVERIFIED = enum.auto()
    """CAs accept any certificate here, as it may be the one to be replaced. Nothing more can be checked."""
    WRONG_STATUS = enum.auto()
    WRONG_CONTENT = enum.auto()
    NO_ANSWER = enum.auto()
    TIMED_OUT = enum.auto()
    NO_URL = enum.auto()
    OTHER_SCHEME = enum.auto()
    OTHER_PORT = enum.auto()
    ADDRESS = enum.auto()
    TOO_MANY_REDIRECTS = enum.auto()


@dataclass(frozen=True)
class Finding:
    """What was found at a URL.

    Attributes:
        found: The outcome.
        host: The host of the last request.
        via: The targets of redirects, in order, as text.
        status: The HTTP status of the last answer, or None.
        detail: For `NO_ANSWER` the reason, for `WRONG_CONTENT` the media type or nothing, for a redirect that no CA
            follows its target.
    """

    found: Found
    host: str
    via: tuple[str, ...] = ()
    status: int | None = None
    detail: str = ""

    @property
    def complete(self) -> bool:
        """Whether the CA can be expected to accept the response."""
        return self.found in {Found.RIGHT, Found.UNVERIFIED}

    @property
    def status_line(self) -> str:
        """The status in words."""
        try:
            return f"HTTP {self.status} {HTTPStatus(self.status or 0).phrase}"
        except ValueError:
            return f"HTTP {self.status}"


async def look(url: str, content: str, fetch: Fetch, policy: CheckPolicy) -> Finding:
    """Request a file once, as a CA does, following the redirects that CAs follow. Never raises an error.

    Args:
        url: The URL of the file.
        content: The expected content.
        fetch: Sends the requests.
        policy: Which redirects may be followed.
    """
    goal = urlsplit(url)
    if policy.port != HTTP_PORT:
        goal = goal._replace(netloc=f"{goal.netloc}:{policy.port}")
    via: list[str] = []

    def finding(found: Found, *, status: int | None = None, detail: str = "") -> Finding:
        return Finding(found, goal.hostname or "", tuple(via), status, detail)

    try:
        async with asyncio.timeout(policy.seconds):
            for _ in range(MAX_REDIRECTS + 1):
                answer = await fetch(goal.geturl(), enough=len(content) + _WHITE_SPACE)
                if isinstance(answer, NoAnswer):
                    return finding(Found.UNVERIFIED if answer.untrusted else Found.NO_ANSWER, detail=answer.reason)
                if answer.location is None or not answer.redirects:
                    found, detail = _judge(answer, content)
                    return finding(found, status=answer.status, detail=detail)
                try:
                    following = urlsplit(urljoin(goal.geturl(), answer.location))
                except ValueError:
                    return finding(Found.NO_URL)
                if refusal := _refusal(following, policy):
                    return finding(refusal, detail=_words(following, policy))
                goal = following
                via.append(_words(goal, policy))
    except TimeoutError:
        return finding(Found.TIMED_OUT)
    except ValueError:
        return finding(Found.NO_URL)
    return finding(Found.TOO_MANY_REDIRECTS)


def is_address(host: str) -> bool:
    """Return whether a host is an IP address in any form that the C library accepts: `127.1`, `2130706433`, `0x7f.1`.

    No top-level domain is a number.
    """
    return ":" in host or _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None


def _judge(answer: Answer, content: str) -> tuple[Found, str]:
    if answer.status != HTTPStatus.OK:
        return Found.WRONG_STATUS, ""
    # RFC 8555 section 8.3 allows trailing white space.
    if answer.body.rstrip() == content.encode("ascii"):
        return Found.RIGHT, ""
    # The server chooses this text, so it is shown only if it is a media type.
    return Found.WRONG_CONTENT, answer.media_type if _MEDIA_TYPE.fullmatch(answer.media_type) else ""


def _refusal(goal: SplitResult, policy: CheckPolicy) -> Found | None:
    """Return why a redirect is not followed, or None."""
    host = goal.hostname or ""
    if goal.scheme not in {"http", "https"} or not host:
        return Found.OTHER_SCHEME
    try:
        port = goal.port
    except ValueError:
        return Found.NO_URL
    # Otherwise, percent-decoding or IDNA in an HTTP client could turn it into a different host than was checked here.
    if ":" not in host and _HOST.fullmatch(host) is None:
        return Found.NO_URL
    if port not in {None, HTTP_PORT, HTTPS_PORT, policy.port}:
        return Found.OTHER_PORT
    if is_address(host) and not policy.follow_addresses:
        return Found.ADDRESS
    return None


def _words(goal: SplitResult, policy: CheckPolicy) -> str:
    """Return a redirect's target without path and query, which may contain anything, and with a shortened host."""
    place = goal.netloc.rpartition("@")[2]
    for port in (HTTP_PORT, HTTPS_PORT, policy.port):
        place = place.removesuffix(f":{port}")
    return f"{goal.scheme}://{printable(place, MAX_SHOWN_HOST)}"


class SelfChecked:
    """A solver for http-01 that requests its responses before the CA does: Let's Encrypt allows five failures an hour.

    Redirects are followed as by CAs: to http and https on ports 80 and 443, at most ten. Do not use this if the host
    cannot reach the domains that it validates (hairpin NAT, split-horizon DNS).

    Args:
        solver: Any solver for http-01.
        transport: `HttpxTransport(allow_insecure=True, verify=False)`: CAs send requests over plain http, and accept
            any certificate if a redirect leads to https.
        port: The port to connect to, if port 80 is forwarded to another one.
        seconds: How long a response may take to become visible.
    """

    challenge_type: Final = "http-01"

    def __init__(
        self, solver: Solver, transport: Transport, *, port: int = HTTP_PORT, seconds: float = CHECK_SECONDS
    ) -> None:
        if solver.challenge_type != self.challenge_type:
            raise ValueError(f"a self-check is for http-01, not for {solver.challenge_type}")
        self._solver = solver
        self._transport = transport
        self._policy = CheckPolicy(port=port)
        self._seconds = seconds

    async def present(self, proofs: Sequence[Proof]) -> None:
        """As the solver does."""
        await self._solver.present(proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Wait as the solver does, and then until all responses are visible.

        Raises:
            NotVisible: One was not visible in time. The message says what was there instead.
        """
        await self._solver.wait(proofs)
        await asyncio.gather(*map(self._until_there, proofs))

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """As the solver does."""
        await self._solver.clean_up(proofs)

    async def _until_there(self, proof: Proof) -> None:
        loop, fetch = asyncio.get_running_loop(), _fetch_with(self._transport)
        deadline = loop.time() + self._seconds
        while not (found := await look(proof.http01_url, proof.key_authorization, fetch, self._policy)).complete:
            if loop.time() + _PAUSE > deadline:
                complaint = _complaint(found)
                raise NotVisible(f"{proof.http01_url} {complaint}. Check DNS, firewall, and which server answers there")
            await asyncio.sleep(_PAUSE)


def _fetch_with(transport: Transport) -> Fetch:
    async def fetch(url: str, *, enough: int) -> Answer | NoAnswer:
        try:
            response = await transport.request("GET", url, headers={}, max_bytes=max(enough, _MAX_ANSWER))
        except AcmeError as error:
            return NoAnswer(str(error), untrusted=isinstance(error, UntrustedServer))
        return Answer(response.status, response.headers.get("Location"), response.media_type, response.body)

    return fetch


def _complaint(finding: Finding) -> str:
    """Say what is wrong, as a predicate of the URL."""
    via = f"redirects to {finding.via[-1]}, which " if finding.via else ""
    match finding.found:
        case Found.WRONG_STATUS:
            return f"{via}answers with {finding.status_line}"
        case Found.WRONG_CONTENT:
            return f"{via}answers with other content ({finding.detail or 'of no type'}) than the key authorization"
        case Found.NO_ANSWER:
            return f"{via}gives no answer: {finding.detail}"
        case Found.TIMED_OUT:
            return f"{via}gives no answer in time"
        case Found.TOO_MANY_REDIRECTS:
            return f"redirects more than {MAX_REDIRECTS} times"
        case _:
            goal = finding.detail or "an invalid URL"
            return f"{via}redirects to {goal}, which no CA follows: only http and https on ports 80 and 443"


@dataclass(frozen=True)
class SelfTest:
    """The result of checking a challenge response once.

    Attributes:
        complete: Whether the CA can be expected to accept the response.
        place: The URL or the name of the record (after CNAMEs) that was checked.
        seen: A description of what was there.
    """

    complete: bool
    place: str
    seen: str


async def self_test(
    proof: Proof, *, view: DnsView | None = None, transport: Transport | None = None, port: int = HTTP_PORT
) -> SelfTest:
    """Check once for the response to an http-01, dns-01 or dns-account-01 challenge, as the CA will.

    This sends nothing to the CA, so it does not count as an attempt.

    Args:
        proof: The challenge; see `Proof.of`.
        view: For records: the servers to query; None for the authoritative ones.
        transport: For files; see `SelfChecked`. None to create one.
        port: For files: the port to connect to instead of port 80.

    Raises:
        UnsupportedChallenge: The challenge is of another type.
        DnsError: The zone or its servers cannot be found.
    """
    if proof.challenge.type == "http-01":
        return await _look_for_file(proof, transport, port)
    if proof.challenge.type not in {"dns-01", "dns-account-01"}:
        kind = proof.challenge.type
        raise UnsupportedChallenge(f"There is no self-test for {kind}", type=kind)
    asked = view or DnsView()
    place = await asked.follow_cname(proof.txt_name)
    (found,) = await asked.check([TxtRecord(place, proof.txt_value)])
    return SelfTest(found.complete, place, found.describe())


async def _look_for_file(proof: Proof, transport: Transport | None, port: int) -> SelfTest:
    own = None if transport is not None else HttpxTransport(allow_insecure=True, verify=False)
    try:
        fetch = _fetch_with(transport or own)  # type: ignore[arg-type]  # one of them is there
        found = await look(proof.http01_url, proof.key_authorization, fetch, CheckPolicy(port=port))
    finally:
        if own is not None:
            await own.aclose()
    return SelfTest(found.complete, proof.http01_url, "the right answer" if found.complete else _complaint(found))
