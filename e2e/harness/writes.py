"""The operator's writes: at the API server, at the CA and in the DNS, counted and held up for each namespace.

A proxy that holds the answer to a write, and lets no further request of that namespace through, leaves the world as it
is after just this write. So the operator can be killed, or stood still, after a different write of each namespace at
once. What counts as a write is not listed anywhere: a new one is found by whoever counts those of a clean run.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dns.rdatatype
import dns.update
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certwright.acme import AccountKey, AcmeError, base64url
from certwright.acme.key import jwk_thumbprint
from testbed.exchanges import Action, Forward, Hang, Hold

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.dns_front import DnsFront
    from testbed.exchanges import Request, Response
    from testbed.proxy import RecordingProxy

MADE_NAME: Final = re.compile(r"[0-9a-f]{8,}")
"""The part of a name that is a hash: it differs from run to run."""


class Write(NamedTuple):
    """One write of a namespace.

    Attributes:
        what: Method and place, such as ``PATCH certificates/web/status`` or ``POST /order-plz``; what is
            cert-manager's begins with its group.
        number: Counts those of the same kind from 1.
    """

    what: str
    number: int

    def __str__(self) -> str:
        return self.what if self.number == 1 else f"{self.what} ({self.number})"


class Writes:
    """Counts writes, and holds what the operator does in a namespace after one of them.

    Attributes:
        seen: The writes of each namespace so far, in order.
        held: After which write a namespace stands still.
        accounts: The accounts that signed the requests of each namespace.
        unfit: Secrets that were written with a key that does not fit their certificate.
    """

    def __init__(self) -> None:
        self.seen: defaultdict[str, list[Write]] = defaultdict(list)
        self.held: dict[str, Write] = {}
        self.accounts: defaultdict[str, set[str]] = defaultdict(set)
        self.unfit: list[str] = []
        self._wanted: dict[str, Write] = {}
        self._namespaces: set[str] = set()
        self._owners: dict[str, str] = {}
        self._released = threading.Event()
        self._lock = threading.RLock()

    def watch(self, *proxies: RecordingProxy, api: Collection[RecordingProxy], front: DnsFront) -> None:
        """Count what passes through proxies of a CA, of the API server, and through a name server."""
        for proxy in api:
            proxy.on_request, proxy.on_response = self._before_api, self._after_api
        for proxy in proxies:
            proxy.on_request, proxy.on_response = self._before_ca, self._after_ca
        front.before_update = lambda message: _namespace_of(message) not in self.held
        front.after_update = self._after_update

    def add(self, namespace: str) -> None:
        """Count the writes of this namespace too."""
        self._namespaces.add(namespace)

    def begin(self, wanted: dict[str, Write]) -> None:
        """Count from the beginning; hold each of these namespaces after a write."""
        with self._lock:
            self._released = threading.Event()
            self._wanted = dict(wanted)
            self.seen.clear()
            self.held.clear()
            self.accounts.clear()

    def release(self) -> dict[str, list[Write]]:
        """Let everything pass from now on, the answers that are held included; return the writes until now."""
        with self._lock:
            before = {namespace: list(writes) for namespace, writes in self.seen.items()}
            self._wanted.clear()
            self.held.clear()
            self._released.set()
        return before

    def count(self, namespace: str, what: str) -> int:
        """Return how many writes of a kind there were."""
        return sum(one.what == what for one in self.seen[namespace])

    def _after(self, namespace: str, what: str) -> threading.Event | None:
        """Count a write; return what its answer is to wait for, if anything."""
        with self._lock:
            written = Write(what, self.count(namespace, what) + 1)
            self.seen[namespace].append(written)
            if self._wanted.get(namespace) == written:
                self.held[namespace] = written
            return self._released if namespace in self.held else None

    def _before_api(self, request: Request) -> Action:
        namespace = self._place(request)
        return Hang() if namespace in self.held and request.is_write else Forward()

    def _after_api(self, request: Request, response: Response) -> Action:
        namespace = self._place(request)
        if namespace is None or not request.is_write or response.status >= 300:  # noqa: PLR2004 - not carried out
            return Forward()
        self._look_at_secret(namespace, request, response)
        return _action(self._after(namespace, _what(request, namespace)))

    def _place(self, request: Request) -> str | None:
        found = re.search(r"/namespaces/([^/]+)/(?!events)", request.path)
        return found[1] if found and found[1] in self._namespaces else None

    def _look_at_secret(self, namespace: str, request: Request, response: Response) -> None:
        if "/secrets" not in request.path or request.method == "DELETE":
            return
        body = json.loads(response.body)
        data = {entry: base64.b64decode(content) for entry, content in (body.get("data") or {}).items()}
        for entry in (one for one in data if one.startswith("tls.key")):
            try:
                self._owners[AccountKey.from_pem(data[entry]).thumbprint] = namespace
            except AcmeError:
                continue
        if "tls.crt" in data:
            key = load_pem_private_key(data["tls.key"], None).public_key()
            if key != x509.load_pem_x509_certificate(data["tls.crt"]).public_key():
                self.unfit.append(f"{namespace}/{body['metadata']['name']}")

    def _before_ca(self, request: Request) -> Action:
        return Hang() if request.method == "POST" and self._owner(request) in self.held else Forward()

    def _after_ca(self, request: Request, response: Response) -> Action:
        owner = self._owner(request) if request.method == "POST" and response.status < 300 else None  # noqa: PLR2004
        if owner is None:
            return Forward()
        protected, payload = _decoded(request)
        account = protected.get("kid") or response.headers.get("Location") or ""
        self.accounts[owner].add(account)
        self._owners[account] = owner
        if payload is None or payload.get("onlyReturnExisting"):
            return Forward()
        return _action(self._after(owner, f"POST /{request.path.split('/')[1]}"))

    def _owner(self, request: Request) -> str | None:
        """Return whose request to the CA it is: that of the account, of its key, or of the certificate."""
        protected, payload = _decoded(request)
        if "kid" in protected:
            return self._owners.get(protected["kid"])
        if payload and "certificate" in payload:
            leaf = x509.load_der_x509_certificate(base64url.decode(payload["certificate"]))
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            return names.get_values_for_type(x509.DNSName)[0].partition(".")[0]
        return self._owners.get(jwk_thumbprint(protected["jwk"]))

    def _after_update(self, message: dns.update.UpdateMessage) -> None:
        namespace = _namespace_of(message)
        texts = [record for record in message.update if record.rdtype == dns.rdatatype.TXT]
        if namespace in self._namespaces and texts:
            held = self._after(namespace, "TXT removed" if texts[0].deleting is not None else "TXT added")
            if held is not None:
                held.wait()


def _action(held: threading.Event | None) -> Action:
    return Forward() if held is None else Hold(held)


def _what(request: Request, namespace: str) -> str:
    place = request.path.partition("?")[0].partition(f"/namespaces/{namespace}/")[2]
    if request.method == "POST":
        metadata = json.loads(request.body).get("metadata", {})
        place += f"/{metadata.get('name') or metadata.get('generateName')}"
    theirs = "cert-manager.io/" if request.path.startswith("/apis/cert-manager.io/") else ""
    return f"{request.method} {theirs}{MADE_NAME.sub('*', place)}"


def _namespace_of(message: dns.update.UpdateMessage) -> str:
    """Return the second label of the changed name: records are at ``_acme-challenge.NAMESPACE.example.test``."""
    records = [record for record in message.update if record.rdtype == dns.rdatatype.TXT]
    return records[0].name.labels[1].decode() if records else ""


def _decoded(request: Request) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the protected header and the payload of a signed request: None if it only reads."""
    body = json.loads(request.body)
    protected, payload = (base64url.decode(body[part]) for part in ("protected", "payload"))
    return json.loads(protected), json.loads(payload) if payload else None
