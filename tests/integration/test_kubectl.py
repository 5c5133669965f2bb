"""`kubectl certwright` against a real API server with a running operator, as people type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from certwright.cli.cluster.exits import ExitCode
from harness import issuer
from harness.forward_proxy import ForwardProxy
from harness.manifests import certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Cluster, Tenant
    from harness.dns_front import DnsFront
    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble

Kubectl = Any
SECONDS = 120


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with the plug-in on it, whichever way this checkout was installed."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, entry in (("kubectl-certwright", "kubectl_plugin"), ("kubectl_complete-certwright", "kubectl_complete")):
        script = folder / name
        call = f"from certwright.cli.main import {entry}; {entry}()"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{call}" "$@"\n')
        script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def kubectl(bed: TestBed, path: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `kubectl certwright` and returns what it said."""

    def run(*words: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [str(bed.programs["kubectl"]), "certwright", *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig or bed.kubeconfig)},
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    return run


def states(tenant: Tenant, name: str) -> list[tuple[str, str, str]]:
    found = tenant.cluster.get("Certificate", tenant.namespace, name)
    assert found is not None
    assert "request" not in found["spec"]
    return [(one["action"], one["state"], one["requestedBy"]) for one in found["status"].get("requests", ())]


def test_certificates_are_renewed_by_label_with_progress_and_a_record(
    module_tenant: Tenant, kubectl: Kubectl, bind: Bind
) -> None:
    space = module_tenant.namespace
    for name, team in (("one", "a"), ("two", "a"), ("three", "b")):
        manifest = certificate(space, name, (f"{name}.{space}.{bind.zones[0]}",))
        manifest["metadata"]["labels"] = {"team": team}
        module_tenant.cluster.apply(manifest)
    before = {name: module_tenant.ready(name)["status"]["serialNumber"] for name in ("one", "two", "three")}
    done = kubectl("renew", "-n", space, "-l", "team=a", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    assert f"{space}/one: Succeeded: The certificate in Secret" in done.stdout
    after = {name: module_tenant.ready(name)["status"]["serialNumber"] for name in before}
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}
    by = module_tenant.cluster.wait_for(
        "the request is not removed",
        lambda: module_tenant.cluster.get("Certificate", space, "one"),
        lambda found: "request" not in found["spec"],
    )["status"]["requests"][0]["requestedBy"]
    assert states(module_tenant, "one") == [("Renew", "Succeeded", by)]
    assert by == "testbed:admin"
    table = kubectl("status", "-n", space).stdout.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [[name, "True", "Ready"] for name in ("one", "three", "two")]
    calendar = json.loads(kubectl("status", "-n", space, "--calendar", "-o", "json").stdout)
    assert sum(len(day["renewals"]) for day in calendar["days"]) == 3
    shown = kubectl("status", "-n", space, "one").stdout
    assert f"of {by}: Renew Succeeded" in shown
    assert f"Ordering a certificate (Requested): {by} requested a renewal (request renew-" in shown


def test_a_paused_certificate_is_left_alone_until_it_is_resumed(
    module_tenant: Tenant, kubectl: Kubectl, name: str
) -> None:
    space, cluster = module_tenant.namespace, module_tenant.cluster
    module_tenant.apply("held", name)
    module_tenant.ready("held")
    assert kubectl("pause", "-n", space, "held").stdout == f"Certificate {space}/held paused\n"
    cluster.wait_condition("Certificate", space, "held", "Paused", "True")
    refused = kubectl("renew", "-n", space, "held")
    assert (refused.returncode, "is paused" in refused.stderr) == (ExitCode.FAILED, True)
    cluster.delete("Secret", space, "held-tls")
    cluster.patch("Certificate", space, "held", {"spec": {"request": {"id": "by-hand", "action": "Renew"}}})
    found = cluster.wait_for(
        "the request is not refused",
        lambda: cluster.get("Certificate", space, "held"),
        lambda body: bool(body["status"]["requests"]) and "request" not in body["spec"],
    )
    assert found["status"]["requests"][-1]["state"] == "Refused"
    assert "kubectl certwright resume" in found["status"]["requests"][-1]["message"]
    assert cluster.get("Secret", space, "held-tls") is None, "a Secret was written while paused"
    explained = kubectl("explain", "-n", space, "held").stdout
    assert "spec.paused is set" in explained
    assert f"kubectl certwright resume -n {space} held" in explained
    assert kubectl("resume", "-n", space, "held").returncode == 0
    module_tenant.cluster.wait_ready("Certificate", space, "held")
    assert cluster.get("Secret", space, "held-tls") is not None
    assert module_tenant.ready("held")["status"]["serialNumber"] != ""


