"""Keystores and further formats in the Secret: of the same certificate, in the same write, and only when asked for."""

from __future__ import annotations

import asyncio
import base64
import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12

from certwright.certificates.revisions.secret import read_revisions
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.keystores import OutputsLook, look_at_outputs
from certwright.certificates.secret.outputs import MAX_SECRET_BYTES, Passwords, make_outputs, recorded_outputs
from certwright.certificates.secret.password_versions import BELIEVED_FOR, MAX_SECRETS, PasswordVersions
from certwright.pki import generate_private_key, parse_chain, private_key_to_pem
from certwright.resources import ISSUING
from harness.keytool import Entry, entries_of
from tests.fakes.operator import KEY, encoded

from .bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.kube.api import KubeApi
    from tests.fakes.operator import Body, Build, FakeKubeApi

PLACE: Final = ("team", "web-tls")
OF_PASSWORD: Final = ("team", "keystore-password")
REFERENCE: Final = {"name": "keystore-password", "key": "password"}
ALL: Final[dict[str, Any]] = {
    "keystores": {
        "pkcs12": {"create": True, "passwordSecretRef": REFERENCE, "profile": "Modern2023"},
        "jks": {"create": True, "passwordSecretRef": REFERENCE, "alias": "web"},
    },
    "additionalOutputFormats": [{"type": "DER"}, {"type": "CombinedPEM"}],
}
DERIVED: Final = {"key.der", "tls-combined.pem", "keystore.p12", "truststore.p12", "keystore.jks", "truststore.jks"}


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def set_password(kube_api: FakeKubeApi, password: str, **metadata: Any) -> None:
    place = {"namespace": OF_PASSWORD[0], "name": OF_PASSWORD[1], **metadata}
    kube_api.put({"type": "Opaque", "metadata": place, "data": {"password": encoded(password.encode())}})


def content(kube_api: FakeKubeApi) -> dict[str, bytes]:
    return {entry: base64.b64decode(text) for entry, text in kube_api.secrets[PLACE]["data"].items()}


def opened(kube_api: FakeKubeApi, password: str) -> pkcs12.PKCS12KeyAndCertificates:
    return pkcs12.load_pkcs12(content(kube_api)["keystore.p12"], password.encode())


def change(bench: Bench, kube_api: FakeKubeApi, **data: str | None) -> None:
    """Something else changes entries of the Secret."""
    secret = copy.deepcopy(kube_api.secrets[PLACE])
    for entry, text in data.items():
        name = entry.replace("_", ".")
        if text is None:
            secret["data"].pop(name)
        else:
            secret["data"][name] = text
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))


async def test_everything_is_made_of_the_same_certificate_in_one_write(
    bench: Bench, kube_api: FakeKubeApi, tmp_path: Path
) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    found = content(kube_api)
    assert set(found) == {"tls.crt", "tls.key", "ca.crt", *DERIVED}
    assert kube_api.calls.count("apply web-tls") == 1
    leaf = parse_chain(found["tls.crt"]).leaf
    store = opened(kube_api, "changeit")
    assert store.cert is not None
    assert store.cert.certificate == leaf
    assert load_der_private_key(found["key.der"], None).public_key() == leaf.public_key()
    assert found["tls-combined.pem"] == found["tls.key"] + b"\n" + found["tls.crt"]
    for entry in ("keystore.jks", "truststore.jks", "truststore.p12"):
        (tmp_path / entry).write_bytes(found[entry])
    assert Entry("web", "PrivateKeyEntry") in entries_of(tmp_path / "keystore.jks", "changeit")
    assert entries_of(tmp_path / "truststore.jks", "changeit") == {Entry("ca", "trustedCertEntry")}
    assert {one.kind for one in entries_of(tmp_path / "truststore.p12", "changeit")} == {"trustedCertEntry"}
    assert bench.condition().status == "True"


