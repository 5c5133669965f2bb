from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import httpx
import pytest

from testbed import DELEGATED_ZONE, EXAMPLE_ZONE, BedOptions, CommandFailed, PebbleOptions, PortTaken, TestBed
from testbed.locations import PACKAGE
from testbed.metrics import RequestKind
from testbed.parts.apiserver import ADMIN
from testbed.parts.bind import ALGORITHMS, OUTSIDER_KEY
from testbed.ports import LOOPBACK, is_free
from testbed.process import wait_until
from testbed.state import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Cluster
    from testbed.process import ProcessIdentity

UNAUTHORIZED = 401
FORBIDDEN = 403
NO_CLUSTER = BedOptions(kubernetes=False, ingress=False)


def update(bed: TestBed, key_name: str, value: str) -> dns.rcode.Rcode:
    key = bed.bind.tsig_keys[key_name]
    # dnspython has the full name of the oldest algorithm only.
    algorithm = "hmac-md5.sig-alg.reg.int" if key.algorithm == "hmac-md5" else key.algorithm
    ring = dns.tsigkeyring.from_text({key_name: (algorithm, key.secret)})
    message = dns.update.UpdateMessage(EXAMPLE_ZONE, keyring=ring)
    message.add("_acme-challenge.testbed", 1, "TXT", f'"{value}"')
    return dns.query.tcp(message, LOOPBACK, port=bed.bind.ports["main"], timeout=30).rcode()


def identities(folder: Path) -> list[ProcessIdentity]:
    state = read_state(folder)
    assert state is not None
    return [part.process for part in state.parts.values() if part.process is not None]


def test_every_part_serves(bed: TestBed) -> None:
    # Other tests may have Pebbles of their own in the same bed.
    names = {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "bind",
        "pebble",
        "pebble-challtestsrv",
        "traefik",
        "backend",
    }
    serving = {name for name, part in bed.parts.items() if part.running and part.ready()}
    assert serving >= names


def test_a_deleted_owner_takes_along_what_it_owns(bed: TestBed, namespace: str) -> None:
    bed.kubectl("create", "configmap", "owner", "-n", namespace)
    uid = bed.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    owned = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "owned", "namespace": namespace, "ownerReferences": [owner]},
    }
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(owned))
    bed.kubectl("delete", "configmap", "owner", "-n", namespace)
    bed.kubectl("wait", "--for=delete", "secret/owned", "-n", namespace, "--timeout=90s")


def test_requests_are_counted(bed: TestBed, namespace: str) -> None:
    before = bed.request_counts()
    bed.kubectl("create", "secret", "generic", "counted", "-n", namespace)
    assert (bed.request_counts() - before)[RequestKind("POST", "", "secrets", "", "201")] == 1


def test_a_user_without_a_role_may_nothing(bed: TestBed, tmp_path: Path) -> None:
    path = bed.write_kubeconfig(tmp_path / "nobody.kubeconfig", "nobody")
    with pytest.raises(CommandFailed, match='User "nobody" cannot list resource "secrets"'):
        bed.kubectl("--kubeconfig", str(path), "get", "secrets", "-n", "default")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signed_update_is_taken_and_listed(bed: TestBed, algorithm: str) -> None:
    value = f"signed with {algorithm}"
    assert update(bed, f"acme-{algorithm}", value) == dns.rcode.NOERROR
    assert value in bed.bind.txt_records(EXAMPLE_ZONE)[f"_acme-challenge.testbed.{EXAMPLE_ZONE}"]
    assert bed.bind.txt_records(DELEGATED_ZONE) == {}


def test_a_key_without_rights_is_refused(bed: TestBed) -> None:
    assert update(bed, OUTSIDER_KEY, "never") == dns.rcode.REFUSED


def test_updates_survive_a_restart_of_the_name_server(bed: TestBed) -> None:
    update(bed, bed.bind.main_key[0], "kept")
    address = bed.bind.address
    bed.bind.stop()
    bed.bind.start()
    assert bed.bind.address == address
    assert "kept" in bed.bind.txt_records(EXAMPLE_ZONE)[f"_acme-challenge.testbed.{EXAMPLE_ZONE}"]


