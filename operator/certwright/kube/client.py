"""Requests to the API server, JSON in and JSON out, bounded in time, size and retries."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
from kubernetes.aio.config import ConfigException

from certwright.kube.errors import (
    AnswerTooLarge,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
    Unreachable,
)
from certwright.kube.kubeconfig import NoCredentials
from certwright.kube.login import credentials_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from kubernetes.aio.client.api_client import ApiClient

    from certwright.runtime.leadership import Leadership

APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""etcd holds 1.5 MiB an object by default; managed fields and JSON add to it."""

MAX_MESSAGE_CHARACTERS: Final = 500

_ERRORS: Final[dict[int, type[KubeError]]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
}


_BROKEN: Final = (aiohttp.ClientError, OSError, ConfigException, NoCredentials)
"""How a request breaks. ConfigException: the service account's token, read again every minute, is empty just now.
NoCredentials: a kubeconfig's plug-in brings none just now."""


@dataclass(frozen=True)
class Patience:
    """How long to bear with an API server that does not answer, in seconds.

    Attributes:
        request: For one try, from connecting to the last byte.
        total: No further try is begun after this time: a request holds a worker.
        tries: How often an idempotent request is tried at most.
        first_pause: Between the first two tries; it doubles from there.
        longest_pause: Also what a longer ``Retry-After`` is cut to.
    """

    request: float = 20.0
    total: float = 30.0
    tries: int = 6
    first_pause: float = 0.2
    longest_pause: float = 5.0


class KubeClient:
    """Sends single requests through the ``kubernetes.aio`` client.

    Plain dicts go in and come out: the generated models cost memory and a second at first use.

    Args:
        api: The configured client; this object does not close it.
        on_request: Called with the method and the HTTP status ("none" without an answer) of every try.
        patience: How long to go on trying.
        leadership: Asked before every try; without it everything is sent.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        on_request: Callable[[str, str], None] | None = None,
        patience: Patience | None = None,
        leadership: Leadership | None = None,
    ) -> None:
        self._api = api
        self._leadership = leadership
        self._on_request = on_request or (lambda _method, _status: None)
        self._patience = patience or Patience()

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | list[dict[str, Any]] | None = None,
        content_type: str = JSON,
        idempotent: bool = True,
        patience: Patience | None = None,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send one request and return the decoded object.

        An idempotent request is repeated when the API server is out of reach or overloaded, so that its restart passes
        unnoticed; see `Patience` for how often and how long. Any other is repeated after a 429, which says that it was
        not looked at.

        Args:
            method: HTTP method.
            path: Path below the API server's address, already escaped.
            action: What is attempted, in words, for the error.
            query: Query parameters.
            body: The object to send; for a JSON patch its operations.
            content_type: The body's media type.
            idempotent: Whether repeating the request does no harm.
            patience: How long to go on trying, if not as long as otherwise.
            accept: The media type of the answer; always one of JSON.

        Raises:
            KubeError: Its subclass says why; `Unreachable` and `Unavailable` are worth another try later.
            NotLeading: This process may not act any more. Nothing was sent.
        """
        now = asyncio.get_running_loop().time
        patience = patience or self._patience
        deadline = now() + patience.total
        renewed = False
        left = patience.tries
        pause = patience.first_pause
        while True:
            left -= 1
            try:
                return await self._once(
                    method,
                    path,
                    action=action,
                    query=dict(query or {}),
                    body=body,
                    content_type=content_type,
                    seconds=patience.request,
                    accept=accept,
                )
            except Forbidden as error:
                credentials = credentials_of(self._api)
                if error.status != HTTPStatus.UNAUTHORIZED or credentials is None or renewed:
                    raise
                # Nothing was done. A token or a certificate has ended: others are brought, once.
                credentials.rejected()
                renewed, wait = True, 0.0
            except (Unreachable, Unavailable) as error:
                asked = error.retry_after if isinstance(error, Unavailable) else None
                wait = min(asked or pause * random.uniform(0.7, 1.3), patience.longest_pause)  # noqa: S311 - jitter, no secret
                harmless = idempotent or error.status == HTTPStatus.TOO_MANY_REQUESTS
                if not (left and harmless) or now() + wait > deadline:
                    raise
            await asyncio.sleep(wait)
            pause *= 2

    async def _once(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: dict[str, str],
        body: Mapping[str, Any] | list[dict[str, Any]] | None,
        content_type: str,
        seconds: float,
        accept: str,
    ) -> dict[str, Any]:
        if self._leadership is not None:
            self._leadership.check()
        seen = "none"
        try:
            async with asyncio.timeout(seconds):
                answer = await self._send(method, path, query, body=body, content_type=content_type, accept=accept)
                seen = str(answer.status)
                raw = await _read(answer, action)
        except TimeoutError as error:
            raise Unreachable(action, message=f"timed out after {seconds:g} s") from error
        except _BROKEN as error:
            raise Unreachable(action, message=_words(error)) from error
        finally:
            self._on_request(method, seen)
        decoded = _decode(raw, action, answer.status)
        if answer.status < HTTPStatus.BAD_REQUEST:
            return decoded
        raise _error(action, answer.status, decoded, answer.headers.get("Retry-After"))

    async def stream(
        self, path: str, *, action: str, query: Mapping[str, str], accept: str = JSON, opening: float, lasting: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """Send one GET and yield the JSON objects of its answer, one a line, as they come. Nothing is tried again.

        Close the generator (`contextlib.aclosing`) to end the request.

        Args:
            path: Path below the API server's address, already escaped.
            action: What is attempted, in words, for the error.
            query: Query parameters.
            accept: The media type of the answer; always one of JSON.
            opening: Seconds until the answer has to begin.
            lasting: Seconds after which the stream is ended: a connection may break without a word.

        Raises:
            KubeError: It was refused, or broke; `AnswerTooLarge` for a line of more than `MAX_ANSWER_BYTES`.
        """
        seen, answer = "none", None
        try:
            try:
                async with asyncio.timeout(opening):
                    answer = await self._send("GET", path, dict(query), body=None, content_type=JSON, accept=accept)
                    seen = str(answer.status)
                    refusal = b"" if answer.status < HTTPStatus.BAD_REQUEST else await _read(answer, action)
            except TimeoutError as error:
                raise Unreachable(action, message=f"timed out after {opening:g} s") from error
            finally:
                self._on_request("GET", seen)
            if answer.status >= HTTPStatus.BAD_REQUEST:
                self._reject_credentials(answer.status)
                decoded = _decode(refusal, action, answer.status)
                raise _error(action, answer.status, decoded, answer.headers.get("Retry-After"))
            ends = asyncio.get_running_loop().time() + lasting
            async for line in _lines(answer, action, ends):
                yield _decode(line, action, answer.status)
        except _BROKEN as error:
            raise Unreachable(action, message=_words(error)) from error
        finally:
            if answer is not None:
                answer.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Mapping[str, Any] | list[dict[str, Any]] | None,
        content_type: str,
        accept: str,
    ) -> aiohttp.ClientResponse:
        _, url, headers, _, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        answer = await self._api.call_api(method, url, headers, body=body)
        return cast("aiohttp.ClientResponse", answer.response)

    def _reject_credentials(self, status: int) -> None:
        """Have other credentials brought for the next request, if these were refused."""
        credentials = credentials_of(self._api)
        if status == HTTPStatus.UNAUTHORIZED and credentials is not None:
            credentials.rejected()


