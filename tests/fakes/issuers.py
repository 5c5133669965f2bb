"""One operator's issuers, between a fake API server and a fake CA that knows accounts."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import josepy

from certwright.acme import AccountKey, AcmeServer, Clock, ConnectionFailed, Headers, Response, base64url
from certwright.issuers.authorities import Authorities, Authority
from certwright.issuers.reconciler import IssuerReconciler
from certwright.issuers.registry import IssuerRegistry
from certwright.kube.errors import Conflict, NotFound
from certwright.kube.store import Store
from certwright.resources import ClusterIssuer, Issuer
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership
from certwright.runtime.result import Result
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from certwright.kube.events import Subject

Body = dict[str, Any]

ORIGIN = "https://ca.test"
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SETTLED = Result.again_in(3600)
"""A ready issuer whose Secret is looked at in an hour."""
CA = Key("Issuer", "shop", "ca")
SHARED = Key("ClusterIssuer", "", "ca")


class Ca:
    """A CA that knows accounts, over a transport; every answer brings a nonce."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.accounts: dict[str, Body] = {}
        """By the key in canonical JSON."""
        self.refusals: deque[Response | Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.held = asyncio.Event()
        self.meta: Body = {"termsOfService": f"{ORIGIN}/terms"}
        self.eab_keys: dict[str, bytes] = {}
        """If any, new accounts have to be bound by one of them."""
        self.directories = {"/directory", "/other/directory", "/slow/directory"}
        self.lost_answers: Counter[str] = Counter()
        """How many of the next requests to a path are carried out, and not answered."""
        self.after_key_change: Callable[[], None] = lambda: None
        self.instead: dict[str, Callable[[], Response]] = {}
        """What is answered to a path once the request is carried out, instead of the right answer."""
        self.unheard: dict[str, Callable[[], Response]] = {}
        """The same without carrying it out."""
        self.ignores_only_existing = False
        self.without: set[str] = set()
        """What the directory does not name."""
        self.hangs: set[str] = set()
        """Paths of which a request is neither carried out nor answered."""
        self._nonces = 0
        self._made = 0

    def asked(self, path: str) -> list[Any]:
        return [payload for asked, payload in self.requests if asked == path]

    def refuse(self, kind: str, status: int, **headers: str) -> None:
        """Refuse the next request."""
        self.refusals.append(self.problem(kind, status, **headers))

    def add_account(self, key: AccountKey, **account: Any) -> str:
        """Have an account for a key; return its URL."""
        self._made += 1
        location = f"{ORIGIN}/account/{self._made}"
        self.accounts[_canonical(key.jwk)] = {"status": "valid", "location": location, **account}
        return location

    def knows(self, key: AccountKey) -> str | None:
        """The URL of a key's account."""
        found = self.accounts.get(_canonical(key.jwk))
        return None if found is None else found["location"]

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        assert max_bytes
        assert headers
        if self.gate is not None:
            self.held.set()
            await self.gate.wait()
        path = url.removeprefix(ORIGIN)
        jws = json.loads(content) if content else {}
        payload = json.loads(base64url.decode(jws["payload"]) or b"null") if jws else None
        self.requests.append((path, payload))
        if self.refusals and method == "POST":
            refusal = self.refusals.popleft()
            if isinstance(refusal, Exception):
                raise refusal
            return refusal
        if path in self.hangs:
            await asyncio.Event().wait()
        if path in self.unheard:
            return self.unheard[path]()
        answer = self._serve(path, jws, payload)
        if path in self.instead:
            return self.instead[path]()
        if self.lost_answers[path] > 0:
            self.lost_answers[path] -= 1
            raise ConnectionFailed("The connection broke", host="ca.test", request_sent=True)
        return answer

    def _serve(self, path: str, jws: Body, payload: Any) -> Response:
        if path in self.directories:
            known = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
            names = [name for name in known if name not in self.without]
            return self.answer({**{name: f"{ORIGIN}/{name}" for name in names}, "meta": self.meta})
        if path == "/newNonce":
            return self.answer({})
        if not jws:
            return self.problem("malformed", 404)
        protected = json.loads(base64url.decode(jws["protected"]))
        if path == "/newAccount":
            return self._new_account(protected["jwk"], payload)
        found = next(((key, one) for key, one in self.accounts.items() if one["location"] == protected["kid"]), None)
        if found is None:
            return self.problem("accountDoesNotExist", 400)
        key, account = found
        if not _is_signed(jws, json.loads(key)):
            return self.problem("malformed", 400)
        if path == "/keyChange":
            return self._change_key(key, payload)
        account.update(payload or {})
        return self.answer(account)

    def _new_account(self, jwk: Body, payload: Body) -> Response:
        known = self.accounts.get(_canonical(jwk))
        if known is not None:
            return self.answer(known, 200, {"Location": known["location"]})
        if payload.get("onlyReturnExisting") and not self.ignores_only_existing:
            return self.problem("accountDoesNotExist", 400)
        if self.eab_keys:
            binding = payload.get("externalAccountBinding")
            if binding is None:
                return self.problem("externalAccountRequired", 403)
            header = json.loads(base64url.decode(binding["protected"]))
            mac = self.eab_keys.get(header["kid"])
            signed = f"{binding['protected']}.{binding['payload']}".encode()
            if mac is None or hmac.digest(mac, signed, hashlib.sha256) != base64url.decode(binding["signature"]):
                return self.problem("unauthorized", 403)
        self._made += 1
        location = f"{ORIGIN}/account/{self._made}"
        known = self.accounts[_canonical(jwk)] = {"status": "valid", "location": location, **payload}
        return self.answer(known, 201, {"Location": location})

    def _change_key(self, old: str, inner: Body) -> Response:
        header, change = (json.loads(base64url.decode(inner[part])) for part in ("protected", "payload"))
        if _canonical(change["oldKey"]) != old or not _is_signed(inner, header["jwk"]):
            return self.problem("malformed", 400)
        new = _canonical(header["jwk"])
        if new in self.accounts:
            return self.problem("malformed", 409, Location=self.accounts[new]["location"])
        self.accounts[new] = self.accounts.pop(old)
        self.after_key_change()
        return self.answer(self.accounts[new])

    def problem(self, kind: str, status: int, *, instance: str | None = None, **headers: str) -> Response:
        """A problem document."""
        document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": f"the CA says {kind}", "status": status}
        if instance is not None:
            document["instance"] = instance
        return self.answer(document, status, {"Content-Type": "application/problem+json", **headers})

    def answer(self, document: Body, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer with a nonce."""
        self._nonces += 1
        fields = {"Content-Type": "application/json", "Replay-Nonce": f"n{self._nonces}", **(headers or {})}
        return Response(status, Headers(fields), json.dumps(document).encode(), ORIGIN)

    async def aclose(self) -> None:
        pass


def _canonical(jwk: Mapping[str, str]) -> str:
    return json.dumps(dict(jwk), sort_keys=True)


def _is_signed(jws: Body, jwk: Body) -> bool:
    protected = json.loads(base64url.decode(jws["protected"]))
    signed = f"{jws['protected']}.{jws['payload']}".encode()
    key, algorithm = josepy.JWK.from_json(jwk), josepy.JWASignature.from_json(protected["alg"])
    return bool(algorithm.verify(key.key, signed, base64url.decode(jws["signature"])))


class Connections(Authorities):
    """Connections to fake CAs; closing one is remembered."""

    def __init__(self, ca: Ca, now: Callable[[], dt.datetime]) -> None:
        super().__init__(user_agent="test", on_request=lambda _record: None, leadership=Leadership.unlimited())
        self.ca = ca
        self.clock = Clock(now=now, monotonic=lambda: now().timestamp())
        self.open: dict[Authority, AcmeServer] = {}

    async def server(self, authority: Authority) -> AcmeServer:
        if authority not in self.open:
            self.open[authority] = AcmeServer(authority.server, self.ca, clock=self.clock, patience=0)
        return self.open[authority]

    async def keep_only(self, used: Iterable[Authority]) -> None:
        kept = set(used)
        self.open = {authority: server for authority, server in self.open.items() if authority in kept}


class Cluster:
    """The API server's part of what the reconciler does, in memory."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str | None, str], Body] = {}
        self.secrets: dict[tuple[str, str], Body] = {}
        self.statuses: list[Body] = []
        self.failures: deque[Exception] = deque()
        self.version = 100
        self.after_write: Callable[[], None] = lambda: None
        self.before_create: Callable[[], None] | None = None
        self.before_status: Callable[[], None] | None = None
        self.before_change: Callable[[], None] | None = None

    async def read_custom(self, plural: str, namespace: str | None, name: str) -> Body | None:
        return self.objects.get((plural, namespace, name))

    async def read_secret(self, namespace: str, name: str) -> Body | None:
        return self.secrets.get((namespace, name))

    async def create_secret(self, secret: Body) -> Body:
        place = (secret["metadata"]["namespace"], secret["metadata"]["name"])
        if self.before_create is not None:
            self.before_create()
        if place in self.secrets:
            raise Conflict("create Secret", status=409)
        created = self._stored(secret)
        self.after_write()
        return created

    async def change_secret(self, secret: Body, change: Body) -> Body:
        """A merge patch, refused if the Secret has changed."""
        metadata = secret["metadata"]
        place = (metadata["namespace"], metadata["name"])
        if self.before_change is not None:
            self.before_change()
        found = self.secrets.get(place)
        if found is None:
            raise NotFound("change Secret", status=404)
        if any(found["metadata"][name] != metadata[name] for name in ("uid", "resourceVersion")):
            raise Conflict("change Secret", status=409)
        merged = {
            **found,
            "metadata": {
                **found["metadata"],
                "annotations": {
                    name: text
                    for name, text in {
                        **found["metadata"].get("annotations", {}),
                        **change.get("metadata", {}).get("annotations", {}),
                    }.items()
                    if text is not None
                },
            },
            "data": {
                name: value
                for name, value in {**found.get("data", {}), **change.get("data", {})}.items()
                if value is not None
            },
        }
        written = self._stored(merged)
        self.after_write()
        return written

    def _stored(self, secret: Body) -> Body:
        self.version += 1
        metadata = {"uid": "u-secret", "creationTimestamp": rfc3339(NOW), **secret["metadata"]}
        stored = {**secret, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        self.secrets[metadata["namespace"], metadata["name"]] = stored
        return stored

    async def add_finalizer(self, plural: str, kind: str, metadata: Mapping[str, Any], finalizer: str) -> Body:
        assert kind
        body = self.objects[plural, metadata.get("namespace"), metadata["name"]]
        self.version += 1
        held = [*body["metadata"].get("finalizers", ()), finalizer]
        body["metadata"] |= {"finalizers": held, "resourceVersion": str(self.version)}
        return body

    async def remove_finalizer(
        self, plural: str, kind: str, metadata: Mapping[str, Any], finalizer: str, *, known: Iterable[str]
    ) -> Body | None:
        assert kind
        assert finalizer in known
        body = self.objects[plural, metadata.get("namespace"), metadata["name"]]
        self.version += 1
        left = [one for one in body["metadata"]["finalizers"] if one != finalizer]
        body["metadata"] |= {"finalizers": left, "resourceVersion": str(self.version)}
        if not left and body["metadata"].get("deletionTimestamp"):
            del self.objects[plural, metadata.get("namespace"), metadata["name"]]
        return body

    async def apply_status(self, plural: str, kind: str, metadata: Mapping[str, Any], status: Body) -> Body:
        assert kind
        if self.failures:
            raise self.failures.popleft()
        if self.before_status is not None:
            self.before_status()
        body = self.objects[plural, metadata.get("namespace"), metadata["name"]]
        assert body["metadata"]["uid"] == metadata["uid"]
        self.version += 1
        body["status"] = status
        body["metadata"]["resourceVersion"] = str(self.version)
        self.statuses.append(status)
        self.after_write()
        return body

    def put_key(self, namespace: str, key: AccountKey, name: str = "account") -> None:
        self.put_secret(namespace, name, {"tls.key": key.to_pem()})

    def put_secret(self, namespace: str, name: str, entries: Mapping[str, bytes]) -> None:
        """Write a Secret as its owner would."""
        data = {entry: base64.b64encode(content).decode() for entry, content in entries.items()}
        self._stored({"metadata": {"namespace": namespace, "name": name}, "data": data})

    def entry(self, namespace: str, name: str, entry: str) -> bytes | None:
        """One entry of a Secret."""
        content = self.secrets[namespace, name]["data"].get(entry)
        return None if content is None else base64.b64decode(content)


@dataclass
class Bench:
    """One operator's issuers, between a fake API server and a fake CA."""

    ca: Ca = field(default_factory=Ca)
    cluster: Cluster = field(default_factory=Cluster)
    now: dt.datetime = NOW
    events: list[tuple[str, str, str]] = field(default_factory=list)
    woken: list[Key] = field(default_factory=list)
    looked_again: list[Key] = field(default_factory=list)
    validating: set[Key] = field(default_factory=set)
    orphaned: dict[Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Lose all that is only in memory."""
        self.issuers: Store[Issuer] = Store()
        self.cluster_issuers: Store[ClusterIssuer] = Store()
        self.registry = IssuerRegistry()
        self.connections = Connections(self.ca, lambda: self.now)
        self.reconciler = IssuerReconciler(
            kube_api=self.cluster,  # type: ignore[arg-type]  # what it needs of it
            issuers=self.issuers,
            cluster_issuers=self.cluster_issuers,
            registry=self.registry,
            authorities=self.connections,
            recorder=self,  # type: ignore[arg-type]  # the one method it needs
            operator_namespace="tools",
            wake=self.woken.append,
            clock=lambda: self.now,
            look_again=self.looked_again.append,
            is_validating=lambda key: key in self.validating,
            orphaned=self.orphaned.get,
        )
        self.ca.requests.clear()

    def record(self, subject: Subject, kind: str, reason: str, message: str) -> None:
        assert subject.uid
        self.events.append((kind, reason, message))

    def write(self, key: Key = CA, *, uid: str = "u-1", watched: bool = True, **acme: Any) -> None:
        """Create or change the issuer as its owner would; the watch tells it unless it is late."""
        plural, namespace = ("issuers", key.namespace) if key.kind == "Issuer" else ("clusterissuers", None)
        before = self.cluster.objects.get((plural, namespace, key.name))
        same = before is not None and before["metadata"]["uid"] == uid
        self.cluster.version += 1
        spec = {
            "server": f"{ORIGIN}/directory",
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"dns01": {"rfc2136": {"nameserver": "ns1.example"}}}],
            **acme,
        }
        self.cluster.objects[plural, namespace, key.name] = {
            "metadata": {
                "namespace": namespace,
                "name": key.name,
                "uid": uid,
                "generation": before["metadata"]["generation"] + 1 if before is not None and same else 1,
                "resourceVersion": str(self.cluster.version),
                "finalizers": before["metadata"].get("finalizers", []) if before is not None and same else [],
            },
            "spec": {"acme": spec},
            "status": before.get("status", {}) if before is not None and same else {},
        }
        if watched:
            self.watch(key)

    def watch(self, key: Key = CA) -> None:
        """Let the watch tell how the issuer is now."""
        if key.kind == "Issuer":
            body = self.cluster.objects["issuers", key.namespace, key.name]
            self.issuers.put(body["metadata"], Issuer.parse(body))
        else:
            body = self.cluster.objects["clusterissuers", None, key.name]
            self.cluster_issuers.put(body["metadata"], ClusterIssuer.parse(body))

    def forge(self, status: Body) -> None:
        """Write a status as another client would; the watch tells it."""
        body = self.cluster.objects["issuers", CA.namespace, CA.name]
        self.cluster.version += 1
        body["metadata"]["resourceVersion"] = str(self.cluster.version)
        body["status"] = status
        self.watch()

    def status(self, key: Key = CA) -> Body:
        plural, namespace = ("issuers", key.namespace) if key.kind == "Issuer" else ("clusterissuers", None)
        found: Body = self.cluster.objects[plural, namespace, key.name]["status"]
        return found

    def ready(self, key: Key = CA) -> tuple[str, str]:
        [condition] = [one for one in self.status(key)["conditions"] if one["type"] == "Ready"]
        return (condition["status"], condition["reason"])
