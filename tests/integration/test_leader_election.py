"""Two replicas: who acts, who follows, and what becomes of an order when its leader goes.

Every replica has a proxy of its own in front of the API server, which sees it as a user of its own; both share one in
front of the CA and one in front of the name server. A replica that ended is started again, as its Deployment would.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import dns.rdatatype
import dns.update
import pytest

from harness import Cluster, OperatorProcess, Tenant, tsig_secret
from harness.acme import account_of
from harness.cluster import SECONDS
from harness.dns_front import DnsFront
from testbed.exchanges import Action, Drop, Forward, Hang
from testbed.options import PebbleOptions
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.bed import TestBed
    from testbed.exchanges import Request, Response

NEW_ACCOUNT: Final = ("POST", "/sign-me-up")
LEASE: Final = "election"
LEASE_SECONDS: Final = 9.0
EXIT_LEADERSHIP_LOST: Final = 75
LOST: Final = "takes no further action: the lease is lost: it could not be renewed within 6 s"
TAKEOVER_SECONDS: Final = 15.0
"""What the documentation promises. Told beside what was measured, and not asserted: a busy machine is no defect."""
KILL_AFTER: Final = ("order in the status", "TXT record", "answer to the challenge", "CSR")


@dataclass
class Replica:
    """One of the two, with its way to the API server.

    Attributes:
        user: Who it is to the API server.
        operator: The process.
        api: What is between them.
    """

    user: str
    operator: OperatorProcess
    api: RecordingProxy

    @property
    def leads(self) -> bool:
        try:
            return self.operator.running and "\ncertwright_leader 1.0" in self.operator.metrics()
        except OSError:  # it has just ended
            return False


@dataclass
class Pair:
    """Both replicas and what is behind them."""

    cluster: Cluster
    replicas: tuple[Replica, Replica]
    ca: RecordingProxy
    front: DnsFront
    on_write: Callable[[str, Replica | None], object] = field(default=lambda _, __: None)

    def start(self) -> tuple[Replica, Replica]:
        """Have both running, and return who leads and who follows."""
        for replica in self.replicas:
            if not replica.operator.running:
                replica.operator.start(wait=False)
        for replica in self.replicas:
            replica.operator.wait_ready()
        leader = self.leader()
        return leader, self.other(leader)

    def leader(self) -> Replica:
        """Wait until one of them leads, and return it."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            leading = [replica for replica in self.replicas if replica.leads]
            assert len(leading) < 2, "both lead"
            if leading:
                return leading[0]
            time.sleep(0.05)
        raise AssertionError(f"nobody led within {SECONDS:g} s:\n{self.replicas[0].operator.tail()}")

    def other(self, replica: Replica) -> Replica:
        first, second = self.replicas
        return second if replica is first else first

    def reset(self) -> None:
        """Interfere no more, and forget what was asked."""
        self.front.show()
        self.front.on_update = lambda _: None
        for proxy in (self.ca, *(replica.api for replica in self.replicas)):
            proxy.reset()

    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = (self.cluster.get("Lease", "certwright", LEASE) or {})["spec"]
        return spec

    def account_urls(self) -> set[str]:
        """The accounts that requests to the CA were signed for."""
        return {kid for request in self.ca.requests if (kid := account_of(request)) is not None}


@pytest.fixture(scope="module")
def pair(
    bed: TestBed,
    cluster: Cluster,
    operator_namespace: str,
    without_operator: None,  # noqa: ARG001 - it would do the replicas' work
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("election")
    # An empty Lease, as an installation may bring it, is nobody's and free at once.
    cluster.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": operator_namespace},
            "spec": {},
        }
    )
    options = PebbleOptions(nonce_reject_percent=0, authz_reuse_percent=0, retry_after_authz=0, retry_after_order=0)
    pebble = bed.start_pebble(f"pebble-election-{folder.parent.name}", options)
    users = [f"replica-{letter}-{folder.parent.name}" for letter in "ab"]
    proxies = [
        RecordingProxy.for_apiserver(bed.apiserver, client=bed.authority.client(user, ["system:masters"]))
        for user in users
    ]
    with (
        proxies[0] as first,
        proxies[1] as second,
        RecordingProxy.for_pebble(pebble) as ca,
        DnsFront(bed.bind) as front,
    ):
        one, two = (
            Replica(
                user,
                OperatorProcess(
                    api.kubeconfig(folder / f"{user}.kubeconfig"),
                    folder / f"{user}.log",
                    arguments=("--leader-elect", f"--lease-name={LEASE}", f"--identity={user}", "--log-format=json"),
                ),
                api,
            )
            for user, api in zip(users, (first, second), strict=True)
        )
        made = Pair(cluster, (one, two), ca, front)
        yield made
        made.reset()
        for replica in made.replicas:
            replica.operator.stop()
    bed.end_pebble(pebble)
    cluster.delete("Lease", operator_namespace, LEASE)


