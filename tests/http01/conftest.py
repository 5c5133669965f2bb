"""A cluster for the objects of a challenge, and whose they are."""

from __future__ import annotations

import pytest

from certwright.http01.answers import SharedAnswers
from certwright.http01.settings import Owner
from tests.fakes.http01 import FakeObjects


@pytest.fixture
def objects() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
def owner() -> Owner:
    reference = {"apiVersion": "certwright.io/v1", "kind": "Certificate", "name": "web", "uid": "uid-web"}
    return Owner(namespace="shop", name="web", uid="uid-web", reference=reference)


@pytest.fixture
def answers() -> SharedAnswers:
    return SharedAnswers()
