from __future__ import annotations

import re
import tomllib
from pathlib import Path

from testbed.images import INPUTS, inputs
from testbed.wheels import LOCKS, platforms

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def test_it_needs_no_more_than_any_builder_knows() -> None:
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert "# syntax" not in DOCKERFILE


def test_it_names_the_version_of_the_project() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE) == [version]


def test_its_base_is_pinned_by_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(.*)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}", "dependencies", "scratch"}


def test_no_dependency_may_be_older_than_what_is_locked_without_known_holes() -> None:
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    (lowest,) = (text.partition(">=")[2] for text in wanted if text.startswith("aiohttp>="))
    (locked,) = re.findall(r"^aiohttp==(\S+)", (PROJECT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert tuple(map(int, locked.split("."))) >= tuple(map(int, lowest.split("."))) >= (3, 14, 3)


def test_it_copies_only_what_the_test_bed_takes_for_its_inputs() -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
        if name != "requirements"
    ]
    assert set(copied) <= set(INPUTS)
    assert {f"requirements/{name}" for name in LOCKS} <= set(INPUTS)


def test_the_inputs_are_there_and_hold_nothing_that_running_them_makes() -> None:
    files = inputs()
    assert "operator/certwright/cli/main.py" in files
    assert all((PROJECT / name).is_file() for name in files)
    assert not [name for name in files if "__pycache__" in name]


def test_the_ignore_file_lets_through_what_is_copied() -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    assert {f"!{name.split('/')[0]}" for name in INPUTS if name != "Dockerfile"} <= set(lines)
    assert "*" in lines


def test_wheels_are_taken_for_the_bases_c_library_and_all_before_it() -> None:
    tags = platforms("2.36")
    assert tags[0].startswith("manylinux_2_36_")
    assert any(tag.startswith("manylinux_2_5_") for tag in tags)
    assert not any(tag.startswith("manylinux_2_37_") for tag in tags)
    assert tags[-1] == "any"
