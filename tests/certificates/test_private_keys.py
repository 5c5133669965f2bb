from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.certificates.private_keys import obtain_key, reuses_key, with_key
from certwright.certificates.secret import SecretFacts, pending_key_name, pending_key_secret
from certwright.failures import IssuanceError
from certwright.pki import PrivateKey, PrivateKeyError, generate_private_key, load_private_key, private_key_to_pem

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.kube.api import KubeApi
    from tests.fakes.operator import Build, FakeKubeApi

KEY = generate_private_key()
NEVER: dict[str, Any] = {"rotationPolicy": "Never"}


def observed(build: Build, secret: Any = None, *, resumed: bool = False, **private_key: Any) -> Observation:
    return build.observation(
        build.certificate(privateKey=private_key),
        secret=None if secret is None else SecretFacts.of(secret),
        open_order=build.open_order(resumed=resumed),
    )


async def obtained(observation: Observation, kube_api: FakeKubeApi) -> PrivateKey:
    return await obtain_key(observation, cast("KubeApi", kube_api))


def same(one: PrivateKey, other: PrivateKey) -> bool:
    return one.public_key() == other.public_key()


async def test_a_new_key_is_in_a_secret_before_it_is_used_and_made_once(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build)
    key = await obtained(observation, kube_api)
    stored = kube_api.secrets["team", pending_key_name(observation.certificate)]
    assert same(load_private_key(base64.b64decode(stored["data"]["tls.key"])), key)
    kept = observation.with_open_order(key=key)
    assert await obtained(kept, kube_api) is key
    assert await with_key(kept, cast("KubeApi", kube_api)) == (kept, key)
    assert len(kube_api.calls) == 1


async def test_the_key_of_an_earlier_order_is_not_used_for_a_new_one(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build)
    kube_api.put(pending_key_secret(observation.certificate, private_key_to_pem(KEY)))
    assert not same(await obtained(observation, kube_api), KEY)


async def test_a_restart_finds_the_key_of_the_order(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build, resumed=True)
    kube_api.put(pending_key_secret(observation.certificate, private_key_to_pem(KEY)))
    assert same(await obtained(observation, kube_api), KEY)


@pytest.mark.parametrize("left", [None, b"garbage", private_key_to_pem(generate_private_key("Ed25519"))])
async def test_a_restart_that_finds_no_usable_key_makes_one(
    kube_api: FakeKubeApi, build: Build, left: bytes | None
) -> None:
    observation = observed(build, resumed=True)
    if left is not None:
        kube_api.put(pending_key_secret(observation.certificate, left))
    key = await obtained(observation, kube_api)
    stored = kube_api.secrets["team", pending_key_name(observation.certificate)]
    assert same(load_private_key(base64.b64decode(stored["data"]["tls.key"])), key)


@pytest.mark.parametrize(
    ("private_key", "reused"),
    [(NEVER, True), ({}, False), ({**NEVER, "size": 384}, False), ({**NEVER, "algorithm": "RSA"}, False)],
)
def test_which_key_is_used_again(build: Build, private_key: Any, *, reused: bool) -> None:
    assert reuses_key(observed(build, build.secret(key=KEY), **private_key)) == reused
    assert not reuses_key(observed(build, None, **private_key))


async def test_rotation_policy_never_keeps_the_secrets_key(kube_api: FakeKubeApi, build: Build) -> None:
    secret = kube_api.put(build.secret(key=KEY))
    assert same(await obtained(observed(build, secret, **NEVER), kube_api), KEY)
    assert len(kube_api.secrets) == 1


@pytest.mark.parametrize(
    ("now_there", "error"),
    [(b"garbage", PrivateKeyError), (private_key_to_pem(generate_private_key("Ed25519")), IssuanceError)],
)
async def test_a_kept_key_that_changes_under_our_hands_is_not_replaced(
    kube_api: FakeKubeApi, build: Build, now_there: bytes, error: type[Exception]
) -> None:
    secret = build.secret(key=KEY)
    observation = observed(build, secret, **NEVER)
    secret["data"]["tls.key"] = base64.b64encode(now_there).decode()
    kube_api.put(secret)
    with pytest.raises(error):
        await obtained(observation, kube_api)
    assert len(kube_api.secrets) == 1


async def test_a_first_key_is_made_under_rotation_policy_never_too(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build, **NEVER)
    await obtained(observation, kube_api)
    assert ("team", pending_key_name(observation.certificate)) in kube_api.secrets
