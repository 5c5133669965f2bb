"""What the operator sees, and that it says so: CRDs that come later, rights that are missing, watches that expire."""

from __future__ import annotations

import copy
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from harness import Cluster, OperatorProcess, Tenant, issuer, tsig_secret
from harness.chart_rights import ChartRights
from testbed.bed import TestBed
from testbed.exchanges import Drop, Forward, Respond
from testbed.options import BedOptions
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chart import Helm
    from testbed.exchanges import Action, Request

HOME = "certwright"
RESOURCES = ("certificates", "issuers", "clusterissuers", "secrets")
EXPIRED = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}


@pytest.fixture(scope="module")
def empty_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    """An API server of its own, whose CRDs and rights are changed."""
    options = BedOptions(acme=False, challtestsrv=False, ingress=False)
    with TestBed(options, folder=tmp_path_factory.mktemp("empty-bed")) as started:
        started.kubectl("create", "namespace", HOME)
        yield started


@pytest.fixture
def empty_cluster(empty_bed: TestBed) -> Iterator[Cluster]:
    with Cluster(empty_bed) as connected:
        yield connected


def wait_why(cluster: Cluster, operator: OperatorProcess, fits: Callable[[str | None], bool]) -> str | None:
    """Wait until ``/readyz`` says what fits, None for ready; return it."""

    def look() -> dict[str, Any]:
        try:
            return {"status": {"readyz": operator.why_not_ready()}}
        except OSError as error:
            return {"status": {"readyz": f"no answer: {error}"}}

    found = cluster.wait_for("/readyz does not say what it should", look, lambda seen: fits(seen["status"]["readyz"]))
    said: str | None = found["status"]["readyz"]
    return said


def names_the_secrets(why: str | None) -> bool:
    refusal = "not ready: the list of secrets has not arrived: HTTP 403 Forbidden: secrets is forbidden: "
    return why is not None and why.startswith(refusal)


def watching(operator: OperatorProcess) -> list[str]:
    lines = operator.metrics().splitlines()
    return [name for name in RESOURCES if f'certwright_watching{{resource="{name}"}} 1.0' in lines]


@pytest.mark.parametrize("election", [(), ("--leader-elect", "--lease-name=late")], ids=["alone", "one of several"])
def test_crds_that_come_later_make_it_ready(
    empty_bed: TestBed, empty_cluster: Cluster, tmp_path: Path, election: tuple[str, ...]
) -> None:
    empty_bed.kubectl("delete", "customresourcedefinitions", "--all", "--wait")
    operator = OperatorProcess(
        empty_bed.kubeconfig, tmp_path / "operator.log", operator_namespace=HOME, arguments=election
    )
    operator.start(wait=False)
    try:
        said = wait_why(empty_cluster, operator, lambda why: why is not None and "does not serve" in why)
        assert said == (
            "not ready: the API server does not serve certificates.certwright.io, issuers.certwright.io, "
            "clusterissuers.certwright.io (are the CRDs applied?); secrets are not watched yet\n"
        )
        assert operator.healthy()
        assert watching(operator) == []
        empty_bed.apply_crds()
        wait_why(empty_cluster, operator, lambda why: why is None)
        # A watch may be told to come back in a second, right after its list.
        empty_cluster.wait_for(
            "not everything is watched",
            lambda: {"status": {"watched": watching(operator)}},
            lambda seen: seen["status"]["watched"] == list(RESOURCES),
        )
        log = operator.tail()
    finally:
        operator.stop()
    # kopf's words about what is only beginning are left out; one line of ours says it.
    assert "ERROR" not in log
    assert "Unresolved" not in log
    assert log.count(" ready\n") == 1


@pytest.mark.parametrize("election", [True, False], ids=["one of several", "alone"])
def test_a_right_that_is_missing_is_named_until_it_is_there(
    empty_bed: TestBed, empty_cluster: Cluster, helm: Helm, tmp_path: Path, *, election: bool
) -> None:
    empty_bed.apply_crds()
    with ChartRights(empty_bed, helm, HOME, {"leaderElection": {"enabled": election}}) as rights:
        role = empty_cluster.get("ClusterRole", None, "certwright")
        assert role is not None
        fewer = copy.deepcopy(role["rules"])
        next(rule for rule in fewer if "secrets" in rule["resources"])["verbs"].remove("list")
        empty_cluster.patch("ClusterRole", None, "certwright", {"rules": fewer})
        account = rights.kubeconfig(tmp_path / "kubeconfig")
        operator = OperatorProcess(
            account, tmp_path / "operator.log", operator_namespace=HOME, environment=rights.environment
        )
        operator.start(wait=False)
        try:
            said = wait_why(empty_cluster, operator, names_the_secrets)
            assert said is not None
            assert f'User "{rights.user}" cannot list resource "secrets"' in said
            assert operator.healthy()
            assert watching(operator) == ["certificates", "issuers", "clusterissuers"]
            assert 'certwright_watch_failures_total{resource="secrets",status="403"}' in operator.metrics()
            # It can be stopped all the same.
            assert operator.stop() == 0
            operator.start(wait=False)
            wait_why(empty_cluster, operator, names_the_secrets)
            empty_cluster.patch("ClusterRole", None, "certwright", {"rules": role["rules"]})
            wait_why(empty_cluster, operator, lambda why: why is None)
            log = operator.tail()
        finally:
            operator.stop()
    assert log.count("secrets cannot be watched") == 2
    assert log.count("secrets can be watched again") == 1


