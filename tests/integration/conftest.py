"""The operator as its users run it, against the bed's real parts."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from harness import Cluster, OperatorProcess, Tenant, issuer, tsig_secret
from harness.dns_front import DnsFront
from harness.migrating import running_cert_manager, their_object
from testbed.options import PebbleOptions
from testbed.ports import allocator
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.cert_manager import CertManager
    from testbed.parts.pebble import Pebble

OPERATOR = pytest.StashKey[OperatorProcess]()
# The bed's own Pebble has its clients wait, in seconds and by dates; with the others there is nothing to wait for.
AT_ONCE = {"retry_after_authz": 0, "retry_after_order": 0}


@pytest.fixture(scope="session")
def cluster(bed: TestBed) -> Iterator[Cluster]:
    """The API server, with our CRDs."""
    bed.apply_crds()
    with Cluster(bed) as connected:
        yield connected


@pytest.fixture(scope="session")
def operator_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operator") / "operator.log"


@pytest.fixture(scope="session")
def operator_namespace(cluster: Cluster) -> str:
    """Where the Secrets of ClusterIssuers are; it stays for as long as the bed."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "certwright"}})
    return "certwright"


@pytest.fixture(scope="session")
def session_operator(
    bed: TestBed, operator_namespace: str, operator_log: Path, request: pytest.FixtureRequest
) -> Iterator[OperatorProcess]:
    """One operator for all tests that do not end it."""
    # There is no node to run solver pods on: what is made of them, and said about them, can be seen all the same.
    arguments = ("--solver-image=localhost/certwright:none", f"--http01-port={bed.traefik.http_port}")
    with OperatorProcess(
        bed.kubeconfig, operator_log, operator_namespace=operator_namespace, arguments=arguments
    ) as running:
        request.config.stash[OPERATOR] = running
        yield running


@pytest.fixture
def operator(session_operator: OperatorProcess) -> OperatorProcess:
    """The shared operator, started again if a test has ended it."""
    if not session_operator.running:
        session_operator.start()
    return session_operator


@pytest.fixture(scope="module")
def without_operator(request: pytest.FixtureRequest) -> None:
    """Nobody answers to what the tests of this file apply; `operator` starts it again for the next ones."""
    running = request.config.stash.get(OPERATOR, None)
    if running is not None:
        running.stop()


@pytest.fixture
def tenant(bed: TestBed, cluster: Cluster, operator: OperatorProcess, namespace: str) -> Tenant:
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(issuer(bed, namespace))
    cluster.wait_ready("Issuer", namespace, "pebble")
    return Tenant(namespace, bed, cluster, operator)


@pytest.fixture(scope="module")
def module_tenant(bed: TestBed, cluster: Cluster, session_operator: OperatorProcess) -> Iterator[Tenant]:
    """A tenant for all tests of a file; the file's tests use ``operator`` as well, and end it nowhere."""
    if not session_operator.running:
        session_operator.start()
    namespace = f"test-{secrets.token_hex(4)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(issuer(bed, namespace))
    cluster.wait_ready("Issuer", namespace, "pebble")
    yield Tenant(namespace, bed, cluster, session_operator)
    cluster.delete("Namespace", None, namespace)


@pytest.fixture(scope="module")
def http_port() -> int:
    """Where a file's CA looks for http-01, and its solvers listen."""
    return allocator.take()


@pytest.fixture(scope="module")
def tls_port() -> int:
    """The same for tls-alpn-01."""
    return allocator.take()


@pytest.fixture
def name(bind: Bind) -> str:
    """A name nobody else uses."""
    return f"{secrets.token_hex(6)}.{bind.zones[0]}"


@pytest.fixture
def standalone(http_port: int) -> list[str]:
    """Options of the command for http-01 at the port where a file's CA looks."""
    return ["--solver", "standalone", "--http-port", str(http_port)]


@pytest.fixture(scope="module")
def module_proxy(ca: Pebble) -> Iterator[RecordingProxy]:
    """The proxy of a whole file in front of its `ca`; tests ask for `proxy`."""
    with RecordingProxy.for_pebble(ca) as running:
        yield running


@pytest.fixture
def proxy(module_proxy: RecordingProxy) -> Iterator[RecordingProxy]:
    """Stands between a client and the file's CA, and can interfere."""
    module_proxy.reset()
    yield module_proxy
    module_proxy.reset()


@pytest.fixture
def make_pebble(bed: TestBed) -> Iterator[Callable[..., Pebble]]:
    """Starts Pebbles with settings of their own, which end with the test."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Pebble:
            options = PebbleOptions(**{**AT_ONCE, **settings})
            started = bed.start_pebble(f"pebble-{secrets.token_hex(3)}", options)
            stack.callback(bed.end_pebble, started)
            return started

        yield make


@pytest.fixture
def counted_ca(make_pebble: Callable[..., Pebble]) -> Iterator[RecordingProxy]:
    """A proxy in front of a Pebble that refuses no nonces and reuses nothing: each request is there for a reason."""
    with RecordingProxy.for_pebble(make_pebble(nonce_reject_percent=0, authz_reuse_percent=0)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def cert_manager(bed: TestBed, cluster: Cluster) -> Iterator[CertManager]:
    """cert-manager's own controllers, with their CRDs and their Deployment."""
    with running_cert_manager(bed, cluster) as controller:
        yield controller


@pytest.fixture
def theirs(bed: TestBed) -> Callable[..., dict[str, Any]]:
    """Returns an object of cert-manager as it is; empty if there is none."""
    return partial(their_object, bed)


@pytest.fixture
def dns_front(bed: TestBed) -> Iterator[DnsFront]:
    """A DNS server that can hide records, so that an order waits for as long as a test likes."""
    with DnsFront(bed.bind) as front:
        yield front


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of the operator's log to the report of a failed test."""
    report = yield
    running = item.config.stash.get(OPERATOR, None)
    if report.failed and running is not None and "operator" in getattr(item, "fixturenames", ()):
        report.sections.append(("end of the log of the operator", running.tail()))
    return report
