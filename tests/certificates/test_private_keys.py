from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.certificates.key_maker import KeyMaker
from certwright.certificates.need import issuance_need
from certwright.certificates.private_keys import obtain_key, reuses_key, with_key
from certwright.certificates.secret.beside import pending_key_name, pending_key_secret
from certwright.certificates.secret.facts import SecretFacts
from certwright.failures import IssuanceError
from certwright.pki import (
    PrivateKey,
    PrivateKeyError,
    generate_private_key,
    load_private_key,
    parse_chain,
    private_key_to_pem,
)
from tests.certificates.bench import Bench
from tests.fakes.operator import NOW

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
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
    return await obtain_key(observation, tools_with(kube_api))


def tools_with(kube_api: FakeKubeApi, keys: KeyMaker | None = None) -> Tools:
    return cast("Tools", SimpleNamespace(kube_api=kube_api, keys=keys or KeyMaker()))


def same(one: PrivateKey, other: PrivateKey) -> bool:
    return one.public_key() == other.public_key()


async def test_a_new_key_is_in_a_secret_before_it_is_used_and_made_once(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build)
    key = await obtained(observation, kube_api)
    stored = kube_api.secrets["team", pending_key_name(observation.certificate)]
    assert same(load_private_key(base64.b64decode(stored["data"]["tls.key"])), key)
    kept = observation.with_open_order(key=key)
    assert await obtained(kept, kube_api) is key
    assert await with_key(kept, tools_with(kube_api)) == (kept, key)
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
    observation = observed(build, secret, **NEVER, algorithm="ECDSA")
    secret["data"]["tls.key"] = base64.b64encode(now_there).decode()
    kube_api.put(secret)
    with pytest.raises(error):
        await obtained(observation, kube_api)
    assert len(kube_api.secrets) == 1


async def test_a_first_key_is_made_under_rotation_policy_never_too(kube_api: FakeKubeApi, build: Build) -> None:
    observation = observed(build, **NEVER)
    await obtained(observation, kube_api)
    assert ("team", pending_key_name(observation.certificate)) in kube_api.secrets


@pytest.mark.parametrize("beside", [{"tls.crt": ""}, {"tls.crt": "garbage"}, {}])
async def test_rotation_policy_never_keeps_a_key_that_has_no_certificate(
    kube_api: FakeKubeApi, build: Build, beside: dict[str, str]
) -> None:
    other = generate_private_key()
    secret = build.secret(key=KEY)
    secret["data"] = {**secret["data"], "tls.key": base64.b64encode(private_key_to_pem(other)).decode(), **beside}
    observation = observed(build, kube_api.put(secret), **NEVER)
    need = issuance_need(observation, NOW)
    assert need is not None
    assert (need.reason, need.refusal) == ("Unusable", None)
    assert same(await obtained(observation, kube_api), other)
    assert len(kube_api.secrets) == 1, "a copy of the key stays behind"


def test_a_key_without_certificate_that_must_be_kept_and_does_not_fit_is_refused(build: Build) -> None:
    secret = build.secret(key=KEY)
    secret["data"]["tls.crt"] = ""
    need = issuance_need(observed(build, secret, **NEVER, algorithm="RSA"), NOW)
    assert need is not None
    assert need.refusal is not None
    assert need.refusal.reason == "PrivateKeyMismatch"
    need = issuance_need(observed(build, secret, algorithm="RSA"), NOW)
    assert need is not None
    assert need.refusal is None


async def test_a_key_that_cannot_be_used_is_not_kept(kube_api: FakeKubeApi, build: Build) -> None:
    secret = build.secret(key=KEY)
    secret["data"] |= {"tls.crt": "", "tls.key": base64.b64encode(b"garbage").decode()}
    observation = observed(build, kube_api.put(secret), **NEVER)
    assert not reuses_key(observation)
    await obtained(observation, kube_api)
    assert ("team", pending_key_name(observation.certificate)) in kube_api.secrets


async def test_where_the_spec_says_nothing_of_keys_one_of_another_kind_is_kept_under_rotation_policy_never(
    kube_api: FakeKubeApi, build: Build
) -> None:
    rsa = generate_private_key("RSA")
    secret = kube_api.put(build.secret(chain=build.ca.chain(key=rsa), key=rsa))
    assert same(await obtained(observed(build, secret, **NEVER), kube_api), rsa)


async def test_the_new_key_is_written_only_together_with_its_certificate(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    """A key beside another one's certificate, even for a moment, takes every server down that reads them then."""
    bench = Bench(build, kube_api, now)
    bench.write()
    written: list[bool] = []
    put = kube_api.put

    def checked(secret: Any) -> Any:
        if secret["metadata"]["name"] == "web-tls":
            chain, key = (base64.b64decode(secret["data"][name]) for name in ("tls.crt", "tls.key"))
            written.append(parse_chain(chain).leaf.public_key() == load_private_key(key).public_key())
        return put(secret)

    kube_api.put = checked  # type: ignore[method-assign]
    await bench.run(60)
    first = kube_api.secrets["team", "web-tls"]["data"]
    due = bench.status.renewal_time
    assert due is not None
    bench.ca.verdict = "invalid"
    bench.now = due
    await bench.run(6 * 3600)
    assert len(bench.ca.orders) > 1, "it is tried"
    assert kube_api.secrets["team", "web-tls"]["data"] == first, "no attempt that fails leaves anything there"
    bench.ca.verdict = "ready"
    bench.dns.hidden = True
    await bench.run(6 * 3600)
    assert bench.status.order is not None
    bench.restart()
    bench.take_secret(SecretFacts.of(kube_api.secrets["team", "web-tls"]))
    assert kube_api.secrets["team", "web-tls"]["data"] == first, "nor does an order that is open"
    bench.dns.hidden = False
    await bench.run(2 * 86_400)
    assert kube_api.secrets["team", "web-tls"]["data"]["tls.key"] != first["tls.key"]
    assert written == [True] * len(written)
    assert len(written) == 2
    assert bench.secret_names == {"web-tls"}, "the pending key is gone"
