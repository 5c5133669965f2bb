"""The operator killed (SIGKILL) after each write of an issuance: at the API server, at the CA, in the DNS.

Proxies stand in front of all three. The first write of the wanted kind is let through, then the operator dies before
it sees the answer, and is started again. Killing it *before* the next write reaches its server leaves the same world
behind, so that is not tried as well.
"""

from __future__ import annotations

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

from certwright.acme import AccountKey
from harness import Cluster, OperatorProcess, Tenant, certificate, issuer, tsig_secret
from harness.acme import account_of
from harness.dns_front import DnsFront
from testbed.exchanges import Action, Drop, Forward, Request, Response
from testbed.options import PebbleOptions
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.bed import TestBed

NEW_ORDER: Final = ("POST", "/order-plz")
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
    (r"^/rollover-account-key$", "key change"),
)


@dataclass
class Axe:
    """Falls after the first write of one kind.

    Attributes:
        operator: What it ends.
        waits_for: The kind of write; None while it hangs still.
        namespace: Whose writes count at the API server.
        seen: The writes so far.
    """

    operator: OperatorProcess
    waits_for: str | None = None
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
            if write != self.waits_for:
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
    if request.method == "PATCH" and request.path.partition("?")[0].endswith("-account"):
        return "next account key" if "tls.key" not in json.loads(request.body)["data"] else "account key replaced"
    if request.method != "PATCH" or "/certificates/" not in request.path:
        return f"{request.method} {request.path}"
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
        if requests := body["status"].get("requests"):
            return f"request {requests[-1]['state']}"
        return "order in the status" if "order" in body["status"] else "final status"
    return "finalizer"


@dataclass(frozen=True)
class Stage:
    """Everything between the operator and the world."""

    ca: RecordingProxy
    dns: DnsFront
    axe: Axe
    tenant: Tenant

    def order_certificate(self) -> None:
        """Apply an issuer of its own and a Certificate."""
        bed, namespace = self.tenant.bed, self.tenant.namespace
        self.tenant.cluster.apply(tsig_secret(bed, namespace))
        self.tenant.cluster.apply(issuer(bed, namespace, server=self.ca.directory_url, dns_server=self.dns.address))
        self.tenant.cluster.apply(certificate(namespace, "web", [f"{namespace}.example.test"]))


@pytest.fixture(scope="module")
def operator_behind_proxies(
    bed: TestBed, session_operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Axe, RecordingProxy, DnsFront]]:
    session_operator.stop()  # two would share the work
    folder = tmp_path_factory.mktemp("crashes")
    options = PebbleOptions(nonce_reject_percent=0, authz_reuse_percent=0, retry_after_authz=0, retry_after_order=0)
    pebble = bed.start_pebble(f"pebble-crashes-{folder.parent.name}", options)
    with (
        RecordingProxy.for_apiserver(bed.apiserver) as api,
        RecordingProxy.for_pebble(pebble) as ca,
        DnsFront(bed.bind) as front,
        OperatorProcess(api.kubeconfig(folder / "kubeconfig"), folder / "operator.log") as operator,
    ):
        axe = Axe(operator)
        api.on_response = axe.at_api_server
        ca.on_response = axe.at_ca
        front.on_update = axe.at_name_server
        yield axe, ca, front
    bed.end_pebble(pebble)


@pytest.fixture
def stage(
    bed: TestBed, cluster: Cluster, namespace: str, operator_behind_proxies: tuple[Axe, RecordingProxy, DnsFront]
) -> Stage:
    axe, ca, front = operator_behind_proxies
    if not axe.operator.running:
        axe.operator.start()
    ca.requests.clear()
    axe.namespace, axe.seen = namespace, []
    return Stage(ca, front, axe, Tenant(namespace, bed, cluster, axe.operator))


def test_these_are_the_writes_of_an_issuance(stage: Stage) -> None:
    stage.order_certificate()
    stage.tenant.ready("web")
    # A slow order is written down once more every few seconds.
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


def test_a_renewal_on_request_is_done_once_whatever_is_killed(stage: Stage) -> None:
    tenant, axe = stage.tenant, stage.axe
    stage.order_certificate()
    tenant.ready("web")
    for number, write in enumerate(("request Running", "TLS Secret", "request Succeeded", "request away"), start=1):
        axe.seen.clear()
        axe.waits_for = write
        request = {"id": f"r-{number}", "action": "Renew"}
        tenant.cluster.patch("Certificate", tenant.namespace, "web", {"spec": {"request": request}})
        tenant.cluster.wait_for(
            f"there was no write '{write}' to kill the operator after",
            lambda: {"status": {"writes": axe.seen, "operator runs": axe.operator.running}},
            lambda seen: not seen["status"]["operator runs"],
        )
        axe.operator.start()
        found = tenant.cluster.wait_for(
            f"the request has not ended after the operator was killed after {write!r}",
            lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
            lambda body: "request" not in body["spec"] and "order" not in body["status"],
        )
        after = f"writes, killed after {write!r}: {axe.seen}"
        ended = [(one["id"], one["state"]) for one in found["status"]["requests"]]
        assert ended == [(f"r-{one}", "Succeeded") for one in range(1, number + 1)], after
        assert found["status"]["revision"] == number + 1, after
        assert axe.seen.count("CSR") == 1, after
        assert axe.seen.count("TLS Secret") == 1, after
    assert stage.ca.counts()[NEW_ORDER] == 5, "one for the certificate, and one for each request"
    assert tenant.challenge_values(f"_acme-challenge.{tenant.namespace}.example.test") == []