def test_a_record_that_is_missing_is_explained_with_the_command_that_shows_it(
    module_tenant: Tenant, kubectl: Kubectl, dns_front: DnsFront, name: str
) -> None:
    space = module_tenant.namespace
    dns_front.hide(f"_acme-challenge.{name}")
    module_tenant.add_issuer("hidden", dns_server=dns_front.address)
    module_tenant.apply("blocked", name, issuerRef={"name": "hidden"})
    module_tenant.not_ready("blocked", "WaitingForDNS")
    found = json.loads(kubectl("explain", "-n", space, "blocked", "-o", "json").stdout)["explanations"][0]
    assert found["step"].startswith(f"WaitingForDNS of {name}; the order was placed")
    assert f'_acme-challenge.{name} TXT "' in found["seen"][0]
    host, port = dns_front.address.rsplit(":", 1)
    command = found["commands"][0]
    assert command["command"] == f"dig +short TXT _acme-challenge.{name} @{host} -p {port}"
    tree = kubectl("status", "-n", space, "blocked").stdout
    assert f"record: _acme-challenge.{name} TXT {command['expected']}" in tree
    dns_front.show()
    module_tenant.ready("blocked")


def test_a_file_that_is_not_served_is_explained_with_its_url(
    module_tenant: Tenant, kubectl: Kubectl, name: str
) -> None:
    space = module_tenant.namespace
    module_tenant.add_issuer("web", solvers=[{"http01": {"ingress": {"ingressClassName": "traefik"}}}])
    module_tenant.apply("site", name, issuerRef={"name": "web"})
    module_tenant.not_ready("site", "WaitingForHTTP")
    found = json.loads(kubectl("explain", "-n", space, "site", "-o", "json").stdout)["explanations"][0]
    assert found["commands"][0]["command"].startswith(f"curl -sS http://{name}")
    assert "/.well-known/acme-challenge/" in found["commands"][0]["command"]
    assert "." in found["commands"][0]["expected"]
    module_tenant.cluster.delete("Certificate", space, "site")


def test_an_issuer_whose_ca_is_not_there_is_explained_and_checked(
    module_tenant: Tenant, kubectl: Kubectl, bed: TestBed, cluster: Cluster, name: str
) -> None:
    space = module_tenant.namespace
    cluster.apply(issuer(bed, space, name="gone", server="https://127.0.0.1:9/dir"))
    module_tenant.apply("waits", name, issuerRef={"name": "gone"})
    module_tenant.not_ready("waits", "IssuerNotReady")
    explained = kubectl("explain", "-n", space, "waits", "issuer/gone").stdout
    assert "no order yet: IssuerNotReady" in explained
    assert f"Issuer {space}/gone: Ready=False (CAUnreachable)" in explained
    checked = kubectl("check", "-n", space, "-o", "json")
    assert checked.returncode == ExitCode.FAILED
    found = {one["name"]: one for one in json.loads(checked.stdout)["checks"]}
    assert found[f"Issuer {space}/gone"]["level"] == "fail"
    assert found["CA https://127.0.0.1:9/dir"]["level"] == "warn"
    assert found[f"Issuer {space}/pebble"]["level"] == "pass"
    assert found[f"CA {bed.pebble.directory_url}"]["level"] == "pass"
    assert found[f"DNS server {bed.bind.address}"]["level"] == "pass"
    assert found["clock"]["level"] == "pass"
    assert found["CRD certificates.certwright.io"]["level"] == "pass"
    cluster.delete("Certificate", space, "waits")
    cluster.delete("Issuer", space, "gone")


