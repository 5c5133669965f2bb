"""A registered client at an in-memory CA, whose time passes at once."""

from __future__ import annotations

import pytest

from certwright.acme import AccountKey, AcmeServer, Client
from tests.fakes.acme import DIRECTORY_URL, ORIGIN, FakeCa
from tests.fakes.time import FakeTime


@pytest.fixture
def ca() -> FakeCa:
    return FakeCa()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(ca: FakeCa, time: FakeTime) -> Client:
    key = AccountKey.generate()
    ca.keys[f"{ORIGIN}/account/1"] = dict(key.jwk)
    return Client(AcmeServer(DIRECTORY_URL, ca, clock=time.clock()), key, account_url=f"{ORIGIN}/account/1")