async def test_a_renewal_makes_all_of_them_again(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    before = content(kube_api)
    bench.now += dt.timedelta(days=61)
    await bench.run(600)
    after = content(kube_api)
    assert bench.status.revision == 2
    assert {entry for entry in before if before[entry] != after[entry]} >= {"tls.crt", "tls.key", "keystore.p12"}
    assert opened(kube_api, "changeit").cert.certificate == parse_chain(after["tls.crt"]).leaf  # type: ignore[union-attr]
    assert after["tls-combined.pem"].startswith(after["tls.key"])


async def test_what_is_right_is_not_written_again(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    before, writes = content(kube_api), kube_api.calls.count("apply web-tls")
    set_password(kube_api, "changeit", labels={"synced-by": "another tool"})
    bench.restart()
    bench.take_secret(SecretFacts.of(kube_api.secrets[PLACE]))
    await bench.run(7200)
    assert content(kube_api) == before
    assert kube_api.calls.count("apply web-tls") == writes


async def test_without_keystores_no_password_is_read(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.write()
    await bench.run(86400)
    assert kube_api.calls.count("read web-tls") == 1
    assert OF_PASSWORD[1] not in " ".join(kube_api.calls)


async def test_a_changed_password_is_noticed_within_ten_minutes(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(900)
    certificate = content(kube_api)["tls.crt"]
    set_password(kube_api, "another")
    await bench.run(601)
    assert opened(kube_api, "another").key is not None
    assert content(kube_api)["tls.crt"] == certificate
    assert len(bench.ca.orders) == 1
    assert bench.events.count("OutputsWritten") == 1


async def test_certificates_that_share_a_password_ask_for_it_once_in_ten_minutes(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    """Five hundred Certificates of a namespace are no more requests than one."""
    set_password(kube_api, "changeit")
    versions = PasswordVersions()
    certificates = [build.certificate(metadata={"uid": f"uid-{number}"}, **ALL) for number in range(500)]
    secret = SecretFacts.of(build.secret())
    looks: dict[int, OutputsLook | None] = {}

    async def look(number: int, time: dt.datetime) -> None:
        looks[number] = await look_at_outputs(
            certificates[number], secret, cast("KubeApi", kube_api), versions, now=time, last=looks.get(number)
        )

    for number in range(500):  # as they come after a restart, each needs the password once
        await look(number, now + number * dt.timedelta(seconds=1))
    kube_api.calls.clear()
    for minute in range(20, 140):
        await asyncio.gather(*(look(number, now + minute * dt.timedelta(minutes=1)) for number in range(500)))
    assert len(kube_api.calls) == 12
    set_password(kube_api, "another")
    kube_api.calls.clear()
    await asyncio.gather(*(look(number, now + dt.timedelta(minutes=150)) for number in range(500)))
    assert len(kube_api.calls) == 501  # all have noticed, and read it
    assert len(versions) == 1
    assert "another" not in repr(vars(versions))


async def test_a_password_secret_that_is_made_anew_is_noticed(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(900)
    del kube_api.secrets[OF_PASSWORD]
    await bench.run(601)
    assert "Secret keystore-password does not exist" in bench.condition().message
    set_password(kube_api, "another")
    await bench.run(601)
    assert opened(kube_api, "another").key is not None


async def test_passwords_of_many_secrets_are_remembered_within_bounds(now: dt.datetime) -> None:
    versions = PasswordVersions()
    for number in range(MAX_SECRETS + 50):
        versions.note("team", str(number), None, now)
    assert len(versions) == MAX_SECRETS
    versions.note("team", "later", None, now + BELIEVED_FOR)
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("password", "reason", "said"),
    [
        (None, "KeystorePasswordMissing", "Secret keystore-password does not exist"),
        ("", "KeystorePasswordMissing", "has no entry password"),
        ("pässword", "KeystorePasswordUnusable", "must be printable ASCII"),
        ("changeit\n", "KeystorePasswordUnusable", "ends with a line break"),
        ("x" * 2000, "KeystorePasswordUnusable", "longer than 1024"),
    ],
)
async def test_without_a_password_the_certificate_is_issued_and_the_condition_says_what_is_missing(
    bench: Bench, kube_api: FakeKubeApi, password: str | None, reason: str, said: str
) -> None:
    if password is not None:
        set_password(kube_api, password)
    bench.write(**ALL)
    await bench.run(3600)
    assert set(content(kube_api)) == {"tls.crt", "tls.key", "ca.crt", "key.der", "tls-combined.pem"}
    assert (bench.condition().status, bench.condition().reason) == ("False", reason)
    assert said in bench.condition().message
    assert bench.condition(ISSUING).reason == "NothingToDo"
    assert bench.events.count(reason) == 1
    assert not password or password not in str(bench.cluster.body["status"])
    set_password(kube_api, "changeit")
    await bench.run(601)
    assert set(content(kube_api)) >= DERIVED
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_a_keystore_stays_while_its_password_cannot_be_had(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(900)
    before = content(kube_api)
    del kube_api.secrets[OF_PASSWORD]
    await bench.run(3600)
    assert content(kube_api) == before, "it was written for nothing"
    bench.now += dt.timedelta(days=61)
    await bench.run(600)
    after = content(kube_api)
    assert bench.status.revision == 2
    assert after["tls.crt"] != before["tls.crt"]
    assert {entry: after[entry] for entry in after if "store." in entry} == {
        entry: before[entry] for entry in before if "store." in entry
    }
    assert after["tls-combined.pem"] != before["tls-combined.pem"]
    assert bench.condition().reason == "KeystorePasswordMissing"
    set_password(kube_api, "changeit")
    await bench.run(601)
    assert opened(kube_api, "changeit").cert.certificate == parse_chain(after["tls.crt"]).leaf  # type: ignore[union-attr]


async def test_what_is_no_longer_asked_for_is_removed(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    certificate = content(kube_api)["tls.crt"]
    pkcs12_off = {**ALL["keystores"], "pkcs12": {**ALL["keystores"]["pkcs12"], "create": False}}
    bench.write(metadata={"generation": 2}, keystores=pkcs12_off)
    await bench.run(60)
    assert set(content(kube_api)) == {"tls.crt", "tls.key", "ca.crt", "keystore.jks", "truststore.jks"}
    bench.write(metadata={"generation": 3})
    await bench.run(60)
    assert set(content(kube_api)) == {"tls.crt", "tls.key", "ca.crt"}
    assert content(kube_api)["tls.crt"] == certificate
    assert "certwright.io/outputs" not in kube_api.secrets[PLACE]["metadata"]["annotations"]


async def test_entries_that_a_restored_backup_owns_too_are_removed_and_those_of_others_stay(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    bench.write(additionalOutputFormats=ALL["additionalOutputFormats"])
    await bench.run(60)
    change(bench, kube_api, other_txt=encoded(b"theirs"))
    kube_api.kept = {"key.der", "tls-combined.pem", "other.txt"}
    bench.write(metadata={"generation": 2})
    await bench.run(60)
    assert set(content(kube_api)) == {"tls.crt", "tls.key", "ca.crt", "other.txt"}


@pytest.mark.parametrize("entry", ["keystore_p12", "keystore_jks", "key_der"])
@pytest.mark.parametrize("text", [None, encoded(b"garbage")])
async def test_a_derived_entry_that_something_else_spoils_is_made_again_without_an_order(
    bench: Bench, kube_api: FakeKubeApi, entry: str, text: str | None
) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(900)
    change(bench, kube_api, **{entry: text})
    await bench.run(60)
    assert set(content(kube_api)) >= DERIVED
    assert opened(kube_api, "changeit").key is not None
    assert load_der_private_key(content(kube_api)["key.der"], None) is not None
    assert len(bench.ca.orders) == 1


async def test_formats_are_added_to_a_certificate_that_is_there(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.write()
    await bench.run(3600)
    before = content(kube_api)
    set_password(kube_api, "changeit")
    bench.write(metadata={"generation": 2}, **ALL)
    await bench.run(60)
    after = content(kube_api)
    assert {entry: after[entry] for entry in before} == before
    assert set(after) >= DERIVED
    assert (len(bench.ca.orders), bench.status.revision) == (1, 1)
    assert bench.messages["OutputsWritten"].endswith("the certificate is the same.")


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA"])
async def test_the_encoding_changes_without_another_certificate(
    bench: Bench, kube_api: FakeKubeApi, algorithm: Any
) -> None:
    private_key = {"algorithm": algorithm, "size": 256 if algorithm == "ECDSA" else 2048}
    bench.write(privateKey=private_key, additionalOutputFormats=ALL["additionalOutputFormats"])
    await bench.run(60)
    before = content(kube_api)
    label = b"EC" if algorithm == "ECDSA" else b"RSA"
    bench.write(
        metadata={"generation": 2},
        privateKey={**private_key, "encoding": "PKCS1"},
        additionalOutputFormats=ALL["additionalOutputFormats"],
    )
    await bench.run(60)
    after = content(kube_api)
    assert after["tls.key"].startswith(b"-----BEGIN " + label + b" PRIVATE KEY-----")
    assert after["tls-combined.pem"].startswith(after["tls.key"])
    assert (after["tls.crt"], len(bench.ca.orders)) == (before["tls.crt"], 1)
    assert bench.condition().status == "True"
    bench.write(metadata={"generation": 3}, privateKey={**private_key, "encoding": "PKCS8"})
    await bench.run(60)
    assert content(kube_api)["tls.key"] == before["tls.key"]
    assert bench.status.revision == 1


async def test_a_key_that_was_adopted_keeps_its_encoding_where_the_spec_has_none(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    pem = private_key_to_pem(KEY, "PKCS1")
    kube_api.put(build.strange_secret(data={"tls.crt": encoded(build.ca.chain().pem), "tls.key": encoded(pem)}))
    bench.write()
    await bench.run(3600)
    assert content(kube_api)["tls.key"] == pem
    bench.write(metadata={"generation": 2}, privateKey={"encoding": "PKCS8"})
    await bench.run(60)
    assert content(kube_api)["tls.key"] == private_key_to_pem(KEY)
    assert bench.ca.orders == {}


async def test_the_entries_of_another_tool_are_taken_over_when_they_are_asked_for(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    secret = build.strange_secret()
    secret["data"] |= {"keystore.p12": encoded(b"of cert-manager"), "tls-combined.pem": encoded(b"of cert-manager")}
    kube_api.put(secret)
    kube_api.kept = {"keystore.p12", "tls-combined.pem"}
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    assert opened(kube_api, "changeit").key is not None
    assert content(kube_api)["tls.crt"] == base64.b64decode(secret["data"]["tls.crt"])
    assert bench.ca.orders == {}


async def test_the_entries_of_another_tool_stay_when_they_are_not_asked_for(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    secret = build.strange_secret()
    secret["data"]["keystore.p12"] = encoded(b"theirs")
    kube_api.put(secret)
    kube_api.kept = {"keystore.p12"}
    bench.write()
    await bench.run(3600)
    assert content(kube_api)["keystore.p12"] == b"theirs"


async def test_what_spoils_the_keystore_again_and_again_is_met_with_pauses(bench: Bench, kube_api: FakeKubeApi) -> None:
    bench.write(additionalOutputFormats=[{"type": "DER"}])
    end = bench.now + dt.timedelta(hours=2)
    while bench.now < end:
        result = await bench.look()
        if "key.der" in kube_api.secrets.get(PLACE, {"data": {}})["data"]:
            change(bench, kube_api, key_der=None)
            bench.now += dt.timedelta(seconds=0.1)
        elif result.after is not None:
            bench.now += min(result.after, end - bench.now)
    assert kube_api.calls.count("apply web-tls") < 50
    assert "further formats" in bench.messages["SecretContested"]
    assert len(bench.ca.orders) == 1


async def test_an_immutable_secret_is_left_and_the_condition_says_so(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    bench.take_secret(SecretFacts.of(kube_api.put({**build.secret(), "immutable": True})))
    bench.write(additionalOutputFormats=[{"type": "DER"}])
    await bench.run(3600)
    assert "apply web-tls" not in kube_api.calls
    assert (bench.condition().status, bench.condition().reason) == ("False", "SecretImmutable")


def test_what_does_not_fit_into_a_secret_is_left_out_and_told(build: Build, now: dt.datetime) -> None:
    certificate = build.certificate(additionalOutputFormats=ALL["additionalOutputFormats"])
    chain, key = build.ca.chain(), private_key_to_pem(KEY)
    sources = {"tls.crt": chain.pem, "tls.key": key, "ca.crt": b"x" * (MAX_SECRET_BYTES - len(chain.pem) - len(key))}
    outputs = make_outputs(certificate, sources, Passwords(), now=now, kept={})
    assert outputs.entries == {}
    assert outputs.record is not None
    assert json.loads(outputs.record)["entries"] == []


async def test_the_condition_tells_what_did_not_fit(
    bench: Bench, kube_api: FakeKubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.certificates.secret.outputs.MAX_SECRET_BYTES", 2000)
    bench.write(additionalOutputFormats=ALL["additionalOutputFormats"])
    await bench.run(3600)
    assert (bench.condition().status, bench.condition().reason) == ("False", "SecretTooLarge")
    assert "key.der, tls-combined.pem did not fit" in bench.condition().message
    assert kube_api.calls.count("apply web-tls") == 1


async def test_nobody_can_try_passwords_with_the_annotations_alone(bench: Bench, kube_api: FakeKubeApi) -> None:
    set_password(kube_api, "changeit")
    bench.write(**ALL)
    await bench.run(60)
    secret = kube_api.secrets[PLACE]
    text = secret["metadata"]["annotations"]["certwright.io/outputs"]
    other = {**secret["data"], "tls.key": encoded(private_key_to_pem(generate_private_key()))}
    recorded, guessed = recorded_outputs(text, secret["data"]), recorded_outputs(text, other)
    assert recorded is not None
    assert guessed is not None
    assert recorded.key != guessed.key
    assert recorded.key.hex() not in text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"entries": 1}', '{"entries": ["tls.crt", "keystore.p12", 7], "pkcs12": 1, "content": []}']
)
def test_an_annotation_that_others_wrote_is_read_with_care(text: str) -> None:
    recorded = recorded_outputs(text, {"tls.key": encoded(b"x"), "keystore.p12": encoded(b"x")})
    assert recorded is None or (recorded.entries == ("keystore.p12",) and not recorded.parts and not recorded.is_intact)


def test_what_is_kept_of_a_secret_without_outputs_is_nothing_more(build: Build) -> None:
    facts = build.facts()
    assert facts.outputs is None
    body: Body = build.secret()
    assert SecretFacts.of(body).outputs is None


@pytest.mark.parametrize(
    "name", ["certwright.io/outputs", "certwright.io/secret-template", "certwright.io/rolled-back"]
)
@pytest.mark.parametrize("text", ["[" * 2048, '{"a":' * 400, "[" * 1024 + "]" * 1024])
def test_annotations_that_are_nested_more_deeply_than_python_reads_say_nothing(
    build: Build, name: str, text: str
) -> None:
    """As a tenant, whose Secret with our label is read when the watch brings it."""
    secret = build.secret()
    secret["metadata"]["annotations"][name] = text
    facts = SecretFacts.of(secret)
    assert facts.certificate is not None
    assert facts.outputs is None
    assert facts.rolled_back is None


def test_a_record_of_a_revision_that_is_nested_too_deeply_is_none() -> None:
    entries = {"1.crt": b"x", "1.key": b"x", "1.json": b'{"annotations":' + b"[" * 8000}
    assert read_revisions({"data": {name: encoded(content) for name, content in entries.items()}}) == []
