"""A CA in memory that keeps limits, tells when one was exceeded, and answers badly as often as it is told to."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from multidict import CIMultiDict

from certwright.acme import (
    ConnectionFailed,
    Headers,
    Identifier,
    MalformedResponse,
    Response,
    ResponseTooLarge,
    TimedOut,
)
from certwright.acme.registered_domain import registered_domain
from testbed import exchanges
from testbed.faults import FAULTS, resource_of
from testbed.faults.fault import Exchange
from testbed.faults.forger import Forger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme import LimitProfile
    from testbed.faults.fault import Fault
    from tests.simulation.world import World

SECONDS_EACH: Final = 0.15
"""How long a request takes."""
TIMEOUT: Final = 60.0
"""After so long the client gives up on an answer that does not come."""
MAX_TRIED: Final = 6
"""Faults that are tried on an exchange until one has an effect."""
ARI: Final = "/draft-ietf-acme-ari-03/renewalInfo"
POLL_SECONDS: Final = 30 * 86_400.0
"""After which a CA wants to be asked for renewal information again. Public CAs say six hours: it would take hours."""
IDEAL_PART: Final = 2 / 3
"""Of its lifetime, after which a CA suggests to renew a certificate,"""
HALF_WINDOW: Final = dt.timedelta(days=1)
"""more or less so much: as Boulder has it."""
BACKDATED: Final = dt.timedelta(hours=1)


@dataclass
class _Order:
    url: str
    account: str
    names: tuple[str, ...]
    status: str = "pending"
    life: dt.timedelta | None = None
    replaces: str | None = None
    is_exempt: bool = False
    valid_at: float = 0.0
    chain: bytes = b""
    errors: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Issued:
    names: tuple[str, ...]
    begins: dt.datetime
    ends: dt.datetime
    called_back_at: dt.datetime | None = None


class _Bucket:
    """A limit as CAs count it, without the library's help: what was in the last period, refilled evenly."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count, self.each, self.full_at = count, seconds / count, 0.0
        self.period = seconds

    def wait(self, now: float) -> float:
        return max(0.0, max(self.full_at, now) + self.each - self.period - now)

    def spend(self, now: float) -> None:
        self.full_at = min(max(self.full_at, now) + self.each, now + self.period)


