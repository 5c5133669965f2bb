from __future__ import annotations

import base64
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from certwright.certificates.secret import facts as secret_facts
from certwright.certificates.secret.facts import SecretFacts
from certwright.kube.secrets import decoded
from certwright.pki import generate_private_key, private_key_to_pem
from tests.fakes.hostile import pem, rsa_key

if TYPE_CHECKING:
    from tests.fakes.operator import Build

OTHER_PEM = base64.b64encode(private_key_to_pem(generate_private_key())).decode()
GARBAGE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tls.crt": ""}, "its tls.crt is missing"),
        ({"tls.key": None}, "its tls.key is missing"),
        ({"tls.key": "not base64"}, "its tls.key is missing"),
        ({"tls.crt": GARBAGE}, "certificate 1 of the chain is damaged"),
        ({"tls.crt": "AAAA"}, "there is no PEM certificate in the certificate chain"),
        ({"tls.key": "AAAA"}, "the private key cannot be read: it is not PEM, or it is damaged"),
        ({"tls.key": OTHER_PEM}, "its tls.key does not match its tls.crt"),
    ],
)
def test_what_is_wrong_with_chain_or_key_is_said(build: Build, changes: dict[str, Any], problem: str) -> None:
    secret = build.secret()
    secret["data"] |= changes
    facts = SecretFacts.of(secret)
    assert (facts.problem, facts.certificate, facts.leaf) == (problem, None, None)
    assert facts.has_key == (not {"tls.key"} & changes.keys() or changes["tls.key"] == OTHER_PEM)


def test_what_certwright_wrote_is_not_compared_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes, **_options: bool) -> None:
        raise AssertionError("the key is loaded")

    ours, changed, strange = build.secret(), build.secret(), build.strange_secret()
    changed["data"]["tls.key"] = OTHER_PEM
    monkeypatch.setattr(secret_facts, "load_private_key", refuse)
    assert SecretFacts.of(ours).problem is None
    for secret in (changed, strange):
        with pytest.raises(AssertionError):
            SecretFacts.of(secret)


def test_without_our_label_it_is_a_strangers(build: Build) -> None:
    for labels in (None, {}, {"certwright.io/managed": "false"}):
        secret = build.secret()
        secret["metadata"]["labels"] = labels
        facts = SecretFacts.of(secret)
        assert (facts.certificate_name, facts.metadata_fingerprint) == (None, None)
        assert facts.certificate is not None


def test_a_secret_with_next_to_nothing_in_it() -> None:
    facts = SecretFacts.of({"metadata": {"namespace": "team", "name": "bare"}})
    assert (facts.type, facts.uid, facts.resource_version, facts.empty, facts.immutable) == (
        "Opaque",
        "",
        "",
        True,
        False,
    )


@pytest.mark.parametrize(("data", "empty"), [(None, True), ({"tls.crt": ""}, True), ({"other": "AAAA"}, False)])
def test_empty_means_no_data_at_all(build: Build, data: Any, *, empty: bool) -> None:
    assert SecretFacts.of({**build.secret(), "data": data}).empty == empty


def test_no_key_is_kept(build: Build) -> None:
    secret = build.secret()
    assert secret["data"]["tls.key"] not in repr(SecretFacts.of(secret))
    assert "PRIVATE KEY" not in repr(SecretFacts.of(secret))


@pytest.mark.parametrize(
    ("data", "content"), [({}, b""), ({"a": None}, b""), ({"a": "YQ=="}, b"a"), ({"a": "YQ"}, b""), ({"a": "é"}, b"")]
)
def test_an_entry(data: Any, content: bytes) -> None:
    assert decoded(data, "a") == content


def test_a_certificate_with_more_names_than_any_ca_gives_is_of_no_use(build: Build) -> None:
    facts = SecretFacts.of(build.strange_secret([f"{number:x}.test" for number in range(1001)]))
    assert facts.problem == "the certificate has 1001 names; the limit is 1000"
    assert facts.certificate is None


