"""`migrate` on files: verdicts for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from certwright.cli.cluster import migrate as of
from certwright.cli.cluster.app import plugin
from certwright.cli.cluster.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def manifest(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name} if kind == "ClusterIssuer" else {"name": name, "namespace": "shop"}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


ACME = {
    "server": "https://ca.test/d",
    "privateKeySecretRef": {"name": "account"},
    "solvers": [{"http01": {"ingress": {}}}],
}
SHARED = {"name": "le", "kind": "ClusterIssuer"}
OBJECTS = [
    manifest("ClusterIssuer", "le", acme=ACME),
    manifest("Issuer", "self", selfSigned={}),
    manifest("Certificate", "web", dnsNames=["a.test"], secretName="web", issuerRef=SHARED),
    manifest(
        "Certificate",
        "api",
        dnsNames=["b.test"],
        secretName="api",
        issuerRef=SHARED,
        signatureAlgorithm="SHA384WithRSA",
    ),
    manifest("Certificate", "root", commonName="r", isCA=True, secretName="r", issuerRef={"name": "self"}),
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Objects as people keep them: some in a list, some in files below."""
    below = tmp_path / "apps"
    below.mkdir()
    (tmp_path / "issuers.yaml").write_text(yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": OBJECTS[:2]}))
    (below / "certificates.yml").write_text(yaml.safe_dump_all(OBJECTS[2:]))
    (below / "README.md").write_text("{{ not: yaml")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(plugin, ["migrate", *words])


def test_every_object_of_a_folder_has_its_verdict(folder: Path) -> None:
    done = run("-f", str(folder))
    assert done.exit_code == ExitCode.DONE
    lines = done.output.splitlines()
    verdicts = {line.split()[-1]: line.rpartition("   ")[0].split("   ")[0] for line in lines[1:6]}
    assert verdicts == {
        "le": "MOVES",
        "self": "STAYS",
        "web": "MOVES",
        "api": "MOVES WITH CHANGES",
        "root": "STAYS",
    }
    assert "  stays    spec.isCA: ACME CAs issue no certificates for CAs (it stays with cert-manager)" in lines
    assert any(line.startswith("  changes  spec.signatureAlgorithm:") for line in lines)
    assert "5 objects: 2 moves, 1 moves with changes, 2 stays" in lines
    assert any(line.startswith("cert-manager stays for 1 issuers of type selfSigned:") for line in lines)


def test_programs_get_the_same(folder: Path) -> None:
    found = json.loads(run("-f", str(folder), "-o", "json").output)
    assert found["holders"] == {"selfSigned": 1}
    by_name = {one["name"]: one for one in found["objects"]}
    assert by_name["root"]["refusals"][0]["field"] == "spec.isCA"
    assert by_name["web"]["manifest"]["apiVersion"] == "certwright.io/v1"


def test_a_repository_gets_our_objects(folder: Path) -> None:
    ours = list(yaml.safe_load_all(run("-f", str(folder), "-o", "manifests").output))
    assert {(one["kind"], one["metadata"]["name"]) for one in ours} == {
        ("ClusterIssuer", "le"),
        ("Certificate", "web"),
        ("Certificate", "api"),
    }


def test_an_issuer_that_is_not_here_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(OBJECTS[2]))
    assert "Certificates refer to issuers that are not here: le" in run("-f", str(tmp_path)).output


@pytest.mark.parametrize(
    ("content", "words"),
    [("{{ .Values.x }}: [", "is not YAML. A template of Helm has to be rendered first"), ("[" * 3000, "is not YAML")],
)
def test_what_is_no_yaml_is_told_with_its_file(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "one.yaml").write_text(content)
    done = run("-f", str(tmp_path / "one.yaml"))
    assert (done.exit_code, words in done.output) == (ExitCode.USAGE, True)
    assert "one.yaml" in done.output


def test_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of, "MAX_FILE", 10)
    (tmp_path / "one.yaml").write_text("a: " + "b" * 20)
    assert "split it" in run("-f", str(tmp_path / "one.yaml")).output
    assert "cannot be read" in run("-f", str(tmp_path / "missing.yaml")).output


@pytest.mark.parametrize("words", [("--apply", "--back"), ("--remove-crds",), ("--apply", "-f", "x")])
def test_steps_are_taken_one_at_a_time_and_in_a_cluster(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.exit_code, "at a time" in done.output) == (ExitCode.USAGE, True)
