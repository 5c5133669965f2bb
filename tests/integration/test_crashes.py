"""The operator killed (SIGKILL) after each write of an issuance: at the API server, at the CA, in the DNS.

Proxies stand in front of all three. The first write of the wanted kind is let through, then the operator dies before
it sees the answer, and is started again. Killing it *before* the next write reaches its server leaves the same world
behind, so that is not tried as well.

Renewals and fallbacks are killed after the first write of every kind, one after the other:
each process finds what the last one left. Whatever is not among the expected writes kills as well, and fails the test.
(`test_kills.py` kills once, after each write of these and of all else.)
"""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import dns.rdatatype
import dns.update
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness import Cluster, OperatorProcess, Tenant, certificate, issuer, tsig_secret
from harness.acme import account_of
from harness.dns_front import DnsFront
from harness.pod_answers import PodAnswers, pod_answers
from harness.solver_objects import wait_nothing_left
from testbed.exchanges import Action, Drop, Forward, Request, Response
from testbed.options import PebbleOptions
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

WRITES: Final = (
    "account key",
    "account at the CA",
    "status of the issuer",
    "order at the CA",
    "finalizer",
    "order in the status",
    "TXT record",
    "pending key",
    "answer to the challenge",
    "CSR",
    "TLS Secret",
    "TXT record away",
    "pending key away",
    "finalizer away",
    "final status",
)
"""Of one issuance, from a fresh Issuer on. Events are left out: they are posted on the side, nothing rests on them."""

WRITES_OF_AN_ORDER: Final = {
    "order at the CA",
    "order in the status",
    "pending key",
    "answer to the challenge",
    "CSR",
    "TLS Secret",
    "pending key away",
}
PRESENTED: Final = {
    "dns-01": {"finalizer", "TXT record", "TXT record away", "finalizer away"},
    "http-01": {f"{plural}{end}" for plural in ("pods", "services", "ingresses") for end in ("", " away")},
}
"""What an order writes besides, by its type of challenge."""
OPTIONAL: Final = {"pods", "status of the issuer", "answer to the challenge"}
"""The pod is made while the Service is, and the new key while the challenge is answered, so the axe may fall on one of
two; an issuer's status is written now and then. `test_kills.py` has every write.
"""
WAITING: Final = {"dns-01": "WaitingForDNS", "http-01": "WaitingForHTTP"}

_AT_API_SERVER: Final = (
    ("POST", r"/secrets$", "account key"),
    ("PATCH", r"/issuers/[^/]+/status$", "status of the issuer"),
    ("PATCH", r"/secrets/certwright-pending-[0-9a-f]+$", "pending key"),
    ("DELETE", r"/secrets/certwright-pending-[0-9a-f]+$", "pending key away"),
    ("PATCH", r"/secrets/[^/]+-tls$", "TLS Secret"),
)
_AT_CA: Final = (
    (r"^/sign-me-up$", "account at the CA"),
    (r"^/order-plz$", "order at the CA"),
    (r"^/chalZ/", "answer to the challenge"),
    (r"^/finalize-order/", "CSR"),
)


@dataclass
class Axe:
    """Falls after the first write of one kind.

    Attributes:
        operator: What it ends.
        waits_for: The kind of write; None while it hangs still.
        fallen: If it is to fall after the first write of every kind: after which it has; None otherwise.
        namespace: Whose writes count at the API server.
        seen: The writes so far.
    """

    operator: OperatorProcess
    waits_for: str | None = None
    fallen: list[str] | None = None
    namespace: str = ""
    seen: list[str] = field(default_factory=list)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def at_api_server(self, request: Request, response: Response) -> Action:
        if f"/namespaces/{self.namespace}/" not in request.path or response.status >= 300:
            return Forward()
        return self._after(_write_at_api_server(request))

    def at_ca(self, request: Request, response: Response) -> Action:
        if request.method != "POST" or response.status >= 300:
            return Forward()
        return self._after(next((kind for path, kind in _AT_CA if re.search(path, request.path)), None))

    def at_name_server(self, message: dns.update.UpdateMessage) -> None:
        texts = [record for record in message.update if record.rdtype == dns.rdatatype.TXT]
        self._after("TXT record away" if texts[0].deleting is not None else "TXT record")

    def _after(self, write: str | None) -> Action:
        with self._one_at_a_time:
            if write is None:
                return Forward()
            self.seen.append(write)
            if self.fallen is not None and write not in self.fallen:
                self.fallen.append(write)
            elif write != self.waits_for:
                return Forward()
            self.waits_for = None
            self.operator.kill()
            return Drop()


