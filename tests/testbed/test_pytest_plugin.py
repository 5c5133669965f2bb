"""Options of the test bed's plugin, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from testbed.locations import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


def test_what_would_have_to_be_built_is_skipped_on_request(tmp_path: Path) -> None:
    """In an empty cache, without Go: a build would fail."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    environment.pop("KUBEBUILDER_ASSETS", None)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--skip-unbuilt", "tests/chart/test_notes.py"]
    answer = subprocess.run(  # noqa: S603 - pytest itself
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "helm is not built yet" in answer.stdout
    assert " passed" not in answer.stdout
    assert list(tmp_path.iterdir()) == []