def test_a_rollback_is_done_once_whatever_is_killed(stage: Stage) -> None:
    tenant, axe = stage.tenant, stage.axe
    stage.order_certificate()
    tenant.ready("web")
    tenant.cluster.patch("Certificate", tenant.namespace, "web", {"spec": {"revisionHistoryLimit": 3}})
    chains: list[bytes] = []
    for revision in range(1, 4):
        if revision > 1:
            request = {"id": f"n-{revision}", "action": "Renew"}
            tenant.cluster.patch("Certificate", tenant.namespace, "web", {"spec": {"request": request}})
        kept = tenant.cluster.wait_for(
            f"revision {revision} is not kept",
            lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
            lambda body: (
                "request" not in body["spec"]
                and [one["revision"] for one in body["status"].get("revisions", ())] == [*range(1, revision + 1)]  # noqa: B023 - waited for here
            ),
        )
        assert kept["status"]["revision"] == revision
        chains.append(tenant.cluster.secret_data(tenant.namespace, "web-tls")["tls.crt"])
    writes = ("request Running", "TLS Secret", "request Succeeded", "request away")
    for number, (write, back_to) in enumerate(zip(writes, (None, None, 3, None), strict=True), start=1):
        axe.seen.clear()
        axe.waits_for = write
        rollback: dict[str, Any] = {"id": f"r-{number}", "action": "Rollback"}
        if back_to is not None:
            rollback["revision"] = back_to
        tenant.cluster.patch("Certificate", tenant.namespace, "web", {"spec": {"request": rollback}})
        tenant.cluster.wait_for(
            f"there was no write '{write}' to kill the operator after",
            lambda: {"status": {"writes": axe.seen, "operator runs": axe.operator.running}},
            lambda seen: not seen["status"]["operator runs"],
        )
        axe.operator.start()
        found = tenant.cluster.wait_for(
            f"the request has not ended after the operator was killed after {write!r}",
            lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
            lambda body: "request" not in body["spec"],
        )
        after = f"writes, killed after {write!r}: {axe.seen}"
        assert (found["status"]["requests"][-1]["id"], found["status"]["requests"][-1]["state"]) == (
            f"r-{number}",
            "Succeeded",
        ), after
        wanted = {1: 2, 2: 1, 3: 3, 4: 2}[number]
        data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
        assert data["tls.crt"] == chains[wanted - 1], after
        leaf = x509.load_pem_x509_certificate(data["tls.crt"])
        assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key(), after
        assert axe.seen.count("TLS Secret") == 1, after
        assert axe.seen.count("CSR") == 0, after
    assert stage.ca.counts()[NEW_ORDER] == 3, "one for each certificate, and none for a rollback"


def test_an_account_key_is_rotated_once_whatever_is_killed(stage: Stage) -> None:
    tenant, axe = stage.tenant, stage.axe
    stage.order_certificate()
    tenant.ready("web")
    account = tenant.cluster.wait_ready("Issuer", tenant.namespace, "pebble")["status"]["acme"]
    for write in ("next account key", "key change", "account key replaced", "status of the issuer"):
        axe.seen.clear()
        axe.waits_for = write
        rotation = {"request": write.replace(" ", "-")}
        tenant.cluster.patch("Issuer", tenant.namespace, "pebble", {"spec": {"acme": {"accountKeyRotation": rotation}}})
        tenant.cluster.wait_for(
            f"there was no write '{write}' to kill the operator after",
            lambda: {"status": {"writes": axe.seen, "operator runs": axe.operator.running}},
            lambda seen: not seen["status"]["operator runs"],
        )
        axe.operator.start()
        before = account
        found = tenant.cluster.wait_for(
            f"the key was not rotated after the operator was killed after {write!r}",
            lambda: tenant.cluster.get("Issuer", tenant.namespace, "pebble"),
            lambda body: (
                body["status"]["acme"]["keyThumbprint"] != before["keyThumbprint"]  # noqa: B023 - called at once
                and body["status"]["conditions"][0]["status"] == "True"
            ),
        )
        account, after = found["status"]["acme"], f"writes, killed after {write!r}: {axe.seen}"
        assert account["uri"] == before["uri"], after
        assert account["keyRotation"]["formerThumbprint"] == before["keyThumbprint"], after
        data = tenant.cluster.secret_data(tenant.namespace, "pebble-account")
        assert AccountKey.from_pem(data["tls.key"]).thumbprint == account["keyThumbprint"], after
        assert "tls.key.next" not in data, after
        assert axe.seen.count("key change") == 1, after
    tenant.cluster.patch(
        "Certificate", tenant.namespace, "web", {"spec": {"request": {"id": "after", "action": "Renew"}}}
    )
    tenant.cluster.wait_for(
        "nothing can be ordered with the last key",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda body: body["status"].get("revision") == 2,
    )
    used = {account_of(request) for request in stage.ca.requests} - {None}
    assert used == {account["uri"]}
