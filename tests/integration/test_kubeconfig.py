"""Kubeconfigs that kubectl takes, at the real API server: our client and kopf's session log in the same way."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.session import Login
from certwright.kube.client import KubeClient
from certwright.kube.login import connect, credentials_of
from harness import OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Cluster
    from testbed import TestBed

API_VERSION = "client.authentication.k8s.io/v1"
PATH = "/api/v1/namespaces"


async def ignore(*_: object) -> None:
    """Nothing is known that could be gone."""


class Kubeconfig:
    """A folder with a kubeconfig and what it names, all by relative paths."""

    def __init__(self, bed: TestBed, folder: Path) -> None:
        self.bed, self.folder = bed, folder
        self.path = folder / "config"
        (folder / "ca.crt").write_bytes(bed.authority.pem)

    def write(self, user: dict[str, Any], **cluster: Any) -> Path:
        settings = {"server": self.bed.apiserver.url, "certificate-authority": "ca.crt", **cluster}
        document = {
            "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": settings}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "us"}}],
            "users": [{"name": "us", "user": user}],
        }
        self.path.write_text(yaml.safe_dump(document))
        return self.path

    def plugin(self, *answers: dict[str, str]) -> dict[str, Any]:
        """A user with a plug-in that brings one answer after the other; each run adds a line to `runs`."""
        answered = [{"apiVersion": API_VERSION, "kind": "ExecCredential", "status": answer} for answer in answers]
        (self.folder / "answers.json").write_text(json.dumps(answered))
        program = self.folder / "plugin"
        program.write_text(
            f"#!{sys.executable}\n"
            "import json, pathlib\n"
            "here = pathlib.Path(__file__).parent\n"
            "with (here / 'runs').open('a+') as runs:\n"
            "    runs.seek(0)\n"
            "    number = len(runs.readlines())\n"
            "    runs.write('x\\n')\n"
            "answers = json.loads((here / 'answers.json').read_text())\n"
            "print(json.dumps(answers[min(number, len(answers) - 1)]))\n"
        )
        program.chmod(0o755)
        return {"exec": {"apiVersion": API_VERSION, "command": "./plugin", "interactiveMode": "Never"}}

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())

    def certificate(self) -> dict[str, str]:
        pair = self.bed.authority.client("kubeconfig-test", ["system:masters"])
        return {
            "clientCertificateData": pair.certificate.read_text(),
            "clientKeyData": pair.key.read_text(),
        }


@pytest.fixture
def kubeconfig(bed: TestBed, tmp_path: Path) -> Kubeconfig:
    return Kubeconfig(bed, tmp_path)


@pytest.fixture(scope="module")
def token(bed: TestBed) -> Iterator[str]:
    """A token that the API server made."""
    bed.kubectl("create", "serviceaccount", "kubeconfig-test")
    account = "--serviceaccount=default:kubeconfig-test"
    bed.kubectl("create", "clusterrolebinding", "kubeconfig-test", "--clusterrole=cluster-admin", account)
    yield bed.kubectl("create", "token", "kubeconfig-test").strip()
    bed.kubectl("delete", "clusterrolebinding", "kubeconfig-test")
    bed.kubectl("delete", "serviceaccount", "kubeconfig-test")


async def names_seen(path: Path) -> tuple[bool, int]:
    """Whether our client may list namespaces, and the status that kopf's session gets for the same."""
    api = await connect(str(path))
    try:
        listed = await KubeClient(api).request("GET", PATH, action="list namespaces")
        watches = Watches([], on_list=ignore, on_failure=lambda *_: None)
        found = await Login(watches, credentials_of(api)).log_in()
        assert found is not None
        async with found.aiohttp_session as session, session.get(f"{found.server}{PATH}") as answer:
            return bool(listed["items"]), answer.status
    finally:
        await api.close()  # type: ignore[no-untyped-call]  # the library has no types here


async def test_a_token_file_and_a_ca_beside_the_kubeconfig(kubeconfig: Kubeconfig, token: str) -> None:
    (kubeconfig.folder / "token").write_text(f"{token}\n")
    assert await names_seen(kubeconfig.write({"tokenFile": "token"})) == (True, 200)


async def test_a_plug_in_whose_first_token_is_refused_is_asked_again(kubeconfig: Kubeconfig, token: str) -> None:
    path = kubeconfig.write(kubeconfig.plugin({"token": "eyJ.ended.token"}, {"token": token}))
    assert await names_seen(path) == (True, 200)
    assert kubeconfig.runs == 2


async def test_a_plug_in_that_brings_a_certificate_is_run_once_for_both(kubeconfig: Kubeconfig) -> None:
    assert await names_seen(kubeconfig.write(kubeconfig.plugin(kubeconfig.certificate()))) == (True, 200)
    assert kubeconfig.runs == 1


async def test_the_certificate_is_verified_for_the_name_that_the_kubeconfig_gives(
    kubeconfig: Kubeconfig, token: str
) -> None:
    named = {"tls-server-name": "kubernetes.default.svc"}
    assert await names_seen(kubeconfig.write({"token": token}, **named)) == (True, 200)
    with pytest.raises(Exception, match=r"other\.example\.test"):
        await names_seen(kubeconfig.write({"token": token}, **{"tls-server-name": "other.example.test"}))
    unverified = {"certificate-authority": None, "insecure-skip-tls-verify": True}
    assert await names_seen(kubeconfig.write({"token": token}, **unverified)) == (True, 200)


def test_the_operator_watches_with_a_plug_in_out_of_two_kubeconfigs(
    kubeconfig: Kubeconfig, tmp_path: Path, namespace: str, cluster: Cluster
) -> None:
    whole = yaml.safe_load(kubeconfig.write(kubeconfig.plugin(kubeconfig.certificate())).read_text())
    users = kubeconfig.folder / "users"
    users.write_text(yaml.safe_dump({"users": whole.pop("users")}))
    kubeconfig.path.write_text(yaml.safe_dump(whole))
    assert cluster is not None, "the CRDs are there"
    with OperatorProcess(
        kubeconfig.path,
        tmp_path / "operator.log",
        operator_namespace=namespace,
        arguments=(f"--namespace={namespace}",),
        environment={"KUBECONFIG": f"{users}{os.pathsep}{kubeconfig.path}"},
    ) as operator:
        assert operator.running, "it is ready: everything is watched"
    assert kubeconfig.runs == 1
