"""Revisions that are kept: what a Secret comes back from, and what a rollback goes back to."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives import hashes

from certwright.certificates.revisions.secret import read_revisions
from certwright.certificates.secret.annotations import ROLLED_BACK_ANNOTATION, RolledBack
from certwright.certificates.secret.facts import SecretFacts
from certwright.kube.errors import Invalid
from certwright.pki import parse_chain, private_key_to_pem
from certwright.pki.keys import certified_key_digest
from certwright.resources import ISSUER_NAME_ANNOTATION, READY, RequestStatus, RevocationStatus
from tests.fakes.killing import DyingCluster, Killed
from tests.fakes.operator import KEY, NOW, FakeKubeApi, encoded

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Body, Build

PLACE: Final = ("team", "web-tls")
DAY: Final = 86400


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def kept_place(kube_api: FakeKubeApi) -> tuple[str, str]:
    (place,) = [place for place in kube_api.secrets if place[1].startswith("certwright-revisions-")]
    return place


def kept(kube_api: FakeKubeApi) -> list[int]:
    return sorted(one.number for one in read_revisions(kube_api.secrets[kept_place(kube_api)]))


def chain(kube_api: FakeKubeApi) -> bytes:
    return base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.crt"])


def change_spec(bench: Bench, **spec: Any) -> None:
    bench.write(metadata={"generation": bench.cluster.body["metadata"]["generation"] + 1}, **spec)


def ask(bench: Bench, request_id: str = "r-1", *, limit: int = 3, **request: Any) -> None:
    wanted = {"id": request_id, "action": "Rollback", "requestedBy": "alice", **request}
    change_spec(bench, revisionHistoryLimit=limit, request=wanted)


def last(bench: Bench) -> RequestStatus:
    return bench.status.requests[-1]


async def renewed(bench: Bench, days: float = 60.5) -> None:
    """Time passes until after the next renewal."""
    bench.now += dt.timedelta(days=days)
    await bench.run(300)


async def with_revisions(bench: Bench, kube_api: FakeKubeApi, count: int, *, limit: int = 3) -> list[bytes]:
    """Issue so many certificates; return their chains."""
    bench.write(revisionHistoryLimit=limit)
    await bench.run(300)
    chains = [chain(kube_api)]
    for _ in range(count - 1):
        await renewed(bench)
        chains.append(chain(kube_api))
    return chains


def delete_secret(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.secrets.remove(kube_api.secrets.pop(PLACE)["metadata"])


def restart(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.restart()
    if PLACE in kube_api.secrets:
        bench.take_secret(SecretFacts.of(kube_api.secrets[PLACE]))


async def test_by_default_nothing_is_kept_and_no_request_is_spent_on_it(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.write()
    await bench.run(300)
    await renewed(bench)
    assert bench.status.revision == 2
    assert set(kube_api.secrets) == {PLACE}
    assert bench.status.revisions == ()
    assert not any("revisions" in call for call in kube_api.calls)


async def test_the_last_revisions_are_kept_at_one_request_a_renewal(bench: Bench, kube_api: FakeKubeApi) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    kube_api.calls.clear()
    await renewed(bench)
    assert [call for call in kube_api.calls if "revisions" in call] == [f"patch {kept_place(kube_api)[1]}"]
    assert "read web-tls" not in kube_api.calls
    await renewed(bench)
    assert kept(kube_api) == [2, 3, 4]
    assert [one.revision for one in bench.status.revisions] == [2, 3, 4]
    found = {one.number: one.chain_pem for one in read_revisions(kube_api.secrets[kept_place(kube_api)])}
    assert found[2] == chains[1]
    assert found[4] == chain(kube_api)


async def test_the_secret_of_the_revisions_goes_with_the_certificate_and_is_not_watched(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await with_revisions(bench, kube_api, 1)
    metadata = kube_api.secrets[kept_place(kube_api)]["metadata"]
    assert [(one["kind"], one["uid"]) for one in metadata["ownerReferences"]] == [("Certificate", "uid-web")]
    assert "certwright.io/managed" not in metadata["labels"]
    assert SecretFacts.of(kube_api.secrets[kept_place(kube_api)]).holds == "earlier revisions of a certificate"


async def test_fewer_are_kept_when_the_limit_shrinks_and_none_when_it_is_one(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await with_revisions(bench, kube_api, 3)
    change_spec(bench, revisionHistoryLimit=2)
    await bench.run(60)
    assert kept(kube_api) == [2, 3]
    change_spec(bench)
    await bench.run(60)
    assert set(kube_api.secrets) == {PLACE}
    assert bench.status.revisions == ()


async def test_the_present_certificate_is_kept_when_the_limit_grows_and_after_a_restart(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    bench.write()
    await bench.run(3600)
    restart(bench, kube_api)
    change_spec(bench, revisionHistoryLimit=2)
    await bench.run(60)
    assert kept(kube_api) == [1]
    assert len(bench.ca.orders) == 1


async def test_what_does_not_fit_gives_way_to_the_present_one(
    bench: Bench, kube_api: FakeKubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_revisions(bench, kube_api, 2)

    async def refuse(*_: Any) -> None:
        raise Invalid("change the Secret", status=422, message="data: Too long: may not be more than 1048576 bytes")

    monkeypatch.setattr(kube_api, "patch_secret", refuse)
    await renewed(bench)
    assert kept(kube_api) == [3]
    assert [one.revision for one in bench.status.revisions] == [3]
    assert bench.condition().status == "True"


async def test_a_rollback_puts_the_previous_certificate_back_and_keeps_it(bench: Bench, kube_api: FakeKubeApi) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    key = base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.key"])
    ask(bench)
    await bench.run(60)
    assert chain(kube_api) == chains[0]
    assert base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.key"]) != key
    assert (last(bench).state, bench.cluster.body["spec"].get("request")) == ("Succeeded", None)
    assert "holds revision 1 again in place of revision 2" in last(bench).message
    assert bench.events.count("RolledBack") == 1
    assert (bench.condition().status, bench.condition().reason) == ("True", "RolledBack")
    orders = len(bench.ca.orders)
    ends = parse_chain(chains[0]).leaf.not_valid_after_utc
    await bench.run((ends - bench.now).total_seconds() * 0.6)
    assert (chain(kube_api), len(bench.ca.orders)) == (chains[0], orders), "it was undone"
    await bench.run((ends - bench.now).total_seconds() * 0.5)
    assert len(bench.ca.orders) == orders + 1
    assert (bench.status.revision, bench.condition().reason) == (3, "Ready")


async def test_a_second_rollback_goes_back_further_and_one_can_go_forth_again(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    chains = await with_revisions(bench, kube_api, 1)
    for _ in range(2):
        change_spec(bench, revisionHistoryLimit=3, request={"id": f"n-{len(chains)}", "action": "Renew"})
        await bench.run(120)
        chains.append(chain(kube_api))
    for request_id, revision, wanted in (("r-1", None, 1), ("r-2", None, 0), ("r-3", 3, 2), ("r-4", 1, 0)):
        ask(bench, request_id, **({"revision": revision} if revision is not None else {}))
        await bench.run(60)
        assert (last(bench).state, chain(kube_api)) == ("Succeeded", chains[wanted]), request_id
    assert kept(kube_api) == [1, 2, 3]


@pytest.mark.parametrize(
    ("spec", "request_fields", "said"),
    [
        ({}, {}, "Set spec.revisionHistoryLimit to 2 or more"),
        ({"revisionHistoryLimit": 3}, {"revision": 7}, "Revision 7 is not kept; kept are: 1, 2."),
        ({"revisionHistoryLimit": 3}, {"revision": 2}, ""),
    ],
)
async def test_a_rollback_that_cannot_be_is_refused_with_the_reason(
    bench: Bench, kube_api: FakeKubeApi, spec: dict[str, Any], request_fields: dict[str, Any], said: str
) -> None:
    await with_revisions(bench, kube_api, 2)
    before = chain(kube_api)
    change_spec(bench, **spec, request={"id": "r-1", "action": "Rollback", **request_fields})
    await bench.run(60)
    assert last(bench).state == ("Refused" if said else "Succeeded")
    assert said in last(bench).message
    assert chain(kube_api) == before
    assert bench.condition().status == "True"


@pytest.mark.parametrize(
    ("spec", "days", "said"),
    [
        ({"dnsNames": ["a.example.test", "b.example.test"]}, 0, "does not cover b.example.test"),
        ({"privateKey": {"algorithm": "RSA"}}, 0, "is not RSA"),
        ({}, 40, "expired"),
    ],
)
async def test_what_would_not_pass_the_gate_is_not_put_back(
    bench: Bench, kube_api: FakeKubeApi, spec: dict[str, Any], days: int, said: str
) -> None:
    await with_revisions(bench, kube_api, 2)
    bench.now += dt.timedelta(days=days)
    names = spec.pop("dnsNames", ["a.example.test"])
    generation = bench.cluster.body["metadata"]["generation"] + 1
    bench.write(*names, metadata={"generation": generation}, revisionHistoryLimit=3, **spec)
    await bench.run(120)
    before = chain(kube_api)
    generation += 1
    request = {"id": "r-1", "action": "Rollback", "revision": 1}
    bench.write(*names, metadata={"generation": generation}, revisionHistoryLimit=3, request=request, **spec)
    await bench.run(120)
    assert (last(bench).state, chain(kube_api)) == ("Refused", before)
    assert said in last(bench).message
    assert "Revision 1 cannot be put back" in last(bench).message


@pytest.mark.parametrize(
    ("reason", "state", "said"),
    [
        ("superseded", "Revoked", "was revoked"),
        ("superseded", "Pending", "is to be revoked"),
        ("keyCompromise", "Failed", "thers have its private key"),
        ("superseded", "Failed", ""),
    ],
)
async def test_a_revision_that_was_revoked_is_not_put_back(
    bench: Bench, kube_api: FakeKubeApi, reason: Any, state: Any, said: str
) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    leaf = parse_chain(chains[0]).leaf
    revoked = RevocationStatus(
        serial_number=f"{leaf.serial_number:x}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        reason=reason,
        state=state,
        started_time=bench.now,
    )
    bench.cluster.body["status"]["revocations"] = [revoked.to_json()]
    restart(bench, kube_api)
    ask(bench)
    await bench.run(60)
    assert last(bench).state == ("Refused" if said else "Succeeded")
    assert said in last(bench).message


async def test_a_revision_with_a_compromised_key_is_not_put_back_though_it_is_another_certificate(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    spec: dict[str, Any] = {"revisionHistoryLimit": 3, "privateKey": {"rotationPolicy": "Never"}}
    bench.write(**spec)
    await bench.run(120)
    chains = [chain(kube_api)]
    for number in range(2):
        change_spec(bench, **spec, request={"id": f"n-{number}", "action": "Renew"})
        await bench.run(120)
        chains.append(chain(kube_api))
    leaf = parse_chain(chains[0]).leaf
    revoked = RevocationStatus(
        serial_number=f"{leaf.serial_number:x}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        reason="keyCompromise",
        state="Revoked",
        started_time=bench.now,
    )
    bench.cluster.body["status"]["revocations"] = [revoked.to_json()]
    restart(bench, kube_api)
    change_spec(bench, **spec, request={"id": "r-1", "action": "Rollback", "revision": 2})
    await bench.run(60)
    assert last(bench).state == "Refused"
    assert "thers have its private key" in last(bench).message


async def test_a_revision_whose_key_was_reported_for_another_certificate_is_not_put_back(
    bench: Bench, kube_api: FakeKubeApi, build: Build
) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    bad = certified_key_digest(parse_chain(chains[0]).leaf)
    metadata = {"name": "api", "uid": "uid-api", "resourceVersion": "900"}
    other = build.certificate(metadata=metadata, secretName="api-tls")
    content = other.model_dump(mode="json", by_alias=True, exclude_none=True)
    bench.certificates.put({**content, "status": {"compromisedKeys": [bad]}})
    ask(bench, revision=1)
    await bench.run(600)
    assert (last(bench).state, chain(kube_api)) == ("Refused", chains[1])
    assert "thers have its private key" in last(bench).message
    delete_secret(bench, kube_api)
    await bench.run(600)
    assert chain(kube_api) == chains[1], "a lost Secret does not get it either"


def spoil(secret: Body) -> None:
    for name in list(secret["data"]):
        if name.endswith(".key"):
            secret["data"][name] = encoded(b"garbage")


async def test_what_others_wrote_among_the_revisions_is_not_put_back(bench: Bench, kube_api: FakeKubeApi) -> None:
    await with_revisions(bench, kube_api, 2)
    before = chain(kube_api)
    secret = copy.deepcopy(kube_api.secrets[kept_place(kube_api)])
    spoil(secret)
    kube_api.put(secret)
    ask(bench)
    await bench.run(60)
    assert (last(bench).state, chain(kube_api)) == ("Refused", before)


def of_another_certificate(data: dict[str, str], build: Build) -> None:
    data |= {
        "1.crt": encoded(build.ca.chain(["b.example.test"], key=KEY).pem),
        "1.key": encoded(private_key_to_pem(KEY)),
    }


def with_one_name_more(data: dict[str, str], build: Build) -> None:
    names = ["a.example.test", "b.example.test"]
    data |= {"1.crt": encoded(build.ca.chain(names, key=KEY).pem), "1.key": encoded(private_key_to_pem(KEY))}


def with_another_key(data: dict[str, str], _build: Build) -> None:
    data["1.key"] = encoded(private_key_to_pem(KEY))


def of_another_issuer(data: dict[str, str], _build: Build) -> None:
    record = json.loads(base64.b64decode(data["1.json"]))
    record["annotations"][ISSUER_NAME_ANNOTATION] = "another"
    data["1.json"] = encoded(json.dumps(record).encode())


def removed(data: dict[str, str], _build: Build) -> None:
    for name in [name for name in data if name.startswith("1.")]:
        del data[name]


def cut_off(data: dict[str, str], _build: Build) -> None:
    data["1.crt"] = encoded(base64.b64decode(data["1.crt"])[:-40])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_another_certificate, "does not cover a.example.test"),
        (with_one_name_more, "still has b.example.test"),
        (with_another_key, "for another private key"),
        (of_another_issuer, "was issued by Issuer another"),
        (removed, "Revision 1 is not kept; kept are: 2."),
        (cut_off, "is damaged"),
    ],
)
async def test_a_revision_that_is_forged_removed_or_of_another_certificate_is_refused_and_the_present_one_stays(
    bench: Bench, kube_api: FakeKubeApi, build: Build, change: Callable[[dict[str, str], Build], None], said: str
) -> None:
    """Whoever may write Secrets in the namespace may write the revisions, and the request."""
    await with_revisions(bench, kube_api, 2)
    before = copy.deepcopy(kube_api.secrets[PLACE]["data"])
    kept_secret = copy.deepcopy(kube_api.secrets[kept_place(kube_api)])
    change(kept_secret["data"], build)
    kube_api.put(kept_secret)
    orders = len(bench.ca.orders)
    ask(bench, revision=1)
    await bench.run(3600)
    assert last(bench).state == "Refused"
    assert said in last(bench).message
    assert kube_api.secrets[PLACE]["data"] == before
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", orders)


async def test_a_rollback_during_a_renewal_ends_the_renewal(bench: Bench, kube_api: FakeKubeApi) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    bench.ca.verdict = "pending"
    await renewed(bench)
    assert bench.status.order is not None
    ask(bench, revision=2)
    await bench.run(60)
    assert (last(bench).state, chain(kube_api)) == ("Succeeded", chains[1])
    after = bench.status
    assert after.order is None
    assert (bench.dns.records, bench.finalizers) == (set(), [])
    await bench.run(DAY)
    assert chain(kube_api) == chains[1]


async def test_killed_after_any_write_a_rollback_is_done_once(build: Build, now: dt.datetime) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        bench = Bench(build, kube_api := FakeKubeApi(), now)
        chains = await with_revisions(bench, kube_api, 1)
        for number in range(2):
            change_spec(bench, revisionHistoryLimit=3, request={"id": f"n-{number}", "action": "Renew"})
            await bench.run(120)
            chains.append(chain(kube_api))
        ask(bench)
        cluster = bench.cluster
        bench.cluster = DyingCluster(cluster, at, after=True)  # type: ignore[assignment]  # it stands in front of it
        bench.restart(late=copy.deepcopy(cluster.body))
        bench.take_secret(SecretFacts.of(kube_api.secrets[PLACE]))
        try:
            await bench.run(60)
            finished = True
        except Killed:
            pass
        bench.cluster = cluster
        restart(bench, kube_api)
        await bench.run(600)
        assert (last(bench).state, last(bench).id) == ("Succeeded", "r-1"), at
        assert chain(kube_api) == chains[1], f"not the previous one, killed after write {at}"
        assert len(bench.ca.orders) == 3, at
        assert set(kube_api.secrets) == {PLACE, kept_place(kube_api)}, at
    assert at > 3


async def test_a_secret_that_is_deleted_comes_back_from_what_is_kept(bench: Bench, kube_api: FakeKubeApi) -> None:
    chains = await with_revisions(bench, kube_api, 2)
    await bench.run(DAY)
    restart(bench, kube_api)
    delete_secret(bench, kube_api)
    await bench.run(60)
    assert (chain(kube_api), len(bench.ca.orders)) == (chains[1], 2)
    assert bench.condition().status == "True"
    assert "Revision 2, which was kept" in bench.messages["SecretRestored"]
    facts = SecretFacts.of(kube_api.secrets[PLACE])
    assert (facts.is_ours, facts.revision, facts.seal is not None) == (True, 2, True)


async def test_after_a_rollback_it_is_the_earlier_certificate_that_comes_back(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    chains = await with_revisions(bench, kube_api, 1)
    change_spec(bench, revisionHistoryLimit=3, request={"id": "n", "action": "Renew"})
    await bench.run(120)
    ask(bench)
    await bench.run(120)
    assert chain(kube_api) == chains[0]
    delete_secret(bench, kube_api)
    await bench.run(60)
    assert (chain(kube_api), len(bench.ca.orders)) == (chains[0], 2)


async def test_what_is_kept_and_of_no_use_is_not_restored_but_ordered(bench: Bench, kube_api: FakeKubeApi) -> None:
    await with_revisions(bench, kube_api, 1)
    secret = copy.deepcopy(kube_api.secrets[kept_place(kube_api)])
    spoil(secret)
    kube_api.put(secret)
    await bench.run(DAY)
    restart(bench, kube_api)
    delete_secret(bench, kube_api)
    await bench.run(60)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)
    assert bench.status.revision == 2


async def test_what_is_kept_is_not_restored_where_the_spec_asks_for_something_else(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await with_revisions(bench, kube_api, 1)
    await bench.run(DAY)
    delete_secret(bench, kube_api)
    generation = bench.cluster.body["metadata"]["generation"] + 1
    bench.write("b.example.test", metadata={"generation": generation}, revisionHistoryLimit=3)
    await bench.run(60)
    assert len(bench.ca.orders) == 2
    assert bench.condition(READY).status == "True"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"at": 1}', '{"at": "2026-06-01T12:00:00", "request": "a", "from": 1}', "[" * 2000]
)
def test_what_others_write_into_the_annotation_is_no_rollback(build: Build, text: str) -> None:
    assert RolledBack.read(text) is None
    secret = build.secret()
    secret["metadata"]["annotations"][ROLLED_BACK_ANNOTATION] = text
    assert SecretFacts.of(secret).rolled_back is None


def test_a_rollback_that_somebody_dates_in_the_future_does_not_put_off_the_renewal_past_the_end(build: Build) -> None:
    secret = build.secret()
    mark = RolledBack(NOW + dt.timedelta(days=9999), "r", 1)
    secret["metadata"]["annotations"][ROLLED_BACK_ANNOTATION] = mark.annotation
    observation = build.observation(secret=SecretFacts.of(secret))
    assert observation.renew_at is not None
    assert observation.secret is not None
    assert observation.secret.certificate is not None
    assert observation.renew_at <= observation.secret.certificate.not_after


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"1.crt": encoded(b"x")},
        {"1.crt": encoded(b"x"), "1.key": encoded(b"x"), "1.json": encoded(b"[]")},
        {"1.crt": "???", "1.key": encoded(b"x")},
        {"1.crt": encoded(b"x" * 300_000), "1.key": encoded(b"x")},
        {"01.crt": encoded(b"x"), "01.key": encoded(b"x")},
        {"9999999999.crt": encoded(b"x"), "9999999999.key": encoded(b"x")},
    ],
)
def test_a_secret_of_revisions_that_others_wrote_is_read_with_care(data: dict[str, str]) -> None:
    assert read_revisions({"data": data}) == []