@pytest.fixture
def tenant(bed: TestBed, cluster: Cluster, namespace: str, pair: Pair) -> Iterator[Tenant]:
    """A namespace with an issuer, served by the pair."""
    leader, _ = pair.start()
    pair.reset()
    cluster.apply(tsig_secret(bed, namespace))
    served = Tenant(namespace, bed, cluster, leader.operator)
    served.add_issuer("ca", server=pair.ca.directory_url, dns_server=pair.front.address)
    yield served
    pair.reset()


def tell(text: str) -> None:
    print(f"\n{text}")  # noqa: T201 - for those who run it with -s or -rP


def order(tenant: Tenant) -> str:
    """Apply a Certificate, and return the place of its TXT record."""
    tenant.apply("web", f"{tenant.namespace}.example.test", issuerRef={"name": "ca"})
    return f"_acme-challenge.{tenant.namespace}.example.test"


def waiting_order(tenant: Tenant, pair: Pair) -> str:
    """Have an order wait for its record to be visible; return its URL."""
    pair.front.hide(f"_acme-challenge.{tenant.namespace}.example.test")
    order(tenant)
    url: str = tenant.under_way("web")["status"]["order"]["url"]
    return url


def assert_issued_once(tenant: Tenant, pair: Pair, *, orders: int = 1) -> None:
    """One certificate by one order of one account, and nothing left over."""
    found = tenant.ready("web")
    assert found["status"]["revision"] == 1
    counts = pair.ca.counts()
    assert counts[NEW_ORDER] == orders
    assert counts[NEW_ACCOUNT] == 1
    account = (tenant.cluster.get("Issuer", tenant.namespace, "ca") or {})["status"]["acme"]["uri"]
    assert pair.account_urls() == {account}
    assert "order" not in found["status"]
    assert "finalizers" not in found["metadata"]
    assert tenant.challenge_values(f"_acme-challenge.{tenant.namespace}.example.test") == []
    secrets = {one["metadata"]["name"] for one in tenant.cluster.find_all("Secret", tenant.namespace)}
    assert secrets == {"tsig", "ca-account", "web-tls"}


def test_the_follower_is_ready_and_does_nothing(tenant: Tenant, pair: Pair) -> None:
    leader, follower = pair.start()
    follower.operator.stop()  # it may have stood against the other
    seen = len(tenant.bed.apiserver.audit_events(follower.user))
    follower.operator.start()
    assert pair.lease()["holderIdentity"] == leader.user
    order(tenant)
    assert_issued_once(tenant, pair)
    ours = f"/namespaces/{tenant.namespace}/"
    tell(f"requests of an issuance: {sum(ours in one.path and not one.is_watch for one in leader.api.requests)}")
    assert "certwright_leader 0.0" in follower.operator.metrics()
    assert f"{leader.user} leads; {follower.user} follows" in follower.operator.tail()
    follower.operator.wait_ready()

    # What has no objectRef is discovery.
    asked = [event for event in tenant.bed.apiserver.audit_events(follower.user)[seen:] if "objectRef" in event]
    leases = [event for event in asked if event["objectRef"].get("resource") == "leases"]
    assert {(event["verb"], event["objectRef"]["name"]) for event in leases} == {("get", LEASE)}
    others = [event for event in asked if event not in leases]
    assert {event["verb"] for event in others} <= {"get", "list", "watch"}
    assert [event["objectRef"] for event in others if event["verb"] == "get" and "name" in event["objectRef"]] == []
    watched = {event["objectRef"].get("resource") for event in others if event["verb"] == "watch"}
    assert {"certificates", "issuers", "clusterissuers", "secrets"} <= watched


