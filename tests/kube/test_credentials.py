"""Kubeconfigs as kubectl takes them: several files, relative paths, token files, plug-ins."""

from __future__ import annotations

import datetime as dt
import json
import os
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from certwright.kube import credentials as module
from certwright.kube import exec_plugin
from certwright.kube.credentials import Credentials
from certwright.kube.kubeconfig import NoCredentials, context_names, load
from certwright.pki import generate_private_key, private_key_to_pem
from tests.fakes.pki import Ca, make_ca

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
API_VERSION = "client.authentication.k8s.io/v1"


def document(user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.test:6443", **cluster}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "tools"}}],
        "users": [{"name": "u", "user": user}],
    }


def written(path: Path, content: dict[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def made(tmp_path: Path, user: dict[str, Any], **cluster: Any) -> Credentials:
    return Credentials.load(written(tmp_path / "config", document(user, **cluster)))


def plugin(tmp_path: Path, program: str, **settings: Any) -> dict[str, Any]:
    """A user whose plug-in is a Python program beside the kubeconfig."""
    path = tmp_path / "bin" / "plugin"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{program}\n")
    path.chmod(0o755)
    return {"exec": {"apiVersion": API_VERSION, "command": "bin/plugin", **settings}}


def says(**status: Any) -> str:
    return f"print({json.dumps({'apiVersion': API_VERSION, 'kind': 'ExecCredential', 'status': status})!r})"


COUNTED = """
calls = len(open("calls").read()) if os.path.exists("calls") else 0
open("calls", "a").write("x")
"""


def leftovers() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("certwright-*.pem"))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The working directory is not where the kubeconfig is."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({}, None),
        ({"token": "t"}, "Bearer t"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({"token": "t", "username": "u", "password": "p"}, "Bearer t"),
    ],
)
async def test_what_a_user_is_known_by(tmp_path: Path, user: dict[str, Any], header: str | None) -> None:
    credentials = made(tmp_path, user)
    assert await credentials.authorization() == header
    assert (credentials.server, credentials.namespace) == ("https://api.example.test:6443", "tools")


async def test_a_token_file_is_read_again_and_its_path_is_relative_to_the_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("first\n")
    credentials = made(tmp_path, {"tokenFile": "token", "token": "older"})
    assert await credentials.authorization() == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert await credentials.authorization() == "Bearer first"
    credentials.rejected()
    assert await credentials.authorization() == "Bearer second"
    monkeypatch.setattr(module, "TOKEN_FILE_SECONDS", 0.0)
    (tmp_path / "token").write_text("")
    assert await credentials.authorization() == "Bearer second"
    (tmp_path / "token").unlink()
    assert await credentials.authorization() == "Bearer second"
    with pytest.raises(NoCredentials, match=r"cannot read .*/none: no such file"):
        await made(tmp_path, {"tokenFile": "none"}).authorization()


async def test_certificates_are_read_from_paths_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    ca, key = make_ca("API"), generate_private_key()
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(Ca.pem(ca.certificate))
    (tmp_path / "pki" / "tls.crt").write_bytes(Ca.pem(ca.issue(key)).rstrip())
    (tmp_path / "pki" / "tls.key").write_bytes(private_key_to_pem(key))
    user = {"client-certificate": "pki/tls.crt", "client-key": "pki/tls.key"}
    credentials = made(tmp_path, user, **{"certificate-authority": "pki/ca.crt"})
    assert len(credentials.tls.get_ca_certs()) == 1
    assert not leftovers(), "a private key stays behind"
    (tmp_path / "pki" / "tls.key").write_bytes(private_key_to_pem(generate_private_key()))
    with pytest.raises(NoCredentials, match="client certificate of user u"):
        made(tmp_path, user)


def test_several_files_are_merged_and_the_first_that_says_something_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"users": [{"name": "u", "user": {"tokenFile": "token"}}], "current-context": "here"}
    second = {**document({"token": "second"}), "current-context": "there"}
    files = [
        written(tmp_path / "a" / "config", first),
        str(tmp_path / "missing"),
        written(tmp_path / "b" / "c", second),
    ]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["", *files]))
    context = load(None)
    assert context.user.path("tokenFile") == tmp_path / "a" / "token"
    assert context.cluster.folder == tmp_path / "b"
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(NoCredentials, match=r"there is no .*missing"):
        load(None)


def test_a_context_can_be_named(tmp_path: Path) -> None:
    content = document({"token": "second"})
    content["contexts"] = [
        *content["contexts"],
        {"name": "other", "context": {**content["contexts"][0]["context"], "namespace": "n"}},
    ]
    path = written(tmp_path / "config", content)
    assert (load(path).namespace, load(path, "other").namespace) != ("n", "n")
    assert load(path, "other").namespace == "n"
    assert context_names(path) == [one["name"] for one in content["contexts"]]
    with pytest.raises(NoCredentials, match="there is no context third"):
        load(path, "third")


def test_what_a_cluster_says_of_tls_and_proxies(tmp_path: Path) -> None:
    said = {"insecure-skip-tls-verify": True, "tls-server-name": "api.internal", "proxy-url": "http://proxy.test:3128"}
    credentials = made(tmp_path, {}, **said)
    assert credentials.tls.verify_mode == ssl.CERT_NONE
    assert (credentials.tls_server_name, credentials.proxy) == ("api.internal", "http://proxy.test:3128")
    assert made(tmp_path, {}).tls.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(("exceptions", "proxy"), [("10.0.0.0/8", None), ("192.168.0.0/16", "http://env.test:3128")])
