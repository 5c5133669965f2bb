from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import typer

from certwright.cli.acme.app import acme
from certwright.cli.acme.completion import script

if TYPE_CHECKING:
    from pathlib import Path

GROUP = typer.main.get_command(acme)


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    path = tmp_path / "completion.bash"
    path.write_text(script("bash", GROUP))
    return path


def completed(bash: Path, *words: str) -> list[str]:
    """What bash offers for the last word; a program in place of certwright says which certificates there are."""
    (bash.parent / "certwright").write_text("#!/bin/sh\necho shop.example\necho web.example\n")
    (bash.parent / "certwright").chmod(0o700)
    line = " ".join(f"'{word}'" for word in words)
    commands = (
        f"source {bash}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _certwright_acme; echo ${{COMPREPLY[@]}}"
    )
    found = subprocess.run(  # noqa: S603 - what is run is ours
        [shutil.which("bash") or "bash", "-c", commands],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": f"{bash.parent}:/usr/bin:/bin"},
    )
    assert found.stderr == ""
    return found.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_names(bash: Path) -> None:
    assert completed(bash, "certwright", "acme", "re") == ["reconfigure", "register", "renew", "revoke"]
    assert "--install-to" in completed(bash, "certwright", "acme", "issue", "--ins")
    assert completed(bash, "certwright", "acme", "renew", "sh") == ["shop.example"]
    assert completed(bash, "certwright", "acme", "completion", "") == ["bash", "zsh", "fish"]
    assert completed(bash, "certwright", "ac") == ["acme"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_have_every_command_with_its_options(shell: str) -> None:
    text = script(shell, GROUP)
    for command in ("issue", "reconfigure", "list", "completion"):
        assert command in text
    assert "install-to" in text
    if shutil.which(shell) is not None:
        subprocess.run([shutil.which(shell) or shell, "-n", "/dev/stdin"], input=text, text=True, check=True)  # noqa: S603