def test_a_restart_of_the_api_server_makes_nobody_unready(
    empty_bed: TestBed, empty_cluster: Cluster, tmp_path: Path
) -> None:
    empty_bed.apply_crds()
    with OperatorProcess(empty_bed.kubeconfig, tmp_path / "operator.log", operator_namespace=HOME) as operator:
        said, over = [operator.why_not_ready()], threading.Event()

        def look() -> None:
            while not over.wait(0.1):
                said.append(operator.why_not_ready())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            empty_bed.apiserver.stop()
            empty_cluster.wait_for(
                "the watches are not missed",
                lambda: {"status": {"watched": watching(operator)}},
                lambda seen: seen["status"]["watched"] == [],
            )
            empty_bed.apiserver.start()
            empty_cluster.wait_for(
                "the watches do not come back",
                lambda: {"status": {"watched": watching(operator)}},
                lambda seen: seen["status"]["watched"] == list(RESOURCES),
            )
        finally:
            over.set()
            looking.join()
        assert len(said) > 10
        assert set(said) == {None}
        assert operator.healthy()


@pytest.mark.usefixtures("without_operator")
def test_what_is_deleted_while_a_watch_has_expired_is_noticed(
    bed: TestBed, cluster: Cluster, operator_namespace: str, namespace: str, tmp_path: Path
) -> None:
    with RecordingProxy.for_apiserver(bed.apiserver) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig")
        operator = OperatorProcess(kubeconfig, tmp_path / "operator.log", operator_namespace=operator_namespace)
        with operator:
            tenant = Tenant(namespace, bed, cluster, operator)
            cluster.apply(tsig_secret(bed, namespace))
            for name in ("pebble", "gone"):
                cluster.apply(issuer(bed, namespace, name=name))
                cluster.wait_ready("Issuer", namespace, name)
            for name in ("kept", "gone", "bereft"):
                tenant.apply(name, f"{name}.expired.example.test")
                tenant.ready(name)
            serial = tenant.leaf("kept-tls").serial_number
            # Nothing is heard of the API server; when it is again, what is new is too long ago for a watch to tell.
            proxy.on_request = lambda _: Drop()
            proxy.break_connections()
            cluster.delete("Certificate", namespace, "gone")
            cluster.delete("Issuer", namespace, "gone")
            cluster.delete("Secret", namespace, "kept-tls")
            cluster.delete("Secret", namespace, "bereft-tls")
            cluster.delete("Certificate", namespace, "bereft")
            expired: Counter[str] = Counter()

            def expire_once(request: Request) -> Action:
                if not request.is_watch or expired[request.path]:
                    return Forward()
                expired[request.path] += 1
                return Respond(200, json.dumps({"type": "ERROR", "object": EXPIRED}).encode())

            proxy.on_request = expire_once
            cluster.wait_for(
                "the Secret is not made anew",
                lambda: cluster.get("Secret", namespace, "kept-tls"),
                lambda _: True,
            )
            cluster.wait_for(
                "the metrics still show what was deleted",
                lambda: {"status": [line for line in operator.metrics().splitlines() if namespace in line]},
                lambda seen: not [line for line in seen["status"] if 'name="gone"' in line or 'name="bereft"' in line],
            )
            found = tenant.ready("kept")
            assert found["status"]["revision"] == 1
            assert tenant.leaf("kept-tls").serial_number == serial
            assert cluster.get("Secret", namespace, "bereft-tls") is None
            assert expired["/apis/certwright.io/v1/certificates"] == 1
            assert expired["/api/v1/secrets"] == 1
            log = operator.tail()
        for gone in ("Certificate {}/gone", "Issuer {}/gone", "Secret {}/kept-tls"):
            assert f"{gone.format(namespace)} was deleted while it was not watched" in log
