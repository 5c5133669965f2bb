from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.handlers.controller import Controller
from certwright.handlers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from certwright.runtime.key import Key

Body = dict[str, Any]


@pytest.fixture
def certificate() -> Callable[..., Body]:
    """Makes a Certificate as the API server gives it."""

    def make(name: str = "web", *, version: int = 1, target: str = "web-tls", **metadata: Any) -> Body:
        return {
            "metadata": {
                "namespace": "shop",
                "name": name,
                "uid": f"uid-{name}",
                "generation": 1,
                "resourceVersion": str(version),
                **metadata,
            },
            "spec": {"dnsNames": [f"{name}.example"], "secretName": target, "issuerRef": {"name": "ca"}},
        }

    return make


@pytest.fixture
def issuer() -> Callable[..., Body]:
    """Makes an Issuer as the API server gives it; without a namespace, a ClusterIssuer."""

    def make(*, version: int = 1, namespace: str | None = "shop", **metadata: Any) -> Body:
        acme = {
            "server": "https://ca.example/directory",
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"dns01": {"rfc2136": {"nameserver": "ns1.example"}}}],
        }
        return {
            "metadata": {
                "namespace": namespace,
                "name": "ca",
                "uid": "uid-ca",
                "generation": 1,
                "resourceVersion": str(version),
                **metadata,
            },
            "spec": {"acme": acme},
        }

    return make


@pytest.fixture
def controller() -> Controller:
    """A controller that runs nothing and talks to nobody."""
    return Controller(None, Options("certwright", "test", workers=4))  # type: ignore[arg-type]  # no client is needed


@pytest.fixture
def waiting(controller: Controller) -> Callable[[], Iterator[Key]]:
    """Takes what waits out of the queue."""

    def take() -> Iterator[Key]:
        queue = controller.manager.queue
        while (key := queue._next()) is not None:
            queue.done(key)
            yield key

    return take