def test_check_goes_through_the_proxy_of_an_issuer_as_the_operator_does(
    module_tenant: Tenant, kubectl: Kubectl, bed: TestBed, cluster: Cluster
) -> None:
    space = module_tenant.namespace
    with ForwardProxy("user", "pass-words") as proxy:
        cluster.apply(basic_auth(space, "proxy-login", "user", "pass-words"))
        settings = {"url": proxy.url, "credentialsSecretRef": {"name": "proxy-login"}}
        cluster.apply(issuer(bed, space, name="proxied", proxy=settings))
        cluster.wait_ready("Issuer", space, "proxied")
        assert proxy.tunnels, "the operator went another way"
        before = len(proxy.tunnels)
        words = ("check", "-n", space, "-o", "json")
        found = json.loads(kubectl(*words).stdout)["checks"]
        through = f"answers this machine, through its proxy {proxy.url.removeprefix('http://')}, trusting its caBundle"
        (answered,) = [one for one in found if one["message"].startswith(through)]
        assert (answered["level"], answered["name"]) == ("pass", f"CA {bed.pebble.directory_url}")
        assert len(proxy.tunnels) > before
        cluster.apply(basic_auth(space, "proxy-login", "user", "another"))
        refused = [one for one in json.loads(kubectl(*words).stdout)["checks"] if "through its proxy" in one["message"]]
        assert [one["level"] for one in refused] == ["warn"]
        assert "407" in refused[0]["message"]
        cluster.delete("Issuer", space, "proxied")


def basic_auth(namespace: str, name: str, user: str, password: str) -> dict[str, Any]:
    login = {"username": user, "password": password}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": login}


def test_what_a_user_may_not_do_is_told_by_the_commands_and_by_check(
    module_tenant: Tenant, kubectl: Kubectl, bed: TestBed, cluster: Cluster, tmp_path: Path
) -> None:
    space = module_tenant.namespace
    user = f"reader-of-{space}"
    bed.kubectl("create", "role", "reader", "-n", space, "--verb=get,list", "--resource=certificates.certwright.io")
    bed.kubectl("create", "rolebinding", "reader", "-n", space, "--role=reader", f"--user={user}")
    cluster.wait_allowed(user, "list", "Certificate", space)
    kubeconfig = bed.write_kubeconfig(tmp_path / "config", user)
    assert kubectl("status", "-n", space, kubeconfig=kubeconfig).returncode == 0
    refused = kubectl("renew", "-n", space, "one", kubeconfig=kubeconfig)
    assert (refused.returncode, "forbidden" in refused.stderr) == (ExitCode.FAILED, True), refused.stderr
    listed = kubectl("status", "-n", "kube-system", kubeconfig=kubeconfig)
    assert (listed.returncode, "forbidden" in listed.stderr) == (ExitCode.REFUSED, True)
    found = json.loads(kubectl("check", "-n", space, "-o", "json", kubeconfig=kubeconfig).stdout)["checks"]
    rights = next(one for one in found if one["name"] == "your rights")
    assert rights["level"] == "warn"
    assert "patch certificates (for renew" in rights["message"]
    assert "list events" in rights["message"]


def test_watching_prints_each_change(module_tenant: Tenant, bed: TestBed, path: str, name: str) -> None:
    space = module_tenant.namespace
    watching = subprocess.Popen(  # noqa: S603 - our own program
        [str(bed.programs["kubectl"]), "certwright", "status", "-n", space, "--watch"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path, "KUBECONFIG": str(bed.kubeconfig)},
    )
    assert watching.stdout is not None
    try:
        line = watching.stdout.readline()
        assert ": Ready=" in line
        module_tenant.apply("fresh", name)
        while "fresh: Ready=True" not in line:
            line = watching.stdout.readline()
            assert line, "it ended"
    finally:
        watching.terminate()
        watching.wait(SECONDS)
        watching.stdout.close()


def test_kubectl_completes_names_of_certificates(module_tenant: Tenant, bed: TestBed, path: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [str(bed.programs["kubectl"]), "__complete", "certwright", "renew", "-n", module_tenant.namespace, "t"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path, "KUBECONFIG": str(bed.kubeconfig)},
        timeout=SECONDS,
    )
    assert done.stdout.splitlines()[:2] == ["three", "two"]


