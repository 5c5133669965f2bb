"""An order that waits for as long as a test likes, at a CA that is watched: the same order must come to its end."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness import Workspace, tsig_secret
from harness.dns_front import DnsFront
from harness.manifests import issuer
from testbed.options import PebbleOptions
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Cluster
    from testbed import TestBed

NEW_ACCOUNT: Final = ("POST", "/sign-me-up")
FINALIZE: Final = "/finalize-order/"
ISSUER: Final = "watched"


@dataclass(frozen=True)
class WatchedCA:
    """A Pebble that refuses no nonces and reuses nothing, with a proxy in front, and a front of the bed's BIND.

    Attributes:
        bed: The bed.
        cluster: Its API server.
        ca: Sees all that is asked of the Pebble.
        front: Hides the records of orders.
    """

    bed: TestBed
    cluster: Cluster
    ca: RecordingProxy
    front: DnsFront

    @classmethod
    @contextmanager
    def start(cls, bed: TestBed, cluster: Cluster) -> Iterator[WatchedCA]:
        """Start all three; they end with the context."""
        options = PebbleOptions(nonce_reject_percent=0, authz_reuse_percent=0, retry_after_authz=0, retry_after_order=0)
        pebble = bed.start_pebble(f"pebble-{secrets.token_hex(3)}", options)
        try:
            with RecordingProxy.for_pebble(pebble) as ca, DnsFront(bed.bind) as front:
                yield cls(bed, cluster, ca, front)
        finally:
            bed.end_pebble(pebble)

    def issuer(self, namespace: str | None) -> dict[str, Any]:
        """Return an Issuer, or without a namespace a ClusterIssuer, for this CA."""
        server, dns_server = self.ca.directory_url, self.front.address
        return issuer(self.bed, namespace, name=ISSUER, server=server, dns_server=dns_server)

    def workspace(self, namespace: str) -> Workspace:
        """Apply an Issuer for this CA in a namespace, and wait until its account is registered."""
        self.cluster.apply(tsig_secret(self.bed, namespace))
        self.cluster.apply(self.issuer(namespace))
        self.cluster.wait_ready("Issuer", namespace, ISSUER)
        return Workspace(namespace, self.bed, self.cluster)

    def orders(self) -> int:
        """Return how many orders were placed since the last reset."""
        return self.ca.counts()[NEW_ORDER]

    def begin(self, workspace: Workspace, name: str, *, issuer_kind: str = "Issuer") -> Order:
        """Apply a Certificate, and return its order once that waits for its record, which is hidden."""
        host = f"{name}.{workspace.namespace}.example.test"
        self.ca.reset()
        self.front.hide(f"_acme-challenge.{host}")
        workspace.apply(name, host, issuerRef={"name": ISSUER, "kind": issuer_kind})
        url: str = workspace.under_way(name)["status"]["order"]["url"]
        return Order(self, workspace, name, url)


@dataclass(frozen=True)
class Order:
    """An order that waits.

    Attributes:
        watched: Where it was placed.
        workspace: Where its Certificate is.
        name: Of the Certificate.
        url: Of the order.
    """

    watched: WatchedCA
    workspace: Workspace
    name: str
    url: str

    def go_on(self) -> None:
        """Hide its record no longer."""
        self.watched.front.show()

    def assert_issued(self, *, registrations: int = 0) -> None:
        """Let it go on, and see one certificate by this order of the one account, and nothing left over.

        Args:
            registrations: How often the account was asked for since the order was placed, as after a new installation;
                the CA answers with the one that the key has.
        """
        self.go_on()
        found = self.workspace.ready(self.name)
        assert found["status"]["revision"] == 1
        assert "order" not in found["status"]
        assert "finalizers" not in found["metadata"]
        counts = self.watched.ca.counts()
        assert counts[NEW_ORDER] == 1, "a second order was placed"
        assert counts[NEW_ACCOUNT] == registrations
        finalized = {path.removeprefix(FINALIZE) for _, path in counts if path.startswith(FINALIZE)}
        assert finalized == {self.url.rpartition("/")[2]}
        (host,) = found["spec"]["dnsNames"]
        assert self.workspace.challenge_values(f"_acme-challenge.{host}") == []
