"""PKCS #12 files, read back by those who need them: OpenSSL and Java."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from certwright.pki import (
    KeyMismatch,
    KeystoreError,
    Pkcs12Encryption,
    generate_private_key,
    parse_chain,
    private_key_to_pem,
    to_pkcs12,
)
from certwright.pki.pkcs12 import to_pkcs12_truststore
from certwright.pki.pkcs12_rc2 import rc2_cbc
from harness.keytool import Entry, chain_length, entries_of, key_of
from tests.fakes.pki import Ca, make_ca

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.pki import CertificateChain, KeyAlgorithm, PrivateKey

PASSWORD = "correct horse battery staple"


def pair(algorithm: KeyAlgorithm = "ECDSA") -> tuple[PrivateKey, CertificateChain]:
    root = make_ca("Root")
    ca = make_ca("Intermediate", root)
    key = generate_private_key(algorithm)
    return key, parse_chain(Ca.pem(ca.issue(key), ca.certificate))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - see the callers
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "Ed25519"])
def test_key_certificate_and_issuers_come_back(algorithm: KeyAlgorithm) -> None:
    key, chain = pair(algorithm)
    content = to_pkcs12(key, chain, password=PASSWORD, name="a.example.test")
    read = pkcs12.load_pkcs12(content, PASSWORD.encode())
    assert read.cert is not None
    assert (read.cert.certificate, read.cert.friendly_name) == (chain.leaf, b"a.example.test")
    assert [each.certificate for each in read.additional_certs] == list(chain.issuers)
    assert read.key is not None
    assert read.key.public_key() == key.public_key()


@pytest.mark.parametrize(
    ("encryption", "said"),
    [
        ("modern", ["MAC: sha256", "PBES2, PBKDF2, AES-256-CBC, Iteration 20000, PRF hmacWithSHA256"]),
        ("legacy", ["MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"]),
        ("rc2", ["MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC", "pbeWithSHA1And40BitRC2-CBC"]),
    ],
)
def test_openssl_reads_it(tmp_path: Path, encryption: Pkcs12Encryption, said: list[str]) -> None:
    key, chain = pair()
    path, password = tmp_path / "keystore.p12", tmp_path / "password"
    path.write_bytes(to_pkcs12(key, chain, password=PASSWORD, name="a.example.test", encryption=encryption))
    password.write_text(PASSWORD)
    old = ["-legacy"] if encryption == "rc2" else []
    shown = run("openssl", "pkcs12", "-in", str(path), "-info", "-nodes", "-passin", f"file:{password}", *old)
    for text in said:
        assert text in shown
    assert private_key_to_pem(key).decode() in shown
    assert len(re.findall("-----BEGIN CERTIFICATE-----", shown)) == 2
    assert "friendlyName: a.example.test" in shown
    wrong = subprocess.run(  # noqa: S603 - a file of our own
        ["openssl", "pkcs12", "-in", str(path), "-noout", "-passin", "pass:wrong"],  # noqa: S607 - whichever there is
        capture_output=True,
        check=False,
    )
    assert wrong.returncode != 0


@pytest.mark.parametrize("encryption", ["modern", "legacy", "rc2"])
@pytest.mark.parametrize(("name", "alias"), [("a.example.test", "a.example.test"), (None, "1")])
def test_java_reads_it(tmp_path: Path, encryption: Pkcs12Encryption, name: str | None, alias: str) -> None:
    key, chain = pair("RSA")
    path = tmp_path / "keystore.p12"
    path.write_bytes(to_pkcs12(key, chain, password=PASSWORD, name=name, encryption=encryption))
    assert entries_of(path, PASSWORD) == {Entry(alias, "PrivateKeyEntry")}
    assert chain_length(path, PASSWORD, alias) == 2
    read = pkcs12.load_pkcs12(key_of(path, PASSWORD, tmp_path), PASSWORD.encode())
    assert read.key is not None
    assert read.key.public_key() == key.public_key()


@pytest.mark.parametrize("encryption", ["modern", "legacy", "rc2"])
def test_java_trusts_what_is_in_a_trust_store(tmp_path: Path, encryption: Pkcs12Encryption) -> None:
    # A new key for the same name, as when a CA renews its root: both are trusted.
    roots = [make_ca("Root").certificate, make_ca("Root").certificate]
    path = tmp_path / "truststore.p12"
    path.write_bytes(to_pkcs12_truststore(roots, password=PASSWORD, encryption=encryption))
    assert entries_of(path, PASSWORD) == {
        Entry("cn=root", "trustedCertEntry"),
        Entry("cn=root (2)", "trustedCertEntry"),
    }


def test_a_trust_store_of_nothing_is_refused() -> None:
    with pytest.raises(KeystoreError, match="no certificate"):
        to_pkcs12_truststore([], password=PASSWORD)


@pytest.mark.parametrize(
    ("key", "bits", "plain", "hidden"),
    [
        ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
        ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
        ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
        ("88", 64, "0000000000000000", "61a8a244adacccf0"),
        ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
        ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
        ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ],
)
def test_rc2_is_that_of_rfc_2268(key: str, bits: int, plain: str, hidden: str) -> None:
    found = rc2_cbc(bytes.fromhex(key), bytes(8), bytes.fromhex(plain), effective_bits=bits)
    assert found.hex() == hidden


@pytest.mark.parametrize("password", ["", "pässword", "two\nlines"])
def test_a_password_that_not_all_programs_take_is_refused_and_not_quoted(password: str) -> None:
    key, chain = pair()
    with pytest.raises(KeystoreError) as caught:
        to_pkcs12(key, chain, password=password, name="a")
    assert not password or password not in str(caught.value)


def test_mistakes_are_told() -> None:
    key, chain = pair()
    with pytest.raises(KeyMismatch):
        to_pkcs12(generate_private_key(), chain, password=PASSWORD, name="a")
    with pytest.raises(KeystoreError, match="modern or legacy or rc2"):
        to_pkcs12(key, chain, password=PASSWORD, name="a", encryption="none")  # type: ignore[arg-type]
