"""PKCS #12 files, read back by those who need them: OpenSSL, and Java where there is one."""

from __future__ import annotations

import re
import shutil
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
    ],
)
def test_openssl_reads_it(tmp_path: Path, encryption: Pkcs12Encryption, said: list[str]) -> None:
    key, chain = pair()
    path, password = tmp_path / "keystore.p12", tmp_path / "password"
    path.write_bytes(to_pkcs12(key, chain, password=PASSWORD, name="a.example.test", encryption=encryption))
    password.write_text(PASSWORD)
    shown = run("openssl", "pkcs12", "-in", str(path), "-info", "-nodes", "-passin", f"file:{password}")
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


@pytest.mark.skipif(shutil.which("keytool") is None, reason="there is no Java here")
@pytest.mark.parametrize("encryption", ["modern", "legacy"])
def test_java_reads_it(tmp_path: Path, encryption: Pkcs12Encryption) -> None:
    key, chain = pair("RSA")
    path, password = tmp_path / "keystore.p12", tmp_path / "password"
    path.write_bytes(to_pkcs12(key, chain, password=PASSWORD, name="a.example.test", encryption=encryption))
    password.write_text(PASSWORD)
    listed = run("keytool", "-list", "-v", "-keystore", str(path), "-storepass:file", str(password))
    assert "Alias name: a.example.test" in listed
    assert "Entry type: PrivateKeyEntry" in listed
    assert "Certificate chain length: 2" in listed
    # The private key, too, opens with the password.
    out = ["-destkeystore", str(tmp_path / "copy.p12"), "-deststorepass:file", str(password)]
    run("keytool", "-importkeystore", "-srckeystore", str(path), "-srcstorepass:file", str(password), *out)
    assert (tmp_path / "copy.p12").exists()


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
    with pytest.raises(KeystoreError, match="modern or legacy"):
        to_pkcs12(key, chain, password=PASSWORD, name="a", encryption="none")  # type: ignore[arg-type]
