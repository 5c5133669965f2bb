from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kubernetes.aio.config import incluster_config

from certwright.kube import login
from certwright.kube.login import NoCredentials, connect, in_cluster, in_cluster_url, own_namespace

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: "https://api.example:6443"%s}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: made-up}}]
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig and no pod, whatever machine this runs on."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A pod with a service account, whose folder this is."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "namespace").write_text("tools\n")
    (folder / "token").write_text("pod-token")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(login, "SERVICE_ACCOUNT_NAMESPACE", folder / "namespace")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
    return folder


async def test_a_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(GOOD % "")
    api = await connect(str(path))
    try:
        assert api.configuration.host == "https://api.example:6443"
        assert api.user_agent == "certwright"
        assert api.rest_client.retry_client is None
    finally:
        await api.close()  # type: ignore[no-untyped-call]  # the library has no types here


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("", "is not a kubeconfig"),
        ("- a\n- b\n", "is not a kubeconfig"),
        ("{{{", "is not YAML"),
        ("\udcff", "is not YAML"),
        ("apiVersion: v1\nkind: Config\n", "current-context is not set"),
        (GOOD.replace("name: here,", "name: there,") % "", "current-context is here, and there is no such context"),
        (GOOD % ', certificate-authority: "/no/such/ca"', "/no/such/ca"),
        (GOOD % ', certificate-authority-data: "aGVsbG8="', "no certificate"),
    ],
    ids=["missing", "empty", "list", "no YAML", "no text", "no context", "another context", "no CA file", "no CA"],
)
async def test_what_is_wrong_with_a_kubeconfig_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content, errors="surrogateescape")
    with pytest.raises(NoCredentials) as caught:
        await connect(str(path))
    said = str(caught.value)
    assert said.startswith(f"no credentials for a Kubernetes API server in {path}: ")
    assert words in said
    assert said.endswith("or name a kubeconfig with --kubeconfig or KUBECONFIG.")


def test_outside_a_pod_there_is_no_namespace_of_ours() -> None:
    assert (in_cluster(), own_namespace()) == (False, None)


@pytest.mark.usefixtures("pod")
def test_a_pod_knows_its_namespace() -> None:
    assert (in_cluster(), own_namespace()) == (True, "tools")


@pytest.mark.usefixtures("pod")
async def test_a_pod_without_a_ca_says_so() -> None:
    with pytest.raises(NoCredentials, match="certification file does not exist"):
        await connect()


@pytest.mark.usefixtures("pod")
async def test_a_kubeconfig_that_is_named_counts_in_a_pod_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(GOOD % "")
    api = await connect(str(path))
    try:
        assert api.configuration.host == "https://api.example:6443"
    finally:
        await api.close()  # type: ignore[no-untyped-call]  # the library has no types here


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_in_a_pod_the_api_server_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    assert in_cluster_url() == url
