from collections.abc import Callable
from typing import Any

import pytest

Body = dict[str, Any]


@pytest.fixture
def certificate_body() -> Callable[..., Body]:
    """Makes a Certificate as the API server would give it, with some fields of its spec changed."""

    def make(**spec: Any) -> Body:
        whole = {"dnsNames": ["a.example"], "secretName": "a-tls", "issuerRef": {"name": "ca"}, **spec}
        return {"metadata": {"name": "a", "namespace": "team"}, "spec": whole}

    return make


@pytest.fixture
def issuer_body() -> Callable[..., Body]:
    """Makes an Issuer as the API server would give it, with some fields of its spec.acme changed."""

    def make(**acme: Any) -> Body:
        whole = {
            "server": "https://ca.example/directory",
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"dns01": {"rfc2136": {"nameserver": "ns1.example"}}}],
            **acme,
        }
        return {"metadata": {"name": "ca", "namespace": "team"}, "spec": {"acme": whole}}

    return make
