"""A client, registered with a CA in memory."""

from __future__ import annotations

import pytest

from certwright.acme import AccountKey, AcmeServer, Client, RequestRecord
from tests.fakes.acme import DIRECTORY_URL, ORIGIN, FakeCa
from tests.fakes.time import FakeTime


@pytest.fixture
def ca() -> FakeCa:
    return FakeCa()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture(scope="session")
def key() -> AccountKey:
    return AccountKey.generate()


@pytest.fixture
def records() -> list[RequestRecord]:
    return []


@pytest.fixture
def server(ca: FakeCa, time: FakeTime, records: list[RequestRecord]) -> AcmeServer:
    return AcmeServer(DIRECTORY_URL, ca, clock=time.clock(), on_request=records.append)


@pytest.fixture
def client(ca: FakeCa, server: AcmeServer, key: AccountKey) -> Client:
    """A client that is registered, without having asked anything for it."""
    url = f"{ORIGIN}/account/1"
    ca.keys[url] = dict(key.jwk)
    return Client(server, key, account_url=url)