@pytest.mark.parametrize("write", KILL_AFTER)
def test_an_order_moves_to_the_other_when_its_leader_is_killed(tenant: Tenant, pair: Pair, write: str) -> None:
    leader, follower = pair.start()
    killed: list[float] = []

    def fall(seen: str | None) -> Action:
        if seen != write or killed:
            return Forward()
        leader.operator.kill()
        killed.append(time.monotonic())
        return Drop()

    def on_update(message: dns.update.UpdateMessage) -> None:
        fall("TXT record" if any(record.rdtype == dns.rdatatype.TXT for record in message.update) else None)

    leader.api.on_response = lambda request, response: fall(_write_at_api_server(request, response))
    pair.ca.on_response = lambda request, response: fall(_write_at_ca(request, response))
    pair.front.on_update = on_update
    order(tenant)
    tenant.cluster.wait_for(
        f"the leader was not killed after {write}",
        lambda: {"status": {"killed": killed}},
        lambda seen: bool(seen["status"]["killed"]),
    )
    tenant.ready("web")
    seconds = time.monotonic() - killed[0]
    tell(f"killed after {write!r}: Ready {seconds:.1f} s later, of {TAKEOVER_SECONDS:g} s promised")
    assert follower.leads
    assert_issued_once(tenant, pair)


def test_a_leader_that_is_asked_to_stop_hands_over_at_once(tenant: Tenant, pair: Pair) -> None:
    leader, follower = pair.start()
    before = pair.lease()["leaseTransitions"]
    waiting_order(tenant, pair)
    asked = time.monotonic()
    assert leader.operator.stop() == 0
    ended = time.monotonic()
    assert pair.lease().get("holderIdentity") in {None, "", follower.user}, "nobody need wait for its end"
    assert pair.leader() is follower
    now = time.monotonic()
    tell(f"asked to stop: the other led {now - asked:.1f} s later, {now - ended:.1f} s after the end of the process")
    assert pair.lease()["leaseTransitions"] == before + 1
    assert f"certwright_lease_transitions {before + 1:.1f}" in follower.operator.metrics()
    pair.front.show()
    assert_issued_once(tenant, pair)


def test_a_leader_that_is_cut_off_stops_before_its_lease_ends(tenant: Tenant, pair: Pair) -> None:
    leader, follower = pair.start()
    waiting_order(tenant, pair)
    ways: Iterator[Drop | Hang] = itertools.cycle((Drop(), Hang()))
    leader.api.on_request = lambda _: next(ways)
    ends = dt.datetime.fromisoformat(pair.lease()["renewTime"]) + dt.timedelta(seconds=LEASE_SECONDS)
    assert leader.operator.wait_end(SECONDS) == EXIT_LEADERSHIP_LOST
    *_, last = [json.loads(line) for line in leader.operator.tail().splitlines() if LOST in line]
    left = (ends - dt.datetime.fromisoformat(last["time"])).total_seconds()
    tell(f"cut off: it acted no more {left:.1f} s before its lease ended")
    assert left > 0
    assert pair.leader() is follower
    assert dt.datetime.fromisoformat(pair.lease()["acquireTime"]) >= ends, "the other waited for the end of the lease"
    pair.front.show()
    assert_issued_once(tenant, pair)


def test_a_leader_that_stood_still_past_its_lease_does_nothing_when_it_goes_on(tenant: Tenant, pair: Pair) -> None:
    leader, follower = pair.start()
    stopped: list[float] = []

    def stop_at_order(request: Request, _: Response) -> Action:
        if (request.method, request.path) == NEW_ORDER and not stopped:
            # With the answer in its sockets, after which it asks the CA for the authorizations without a pause.
            leader.operator.suspend()
            stopped.append(time.monotonic())
        return Forward()

    pair.ca.on_response = stop_at_order
    order(tenant)
    tenant.ready("web")
    assert stopped
    tell(f"stood still: Ready {time.monotonic() - stopped[0]:.1f} s later")
    # The first was not written down yet: the one instant in which an order is lost.
    assert_issued_once(tenant, pair, orders=2)
    seen = len(pair.ca.requests), len(leader.api.requests), pair.lease()["holderIdentity"]
    leader.operator.resume()
    assert leader.operator.wait_end(SECONDS) == EXIT_LEADERSHIP_LOST
    assert (len(pair.ca.requests), pair.lease()["holderIdentity"]) == (seen[0], follower.user)
    assert [request for request in leader.api.requests[seen[1] :] if request.is_write] == []
    assert_issued_once(tenant, pair, orders=2)


def _write_at_api_server(request: Request, response: Response) -> str | None:
    if request.method != "PATCH" or response.status >= 300 or not re.search(r"/certificates/.*/status$", request.path):
        return None
    return "order in the status" if "order" in json.loads(request.body)["status"] else None


def _write_at_ca(request: Request, response: Response) -> str | None:
    if request.method != "POST" or response.status >= 300:
        return None
    if request.path.startswith("/chalZ/"):
        return "answer to the challenge"
    return "CSR" if request.path.startswith("/finalize-order/") else None
