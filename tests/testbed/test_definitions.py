from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from testbed.definitions import GATEWAY_API
from testbed.errors import BinaryUnavailable
from testbed.locations import cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that downloads as the file `answer` beside it says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "bin"
    folder.mkdir()
    values = json.dumps({"GOVERSION": "go1.26.8", "GOCACHE": "/nowhere", "GOMODCACHE": "/nowhere"})
    (folder / "go").write_text(f"#!/bin/sh\ncase $1 in env) echo '{values}';; *) . {folder}/answer;; esac\n")
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_the_standard_channel_is_taken_into_the_cache_once(go: Path, tmp_path: Path) -> None:
    standard = tmp_path / "module" / "config" / "crd" / "standard"
    standard.mkdir(parents=True)
    (standard / "gateways.yaml").write_text("kind: CustomResourceDefinition\n")
    (standard / "gateways.yaml").chmod(0o444)
    (go / "answer").write_text(f"echo '{json.dumps({'Dir': str(tmp_path / 'module')})}'\n")
    found = GATEWAY_API.find()
    assert found.is_relative_to(cache())
    assert [path.name for path in found.iterdir()] == ["gateways.yaml"]
    (go / "answer").write_text("exit 1\n")
    assert GATEWAY_API.find() == found


def test_a_failed_download_is_shown_and_leaves_nothing(go: Path) -> None:
    (go / "answer").write_text("echo 'go: verifying module: checksum mismatch' >&2; exit 1\n")
    with pytest.raises(BinaryUnavailable, match=r"could not be downloaded\n.*checksum mismatch\n.*GOPROXY"):
        GATEWAY_API.find()
    assert not (cache() / "gateway-api").exists()