def test_many_requests_are_cancelled_and_what_is_at_the_ca_is_told(
    module_tenant: Tenant, kubectl: Kubectl, bind: Bind
) -> None:
    """Somebody has asked for too much: one has begun, one Certificate is paused, the others wait for their time."""
    space, cluster = module_tenant.namespace, module_tenant.cluster
    many = [f"many-{number}" for number in range(6)]
    for one in many:
        manifest = certificate(space, one, (f"{one}.{space}.{bind.zones[0]}",))
        manifest["metadata"]["labels"] = {"team": "hurry"}
        cluster.apply(manifest)
    before = {one: module_tenant.ready(one)["status"]["serialNumber"] for one in many}
    cluster.patch("Certificate", space, "many-5", {"spec": {"paused": True}})
    runs = [kubectl("renew", "-n", space, "-l", "team=hurry", "--rate", "1/h", "--yes", "-o", "json") for _ in range(2)]
    assert [one.returncode for one in runs] == [ExitCode.FAILED] * 2, "one is paused"
    first, second = ({one["name"]: one["id"] for one in json.loads(run.stdout)["requests"]} for run in runs)
    assert list(first) == many[:-1]
    waiting = many[1:-1]
    assert [first[one] for one in waiting] == [second[one] for one in waiting], "who asks twice has asked once"
    shown = kubectl("cancel", "-n", space, "-l", "team=hurry", "--dry-run").stdout
    assert f"many-3: request {first['many-3']} (Renew) of testbed:admin would be cancelled: begins in 2h59m" in shown
    done = kubectl("cancel", "-n", space, "-l", "team=hurry", "--yes", "--wait", "-o", "json")
    cancelled = {one["name"]: one for one in json.loads(done.stdout)["requests"]}
    assert {cancelled[one]["state"] for one in waiting} == {"Cancelled"}, done.stderr
    cluster.wait_for(
        "a request is left",
        lambda: {"left": [one for one in cluster.find_all("Certificate", space) if "request" in one["spec"]]},
        lambda found: not found["left"],
    )
    assert [module_tenant.ready(one)["status"]["serialNumber"] for one in waiting] == [before[one] for one in waiting]
    assert kubectl("cancel", "-n", space, "-l", "team=hurry").stdout.startswith("Nothing to cancel")


def test_a_renewal_whose_order_is_at_the_ca_is_cancelled_and_nothing_of_it_is_left(
    module_tenant: Tenant, kubectl: Kubectl, dns_front: DnsFront, make_pebble: Callable[..., Pebble], *, name: str
) -> None:
    space, cluster = module_tenant.namespace, module_tenant.cluster
    # A CA that reuses authorizations needs no records for a renewal.
    module_tenant.add_issuer("fronted", pebble=make_pebble(authz_reuse_percent=0), dns_server=dns_front.address)
    module_tenant.apply("stuck", name, issuerRef={"name": "fronted"})
    serial = module_tenant.ready("stuck")["status"]["serialNumber"]
    dns_front.hide(f"_acme-challenge.{name}")
    assert kubectl("renew", "-n", space, "stuck").returncode == ExitCode.DONE
    module_tenant.under_way("stuck")
    done = kubectl("cancel", "-n", space, "stuck", "--wait", "-o", "json")
    assert done.returncode == ExitCode.DONE, done.stderr
    [cancelled] = json.loads(done.stdout)["requests"]
    assert (cancelled["state"], cancelled["stage"]) == ("Cancelled", "Running")
    assert cancelled["atCA"].startswith("an order is placed (pending)")
    assert "The order that was placed at the CA is given up" in cancelled["message"]
    dns_front.show()
    cluster.wait_for(
        "the order is still there",
        lambda: cluster.get("Certificate", space, "stuck"),
        lambda found: "order" not in found["status"] and not found["metadata"].get("finalizers"),
    )
    assert module_tenant.challenge_values(f"_acme-challenge.{name}") == []
    assert module_tenant.ready("stuck")["status"]["serialNumber"] == serial
