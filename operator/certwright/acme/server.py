"""One ACME server: its directory, its nonces, and the sending of signed requests."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.acme.clock import Clock
from certwright.acme.directory import Directory
from certwright.acme.errors import (
    AcmeError,
    ConnectionFailed,
    MalformedResponse,
    ServerResponseError,
    TimedOut,
    of_http,
)
from certwright.acme.fields import is_whole, malformed
from certwright.acme.key import JOSE_JSON, sign_request
from certwright.acme.nonce import DEFAULT_LIMIT, NoncePool, replay_nonce
from certwright.acme.patience import PATIENCE_SECONDS, UNREADABLE_TRIES, Patience
from certwright.acme.problem import BadNonce, BadSignatureAlgorithm, InvalidProfile, RateLimited
from certwright.acme.refusal import refusal
from certwright.acme.transport import UrlPolicy
from certwright.http import errors as http
from certwright.http.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.acme.key import AccountKey
    from certwright.http.message import Response, Transport

logger = logging.getLogger(__name__)

MAX_JSON_BYTES: Final = 256 * 1024
"""The most bytes of JSON that are read.

An order of 100 long names takes 40 KiB, and twice that again if all of them failed and the server explains each.
"""

MAX_NONCE_TRIES: Final = 16
"""How often one request is signed again with a fresh nonce.