def test_the_proxy_of_the_environment_counts_unless_the_api_server_is_excepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exceptions: str, proxy: str | None
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://env.test:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert made(tmp_path, {}, server="https://10.1.2.3:6443").proxy == proxy


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        ({"as": "admin"}, {}, "impersonation is not supported"),
        ({"auth-provider": {"name": "oidc"}}, {}, "use an exec plug-in"),
        ({"token": 7}, {}, "token of user u is not a text"),
        ({"client-certificate-data": "%%%"}, {}, "is not base64"),
        ({}, {"insecure-skip-tls-verify": True, "certificate-authority-data": "eA=="}, "exclude each other"),
        ({}, {"certificate-authority-data": "eA=="}, "no certificate"),
        ({}, {"proxy-url": "socks5://p"}, "not http or https"),
        ({}, {"server": ""}, "cluster c has no server"),
        ({"exec": {}}, {}, "has no command"),
        ({"exec": {"command": "x", "apiVersion": "v0"}}, {}, "supported are"),
        ({"exec": {"command": "x", "apiVersion": API_VERSION, "interactiveMode": "Always"}}, {}, "needs a terminal"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], words: str) -> None:
    with pytest.raises(NoCredentials, match=words):
        made(tmp_path, user, **cluster)


async def test_a_plug_in_is_run_once_until_its_token_ends_or_is_refused(tmp_path: Path) -> None:
    program = f"""
os.chdir({str(tmp_path)!r}){COUNTED}
status = {{"token": f"token-{{calls}}", "expirationTimestamp": "2026-06-01T13:00:00Z" if calls < 1 else None}}
print(json.dumps({{"apiVersion": {API_VERSION!r}, "kind": "ExecCredential", "status": status}}))
"""
    path, now = written(tmp_path / "config", document(plugin(tmp_path, program))), NOW
    credentials = Credentials(load(path), now=lambda: now)
    assert [await credentials.authorization() for _ in range(2)] == ["Bearer token-0"] * 2
    now += dt.timedelta(hours=1)
    assert [await credentials.authorization() for _ in range(2)] == ["Bearer token-1"] * 2
    now += dt.timedelta(days=1)
    assert await credentials.authorization() == "Bearer token-1"
    credentials.rejected()
    assert await credentials.authorization() == "Bearer token-2"


async def test_a_plug_in_is_told_what_it_asks_for(tmp_path: Path) -> None:
    program = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = json.dumps([sys.argv[1:], os.environ['REGION'], info['spec'], sys.stdin.read()])\n"
        f"print(json.dumps({{'apiVersion': {API_VERSION!r}, 'kind': 'ExecCredential', 'status': {{'token': token}}}}))"
    )
    settings = {"args": ["get", "token"], "env": [{"name": "REGION", "value": "eu"}], "provideClusterInfo": True}
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}]
    authorization = await made(tmp_path, plugin(tmp_path, program, **settings), extensions=extensions).authorization()
    arguments, region, spec, typed = json.loads((authorization or "").removeprefix("Bearer "))
    assert (arguments, region, typed, spec["interactive"]) == (["get", "token"], "eu", "", False)
    assert spec["cluster"] == {"server": "https://api.example.test:6443", "config": {"audience": "x"}}


async def test_a_plug_in_may_bring_a_certificate(tmp_path: Path) -> None:
    ca, key = make_ca("API"), generate_private_key()
    pair = {
        "clientCertificateData": Ca.pem(ca.issue(key)).decode(),
        "clientKeyData": private_key_to_pem(key).decode(),
    }
    assert await made(tmp_path, plugin(tmp_path, says(**pair))).authorization() is None
    pair["clientKeyData"] = private_key_to_pem(generate_private_key()).decode()
    with pytest.raises(NoCredentials, match="cannot be used"):
        await made(tmp_path, plugin(tmp_path, says(**pair))).authorization()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit('not logged in')", "failed with exit code 1: not logged in"),
        ("print('{')", "brought no ExecCredential"),
        ("print('[]')", "brought no ExecCredential"),
        (says(), "neither a token nor a certificate"),
        (says(clientCertificateData="x"), "neither a token nor a certificate"),
        (says(token="t", expirationTimestamp="soon"), "brought no ExecCredential"),
        (says(token=7).replace("7", "[7]"), "brought no ExecCredential"),
        (says(token="t").replace("/v1", "/v1beta1"), "does not speak"),
        ("sys.stdout.write('x' * 2_000_000)", "wrote more than 1048576 bytes"),
        ("import subprocess; subprocess.run(['sleep', '60'])", "was still running after 1 s"),
    ],
)
async def test_a_plug_in_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    monkeypatch.setattr(exec_plugin, "SECONDS", 1.0 if "sleep" in program else 60.0)
    credentials = made(tmp_path, plugin(tmp_path, program))
    with pytest.raises(NoCredentials, match=f"exec plug-in plugin .*{words}"):
        await credentials.authorization()


async def test_a_plug_in_that_is_not_there_is_named_with_how_to_install_it(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": API_VERSION, "command": "no-such-plug-in", "installHint": "Install it: x"}}
    with pytest.raises(
        NoCredentials, match=r"cannot run the exec plug-in no-such-plug-in: no such file.*Install it: x"
    ):
        await made(tmp_path, user).authorization()
