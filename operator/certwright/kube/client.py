"""JSON in, JSON out: one request to the API server, bounded in time, size and tries."""

from __future__ import annotations

import asyncio
import json
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubernetes.aio.client.api_client import ApiClient

APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""etcd holds 1.5 MiB an object by default; managed fields and JSON add to it."""

MAX_MESSAGE_CHARACTERS: Final = 500
REQUEST_SECONDS: Final = 20.0
TRIES: Final = 6
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0

_ERRORS: Final[dict[int, type[KubeError]]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
}


class KubeClient:
    """Sends single requests through the ``kubernetes.aio`` client.

    Plain dicts go in and come out: the generated models cost memory and a second at first use.

    Args:
        api: The configured client; this object does not close it.
        on_request: Called with the method and the HTTP status ("none" without an answer) of every try.
    """

    def __init__(self, api: ApiClient, *, on_request: Callable[[str, str], None] | None = None) -> None:
        self._api = api
        self._on_request = on_request or (lambda _method, _status: None)

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        idempotent: bool = True,
    ) -> dict[str, Any]:
        """Send one request and return the decoded object.

        An idempotent request is tried up to six times over about ten seconds when the API server is out of
        reach or overloaded, so that its restart passes unnoticed.

        Args:
            method: HTTP method.
            path: Path below the API server's address, already escaped.
            action: What is attempted, in words, for the error.
            query: Query parameters.
            body: The object to send.
            content_type: The body's media type.
            idempotent: Whether repeating the request does no harm.

        Raises:
            KubeError: Its subclass says why; `Unreachable` and `Unavailable` are worth another try later.
        """
        pause = FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES if idempotent else 1)):
            try:
                return await self._once(
                    method, path, action=action, query=dict(query or {}), body=body, content_type=content_type
                )
            except (Unreachable, Unavailable) as error:
                if not left:
                    raise
                asked = error.retry_after if isinstance(error, Unavailable) else None
                await asyncio.sleep(min(asked or pause * random.uniform(0.7, 1.3), LONGEST_PAUSE_SECONDS))  # noqa: S311 - jitter, no secret
                pause *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: dict[str, str],
        body: Mapping[str, Any] | None,
        content_type: str,
    ) -> dict[str, Any]:
        _, url, headers, _, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": JSON, "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._api.call_api(method, url, headers, body=body)
                raw = await _read(answer.response, action)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._on_request(method, "none")
            raise Unreachable(action, message=_words(error)) from error
        self._on_request(method, str(answer.status))
        decoded = _decode(raw, action, answer.status)
        if answer.status < HTTPStatus.BAD_REQUEST:
            return decoded
        raise _error(action, answer.status, decoded, answer.headers.get("Retry-After"))


async def _read(response: aiohttp.ClientResponse, action: str) -> bytes:
    async with response:
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                response.close()
                raise AnswerTooLarge(action, status=response.status, message=f"more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)


def _decode(raw: bytes, action: str, status: int) -> dict[str, Any]:
    try:
        decoded = json.loads(raw) if raw else {}
    except ValueError:
        decoded = None
    if isinstance(decoded, dict):
        return decoded
    if status >= HTTPStatus.BAD_REQUEST:
        return {}
    raise KubeError(action, status=status, message="the answer is no JSON object; is this the API server?")


def _error(action: str, status: int, decoded: Mapping[str, Any], retry_after: str | None) -> KubeError:
    reason = str(decoded.get("reason") or "")
    message = str(decoded.get("message") or "")[:MAX_MESSAGE_CHARACTERS]
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Unavailable(action, status=status, reason=reason, message=message, retry_after=seconds)
    return _ERRORS.get(status, KubeError)(action, status=status, reason=reason, message=message)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {REQUEST_SECONDS:g} s"
    return f"{type(error).__name__}: {error}"[:MAX_MESSAGE_CHARACTERS]