A server that rejects half of them on purpose lets one request in 65,000 fail; one that rejects all of them is given
up on quickly.
"""

MAX_RECONNECTS: Final = 2
"""How often a request is repeated after the connection failed."""

MAX_REPEAT_SECONDS: Final = 60.0
"""Seconds after which a failed request is not repeated: a slow server must not take its time for each of 16 tries."""

DIRECTORY_MAX_AGE: Final = 3600.0
"""Seconds for which a directory is cached."""

DOUBTED_DIRECTORY_AGE: Final = 60.0
"""Seconds after which a directory is fetched again if a URL in it leads nowhere: one damaged answer must not last."""

_MISPLACED: Final = frozenset({404, 405, 410})
_NAMED_BY_DIRECTORY: Final = frozenset({"newNonce", "newAccount", "newOrder", "newAuthz", "keyChange"})

_HEAD_REFUSED: Final = frozenset({400, 403, 404, 405, 406, 501})

# For how many keys another algorithm than the default is remembered.
_MAX_ALGORITHMS: Final = 256


@dataclass(frozen=True)
class RequestRecord:
    """One HTTP exchange, for metrics.

    Attributes:
        action: The request: `directory`, `newNonce`, `newAccount`, `account`, `orders`, `keyChange`, `newOrder`,
            `order`, `newAuthz`, `authorization`, `challenge`, `finalize`, `certificate`, `revokeCert` or `renewalInfo`.
        status: The HTTP status, or None if there was no answer.
        seconds: How long it took.
    """

    action: str
    status: int | None
    seconds: float


class AcmeServer:
    """The server side of all accounts at one CA: create one for each directory URL.

    It caches the directory, collects nonces from every response, and repeats requests where that is safe. It does
    not own the transport; the caller closes it.

    Attributes:
        directory_url: The URL of the directory.
        urls: Decides which URLs may be requested.
        clock: The time.
        nonces: What is left of the nonces of earlier answers; see `take_nonce`.
    """

    def __init__(
        self,
        directory_url: str,
        transport: Transport,
        *,
        nonce_limit: int = DEFAULT_LIMIT,
        allow_insecure: bool = False,
        on_request: Callable[[RequestRecord], None] | None = None,
        accept_language: str = "en",
        clock: Clock | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Create the server; no request is sent yet.

        Args:
            directory_url: The URL of the directory, from which all others follow.
            transport: Carries the requests.
            nonce_limit: How many unused nonces are kept at most; at least one.
            allow_insecure: Accept plain http, if the directory URL uses it. For test benches.
            on_request: Called after each HTTP exchange; must not raise.
            accept_language: The preferred language of the server's explanations (RFC 8555 section 6.1).
            clock: The time.
            patience: Seconds for which a request is repeated that the server refuses for a reason that is likely to
                pass: a 5xx, or a 404 for what it has just made. 0 for a caller that comes back by itself.

        Raises:
            UnsafeUrl: The directory URL must not be requested.
        """
        self.urls = UrlPolicy(allow_http=allow_insecure and directory_url.startswith("http://"))
        self.directory_url = self.urls.check(directory_url, what="the directory URL")
        self.clock = clock or Clock()
        self._transport = transport
        self._on_request = on_request
        self._accept_language = accept_language
        self._patience = patience
        self.nonces = NoncePool(limit=nonce_limit, monotonic=self.clock.monotonic)
        self._algorithms: dict[str, str] = {}
        self._directory: Directory | None = None
        self._directory_expiry = self._directory_fetched_at = 0.0
        self._directory_fetch: asyncio.Task[Directory] | None = None
        self._nonce_fetch: asyncio.Task[None] | None = None
        self._nonce_method = "HEAD"

    def patience(self) -> Patience:
        """Return the pauses for one request from now on."""
        return Patience(self._patience, self.clock)

    async def directory(self, *, refresh: bool = False) -> Directory:
        """Return the directory, fetched at most once an hour for all callers.

        Args:
            refresh: Fetch it in any case.

        Raises:
            AcmeError: It cannot be fetched; the next call tries again.
        """
        known = self._directory
        if known is not None and not refresh and self.clock.monotonic() < self._directory_expiry:
            return known
        # One fetch for all callers: if the server is down, they all learn it after one time-out.
        if self._directory_fetch is None:
            self._directory_fetch = asyncio.create_task(self._fetch_directory())
            self._directory_fetch.add_done_callback(self._directory_fetched)
        return await asyncio.shield(self._directory_fetch)

    async def directory_with_profile(self, profile: str | None) -> Directory:
        """Return the directory, fetched again if the known one does not list a certificate profile.

        Use it before an order with a profile: a refused order counts against the limits of some CAs.

        Args:
            profile: The profile, or None: then any directory will do.

        Raises:
            InvalidProfile: The directory does not list the profile; see `InvalidProfile.offered`.
            AcmeError: The directory cannot be fetched.
        """
        directory = await self.directory()
        if profile is None or profile in directory.meta.profiles:
            return directory
        directory = await self.directory(refresh=True)
        if profile not in directory.meta.profiles:
            raise InvalidProfile.not_listed(profile, offered=directory.meta.profiles, url=directory.url)
        return directory

    async def post(
        self,
        action: str,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        key: AccountKey,
        kid: str | None,
        repeatable: bool,
        accept: str = "application/json",
        max_bytes: int = MAX_JSON_BYTES,
        fresh: bool = False,
        patient: bool = True,
    ) -> Response:
        """Send a signed request.

        If the server refuses it for a reason that is likely to pass, send it again after a while; see `patience`. If
        the nonce is rejected, sign the request again with the nonce of the rejection, which is the freshest one (RFC
        8555 section 6.5). If the algorithm is rejected, sign again once with one that the server accepts and the key
        supports (section 6.2).

        Args:
            action: The request, for messages and metrics; see `RequestRecord.action`.
            url: The URL.
            payload: The JSON object to send, or None for POST-as-GET.
            key: The account key.
            kid: The account URL, or None to send the public key along.
            repeatable: Whether the request may be sent again after the connection broke. True for reading and for
                idempotent requests. Not for newOrder, because the server may have created the first order and limits
                their number; nor for finalize, whose second time is an error. A request that certainly did not
                reach the server is repeated in any case.
            accept: The expected content type.
            max_bytes: The maximum length of the response.
            fresh: Whether the server itself has named the URL: then a 404 is likely to pass.
            patient: Whether the request may be sent again after a refusal that is likely to pass. Not for what may
                have taken effect nevertheless, because the caller has to look first.

        Returns:
            The answer, with a status of 2xx.

        Raises:
            UnsafeUrl: The URL must not be requested.
            TransportError: There was no complete answer.
            ProblemError: The server refused.
            ServerResponseError: The response is not an ACME response.
        """
        self.urls.check(url, what=f"the URL for {action}")
        patience = self.patience()
        while True:
            try:
                return await self._post(
                    action,
                    url,
                    payload,
                    key=key,
                    kid=kid,
                    repeatable=repeatable,
                    accept=accept,
                    max_bytes=max_bytes,
                    late_again=fresh and repeatable,
                )
            except ServerResponseError as error:
                pause = patience.pause_after(error, fresh=fresh) if patient else None
                if pause is None:
                    raise
            await self.pause(action, pause)

    async def pause(self, action: str, seconds: float) -> None:
        """Wait before a refused request is sent again."""
        logger.info("%s was refused; sending it again in %.1f s", action, seconds)
        await self.clock.sleep(seconds)

    async def _post(
        self,
        action: str,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        key: AccountKey,
        kid: str | None,
        repeatable: bool,
        accept: str,
        max_bytes: int,
        late_again: bool,
    ) -> Response:
        nonce: str | None = None
        rejections = failures = 0
        last_start = self.clock.monotonic() + MAX_REPEAT_SECONDS
        signer = self._signer(key)
        while True:
            nonce = nonce or await self.take_nonce()
            body = sign_request(signer, url=url, nonce=nonce, payload=payload, kid=kid)
            sent, nonce = nonce, None
            headers = {"Accept": accept, "Content-Type": JOSE_JSON}
            try:
                response = await self._exchange(action, "POST", url, headers=headers, content=body, max_bytes=max_bytes)
            except (ConnectionFailed, TimedOut) as error:
                failures += 1
                if isinstance(error, ConnectionFailed) and not error.request_sent:
                    self.nonces.put(sent)  # the server has not seen it
                final = self._is_final(error, failures, repeatable=repeatable, late_again=late_again)
                if final or self.clock.monotonic() > last_start:
                    raise
                await self._pause(failures)
                continue
            received = replay_nonce(response.headers)
            error_said = refusal(response, action=action, now=self.clock.now())
            in_time = self.clock.monotonic() <= last_start
            if isinstance(error_said, BadNonce) and rejections + 1 < MAX_NONCE_TRIES and in_time:
                rejections += 1
                nonce = received
                continue
            if isinstance(error_said, BadSignatureAlgorithm) and signer is key:
                # Once only: the answer to the second algorithm is final.
                other = key.signing_with(error_said.problem.algorithms)
                if other is not None:
                    self._keep_algorithm(key, other)
                    signer, nonce = other, received
                    continue
            self.nonces.put(received)
            if error_said is not None:
                raise error_said
            return response

    async def get(self, action: str, url: str, *, patient: bool = True) -> Response:
        """Send a GET, without a signature: for the directory, nonces and renewal information (RFC 8555 section 6.3).

        Args:
            action: The request; see `RequestRecord.action`.
            url: The URL.
            patient: Whether to send it again after a refusal that is likely to pass; see `post`.

        Raises:
            UnsafeUrl: The URL must not be requested.
            TransportError: There was no complete answer.
            ProblemError: The server refused.
            ServerResponseError: The response is not an ACME response.
        """
        return await self._get(action, self.urls.check(url, what=f"the URL for {action}"), patient=patient)

    def _doubt_directory(self, action: str, status: int | None) -> None:
        """Have the directory fetched again soon if a URL that only it names leads nowhere."""
        if action in _NAMED_BY_DIRECTORY and (status is None or status in _MISPLACED):
            soon = self._directory_fetched_at + DOUBTED_DIRECTORY_AGE
            self._directory_expiry = min(self._directory_expiry, soon)

    def _signer(self, key: AccountKey) -> AccountKey:
        algorithm = self._algorithms.get(key.thumbprint)
        return key if algorithm is None else key.signing_with([algorithm]) or key

    def _keep_algorithm(self, key: AccountKey, other: AccountKey) -> None:
        if len(self._algorithms) >= _MAX_ALGORITHMS:
            del self._algorithms[next(iter(self._algorithms))]
        self._algorithms[key.thumbprint] = other.algorithm

    async def _fetch_directory(self) -> Directory:
        self._directory = await self._read_directory()
        self._directory_fetched_at = self.clock.monotonic()
        self._directory_expiry = self._directory_fetched_at + DIRECTORY_MAX_AGE
        return self._directory

    async def _read_directory(self) -> Directory:
        """Fetch and parse the directory; one that cannot be read, which may be a gateway's page, a few times."""
        patience = self.patience()
        for _ in range(UNREADABLE_TRIES):
            response = await self._get("directory", self.directory_url)
            try:
                return Directory.parse(response, self.urls)
            except MalformedResponse:
                if is_whole(response, accept="application/json"):
                    raise
                pause = patience.next_pause(retry_after_seconds(response.headers, now=self.clock.now()))
                if pause is None:
                    raise
            await self.pause("directory", pause)
        return Directory.parse(await self._get("directory", self.directory_url), self.urls)

    def _directory_fetched(self, fetch: asyncio.Task[Directory]) -> None:
        self._directory_fetch = None
        if not fetch.cancelled():
            # Retrieve the exception, so that asyncio does not complain if all callers were cancelled.
            fetch.exception()

    async def _get(self, action: str, url: str, *, method: str = "GET", patient: bool = True) -> Response:
        patience = self.patience()
        while True:
            try:
                return await self._get_once(action, url, method=method, patient=patient)
            except ServerResponseError as error:
                # Nothing is counted against a reader: a short limit is one on requests.
                limited = isinstance(error, RateLimited)
                pause = patience.pause_after(error, fresh=limited) if patient else None
                if pause is None:
                    raise
            await self.pause(action, pause)

    def _is_final(
        self, error: ConnectionFailed | TimedOut, failures: int, *, repeatable: bool, late_again: bool
    ) -> bool:
        if isinstance(error, ConnectionFailed):
            return failures > MAX_RECONNECTS or (error.request_sent and not repeatable)
        # One answer may get lost on the way; a caller that comes back by itself holds no worker for another.
        return failures > 1 or not late_again or self._patience <= 0

    async def _get_once(self, action: str, url: str, *, method: str, patient: bool) -> Response:
        failures = 0
        last_start = self.clock.monotonic() + MAX_REPEAT_SECONDS
        while True:
            try:
                response = await self._exchange(action, method, url, headers={"Accept": "application/json"})
            except (ConnectionFailed, TimedOut) as failure:
                failures += 1
                final = self._is_final(failure, failures, repeatable=True, late_again=patient)
                if final or self.clock.monotonic() > last_start:
                    raise
                await self._pause(failures)
                continue
            error = refusal(response, action=action, now=self.clock.now())
            self.nonces.put(replay_nonce(response.headers))
            if error is not None:
                raise error
            return response

    async def take_nonce(self) -> str:
        """Return a nonce for one signed request, from an earlier answer or fetched (RFC 8555 section 7.2).

        For requests that are signed by `sign_request` and sent by other means: put the nonce of their answer, which
        `replay_nonce` reads, back with `nonces.put`.

        Raises:
            AcmeError: None can be fetched.
        """
        while True:
            nonce = self.nonces.take()
            if nonce is not None:
                return nonce
            # One request for all callers: other responses bring nonces, too, and CAs limit newNonce more than anything.
            if self._nonce_fetch is None or self._nonce_fetch.done():
                self._nonce_fetch = asyncio.create_task(self._fetch_nonce())
                self._nonce_fetch.add_done_callback(self._nonce_fetched)
            await asyncio.shield(self._nonce_fetch)

    async def _fetch_nonce(self) -> None:
        directory = await self.directory()
        # The directory's own answer may have brought one.
        if len(self.nonces) == 0:
            response = await self._ask_for_nonce(directory.new_nonce)
            if replay_nonce(response.headers) is None:
                raise malformed(response, "the answer has no valid Replay-Nonce")

    async def _ask_for_nonce(self, url: str) -> Response:
        if self._nonce_method == "HEAD":
            try:
                response = await self._get("newNonce", url, method="HEAD")
                if replay_nonce(response.headers) is not None:
                    return response
            except ServerResponseError as error:
                if isinstance(error, RateLimited) or error.status not in _HEAD_REFUSED:
                    raise
        # Some servers, and gateways in front of them, know GET only (RFC 8555 section 7.2 requires both).
        response = await self._get("newNonce", url)
        if replay_nonce(response.headers) is not None:
            self._nonce_method = "GET"
        return response

    def _nonce_fetched(self, fetch: asyncio.Task[None]) -> None:
        if self._nonce_fetch is fetch:
            self._nonce_fetch = None
        if not fetch.cancelled():
            fetch.exception()

    async def _exchange(
        self,
        action: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int = MAX_JSON_BYTES,
    ) -> Response:
        started = self.clock.monotonic()
        status: int | None = None
        try:
            response = await self._transport.request(
                method,
                url,
                headers={**headers, "Accept-Language": self._accept_language},
                content=content,
                max_bytes=max_bytes,
            )
            status = response.status
        except http.HttpError as error:
            if isinstance(error, AcmeError):
                raise
            # A transport that knows nothing of ACME raises errors of its own.
            raise of_http(error) from error
        finally:
            seconds = self.clock.monotonic() - started
            self._doubt_directory(action, status)
            logger.debug("%s: %s %s -> %s in %.3f s", action, method, url, status or "no answer", seconds)
            if self._on_request is not None:
                self._on_request(RequestRecord(action, status, seconds))
        return response

    async def _pause(self, failures: int) -> None:
        # Jitter, so that requests that failed together are not repeated together.
        await self.clock.sleep(random.uniform(0.5, 1.5) * 0.3 * 3 ** (failures - 1))  # noqa: S311 - no secret
