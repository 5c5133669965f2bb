"""An ACME server in memory that holds clients to the rules."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import josepy

from certwright.acme import (
    ConnectionFailed,
    Headers,
    Response,
    base64url,
)

ORIGIN = "https://ca.test:14000"
DIRECTORY_URL = f"{ORIGIN}/dir"
CHAIN = (
    "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
    "-----BEGIN CERTIFICATE-----\nAwQF\n-----END CERTIFICATE-----\n"
)

Reply: TypeAlias = Response | Exception | Callable[["Request"], Response]


@dataclass(frozen=True)
class Request:
    """One request as it arrived; for a POST its JWS is taken apart."""

    method: str
    url: str
    headers: Mapping[str, str]
    max_bytes: int
    protected: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    @property
    def path(self) -> str:
        return self.url.removeprefix(ORIGIN)

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class FakeCa:
    """A transport that is the server as well.

    Every POST must be signed correctly, for its own URL, with a nonce that was given out and not used, by the public
    key for newAccount and by an account otherwise; what breaks a rule fails the test at once.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.reject_nonces = 0
        self.give_nonces = True
        self.order_states: deque[str] = deque()
        self.meta: dict[str, Any] = {"termsOfService": "https://ca.test/terms", "caaIdentities": ["ca.test"]}
        self.extra: dict[str, str] = {}
        self.keys: dict[str, Mapping[str, str]] = {}
        self.identifiers: list[dict[str, str]] = []
        self.finalized = False
        self.closed = False
        self._issued = 0
        self._outstanding: set[str] = set()

    def reply(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for the path with these, instead of what the server would say."""
        self.replies[path].extend(replies)

    def paths(self) -> list[str]:
        """The paths that were asked, in order."""
        return [request.path for request in self.requests]

    async def aclose(self) -> None:
        self.closed = True

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        request = Request(method, url, headers, max_bytes)
        if method == "POST":
            assert content is not None
            request = self._opened(request, content)
        self.requests.append(request)
        if self.replies[request.path]:
            reply = self.replies[request.path].popleft()
            if isinstance(reply, Exception):
                if isinstance(reply, ConnectionFailed) and not reply.request_sent and request.protected:
                    self._outstanding.add(request.protected["nonce"])  # nothing was received
                raise reply
            return replace(reply(request) if callable(reply) else reply, url=url)
        if method == "POST" and self.reject_nonces > 0:
            self.reject_nonces -= 1
            return self.problem("badNonce", "try again", request)
        return self._serve(request)

    def _opened(self, request: Request, content: bytes) -> Request:
        jws = json.loads(content)
        assert set(jws) == {"protected", "payload", "signature"}
        assert request.headers["Content-Type"] == "application/jose+json"
        protected = json.loads(base64url.decode(jws["protected"]))
        assert protected["url"] == request.url
        assert protected["nonce"] in self._outstanding, "a nonce that was never given out or used before"
        self._outstanding.remove(protected["nonce"])
        if request.path == "/new-account" or (request.path == "/revoke" and "jwk" in protected):
            assert set(protected) == {"alg", "jwk", "nonce", "url"}
            jwk = protected["jwk"]
        else:
            assert set(protected) == {"alg", "kid", "nonce", "url"}
            jwk = self.keys.get(protected["kid"])
        if jwk is not None:
            key = josepy.JWK.from_json(jwk)
            signed = f"{jws['protected']}.{jws['payload']}".encode()
            algorithm = josepy.JWASignature.from_json(protected["alg"])
            verified = algorithm.verify(key.key, signed, base64url.decode(jws["signature"]))
            assert verified or request.path.startswith("/account/")
            if not verified:
                protected = {**protected, "kid": None}
        return Request(
            request.method,
            request.url,
            request.headers,
            request.max_bytes,
            protected,
            base64url.decode(jws["payload"]),
        )

    def nonce(self) -> dict[str, str]:
        """Give out a nonce as a header."""
        if not self.give_nonces:
            return {}
        self._issued += 1
        value = f"nonce-{self._issued}"
        self._outstanding.add(value)
        return {"Replay-Nonce": value}

    def json(self, document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer with a nonce."""
        fields = {"Content-Type": "application/json; charset=utf-8", **self.nonce(), **(headers or {})}
        return Response(status, Headers(fields), json.dumps(document).encode())

    def problem(
        self,
        kind: str,
        detail: str,
        request: Request | None = None,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> Response:
        """A problem document with a nonce."""
        document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status, **members}
        fields = {"Content-Type": "application/problem+json", **self.nonce(), **(headers or {})}
        url = request.url if request else ORIGIN
        return Response(status, Headers(fields), json.dumps(document).encode(), url)

    def directory(self) -> dict[str, Any]:
        """The directory, with a member no client knows."""
        return {
            "newNonce": f"{ORIGIN}/new-nonce",
            "newAccount": f"{ORIGIN}/new-account",
            "newOrder": f"{ORIGIN}/new-order",
            "revokeCert": f"{ORIGIN}/revoke",
            "keyChange": f"{ORIGIN}/key-change",
            "meta": self.meta,
            **self.extra,
            "x7Qz": "https://community.test/about-unknown-members",
        }

    def order(self, status: str, **members: Any) -> dict[str, Any]:
        """The order in a state."""
        document: dict[str, Any] = {
            "status": status,
            "identifiers": self.identifiers,
            "authorizations": [f"{ORIGIN}/authz/{index}" for index in range(len(self.identifiers))],
            "finalize": f"{ORIGIN}/finalize",
            "expires": "2030-01-02T03:04:05.123456789Z",
            **members,
        }
        if status == "valid":
            document["certificate"] = f"{ORIGIN}/cert"
        return document

    def authorization(self, index: int, *, status: str = "pending", error: Any = None) -> dict[str, Any]:
        """The authorization for one of the order's identifiers."""
        identifier = self.identifiers[index]
        challenge = {
            "type": "dns-01",
            "url": f"{ORIGIN}/chall/{index}",
            "status": status,
            "token": f"token-{index}",
        }
        if error is not None:
            challenge["error"] = error
        value = identifier["value"]
        return {
            "status": status,
            "identifier": {"type": identifier["type"], "value": value.removeprefix("*.")},
            "challenges": [{"type": "new-99", "url": f"{ORIGIN}/x", "status": "pending"}, challenge],
            **({"wildcard": True} if value.startswith("*.") else {}),
        }

    def _serve(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        return replace(self._handle(parts, request), url=request.url)

    def _handle(self, parts: list[str], request: Request) -> Response:
        match parts:
            case ["dir"]:
                assert request.method == "GET"
                return self.json(self.directory())
            case ["new-nonce"]:
                assert request.method in ("HEAD", "GET")
                return Response(200 if request.method == "HEAD" else 204, Headers(self.nonce()))
            case ["new-account"]:
                return self._new_account(request)
            case ["account", _]:
                return self._account(request)
            case ["new-order"]:
                self.identifiers = request.json["identifiers"]
                return self.json(self.order("pending"), status=201, headers={"Location": f"{ORIGIN}/order/1"})
            case ["order", "1"]:
                assert request.payload == b""
                state = self.order_states.popleft() if self.order_states else "pending"
                return self.json(self.order(state))
            case ["authz", index]:
                assert request.payload == b""
                return self.json(self.authorization(int(index)))
            case ["chall", index]:
                assert request.payload in (b"", b"{}")
                return self.json(self.authorization(int(index))["challenges"][1])
            case ["finalize"]:
                assert set(request.json) == {"csr"}
                return self.json(self.order("processing"), headers={"Retry-After": "2"})
            case ["key-change"]:
                return self._key_change(request)
            case ["revoke"]:
                assert set(request.json) <= {"certificate", "reason"}
                return Response(200, Headers(self.nonce()))
            case ["cert"]:
                assert request.payload == b""
                assert request.headers["Accept"] == "application/pem-certificate-chain"
                fields = {"Content-Type": "application/pem-certificate-chain", **self.nonce()}
                return Response(200, Headers(fields), CHAIN.encode())
        raise AssertionError(f"no such resource: {request.path}")

    def _account(self, request: Request) -> Response:
        if request.protected["kid"] not in self.keys:
            return self.problem("unauthorized", "not the key of this account", request, status=403)
        document = {"status": "valid", "orders": f"{ORIGIN}/orders/1"}
        return self.json({**document, **(request.json if request.payload else {})})

    def _key_change(self, request: Request) -> Response:
        inner = josepy.JWS.from_json(request.json)
        new_key = inner.signature.combined.jwk
        assert inner.verify(new_key)
        head = json.loads(base64url.decode(request.json["protected"]))
        assert set(head) == {"alg", "jwk", "url"}
        assert head["url"] == request.url
        kid = request.protected["kid"]
        assert json.loads(inner.payload) == {"account": kid, "oldKey": dict(self.keys[kid])}
        self.keys[kid] = head["jwk"]
        return Response(200, Headers(self.nonce()))

    def _new_account(self, request: Request) -> Response:
        jwk = request.protected["jwk"]
        url = f"{ORIGIN}/account/1"
        exists = self.keys.get(url) == jwk
        if request.json.get("onlyReturnExisting") and not exists:
            return self.problem("accountDoesNotExist", "no account for this key", request)
        self.keys[url] = jwk
        document = {"status": "valid", "contact": request.json.get("contact", []), "orders": f"{ORIGIN}/orders/1"}
        return self.json(document, status=200 if exists else 201, headers={"Location": url})