def _write_at_api_server(request: Request) -> str | None:
    if not request.is_write or request.path.endswith("/events"):
        return None
    for method, path, kind in _AT_API_SERVER:
        if request.method == method and re.search(path, request.path):
            return kind
    if request.method != "PATCH" or "/certificates/" not in request.path:
        plural = request.path.partition("?")[0].split("/namespaces/")[1].split("/")[1]
        return f"{plural} away" if request.method == "DELETE" else plural
    body = json.loads(request.body)
    if isinstance(body, list):
        paths = [change["path"] for change in body]
        return (
            "request away"
            if "/spec/request" in paths
            else "finalizer away"
            if "/finalizers/" in str(paths)
            else str(body)
        )
    if request.path.endswith("/status"):
        order, requests = body["status"].get("order"), body["status"].get("requests")
        if order and not (requests and requests[-1]["state"] != "Running"):
            return "order in the status" if order["issuer"]["name"] == "pebble" else "order in the first status"
        return f"request {requests[-1]['state']}" if requests else "final status"
    return "finalizer"


@dataclass(frozen=True)
class Stage:
    """Everything between the operator and the world."""

    ca: RecordingProxy
    dns: DnsFront
    http: PodAnswers
    axe: Axe
    tenant: Tenant

    @property
    def place(self) -> str:
        """Where the TXT record of the Certificate belongs."""
        return f"_acme-challenge.{self.tenant.namespace}.example.test"

    def order_certificate(self, **spec: Any) -> None:
        """Apply an issuer of its own and a Certificate."""
        self.apply_issuer("pebble")
        self.tenant.cluster.apply(
            certificate(self.tenant.namespace, "web", [f"{self.tenant.namespace}.example.test"], **spec)
        )

    def apply_issuer(self, name: str, solver: str = "dns-01", pebble: Pebble | None = None) -> None:
        """Apply an issuer with one solver, of the CA behind the proxy or another."""
        bed, namespace = self.tenant.bed, self.tenant.namespace
        self.tenant.cluster.apply(tsig_secret(bed, namespace))
        ingress = {"nameservers": [bed.bind.address], "ingress": {"ingressClassName": "traefik"}}
        more: dict[str, Any] = {"solvers": [{"http01": ingress}]} if solver == "http-01" else {}
        server = pebble.directory_url if pebble else self.ca.directory_url
        self.tenant.cluster.apply(
            issuer(bed, namespace, name=name, pebble=pebble, server=server, dns_server=self.dns.address, **more)
        )

    def hide(self) -> None:
        """Keep orders waiting: no record is seen, and no file."""
        self.dns.hide(self.place)
        self.http.hidden.add(self.tenant.namespace)

    def show(self) -> None:
        """Let orders go on."""
        self.dns.show()
        self.http.hidden.clear()

    def survive(
        self, what: str, condition: Callable[[dict[str, Any]], bool], kind: str = "Certificate"
    ) -> dict[str, Any]:
        """Start the operator again whenever it was killed, until a condition holds."""
        name = "web" if kind == "Certificate" else "pebble"

        def look() -> dict[str, Any] | None:
            if not self.axe.operator.running:
                self.axe.operator.start(wait=False)  # it may be killed before it is ready
            return self.tenant.cluster.get(kind, self.tenant.namespace, name)

        try:
            return self.tenant.cluster.wait_for(what, look, condition)
        except AssertionError as error:
            error.add_note(f"killed after each of {self.axe.fallen}; writes: {self.axe.seen}")
            error.add_note(self.axe.operator.tail())
            raise

    def assert_nothing_left(self, *more_secrets: str) -> None:
        """Check that nothing of an order is left: no record, object, key or finalizer."""
        tenant = self.tenant
        found = tenant.cluster.get("Certificate", tenant.namespace, "web") or {}
        assert "order" not in found["status"]
        assert "finalizers" not in found["metadata"]
        assert tenant.challenge_values(self.place) == []
        wait_nothing_left(tenant.cluster, tenant.namespace)
        secrets = {one["metadata"]["name"] for one in tenant.cluster.find_all("Secret", tenant.namespace)}
        assert secrets == {"tsig", "pebble-account", "web-tls", *more_secrets}
        data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
        leaf = x509.load_pem_x509_certificate(data["tls.crt"])
        assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key()
        assert int(found["status"]["serialNumber"], 16) == leaf.serial_number


