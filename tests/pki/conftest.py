"""CAs for chains of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.pki import NOW, Ca, make_ca

if TYPE_CHECKING:
    from datetime import datetime


@pytest.fixture(scope="session")
def now() -> datetime:
    """The present, as the certificates of these tests see it."""
    return NOW


@pytest.fixture(scope="session")
def root() -> Ca:
    return make_ca("Root")


@pytest.fixture(scope="session")
def intermediate(root: Ca) -> Ca:
    return make_ca("Intermediate", root)


@pytest.fixture(scope="session")
def other_ca() -> Ca:
    return make_ca("Another CA")