async def _read(response: aiohttp.ClientResponse, action: str) -> bytes:
    async with response:
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                response.close()
                raise AnswerTooLarge(action, status=response.status, message=f"more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)


async def _lines(response: aiohttp.ClientResponse, action: str, ends: float) -> AsyncGenerator[bytes]:
    """Yield the lines of an answer until it ends, or until a time of the loop's clock."""
    rest = bytearray()
    while True:
        try:
            async with asyncio.timeout_at(ends):
                chunk = await response.content.readany()
        except TimeoutError:
            return
        if not chunk:
            return
        rest += chunk
        if len(rest) > MAX_ANSWER_BYTES and b"\n" not in rest:
            raise AnswerTooLarge(action, status=response.status, message=f"more than {MAX_ANSWER_BYTES} bytes")
        *whole, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in whole:
            if line:
                yield bytes(line)


def _decode(raw: bytes, action: str, status: int) -> dict[str, Any]:
    try:
        decoded = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):  # the latter for what is nested a thousand levels deep
        decoded = None
    if isinstance(decoded, dict):
        return decoded
    if status >= HTTPStatus.BAD_REQUEST:
        return {}
    raise KubeError(action, status=status, message="the answer is not a JSON object; is this the API server?")


def _error(action: str, status: int, decoded: Mapping[str, Any], retry_after: str | None) -> KubeError:
    reason = str(decoded.get("reason") or "")
    message = str(decoded.get("message") or "")[:MAX_MESSAGE_CHARACTERS]
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return Unavailable(action, status=status, reason=reason, message=message, retry_after=seconds)
    return _ERRORS.get(status, KubeError)(action, status=status, reason=reason, message=message)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_MESSAGE_CHARACTERS]
