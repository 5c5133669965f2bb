from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from certwright.cli.app import app
from certwright.cli.crds import manifests

CRDS = Path(__file__).parents[2] / "crds"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["crds", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_manifests_in_the_project_are_up_to_date() -> None:
    assert run("--check", "--output-dir", str(CRDS)) == (0, f"{CRDS} is up to date\n", "")


def test_the_manifests_are_written_one_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "crds"
    code, shown, _ = run("--output-dir", str(folder))
    assert code == 0
    names = [
        "certwright.io_certificates.yaml",
        "certwright.io_issuers.yaml",
        "certwright.io_clusterissuers.yaml",
    ]
    assert shown.splitlines() == [f"wrote {folder / name}" for name in names]
    for name in names:
        assert yaml.safe_load((folder / name).read_text(encoding="utf-8"))["kind"] == "CustomResourceDefinition"
    assert run("--check", "--output-dir", str(folder))[0] == 0


def test_a_stale_manifest_is_shown_with_its_difference(tmp_path: Path) -> None:
    run("--output-dir", str(tmp_path))
    path = tmp_path / "certwright.io_issuers.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("scope: Namespaced", "scope: Cluster"), encoding="utf-8")
    code, shown, complaint = run("--check", "--output-dir", str(tmp_path))
    assert (code, shown) == (1, "")
    assert f"{path} is out of date" in complaint
    assert "-  scope: Cluster" in complaint
    assert "+  scope: Namespaced" in complaint
    assert f"certwright crds --output-dir {tmp_path}" in complaint


def test_a_missing_and_a_left_over_manifest_are_named(tmp_path: Path) -> None:
    run("--output-dir", str(tmp_path))
    (tmp_path / "certwright.io_issuers.yaml").unlink()
    (tmp_path / "certwright.io_old.yaml").write_text("", encoding="utf-8")
    code, _, complaint = run("--check", "--output-dir", str(tmp_path))
    assert code == 1
    assert "certwright.io_issuers.yaml is missing" in complaint
    assert "certwright.io_old.yaml does not belong to this version" in complaint


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    run("--output-dir", str(tmp_path))
    (tmp_path / "certwright.io_issuers.yaml").write_text("{}\n", encoding="utf-8")
    _, _, complaint = run("--check", "--output-dir", str(tmp_path))
    assert "more lines" in complaint
    assert len(complaint.splitlines()) < 60


@pytest.mark.parametrize("option", ["", "--check"])
def test_a_folder_that_cannot_be_used_is_a_message_not_a_trace(tmp_path: Path, option: str) -> None:
    (tmp_path / "certwright.io_issuers.yaml").mkdir()
    code, _, complaint = run(*filter(None, ["--output-dir", str(tmp_path), option]))
    assert code == 1
    assert "certwright.io_issuers.yaml" in complaint
    assert "Traceback" not in complaint


def test_the_manifests_do_not_change_from_run_to_run() -> None:
    assert manifests() == manifests()
