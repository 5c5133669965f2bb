from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import AccountKey
from certwright.failures import IssuanceError
from certwright.issuers.account_key import account_key_secret, obtain_account_key

if TYPE_CHECKING:
    from certwright.kube.api import KubeApi
    from tests.fakes.operator import Build, FakeKubeApi


async def obtained(kube_api: FakeKubeApi, build: Build, **spec: Any) -> AccountKey:
    return (await obtain_account_key(cast("KubeApi", kube_api), build.issuer(**spec), "team")).key


@pytest.mark.parametrize("algorithm", ["ES256", "ES384"])
async def test_a_new_key_is_kept_before_it_is_used(kube_api: FakeKubeApi, build: Build, algorithm: str) -> None:
    key = await obtained(kube_api, build, accountKeyAlgorithm=algorithm)
    assert key.algorithm == algorithm
    stored = kube_api.secrets["team", "account"]["data"]["tls.key"]
    assert AccountKey.from_pem(base64.b64decode(stored)).thumbprint == key.thumbprint
    assert (await obtained(kube_api, build, accountKeyAlgorithm=algorithm)).thumbprint == key.thumbprint
    assert kube_api.calls == ["read account", "create account", "read account"]


async def test_whoever_was_faster_has_made_the_accounts_key(kube_api: FakeKubeApi, build: Build) -> None:
    theirs = AccountKey.generate()
    kube_api.before_create = account_key_secret("team", "account", "tls.key", theirs.to_pem())
    assert (await obtained(kube_api, build)).thumbprint == theirs.thumbprint


async def test_a_key_that_is_there_is_used_as_it_is(kube_api: FakeKubeApi, build: Build) -> None:
    theirs = AccountKey.generate("RS256")
    kube_api.put(account_key_secret("team", "account", "other.key", theirs.to_pem()))
    reference = {"name": "account", "key": "other.key"}
    assert (await obtained(kube_api, build, privateKeySecretRef=reference)).thumbprint == theirs.thumbprint


@pytest.mark.parametrize("data", [None, {}, {"tls.key": ""}, {"password": "AAAA"}, {"tls.key": "AAAA"}])
async def test_a_secret_with_something_else_is_left_untouched(kube_api: FakeKubeApi, build: Build, data: Any) -> None:
    secret = kube_api.put({"metadata": {"namespace": "team", "name": "account"}, "data": data})
    with pytest.raises(IssuanceError, match="Secret team/account") as caught:
        await obtained(kube_api, build)
    assert caught.value.reason in {"AccountKeyMissing", "AccountKeyUnusable"}
    assert kube_api.secrets["team", "account"] == secret


async def test_making_a_key_can_be_forbidden(kube_api: FakeKubeApi, build: Build) -> None:
    with pytest.raises(IssuanceError, match="disableAccountKeyGeneration"):
        await obtained(kube_api, build, disableAccountKeyGeneration=True)
    assert not kube_api.secrets
