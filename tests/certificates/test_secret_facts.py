from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates import secret as secret_facts
from certwright.certificates.secret import SecretFacts
from certwright.kube.secrets import decoded
from certwright.pki import generate_private_key, private_key_to_pem

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
    assert not facts.has_key_of("ECDSA", 256)


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