def test_of_more_names_than_a_certificate_can_ask_for_only_some_are_kept(build: Build) -> None:
    facts = SecretFacts.of(build.strange_secret([f"{number:x}.test" for number in range(900)]))
    assert facts.certificate is not None
    assert len(facts.certificate.dns_names) == 128


def test_a_large_certificate_is_not_even_parsed(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        raise AssertionError("it is parsed")

    secret, large = build.strange_secret(), pem("CERTIFICATE", bytes(150_000))
    monkeypatch.setattr(x509, "load_pem_x509_certificate", refuse)
    secret["data"]["tls.crt"] = base64.b64encode(large).decode()
    assert SecretFacts.of(secret).problem == f"certificate 1 is {len(large) - 1} bytes long; 65536 is the limit"


@pytest.mark.parametrize(("entry", "limit"), [("tls.crt", 262_144), ("tls.key", 16_384)])
def test_a_large_entry_is_not_even_decoded(
    build: Build, monkeypatch: pytest.MonkeyPatch, entry: str, limit: int
) -> None:
    decode = base64.b64decode

    def refuse(text: str, **options: Any) -> bytes:
        assert len(text) < 2 * limit
        return decode(text, **options)

    monkeypatch.setattr(base64, "b64decode", refuse)
    secret = build.secret()
    secret["data"][entry] = "A" * 1_000_000
    problem = SecretFacts.of(secret).problem
    assert problem == f"its {entry} has 750000 bytes; the limit is {limit}"


@pytest.mark.parametrize("bits", [4096, 8192, 8676])
def test_no_rsa_key_in_a_secret_takes_long(build: Build, bits: int) -> None:
    secret = build.strange_secret()
    secret["data"]["tls.key"] = base64.b64encode(rsa_key(bits)).decode()
    started = time.thread_time()
    problem = SecretFacts.of(secret).problem
    assert time.thread_time() - started < 0.5
    expected = "its tls.key does not match its tls.crt"
    assert problem == (expected if bits <= 8192 else "the private key is an RSA key of 8676 bits; the limit is 8192")


def test_long_annotations_are_not_kept(build: Build) -> None:
    secret = build.secret()
    for name in secret["metadata"]["annotations"]:
        secret["metadata"]["annotations"][name] = "x" * 100_000
    facts = SecretFacts.of(secret)
    assert (facts.certificate_name, facts.issuer_name, facts.server, facts.revision) == (None, None, None, 0)


def test_what_is_kept_of_the_largest_secret_is_a_fraction_of_it(build: Build) -> None:
    names = [f"{number:x}.example.test" for number in range(1000)]
    SecretFacts.of(build.strange_secret(names))  # what is loaded once does not count
    secrets = [build.strange_secret(names) for _ in range(8)]
    for secret in secrets:
        secret["metadata"]["annotations"] = {"certwright.io/acme-server": "x" * 200_000}
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [SecretFacts.of(secret) for secret in secrets]
        size = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()
    assert all(facts.certificate for facts in kept)
    assert size < 100_000


def test_nothing_that_somebody_wrote_into_a_secret_is_a_second_line_of_a_log(build: Build) -> None:
    secret = build.secret(build.certificate())
    forged = "https://ca.test\nERROR certwright: forged"
    annotations = dict.fromkeys(secret["metadata"]["annotations"], forged)
    owner = {"apiVersion": "v1", "kind": f"A\n{forged}", "name": f"b\n{forged}", "uid": "u", "controller": True}
    secret["metadata"] |= {"annotations": annotations, "ownerReferences": [owner]}
    facts = SecretFacts.of({**secret, "type": f"kubernetes.io/tls\n{forged}"})
    told = (facts.type, facts.server, facts.issuer_name, facts.certificate_name, *(facts.controller or ()))
    assert [text for text in told if text is not None and not text.isprintable()] == []
