from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from chart import Helm
from testbed.progress import reporter

if TYPE_CHECKING:
    from typing import Any


class RememberingHelm(Helm):
    """Renders no values twice: the chart does not change while it is tested."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        return _run(self, arguments, stdin)


@cache
def _run(helm: RememberingHelm, arguments: tuple[str, ...], stdin: str | None) -> str:
    return Helm.run(helm, *arguments, stdin=stdin)


@pytest.fixture(scope="session")
def helm() -> Helm:
    return RememberingHelm.find(reporter())


@pytest.fixture(scope="session")
def defaults(helm: Helm) -> list[dict[str, Any]]:
    """The objects of the chart with its default values."""
    return helm.objects()
