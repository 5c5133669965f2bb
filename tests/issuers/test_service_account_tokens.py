"""Tokens of the ServiceAccounts that issuers name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.dns import InvalidCredential, ProviderUnreachable
from certwright.issuers.dns_providers import DnsProviders
from certwright.issuers.service_account_tokens import TOKEN_SECONDS
from certwright.kube.api import KubeApi
from certwright.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from certwright.resources import Dns01
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from certwright.dns.credential import IdentityToken

ROLE = "arn:aws:iam::123456789012:role/dns"


class Client:
    """Answers the request for a token."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.error: Exception | None = None

    async def request(self, method: str, path: str, *, action: str, body: Any) -> dict[str, Any]:
        assert "token" in action
        self.requests.append((method, path, body))
        if self.error is not None:
            raise self.error
        return {"status": {"token": "a.b.c", "expirationTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.fixture
def client() -> Client:
    return Client()


async def identity(client: Client, namespace: str = "shop", **reference: Any) -> IdentityToken:
    pool = DnsProviders(KubeApi(cast("Any", client), group="certwright.io", version="v1"), cast("Any", None))
    issuer: Any = SimpleNamespace(
        key=Key("Issuer", namespace, "ca"), secrets_namespace=namespace, account_url="https://ca.example/1"
    )
    spec = {"role": ROLE, "auth": {"kubernetes": {"serviceAccountRef": {"name": "dns", **reference}}}}
    config: Any = await pool._config(issuer, Dns01.model_validate({"route53": spec}))
    found: IdentityToken = config.auth
    assert config.role == ROLE
    return found


@pytest.mark.parametrize(("given", "asked"), [([], ["sts.amazonaws.com"]), (["a", "b"], ["a", "b"])])
async def test_a_token_is_requested_for_the_usual_audience_or_those_that_are_named(
    client: Client, given: list[str], asked: list[str]
) -> None:
    assert await (await identity(client, audiences=given)).fetch() == "a.b.c"
    [(method, path, body)] = client.requests
    assert (method, path) == ("POST", "/api/v1/namespaces/shop/serviceaccounts/dns/token")
    assert body["spec"] == {"audiences": asked, "expirationSeconds": TOKEN_SECONDS}


async def test_two_namespaces_never_share_a_service_account(client: Client) -> None:
    assert await identity(client) == await identity(client)
    assert await identity(client) != await identity(client, "bank")
    assert await identity(client) != await identity(client, audiences=["other"])


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (Forbidden, InvalidCredential, "by a Role in shop, create on serviceaccounts/token for the resourceName dns"),
        (NotFound, InvalidCredential, "ServiceAccount shop/dns, which .* names in serviceAccountRef, does not exist"),
        (Unavailable, ProviderUnreachable, "the API server issues no token for the ServiceAccount shop/dns"),
    ],
)
async def test_why_there_is_no_token_is_told(
    client: Client, error: type[KubeError], kind: type[Exception], said: str
) -> None:
    client.error = error("request a token", status=403, message="no")
    token = await identity(client)
    with pytest.raises(kind, match=said):
        await token.fetch()