def test_a_restarted_pebble_is_another_ca_at_the_same_address(bed: TestBed) -> None:
    pebble = bed.start_pebble("pebble-restarted", PebbleOptions())
    url, root = pebble.directory_url, pebble.root_pem()
    pebble.kill()
    pebble.start()
    assert pebble.directory_url == url
    assert pebble.root_pem() != root
    bed.end_pebble(pebble)


def test_the_api_server_restarts_with_its_objects(bed: TestBed, namespace: str) -> None:
    url = bed.apiserver.url
    bed.kubectl("create", "configmap", "kept", "-n", namespace)
    bed.apiserver.kill()
    assert not bed.apiserver.ready()
    bed.apiserver.start()
    assert bed.apiserver.url == url
    assert "configmap/kept" in bed.kubectl("get", "configmap", "kept", "-n", namespace, "-o", "name")


def test_the_ingress_controller_serves_the_secret_and_the_backend(bed: TestBed, namespace: str) -> None:
    host = f"{namespace}.{EXAMPLE_ZONE}"
    pair = bed.authority.server(namespace, [host])
    secret = ["create", "secret", "tls", "page", f"--cert={pair.certificate}", f"--key={pair.key}"]
    bed.kubectl(*secret, "-n", namespace)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "page"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": bed.backend.port}]},
    }
    backend = {"service": {"name": "page", "port": {"number": bed.backend.port}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "page"},
        "spec": {"rules": [rule], "tls": [{"hosts": [host], "secretName": "page"}]},
    }
    for manifest in (service, ingress):
        bed.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    seen: list[bytes] = []

    def shown() -> bool:
        seen.append(https_page(bed, host))
        return f"hello from {host}".encode() in seen[-1]

    # It may still be waiting to ask the API server again, which other tests restart: client-go pauses up to 30 s.
    assert wait_until(shown, timeout=180), seen[-1]


def https_page(bed: TestBed, host: str) -> bytes:
    try:
        with (
            socket.create_connection((LOOPBACK, bed.traefik.https_port), timeout=30) as raw,
            bed.authority.client_context().wrap_socket(raw, server_hostname=host) as connection,
            connection.makefile("rb") as answer,
        ):
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return answer.read()
    except ssl.SSLCertVerificationError as error:
        return str(error).encode()


def test_two_beds_stand_side_by_side_and_leave_nothing(tmp_path: Path) -> None:
    with (
        TestBed(NO_CLUSTER, folder=tmp_path / "one") as one,
        TestBed(NO_CLUSTER, folder=tmp_path / "two") as two,
    ):
        processes = identities(one.folder) + identities(two.folder)
        ports = [port for bed in (one, two) for part in bed.parts.values() for port in part.ports.values()]
        assert len(processes) == 6
        assert all(process.runs() for process in processes)
        assert len(set(ports)) == len(ports)
        assert one.pebble.root_pem() != two.pebble.root_pem()
        assert one.bind.main_key != two.bind.main_key
    assert not any(process.runs() for process in processes)
    assert all(is_free(port) for port in ports)


def test_a_bed_whose_python_is_killed_is_gone(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from testbed import BedOptions, TestBed\n"
        "bed = TestBed(BedOptions(kubernetes=False, ingress=False), folder=Path(sys.argv[1])); bed.start()\n"
        "print('up', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(  # noqa: S603 - a program of this very test
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        stdout=subprocess.PIPE,
    ) as python:
        assert python.stdout is not None
        assert python.stdout.readline() == b"up\n"
        processes = identities(tmp_path)
        assert all(process.runs() for process in processes)
        python.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not any(process.runs() for process in processes), timeout=60)


def test_one_attaches_to_a_detached_bed_and_ends_it(tmp_path: Path) -> None:
    bed = TestBed(NO_CLUSTER, folder=tmp_path, detached=True)
    bed.start()
    attached = TestBed.attach(tmp_path)
    assert attached.pebble.root_pem() == bed.pebble.root_pem()
    assert attached.bind.tsig_keys == bed.bind.tsig_keys
    processes = identities(tmp_path)
    attached.stop()
    assert not any(process.runs() for process in processes)
    bed.stop()