@pytest.fixture(scope="module")
def operator_behind_proxies(
    bed: TestBed,
    cluster: Cluster,
    session_operator: OperatorProcess,
    http_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Axe, RecordingProxy, DnsFront, PodAnswers]]:
    session_operator.stop()  # two would share the work
    folder = tmp_path_factory.mktemp("crashes")
    options = PebbleOptions(
        nonce_reject_percent=0, authz_reuse_percent=0, retry_after_authz=0, retry_after_order=0, http_port=http_port
    )
    arguments = ("--solver-image=localhost/certwright:none", f"--http01-port={http_port}")
    pebble = bed.start_pebble(f"pebble-crashes-{folder.parent.name}", options)
    with (
        RecordingProxy.for_apiserver(bed.apiserver) as api,
        RecordingProxy.for_pebble(pebble) as ca,
        DnsFront(bed.bind) as front,
        pod_answers(cluster, http_port) as answers,
        OperatorProcess(
            api.kubeconfig(folder / "kubeconfig"), folder / "operator.log", arguments=arguments
        ) as operator,
    ):
        axe = Axe(operator)
        api.on_response = axe.at_api_server
        ca.on_response = axe.at_ca
        front.on_update = axe.at_name_server
        yield axe, ca, front, answers
    bed.end_pebble(pebble)


@pytest.fixture
def stage(
    bed: TestBed,
    cluster: Cluster,
    namespace: str,
    operator_behind_proxies: tuple[Axe, RecordingProxy, DnsFront, PodAnswers],
) -> Stage:
    axe, ca, front, answers = operator_behind_proxies
    axe.waits_for = axe.fallen = None
    if not axe.operator.running:
        axe.operator.start()
    ca.requests.clear()
    axe.namespace, axe.seen = namespace, []
    found = Stage(ca, front, answers, axe, Tenant(namespace, bed, cluster, axe.operator))
    found.show()
    return found


def test_these_are_the_writes_of_an_issuance(stage: Stage) -> None:
    stage.order_certificate()
    stage.tenant.ready("web")
    # A slow order is written down once more every few seconds, with what is Ready by then.
    stage.tenant.cluster.wait_for(
        "these are not all the writes",
        lambda: {"status": {"writes": stage.axe.seen}},
        lambda seen: set(WRITES) <= set(seen["status"]["writes"]),
    )
    assert set(stage.axe.seen) == set(WRITES), f"in this order: {stage.axe.seen}"


@pytest.mark.parametrize("write", WRITES)
def test_killed_after(stage: Stage, write: str) -> None:
    tenant, axe = stage.tenant, stage.axe
    axe.waits_for = write
    stage.order_certificate()
    tenant.cluster.wait_for(
        f"there was no write '{write}' to kill the operator after",
        lambda: {"status": {"writes": axe.seen, "operator runs": axe.operator.running}},
        lambda seen: not seen["status"]["operator runs"],
    )
    axe.operator.start()
    found = tenant.ready("web")
    after = f"writes, killed after {write!r}: {axe.seen}"

    data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    leaf = x509.load_pem_x509_certificate(data["tls.crt"])
    assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key(), after
    assert int(found["status"]["serialNumber"], 16) == leaf.serial_number, after
    assert found["status"]["revision"] == 1, after
    assert axe.seen.count("TLS Secret") == 1, after

    assert stage.ca.counts()[NEW_ORDER] <= 2, after
    assert axe.seen.count("CSR") == 1, after
    account = (tenant.cluster.get("Issuer", tenant.namespace, "pebble") or {})["status"]["acme"]["uri"]
    used = {account_of(request) for request in stage.ca.requests} - {None}
    assert used == {account}, after

    assert "order" not in found["status"], after
    assert "finalizers" not in found["metadata"], after
    assert tenant.challenge_values(f"_acme-challenge.{tenant.namespace}.example.test") == [], after
    secrets = {one["metadata"]["name"] for one in tenant.cluster.find_all("Secret", tenant.namespace)}
    assert secrets == {"tsig", "pebble-account", "web-tls"}, after


