"""The CRDs that stand in for cert-manager's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from certwright.cert_manager.crds import cert_manager_definitions
from certwright.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def schemas(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every schema in one."""
    yield value
    for one in (value.get("properties") or {}).values():
        yield from schemas(one)
    for name in ("items", "additionalProperties"):
        if isinstance(value.get(name), dict):
            yield from schemas(value[name])


def spec_of(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def test_a_spec_takes_anything_and_keeps_it() -> None:
    for definition in cert_manager_definitions():
        assert definition["metadata"]["name"].endswith(".cert-manager.io")
        for schema in schemas(spec_of(definition)):
            assert schema.keys() <= {
                "type",
                "properties",
                "items",
                "additionalProperties",
                "x-kubernetes-preserve-unknown-fields",
            }
            if "properties" in schema:
                assert schema["x-kubernetes-preserve-unknown-fields"] is True


def test_it_has_cert_managers_fields_and_none_of_ours() -> None:
    certificate, issuer, cluster_issuer = map(spec_of, cert_manager_definitions())
    assert {"secretName", "issuerRef", "dnsNames", "isCA", "keystores", "renewal"} <= certificate["properties"].keys()
    assert not certificate["properties"].keys() & {"paused", "request", "issuerRefs", "revokeOnDelete"}
    for one in (issuer, cluster_issuer):
        assert one["properties"].keys() == {"acme", "ca", "selfSigned", "vault", "venafi"}
        solver = one["properties"]["acme"]["properties"]["solvers"]["items"]["properties"]
        assert {"route53", "webhook", "cnameStrategy"} <= solver["dns01"]["properties"].keys()
        assert "gandi" not in solver["dns01"]["properties"]


def test_the_command_writes_and_checks_them(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["crds", "--cert-manager", "--output-dir", str(tmp_path)]).exit_code == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "cert-manager.io_certificates.yaml",
        "cert-manager.io_clusterissuers.yaml",
        "cert-manager.io_issuers.yaml",
    ]
    assert run(app, ["crds", "--cert-manager", "--check", "--output-dir", str(tmp_path)]).exit_code == 0
    assert run(app, ["crds", "--check", "--output-dir", str(tmp_path)]).exit_code == 1
    assert all(one.stat().st_size < 100_000 for one in tmp_path.iterdir())
