"""Transports of equal trust share one TLS context, and no others do."""

from __future__ import annotations

import gc
import ssl
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.http.errors import InvalidTrustBundle
from certwright.http.transport import HttpxTransport
from certwright.http.trust import ClientCertificate, Trust, private_trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def self_signed(name: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


ONE, OTHER = self_signed("one")[0], self_signed("other")[0]


def context(trust: Trust) -> ssl.SSLContext:
    return trust.context(partial(httpx.create_ssl_context, trust_env=trust.trust_env))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """The contexts that were made, of whatever trust."""
    contexts: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def counting(*arguments: object, **settings: object) -> ssl.SSLContext:
        contexts.append(make(*arguments, **settings))  # type: ignore[arg-type]
        return contexts[-1]

    monkeypatch.setattr(ssl, "create_default_context", counting)
    return contexts


@pytest.fixture
def anchors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that `SSL_CERT_FILE` names."""
    path = tmp_path / "anchors.pem"
    path.write_text(ONE)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.mark.parametrize(
    "trust",
    [Trust(), Trust(ONE), Trust(verify=False), Trust(ONE, verify=False), Trust(trust_env=True), Trust(ONE, http2=True)],
)
def test_equal_trust_shares_a_context(trust: Trust) -> None:
    kept = context(trust)
    again = Trust(trust.ca_bundle, trust.verify, trust.trust_env, trust.http2)
    assert context(again) is kept
    assert (kept.verify_mode, kept.check_hostname) == (
        (ssl.CERT_REQUIRED, True) if trust.verify else (ssl.CERT_NONE, False)
    )


def test_another_trust_has_another_context(anchors: Path) -> None:  # noqa: ARG001 - the environment names a file
    trusts = [
        Trust(),
        Trust(ONE),
        Trust(OTHER),
        Trust(verify=False),
        Trust(ONE, verify=False),
        Trust(trust_env=True),
        Trust(http2=True),
    ]
    contexts = [context(trust) for trust in trusts]
    assert len(set(map(id, contexts))) == len(trusts)


async def test_two_transports_of_one_bundle_load_it_once(made: list[ssl.SSLContext]) -> None:
    bundle = self_signed("of this test alone")[0]
    async with HttpxTransport(ca_bundle=bundle), HttpxTransport(ca_bundle=bundle):
        assert len(made) == 1
        async with HttpxTransport(ca_bundle=OTHER + bundle):
            assert len(made) == 2


def test_a_context_with_a_client_certificate_is_never_shared(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for path, text in zip((certificate, key), self_signed("client"), strict=True):
        path.write_text(text)
    shown = Trust(ONE, client_certificate=ClientCertificate(certificate, key))
    contexts = [context(Trust(ONE)), context(shown), context(shown), context(Trust(ONE))]
    assert contexts[0] is contexts[3]
    assert len(set(map(id, contexts))) == 3


@pytest.mark.parametrize("change", [lambda path: path.write_text(ONE + OTHER), lambda path: path.unlink()])
def test_a_file_of_the_environment_that_changed_is_loaded_anew(anchors: Path, change: Callable[[Path], object]) -> None:
    before = context(Trust(trust_env=True))
    assert context(Trust(trust_env=True)) is before
    assert len(before.get_ca_certs()) == 1
    change(anchors)
    if anchors.exists():
        after = context(Trust(trust_env=True))
        assert len(after.get_ca_certs()) == 2
    else:
        with pytest.raises(FileNotFoundError):
            context(Trust(trust_env=True))


def test_a_file_replaced_by_one_of_the_same_size_is_loaded_anew(anchors: Path) -> None:
    before = context(Trust(trust_env=True))
    replacement = anchors.with_suffix(".new")
    replacement.write_text(ONE)
    replacement.rename(anchors)
    assert context(Trust(trust_env=True)) is not before


def test_the_environment_says_nothing_about_a_bundle_that_was_given(
    anchors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = context(Trust(ONE, trust_env=True))
    anchors.write_text(OTHER)
    assert context(Trust(ONE, trust_env=True)) is before
    monkeypatch.setenv("SSLKEYLOGFILE", str(anchors.with_suffix(".log")))
    assert context(Trust(ONE, trust_env=True)) is not before


def test_contexts_that_no_transport_has_are_forgotten(made: list[ssl.SSLContext]) -> None:
    for number in range(10):
        context(Trust(ONE * (number + 2)))
    # The last few are kept for the next transport.
    made_before = len(made)
    context(Trust(ONE * 11))
    assert len(made) == made_before
    made.clear()
    gc.collect()
    context(Trust(ONE * 2))
    assert len(made) == 1


def test_a_bundle_that_cannot_be_loaded_is_told_every_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidTrustBundle):
            context(Trust("nothing in PEM"))


@pytest.mark.parametrize("bundle", [True, False], ids=["bundle", "public"])
def test_no_server_chooses_numbers_that_both_sides_compute_with(bundle: bool, anchors: Path) -> None:  # noqa: FBT001 - a column
    trust = Trust(ca_bundle=anchors.read_text() if bundle else None)
    context = trust.context(ssl.create_default_context)
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert not [name for name in names if name.startswith("DHE-")]
    assert {"TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"} <= names


def test_a_bundle_of_too_many_certificates_or_bytes_is_refused_unread(anchors: Path) -> None:
    one = anchors.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    with pytest.raises(InvalidTrustBundle, match="301 certificates; the limit is 300"):
        private_trust(one * 301)
    with pytest.raises(InvalidTrustBundle, match="bytes long; the limit is 524288"):
        private_trust(one + " " * 600_000)
