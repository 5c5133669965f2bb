"""Completion offers commands, options, values and names of objects, for shells and for kubectl."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from certwright.cli import completion
from certwright.cli.app import app
from certwright.cli.cluster.app import plugin as kubectl
from certwright.cli.completion import FILES, NO_FILES, SCRIPTS, complete

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Stands in for the API server; what was typed before is in the list."""
    typed: list[Sequence[str]] = []

    def listed(words: Sequence[str], plural: str, *, core: bool = False) -> list[str]:
        assert core == (plural == "namespaces")
        typed.append(words)
        return {"certificates": ["web", "api"], "namespaces": ["shop"], "issuers": ["pebble"]}.get(plural, ["le"])

    monkeypatch.setattr(completion, "_listed", listed)
    return typed


def offered(*words: str, plugin: bool = True) -> list[str]:
    *lines, directive = complete(kubectl if plugin else app, words).splitlines()
    assert directive in {NO_FILES, FILES}
    return [line.partition("\t")[0] for line in lines]


def test_commands_and_options_are_those_of_the_command_line() -> None:
    assert "status" in offered("")
    assert set(offered("re")) == {"renew", "revoke", "resume"}
    assert offered("status", "--all-n") == ["--all-namespaces"]
    assert offered("status", "-o", "") == ["table", "wide", "json", "yaml", "name"]
    assert offered("revoke", "--reason", "key") == ["keyCompromise"]
    assert set(offered("", plugin=False)) >= {"run", "acme", "status", "completion"}
    assert "complete" not in offered("", plugin=False)
    assert "issue" in offered("acme", "i", plugin=False)


def test_dns_providers_are_offered_where_one_is_named() -> None:
    assert "cloudflare" in offered("acme", "issue", "--dns", "", plugin=False)
    assert offered("dns", "check", "rfc", plugin=False) == ["rfc2136"]
    assert "cloudflare" in offered("dns", "list", "", plugin=False)
    assert offered("dns", "check", "rfc2136", "", plugin=False) == []
    assert complete(app, ["acme", "issue", "--dns-credentials", ""]) == FILES


def test_names_are_asked_of_the_api_server_with_what_was_typed(names: list[Sequence[str]]) -> None:
    assert offered("status", "-n", "shop", "w") == ["web"]
    assert [list(one) for one in names] == [["status", "-n", "shop"]]
    assert offered("renew", "web", "") == ["api"], "one that is there already is offered again"
    assert offered("status", "-n", "") == ["shop"]
    assert offered("renew", "--issuer", "") == ["pebble", "clusterissuer/le"]


def test_contexts_are_those_of_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("contexts: [{name: one, context: {}}, {name: two, context: {}}]")
    assert offered("status", "--kubeconfig", str(config), "--context", "") == ["one", "two"]
    config.write_text("- damaged")
    assert offered("status", "--kubeconfig", str(config), "--context", "") == []
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert offered("status", "") == [], "without an API server there is nothing to offer, and no error"
    assert complete(kubectl, ["status", "--kubeconfig", ""]) == FILES


def test_a_certificate_with_a_hostile_name_offers_nothing_but_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_object_names", lambda _: ["web"])
    assert complete(kubectl, ["status", "\x1b[2J"]) == NO_FILES


def test_certificates_of_the_acme_client_are_those_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shop.example", "web.example"):
        folder = tmp_path / "certificates" / name / "current"
        folder.mkdir(parents=True)
        (folder / "certificate.json").touch()
    assert offered("acme", "reconfigure", "--dir", str(tmp_path), "s", plugin=False) == ["shop.example"]
    monkeypatch.setenv("CERTWRIGHT_ACME_DIR", str(tmp_path))
    assert offered("acme", "delete", "web.example", "", plugin=False) == ["shop.example"]
    assert offered("acme", "issue", "--key-type", "rsa8", plugin=False) == ["rsa8192"]
    assert "--install-to" in offered("acme", "issue", "--ins", plugin=False)
    monkeypatch.setenv("CERTWRIGHT_ACME_DIR", str(tmp_path / "nowhere"))
    assert offered("acme", "renew", "", plugin=False) == []


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_shell_has_a_script(shell: str) -> None:
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert "certwright complete --" in result.stdout


def test_the_script_for_bash_completes(tmp_path: Path) -> None:
    certwright = tmp_path / "certwright"
    certwright.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from certwright.cli.main import main; main()" "$@"\n')
    certwright.chmod(0o755)
    script = f"""{SCRIPTS["bash"]}
COMP_WORDS=(certwright st); COMP_CWORD=1; _certwright; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(certwright acme iss); COMP_CWORD=2; _certwright; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        timeout=120,
    )
    assert done.stdout.splitlines() == ["status", "issue"]