class SimulatedCa:
    """A CA, and the transport that leads to it.

    Args:
        world: Clock and chance.
        host: Its name.
        life: How long its certificates are valid.
        limits: What it allows; an order that exceeds it is refused, and told in `exceeded`.
        faults: How often an answer is a bad one.
        renewal_info: Whether it has renewal information.
        obeys_lifetimes: Whether a certificate ends when the order asks for it.

    Attributes:
        orders: How many orders were placed for each set of names.
        issued: The same for certificates.
        exceeded: Each limit that was exceeded, and when.
        called_back: When the certificate for each set of names was called back by its renewal information.
        struck: How often each fault was met.
        down: Whether nothing is answered.
        placed_at: When orders were placed, by the loop's clock.
        tried_at: When requests came to it, those included that were not answered.
    """

    def __init__(
        self,
        world: World,
        host: str,
        *,
        life: dt.timedelta,
        limits: LimitProfile,
        faults: float = 0.0,
        renewal_info: bool = False,
        obeys_lifetimes: bool = False,
    ) -> None:
        self.world, self.host, self.life, self.limits, self.faults = world, host, life, limits, faults
        self.renewal_info, self.obeys_lifetimes = renewal_info, obeys_lifetimes
        self.origin = f"https://{host}"
        self.directory_url = f"{self.origin}/dir"
        self.orders: Counter[tuple[str, ...]] = Counter()
        self.issued: Counter[tuple[str, ...]] = Counter()
        self.called_back: dict[tuple[str, ...], dt.datetime] = {}
        self.failures = 0
        self.exceeded: list[str] = []
        self.struck: Counter[str] = Counter()
        self.requests = 0
        self.placed_at: list[float] = []
        self.tried_at: list[float] = []
        self.down = False
        self.refuses_validation = 0.0
        self._buckets: dict[tuple[str, ...], _Bucket] = {}
        self._orders: dict[str, _Order] = {}
        self._authorizations: dict[str, tuple[_Order, str]] = {}
        self._valid: set[str] = set()
        self._nonces: set[str] = set()
        self._accounts: dict[str, str] = {}
        self._replaced: set[str] = set()
        self._certificates: dict[int, _Issued] = {}
        self._latest: dict[tuple[str, ...], _Issued] = {}
        self._number = 0
        self._forger = Forger()
        self._memories: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, host),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{host} Root"),
            ]
        )
        self._authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        now = self.world.true_now
        self._root = self._signed(
            self._name, self._key.public_key(), now - dt.timedelta(days=900), now + dt.timedelta(days=9000)
        )
        self._root_pem = self._root.public_bytes(Encoding.PEM)

    def transport(self, process: int) -> CaTransport:
        """Return the way to this CA for a process of the operator."""
        return CaTransport(self, process)

    def call_back(self, part: float) -> int:
        """Have the latest certificates renewed at once that are younger than this part of their lifetime, as before a
        mass revocation: their windows are moved to the past. Return how many they are.
        """
        now, number = self.world.true_now, 0
        for names, issued in self._latest.items():
            if issued.begins < now < issued.begins + (issued.ends - issued.begins) * part:
                issued.called_back_at = self.called_back[names] = now
                number += 1
        return number

    def called_back_left(self) -> list[tuple[str, ...]]:
        """Return the names of certificates that were called back and not replaced."""
        return [names for names, issued in self._latest.items() if issued.called_back_at is not None]

    def fault_for(self, path: str) -> list[Fault]:
        """Return the faults that may strike a request, in the order in which they are tried; none for a good answer."""
        resource = resource_of(path)
        if not resource or not self.world.chance(self.faults):
            return []
        return self.world.random.sample(_FITTING[resource], min(MAX_TRIED, len(_FITTING[resource])))

    def strike(self, fault: Fault, request: exchanges.Request, answer: exchanges.Response) -> Any:
        """Return what a fault makes of an exchange, or None if it makes nothing of it."""
        if answer.status >= 400 and not fault.errors:
            return None
        outcome = fault.effect(Exchange(request, answer, self._forger, self._memories[fault.name]))
        # What a fault remembers is about this order; with many at once it would be about others.
        self._memories[fault.name].clear()
        if outcome is answer or isinstance(outcome, exchanges.Forward):
            return None
        self.struck[fault.name] += 1
        return outcome

    def serve(self, request: exchanges.Request) -> exchanges.Response:
        """Answer a request as a good CA does."""
        self.requests += 1
        if request.path == "/dir":
            return self._json(self._directory())
        if request.path == "/nonce-plz":
            return self._answer(200, b"", {})
        if request.path.startswith(ARI):
            return self._renewal_info(request.path.rpartition("/")[2])
        jws = json.loads(request.body)
        protected = json.loads(_decoded(jws["protected"]))
        payload = _decoded(jws["payload"])
        if protected["nonce"] not in self._nonces:
            return self._problem(400, "badNonce", "this nonce was not given out, or used before")
        self._nonces.discard(protected["nonce"])
        account = protected.get("kid") or json.dumps(protected["jwk"], sort_keys=True)
        return self._post(request.path, account, json.loads(payload) if payload else {})

    def _post(self, path: str, account: str, body: dict[str, Any]) -> exchanges.Response:
        if path == "/sign-me-up":
            url = self._accounts.setdefault(account, f"{self.origin}/my-account/{len(self._accounts) + 1}")
            return self._json({"status": "valid"}, status=201, headers={"Location": url})
        if path.startswith("/my-account/"):
            return self._json({"status": "valid"}, headers={"Location": f"{self.origin}{path}"})
        if path == "/order-plz":
            return self._new_order(account, body)
        what, _, identity = path.lstrip("/").partition("/")
        if what == "authZ":
            return self._json(self._authorization(path))
        if what == "chalZ":
            return self._challenge(f"/authZ/{identity}")
        order = self._orders.get(identity)
        if order is None:
            return self._problem(404, "malformed", "there is no such thing")
        if what == "finalize-order":
            return self._finalize(order, body)
        if what == "certZ":
            return self._answer(200, order.chain, {"Content-Type": "application/pem-certificate-chain"})
        return self._json(self._document(order), headers=self._patience(order))

    def _new_order(self, account: str, body: dict[str, Any]) -> exchanges.Response:
        names = tuple(sorted(one["value"] for one in body["identifiers"]))
        now, replaces = self.world.loop.time(), body.get("replaces")
        if replaces in self._replaced:
            return self._problem(409, "alreadyReplaced", "this certificate was replaced already")
        exempt = replaces is not None and self.limits.renewals_exempt
        renewal = self.limits.renewals_exempt and self.issued[names] > 0
        for key, detail in () if exempt else self._applying(account, names, renewal=renewal):
            bucket = self._buckets.get(key)
            wait = bucket.wait(now) if bucket is not None else 0.0
            if wait > 0:
                self.exceeded.append(f"{self.world.true_now:%Y-%m-%d %H:%M}: {detail}")
                return self._problem(429, "rateLimited", detail, {"Retry-After": f"{wait:.0f}"})
        if not (exempt or renewal):
            self._spend(("orders", account), now)
        life = None
        if self.obeys_lifetimes and "notAfter" in body:
            life = dt.datetime.fromisoformat(body["notAfter"]) - self.world.true_now
        self._number += 1
        order = _Order(
            f"{self.origin}/my-order/{self._number}", account, names, life=life, replaces=replaces, is_exempt=exempt
        )
        self._orders[str(self._number)] = order
        self.orders[names] += 1
        self.placed_at.append(now)
        return self._json(self._document(order), status=201, headers={"Location": order.url})

    def _applying(self, account: str, names: tuple[str, ...], *, renewal: bool) -> list[tuple[tuple[str, ...], str]]:
        found = [(("set", *names), "too many certificates already issued for this exact set of identifiers")]
        found += [(("failures", account, name), f"too many failed authorizations for {name}") for name in names]
        if not renewal:
            found.append((("orders", account), "too many new orders from this account"))
            domains = sorted({registered_domain(Identifier.dns(name)) for name in names})
            found += [(("domain", one), f'too many certificates already issued for "{one}"') for one in domains]
        return found

    def _spend(self, key: tuple[str, ...], now: float) -> None:
        limit = {
            "orders": self.limits.orders_per_account,
            "set": self.limits.certificates_per_exact_set,
            "domain": self.limits.certificates_per_registered_domain,
            "failures": self.limits.failed_validations,
        }[key[0]]
        if limit is not None:
            self._buckets.setdefault(key, _Bucket(limit.count, limit.period.total_seconds())).spend(now)

    def _challenge(self, path: str) -> exchanges.Response:
        order, name = self._authorizations[f"{self.origin}{path}"]
        if order.status == "pending":
            if self.world.chance(self.refuses_validation):
                order.status = "invalid"
                order.errors[name] = {"type": "urn:ietf:params:acme:error:dns", "detail": f"no TXT record for {name}"}
                self.failures += 1
                self._spend(("failures", order.account, name), self.world.loop.time())
            else:
                self._valid.add(f"{order.url}/{name}")
                if all(f"{order.url}/{one}" in self._valid for one in order.names):
                    order.status = "ready"
        authorization = self._authorization(path)
        return self._json(authorization["challenges"][0], headers={"Link": f'<{self.origin}{path}>;rel="up"'})

    def _finalize(self, order: _Order, body: dict[str, Any]) -> exchanges.Response:
        if order.status in ("processing", "valid"):
            return self._problem(403, "orderNotReady", f"the order is {order.status}")
        if order.status != "ready":
            return self._problem(403, "orderNotReady", "not all authorizations are valid")
        key = x509.load_der_x509_csr(_decoded(body["csr"])).public_key()
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in order.names])
        begins = self.world.true_now.replace(microsecond=0) - BACKDATED
        ends = begins + self.life if order.life is None else begins + BACKDATED + order.life
        leaf = self._signed(x509.Name([]), key, begins, ends, names)
        issued = _Issued(order.names, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
        self._certificates[leaf.serial_number] = self._latest[order.names] = issued
        if order.replaces is not None:
            self._replaced.add(order.replaces)
        order.chain = leaf.public_bytes(Encoding.PEM) + self._root_pem
        now = self.world.loop.time()
        order.status, order.valid_at = "processing", now + self.world.random.choice((0.0, 0.0, 2.0))
        self.issued[order.names] += 1
        renewal = self.limits.renewals_exempt and self.issued[order.names] > 1
        if not order.is_exempt:
            self._spend(("set", *order.names), now)
        if not (renewal or order.is_exempt):
            for domain in {registered_domain(Identifier.dns(name)) for name in order.names}:
                self._spend(("domain", domain), now)
        return self._json(self._document(order), headers={"Location": order.url, **self._patience(order)})

    def _document(self, order: _Order) -> dict[str, Any]:
        if order.status == "processing" and self.world.loop.time() >= order.valid_at:
            order.status = "valid"
        number = order.url.rpartition("/")[2]
        document: dict[str, Any] = {
            "status": order.status,
            "expires": (self.world.true_now + dt.timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [self._authorization_url(order, name) for name in order.names],
            "finalize": f"{self.origin}/finalize-order/{number}",
        }
        if order.status == "valid":
            document["certificate"] = f"{self.origin}/certZ/{number}"
        return document

    def _patience(self, order: _Order) -> dict[str, str]:
        return {"Retry-After": "3"} if order.status == "processing" else {}

    def _authorization_url(self, order: _Order, name: str) -> str:
        url = f"{self.origin}/authZ/{order.url.rpartition('/')[2]}-{order.names.index(name)}"
        self._authorizations[url] = (order, name)
        return url

    def _authorization(self, path: str) -> dict[str, Any]:
        order, name = self._authorizations[f"{self.origin}{path}"]
        status = "valid" if f"{order.url}/{name}" in self._valid else "invalid" if name in order.errors else "pending"
        challenge: dict[str, Any] = {
            "type": "dns-01",
            "url": f"{self.origin}/chalZ/{path.rpartition('/')[2]}",
            "status": status,
            "token": f"token-{path.rpartition('/')[2]}-0123456789abcdef",
        }
        if name in order.errors:
            challenge["error"] = order.errors[name]
        return {
            "status": status,
            "expires": (self.world.true_now + dt.timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "identifier": {"type": "dns", "value": name.removeprefix("*.")},
            "challenges": [challenge],
            **({"wildcard": True} if name.startswith("*.") else {}),
        }

    def _renewal_info(self, identity: str) -> exchanges.Response:
        issued = self._certificates.get(int.from_bytes(_decoded(identity.partition(".")[2])))
        if issued is None:
            return self._problem(404, "malformed", "no such certificate")
        ideal = issued.begins + (issued.ends - issued.begins) * IDEAL_PART
        start, end = ideal - HALF_WINDOW, ideal + HALF_WINDOW
        if issued.called_back_at is not None:
            start, end = issued.called_back_at - 2 * HALF_WINDOW, issued.called_back_at - HALF_WINDOW
        window = {"start": _time(start), "end": _time(end)}
        return self._json({"suggestedWindow": window}, headers={"Retry-After": f"{POLL_SECONDS:.0f}"})

    def _directory(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "newNonce": f"{self.origin}/nonce-plz",
            "newAccount": f"{self.origin}/sign-me-up",
            "newOrder": f"{self.origin}/order-plz",
            "revokeCert": f"{self.origin}/revoke-cert",
            "keyChange": f"{self.origin}/rollover-account-key",
            "meta": {"termsOfService": f"{self.origin}/terms", "caaIdentities": [self.host]},
        }
        if self.renewal_info:
            document["renewalInfo"] = f"{self.origin}{ARI}"
        return document

    def _signed(
        self,
        subject: x509.Name,
        key: Any,
        begins: dt.datetime,
        ends: dt.datetime,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(self._authority_id, critical=False)
        )
        if names is None:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        else:
            builder = builder.add_extension(names, critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _json(
        self, document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> exchanges.Response:
        return self._answer(
            status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def _problem(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> exchanges.Response:
        document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
        fields = {"Content-Type": "application/problem+json", **(headers or {})}
        return self._answer(status, json.dumps(document).encode(), fields)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> exchanges.Response:
        self._nonce_number = getattr(self, "_nonce_number", 0) + 1
        nonce = f"nonce-{self._nonce_number}"
        self._nonces.add(nonce)
        return exchanges.Response(status, CIMultiDict({"Replay-Nonce": nonce, **headers}), body)


class CaTransport:
    """The way of one process to a CA: a connection that may break, and answers that may be bad."""

    def __init__(self, ca: SimulatedCa, process: int) -> None:
        self._ca, self._process = ca, process

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        ca, world = self._ca, self._ca.world
        world.live_or_die(self._process)
        await asyncio.sleep(SECONDS_EACH)
        place = urlsplit(url)
        ca.tried_at.append(world.loop.time())
        if ca.down or place.netloc != ca.host:
            raise ConnectionFailed(f"cannot connect to {place.netloc}", host=place.netloc, request_sent=False)
        request = exchanges.Request(
            method, place.path, place.query, CIMultiDict({**headers, "Host": ca.host}), content or b""
        )
        nothing, answer = exchanges.Response(200, CIMultiDict(), b""), None
        for fault in (faults := ca.fault_for(request.path)):
            if answer is None and fault.in_place:
                answer = ca.strike(fault, request, nothing)
                break
            if not fault.in_place:
                break
        if answer is None:
            answer = good = ca.serve(request)
            world.live_or_die(self._process)
            for fault in faults:
                if answer is good and not fault.in_place:
                    answer = ca.strike(fault, request, good) or good
        return await _received(answer, url, max_bytes, ca.host)

    async def aclose(self) -> None:
        """Close nothing."""


async def _received(answer: Any, url: str, max_bytes: int, host: str) -> Response:
    """Return an answer as the transport would, or raise what it would."""
    match answer:
        case exchanges.Drop() | exchanges.Raw():
            raise ConnectionFailed("the connection was reset", host=host, request_sent=True)
        case exchanges.Hang():
            await asyncio.sleep(TIMEOUT)
            raise TimedOut("no answer in time", host=host)
        case exchanges.Stream():
            body, limit = b"", max_bytes if answer.length is None else min(max_bytes, answer.length)
            if answer.length is not None and answer.length > max_bytes:
                raise ResponseTooLarge("the answer is too large", host=host)
            for piece in answer.pieces():
                body += piece
                if answer.pause or len(body) > limit:
                    break
            if answer.pause or answer.ending == "hang":
                await asyncio.sleep(TIMEOUT)
                raise TimedOut("the answer did not come to an end in time", host=host)
            if len(body) > limit:
                raise ResponseTooLarge("the answer is too large", host=host)
            if answer.ending == "reset" or (answer.length is not None and len(body) < answer.length):
                raise ConnectionFailed("reset in the middle of the answer", host=host, request_sent=True)
            answer = exchanges.Response(answer.status, CIMultiDict(answer.headers), body)
        case exchanges.Respond():
            answer = exchanges.Response(answer.status, CIMultiDict(answer.headers), answer.body)
        case _:
            pass
    if len(answer.body) > max_bytes:
        raise ResponseTooLarge("the answer is too large", host=host)
    if "Content-Encoding" in answer.headers:
        raise MalformedResponse("the answer is compressed", url=url, status=answer.status)
    return Response(answer.status, Headers(list(answer.headers.items())), answer.body, url)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _time(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fitting() -> dict[str, list[Fault]]:
    found: dict[str, list[Fault]] = defaultdict(list)
    for fault in FAULTS.values():
        for resource in fault.resources or (
            "newOrder",
            "order",
            "authorization",
            "challenge",
            "finalize",
            "certificate",
            "renewalInfo",
        ):
            found[resource].append(fault)
    return found


_FITTING: Final = _fitting()