def test_a_stolen_port_is_named_with_what_to_do(bed: TestBed) -> None:
    pebble = bed.start_pebble("pebble-crowded", PebbleOptions())
    pebble.stop()
    with socket.socket() as thief:
        thief.bind((LOOPBACK, pebble.ports["acme"]))
        with pytest.raises(PortTaken, match="ss -ltnup") as caught:
            pebble.start()
    assert str(pebble.ports["acme"]) in str(caught.value)
    bed.end_pebble(pebble)


def test_a_fresh_part_whose_port_is_stolen_takes_another(tmp_path: Path) -> None:
    with TestBed(NO_CLUSTER, folder=tmp_path) as bed, socket.socket() as thief:
        pebble = bed.start_pebble("pebble-second", PebbleOptions())
        pebble.stop()
        pebble.start_seconds = None
        stolen = pebble.ports["acme"]
        thief.bind((LOOPBACK, stolen))
        pebble.start()
        assert pebble.ports["acme"] != stolen
        assert pebble.ready()


def test_the_audit_log_tells_who_asked_for_what(bed: TestBed, namespace: str, tmp_path: Path) -> None:
    user = f"auditor-{namespace}"
    path = bed.write_kubeconfig(tmp_path / "auditor.kubeconfig", user, ["system:masters"])
    bed.kubectl("--kubeconfig", str(path), "get", "configmaps", "-n", namespace)
    asked = [(event["verb"], event["objectRef"]) for event in bed.apiserver.audit_events(user) if "objectRef" in event]
    assert [(verb, target["resource"], target["namespace"]) for verb, target in asked] == [
        ("list", "configmaps", namespace)
    ]


def test_a_refusal_for_want_of_a_right_is_told_from_others(bed: TestBed, cluster: Cluster, namespace: str) -> None:
    user = f"limited-{namespace}"
    rights = ("--verb=create", "--resource=configmaps", "--namespace", namespace)
    bed.kubectl("create", "role", "limited", *rights)
    bed.kubectl("create", "rolebinding", "limited", "--role=limited", "--user", user, "--namespace", namespace)
    cluster.wait_allowed(user, "create", "ConfigMap", namespace)
    held = {"metadata": {"finalizers": ["example.test/held"]}}
    bed.kubectl("create", "configmap", "held", "-n", namespace)
    bed.kubectl("patch", "configmap", "held", "-n", namespace, "--type=merge", "--patch", json.dumps(held))
    bed.kubectl("delete", "namespace", namespace, "--wait=false")
    cluster.wait_for(
        "the namespace does not go",
        lambda: cluster.get("Namespace", None, namespace),
        lambda found: found["status"]["phase"] == "Terminating",
    )
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with httpx.Client(
        base_url=bed.apiserver.url, verify=bed.authority.client_context(bed.authority.client(user)), trust_env=False
    ) as limited:
        late = limited.post(path, json={"metadata": {"name": "late"}})
        assert (late.status_code, "being terminated" in late.text) == (FORBIDDEN, True)
        assert limited.get(path).status_code == FORBIDDEN
    assert bed.apiserver.refusals(user) == [f"list {path}"]
    bed.kubectl(
        "patch", "configmap", "held", "-n", namespace, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}'
    )


def test_the_audit_log_also_has_requests_of_nobody(bed: TestBed) -> None:
    path = f"/api/v1/namespaces/{secrets.token_hex(8)}"
    with httpx.Client(base_url=bed.apiserver.url, verify=bed.authority.client_context(), trust_env=False) as stranger:
        answer = stranger.get(path, headers={"Authorization": "Bearer of-a-deleted-account"})
    assert answer.status_code == UNAUTHORIZED
    asked = [event for event in bed.apiserver.audit_events("") if event["requestURI"] == path]
    assert [event["responseStatus"]["code"] for event in asked] == [UNAUTHORIZED]
    assert path not in {event["requestURI"] for event in bed.apiserver.audit_events(ADMIN)}
