"""What both command lines have in common."""

from __future__ import annotations

import pytest

from certwright.cli.acme import exits as acme
from certwright.cli.cluster import exits as cluster
from certwright.cli.exits import FAILED, CommandError


@pytest.mark.parametrize("name", ["DONE", "FAILED", "USAGE", "INTERRUPTED"])
def test_the_codes_that_both_have_are_the_same(name: str) -> None:
    assert int(acme.ExitCode[name]) == int(cluster.ExitCode[name])


def test_an_error_without_a_code_has_failed() -> None:
    assert {CommandError("it").code, FAILED, int(acme.ExitCode.FAILED), int(cluster.ExitCode.FAILED)} == {1}


@pytest.mark.parametrize("module", [acme, cluster])
def test_each_code_has_a_meaning(module: object) -> None:
    codes, meanings = vars(module)["ExitCode"], vars(module)["MEANINGS"]
    assert set(codes) == set(meanings)