@pytest.mark.parametrize("solver", ["dns-01", "http-01"])
def test_a_renewal_killed_after_each_write_costs_one_order_a_kill_at_most(stage: Stage, solver: str) -> None:
    tenant, axe = stage.tenant, stage.axe
    stage.order_certificate()
    before = tenant.ready("web")
    stage.apply_issuer("pebble", solver)
    account = tenant.cluster.wait_ready("Issuer", tenant.namespace, "pebble")["status"]["acme"]["uri"]
    stage.ca.requests.clear()
    axe.seen.clear()
    axe.fallen = []
    request = {"id": "r-1", "action": "Renew"}
    tenant.cluster.patch("Certificate", tenant.namespace, "web", {"spec": {"request": request}})
    found = stage.survive(
        "the renewal has not ended",
        lambda body: "request" not in body["spec"] and not ({"order"} & set(body["status"])),
    )
    after = f"killed after each of {axe.fallen}; writes: {axe.seen}"
    wanted = {"request Running", *WRITES_OF_AN_ORDER, *PRESENTED[solver], "request Succeeded", "request away"}
    # The key is generated while the CA validates, so it may be written in the moment of another kill.
    optional = OPTIONAL | {"pending key"}
    assert set(axe.fallen) | optional == wanted | optional, after
    assert [(one["id"], one["state"]) for one in found["status"]["requests"]] == [("r-1", "Succeeded")], after
    assert (found["status"]["revision"], before["status"]["revision"]) == (2, 1), after
    assert axe.seen.count("CSR") == axe.seen.count("TLS Secret") == 1, after
    lost = {"order at the CA", "finalizer"} & set(axe.fallen)
    assert stage.ca.counts()[NEW_ORDER] == 1 + len(lost), (
        f"one, and one for each kill before it is written down; {after}"
    )
    assert {account_of(request) for request in stage.ca.requests} - {None} == {account}, after
    stage.assert_nothing_left()


@pytest.mark.parametrize("solver", ["dns-01", "http-01"])
def test_a_fallback_killed_after_each_write_costs_one_order_a_kill_at_most(
    stage: Stage, make_pebble: Callable[..., Pebble], solver: str
) -> None:
    tenant, axe = stage.tenant, stage.axe
    first = make_pebble()
    stage.apply_issuer("first", solver, first)
    stage.apply_issuer("pebble", solver)
    for name in ("first", "pebble"):
        tenant.cluster.wait_ready("Issuer", tenant.namespace, name)
    stage.hide()
    names = [f"{tenant.namespace}.example.test"]
    references = [{"name": "first"}, {"name": "pebble"}]
    tenant.cluster.apply(certificate(tenant.namespace, "web", names, issuerRefs=references))
    tenant.cluster.wait_for(
        "no order waits at the first CA",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda body: WAITING[solver] in str(body.get("status", {}).get("conditions")),
    )
    assert "order in the first status" in axe.seen
    axe.operator.kill()
    first.stop()
    _say_failing_for_an_hour(tenant, "first")
    stage.show()
    stage.ca.requests.clear()
    axe.seen.clear()
    axe.fallen = []
    found = stage.survive(
        "the second issuer has not issued",
        lambda body: body["status"].get("revision") == 1 and "order" not in body["status"],
    )
    after = f"killed after each of {axe.fallen}; writes: {axe.seen}"
    assert found["status"]["issuer"]["name"] == "pebble", after
    assert axe.seen.count("CSR") == axe.seen.count("TLS Secret") == 1, after
    assert stage.ca.counts()[NEW_ORDER] == 2, f"one for the certificate, one that nobody had written down; {after}"
    events = {event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")}
    assert not events & {"OrderNotOurs", "LeftBehind"}, after
    wanted = {*WRITES_OF_AN_ORDER, *PRESENTED[solver], "final status"} - {"finalizer"}
    # The key may have been written at the first CA already: it serves the order at the second one as well.
    optional = OPTIONAL | {"pending key"}
    assert set(axe.fallen) | optional == wanted | optional, after
    stage.assert_nothing_left("first-account")


def _say_failing_for_an_hour(tenant: Tenant, name: str) -> None:
    """Age what the status of an issuer says, so that another one is used without the grace of half a minute."""
    found = tenant.cluster.get("Issuer", tenant.namespace, name) or {}
    [ready] = [one for one in found["status"]["conditions"] if one["type"] == "Ready"]
    since = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready |= {"status": "False", "reason": "CAUnreachable", "lastTransitionTime": since}
    tenant.cluster.patch_status("Issuer", tenant.namespace, name, {"conditions": found["status"]["conditions"]})
