from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import AccountKey
from certwright.certificates.secret import account_key_secret
from certwright.failures import IssuanceError
from certwright.issuers.account_keys import obtain_account_key

if TYPE_CHECKING:
    from certwright.kube.api import Gateway
    from tests.fakes.operator import Build, FakeGateway


async def obtained(gateway: FakeGateway, build: Build, **spec: Any) -> AccountKey:
    return await obtain_account_key(cast("Gateway", gateway), build.issuer(**spec), "team")


@pytest.mark.parametrize("algorithm", ["ES256", "ES384"])
async def test_a_new_key_is_kept_before_it_is_used(gateway: FakeGateway, build: Build, algorithm: str) -> None:
    key = await obtained(gateway, build, accountKeyAlgorithm=algorithm)
    assert key.algorithm == algorithm
    stored = gateway.secrets["team", "account"]["data"]["tls.key"]
    assert AccountKey.from_pem(base64.b64decode(stored)).thumbprint == key.thumbprint
    assert (await obtained(gateway, build, accountKeyAlgorithm=algorithm)).thumbprint == key.thumbprint
    assert gateway.calls == ["read account", "create account", "read account"]


async def test_whoever_was_faster_has_made_the_accounts_key(gateway: FakeGateway, build: Build) -> None:
    theirs = AccountKey.generate()
    gateway.before_create = account_key_secret("team", "account", "tls.key", theirs.to_pem())
    assert (await obtained(gateway, build)).thumbprint == theirs.thumbprint


async def test_a_key_that_is_there_is_used_as_it_is(gateway: FakeGateway, build: Build) -> None:
    theirs = AccountKey.generate("RS256")
    gateway.put(account_key_secret("team", "account", "other.key", theirs.to_pem()))
    reference = {"name": "account", "key": "other.key"}
    assert (await obtained(gateway, build, privateKeySecretRef=reference)).thumbprint == theirs.thumbprint


@pytest.mark.parametrize("data", [None, {}, {"tls.key": ""}, {"password": "AAAA"}, {"tls.key": "AAAA"}])
async def test_a_secret_with_something_else_is_left_untouched(gateway: FakeGateway, build: Build, data: Any) -> None:
    secret = gateway.put({"metadata": {"namespace": "team", "name": "account"}, "data": data})
    with pytest.raises(IssuanceError, match="Secret team/account") as caught:
        await obtained(gateway, build)
    assert caught.value.reason in {"AccountKeyMissing", "AccountKeyUnusable"}
    assert gateway.secrets["team", "account"] == secret


async def test_making_a_key_can_be_forbidden(gateway: FakeGateway, build: Build) -> None:
    with pytest.raises(IssuanceError, match="disableAccountKeyGeneration"):
        await obtained(gateway, build, disableAccountKeyGeneration=True)
    assert not gateway.secrets
