from __future__ import annotations

import pytest

from certwright.cli.cluster import cancel, check, requests, status, waiting

from .server import FakeServer, sessions


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The API server of the commands."""
    fake = FakeServer()
    for module in (cancel, check, requests, status):
        monkeypatch.setattr(module, "session", sessions(fake))
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(cancel, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(status, "WATCH_SECONDS", 0.001)
    return fake
