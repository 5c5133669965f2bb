"""A key that others have is used again by no Certificate of its namespace, whatever comes back from a backup."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates import compromised as module
from certwright.certificates.compromised import CompromisedKeys
from certwright.certificates.need import issuance_need
from certwright.certificates.observation import changed
from certwright.certificates.private_keys import obtain_key
from certwright.certificates.secret.beside import pending_key_name, pending_key_secret
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.given import Secrets
from certwright.certificates.store import Certificates
from certwright.pki import generate_private_key, private_key_to_pem
from certwright.pki.keys import certified_key_digest, public_key_digest
from certwright.resources import MAX_COMPROMISED_KEYS
from certwright.runtime.key import Key
from tests.certificates.bench import Bench
from tests.certificates.test_private_keys import NEVER, tools_with
from tests.certificates.test_revocation import Revoking, ask, secret
from tests.fakes.operator import KEY, NOW, encoded

if TYPE_CHECKING:
    import datetime as dt

    from tests.fakes.operator import Body, Build, FakeKubeApi

HOUR = 3600.0
DIGEST = public_key_digest(KEY.public_key())


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    bench = Bench(build, kube_api, now)
    bench.write(privateKey=NEVER)
    return bench


@pytest.fixture
def ca(bench: Bench) -> Revoking:
    return Revoking(bench)


def digest(bench: Bench) -> str | None:
    return SecretFacts.of(secret(bench)).key_digest


def put_back(bench: Bench, backup: Body) -> None:
    bench.take_secret(SecretFacts.of(bench.cluster.secrets.put(backup)))


def another(bench: Bench, name: str, namespace: str = "team", *digests: str) -> Key:
    """Another Certificate of the store, whose status names keys."""
    known = bench.certificates.get(Key("Certificate", namespace, name))
    version = 1000 if known is None else int(known.metadata.resource_version) + 1
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    body = bench.build.certificate(metadata=metadata, secretName=f"{name}-tls")
    content = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    bench.certificates.put({**content, "status": {"compromisedKeys": list(digests)}})
    return Key("Certificate", namespace, name)


async def compromised(bench: Bench) -> tuple[Body, Body]:
    """Have two certificates for one key, then the key reported; return the Secrets with them."""
    await bench.run(60)
    first = copy.deepcopy(secret(bench))
    generation = bench.cluster.body["metadata"]["generation"] + 1
    bench.write(privateKey=NEVER, metadata={"generation": generation}, request={"id": "n-1", "action": "Renew"})
    await bench.run(60)
    second = copy.deepcopy(secret(bench))
    assert first["data"]["tls.key"] == second["data"]["tls.key"]
    assert first["data"]["tls.crt"] != second["data"]["tls.crt"]
    ask(bench, "keyCompromise", privateKey=NEVER)
    await bench.run(HOUR)
    assert bench.condition().status == "True"
    return first, second


async def test_the_record_is_a_digest_of_the_public_key_and_is_there_before_the_ca_is_asked(
    bench: Bench, ca: Revoking
) -> None:
    await bench.run(60)
    bad, said = digest(bench), []

    async def revoke(_certificate: bytes, *, reason: Any) -> bool:  # noqa: ARG001 - as the client has it
        said.append(bench.status.compromised_keys)
        return True

    bench.ca.revoke_certificate = revoke  # type: ignore[attr-defined]
    ask(bench, "keyCompromise", privateKey=NEVER)
    await bench.run(HOUR)
    assert said == [(bad,)]
    assert bench.status.compromised_keys == (bad,)
    assert not ca.revoked


@pytest.mark.parametrize("reason", ["superseded", None])
async def test_a_revocation_for_another_reason_leaves_the_key_as_it_is(
    bench: Bench, ca: Revoking, reason: str | None
) -> None:
    await bench.run(60)
    kept = digest(bench)
    ask(bench, reason, privateKey=NEVER)
    await bench.run(HOUR)
    assert len(ca.revoked) == 1
    assert digest(bench) == kept
    assert bench.status.compromised_keys == ()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("restarted", [True, False])
async def test_no_certificate_for_the_key_is_adopted_from_a_backup(
    bench: Bench, ca: Revoking, which: int, *, restarted: bool
) -> None:
    backups = await compromised(bench)
    bad, orders = SecretFacts.of(backups[which]).key_digest, len(bench.ca.orders)
    if restarted:
        bench.restart()
        await bench.run(60)
    put_back(bench, backups[which])
    bench.dns.hidden = True
    await bench.look()
    assert bench.condition().status == "False", "it is not fit for use while the next one is waited for"
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert digest(bench) not in {bad, None}
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) - orders == 1
    assert len(ca.revoked) == 1


@pytest.mark.parametrize("certificate", [None, "garbage"])
async def test_the_key_without_a_certificate_is_not_used_again_either(
    bench: Bench, ca: Revoking, certificate: str | None
) -> None:
    backup, _ = await compromised(bench)
    bad = SecretFacts.of(backup).key_digest
    bench.restart()
    data = {"tls.key": backup["data"]["tls.key"], **({"tls.crt": encoded(b"x")} if certificate else {})}
    put_back(bench, {**backup, "data": data})
    await bench.run(HOUR)
    assert bench.condition().status == "True"
    assert digest(bench) not in {bad, None}
    assert len(ca.revoked) == 1


async def test_who_learns_later_that_the_key_leaked_may_say_so_of_a_revoked_certificate(
    bench: Bench, ca: Revoking
) -> None:
    await bench.run(60)
    backup = copy.deepcopy(secret(bench))
    bad = digest(bench)
    ask(bench, "superseded", privateKey=NEVER)
    await bench.run(HOUR)
    assert digest(bench) == bad, "the key was kept"
    assert len(ca.revoked) == 1
    put_back(bench, backup)  # the certificate that is revoked, as it is before its replacement is stored
    bench.dns.hidden = True
    await bench.look()
    ask(bench, "keyCompromise", "r-2", privateKey=NEVER)
    await bench.run(60)
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert bench.status.requests[-1].state == "Succeeded"
    assert digest(bench) != bad
    assert bench.status.compromised_keys == (bad,)


async def test_another_certificate_of_the_namespace_gets_another_key_and_keeps_the_record(bench: Bench) -> None:
    await bench.run(60)
    bad = digest(bench)
    assert bad is not None
    other = another(bench, "api", "team", bad)
    await bench.run(HOUR)
    assert digest(bench) not in {bad, None}
    assert bench.status.compromised_keys == (bad,)
    assert "was reported as compromised" in bench.messages["KeyCompromised"]
    stranger = bench.certificates.get(other)
    assert stranger is not None
    bench.certificates.remove({**stranger.metadata.identity, "resourceVersion": "2000"})
    bench.restart()
    assert bench.reconciler is not None
    assert bench.status.compromised_keys == (bad,), "whatever becomes of the one that it was reported for"


async def test_what_is_said_in_another_namespace_is_nothing_to_this_one(bench: Bench) -> None:
    await bench.run(60)
    bad = digest(bench)
    assert bad is not None
    another(bench, "api", "tenant-2", bad)
    await bench.run(HOUR)
    assert digest(bench) == bad
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize("wiped", ["status", "backup"])
async def test_a_tenant_or_a_backup_that_takes_the_record_away_brings_no_key_back(
    bench: Bench, ca: Revoking, wiped: str
) -> None:
    backup, _ = await compromised(bench)
    bad = SecretFacts.of(backup).key_digest
    status = {name: value for name, value in bench.cluster.body["status"].items() if name != "compromisedKeys"}
    status["revocations"] = []
    bench.cluster.take({**bench.cluster.body, "status": status})
    bench.certificates.put(bench.cluster.body)
    if wiped == "backup":
        bench.reconciler.start_over()  # etcd was restored: nothing of what is remembered of the objects holds
    put_back(bench, backup)
    await bench.run(HOUR)
    assert digest(bench) not in {bad, None}
    assert bench.status.compromised_keys == (bad,), "it is written down again"
    assert len(ca.revoked) == 1


async def test_forged_records_cost_no_more_than_the_order_budget(bench: Bench) -> None:
    await bench.run(60)
    for number in range(20):
        present = digest(bench)
        assert present is not None
        another(bench, "api", "team", *(f"{one:064x}" for one in range(number % 15)), present)
        await bench.run(600)
    assert len(bench.ca.orders) <= 1 + 10


async def test_an_order_for_a_key_that_is_reported_for_another_certificate_brings_none_for_it(
    bench: Bench, ca: Revoking
) -> None:
    await bench.run(60)
    bad = digest(bench)
    assert bad is not None
    generation = bench.cluster.body["metadata"]["generation"] + 1
    bench.ca.after_finalize = "processing"  # type: ignore[attr-defined]
    bench.write(privateKey=NEVER, metadata={"generation": generation}, request={"id": "n-1", "action": "Renew"})
    bench.dns.hidden = True
    await bench.run(30)
    another(bench, "api", "team", bad)
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert digest(bench) not in {bad, None}
    assert not ca.revoked


async def test_the_key_of_an_open_order_is_not_taken_up_by_a_restart_once_it_is_reported(
    kube_api: FakeKubeApi, build: Build
) -> None:
    certificate = build.certificate()
    kube_api.put(pending_key_secret(certificate, private_key_to_pem(KEY)))
    observation = build.observation(certificate, open_order=build.open_order(resumed=True))
    observation = changed(observation, compromised=frozenset({DIGEST}))
    key = await obtain_key(observation, tools_with(kube_api))
    assert public_key_digest(key.public_key()) != DIGEST
    stored = SecretFacts.of(kube_api.secrets["team", pending_key_name(certificate)])
    assert stored.key_digest == public_key_digest(key.public_key()), "the other one is gone"


@pytest.mark.parametrize(
    ("state", "finalized", "is_given_up"),
    [("ready", False, False), ("ready", True, True), ("processing", False, True), ("valid", True, True)],
)
def test_only_an_order_that_the_ca_has_the_key_of_is_given_up(
    build: Build, state: Any, *, finalized: bool, is_given_up: bool
) -> None:
    order = build.open_order(state, finalized=finalized, key=KEY)
    observation = changed(build.observation(open_order=order), compromised=frozenset({DIGEST}))
    after = module.after_reports(observation)
    assert (after.memory.open_order is None) is is_given_up
    if after.memory.open_order is not None:
        assert after.memory.open_order.key is None


def test_a_key_of_another_kind_that_was_reported_is_replaced_under_rotation_policy_never(build: Build) -> None:
    rsa = generate_private_key("RSA")
    body = build.secret(key=rsa, chain=build.ca.chain(key=rsa))
    facts = SecretFacts.of({**body, "data": {"tls.key": body["data"]["tls.key"]}})
    certificate = build.certificate(privateKey={**NEVER, "algorithm": "ECDSA"})
    observation = build.observation(certificate, secret=facts)
    refused = issuance_need(observation, NOW)
    assert refused is not None
    assert refused.refusal is not None, "such a key is kept, as a rule"
    need = issuance_need(changed(observation, compromised=frozenset({facts.key_digest or ""})), NOW)
    assert need is not None
    assert (need.reason, need.refusal) == ("KeyCompromised", None)


def test_a_digest_is_that_of_the_public_key_wherever_it_is_taken_from(build: Build) -> None:
    body = build.secret(key=KEY)
    facts = SecretFacts.of(body)
    lone = SecretFacts.of({**body, "data": {"tls.key": body["data"]["tls.key"]}})
    assert facts.leaf is not None
    assert facts.key_digest == lone.key_digest == certified_key_digest(facts.leaf) == DIGEST
    assert SecretFacts.of({**body, "data": {}}).key_digest is None


class TestMemory:
    """What the process remembers is bounded, and no namespace can push out another's."""

    def test_others_with_the_key_are_woken(self, bench: Bench, build: Build) -> None:
        woken: list[Key] = []
        secrets = Secrets()
        keys = CompromisedKeys(bench.certificates, secrets, woken.append)
        for name, key in (("api", KEY), ("old", generate_private_key())):
            another(bench, name)
            body = build.secret(key=key)
            body["metadata"] |= {"name": f"{name}-tls"}
            secrets.put(body["metadata"], SecretFacts.of(body))
        another(bench, "web2", "team", DIGEST)
        assert woken == [Key("Certificate", "team", "api")]
        another(bench, "web2", "team", DIGEST)
        assert len(woken) == 1, "it is no news"
        assert keys.of("team") == {DIGEST}
        assert keys.of("elsewhere") == frozenset()

    def test_what_is_known_at_the_start_counts(self, bench: Bench) -> None:
        another(bench, "api", "team", DIGEST)
        assert CompromisedKeys(bench.certificates, Secrets()).of("team") == {DIGEST}

    def test_the_namespace_with_the_most_loses_its_oldest(self, monkeypatch: pytest.MonkeyPatch, build: Build) -> None:
        monkeypatch.setattr(module, "MAX_OF_NAMESPACE", 20)
        monkeypatch.setattr(module, "MAX_REMEMBERED", 24)
        certificates = Certificates()
        keys = CompromisedKeys(certificates, Secrets())

        def say(namespace: str, name: str, numbers: range) -> None:
            metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "resourceVersion": "1"}
            body = build.certificate(metadata=metadata).model_dump(mode="json", by_alias=True, exclude_none=True)
            digests = [f"{number:064x}" for number in numbers]
            certificates.put({**body, "status": {"compromisedKeys": digests}})

        say("victim", "web", range(3))
        for number in range(5):
            say("loud", f"c-{number}", range(100 + 10 * number, 110 + 10 * number))
        for number in range(4):
            say(f"other-{number}", "web", range(1))
        assert len(keys.of("victim")) == 3
        assert len(keys.of("loud")) <= 20
        assert f"{149:064x}" in keys.of("loud"), "the latest stay"

    def test_the_status_keeps_the_latest(self, build: Build) -> None:
        observation = build.observation()
        for number in range(MAX_COMPROMISED_KEYS + 5):
            observation = module.with_compromised(observation, f"{number:064x}")
        assert len(observation.status.compromised_keys) == MAX_COMPROMISED_KEYS
        assert observation.status.compromised_keys[-1] == f"{MAX_COMPROMISED_KEYS + 4:064x}"
        assert len(observation.compromised) == MAX_COMPROMISED_KEYS + 5
        assert module.with_compromised(observation, f"{10:064x}").status == observation.status
