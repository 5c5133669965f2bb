"""JKS files, read back by Java's own keytool."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from certwright.pki import KeyMismatch, KeystoreError, generate_private_key, parse_chain
from certwright.pki.jks import to_jks, to_jks_truststore
from harness.keytool import Entry, chain_length, entries_of, key_of
from tests.fakes.pki import Ca, make_ca

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.pki import KeyAlgorithm

PASSWORD = "correct horse battery staple"
CREATED = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
ROOT = make_ca("Root")
CA = make_ca("Intermediate", ROOT)


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "Ed25519"])
def test_java_reads_key_chain_and_trusted_certificates(tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    key = generate_private_key(algorithm)
    chain = parse_chain(Ca.pem(CA.issue(key), CA.certificate))
    path = tmp_path / "keystore.jks"
    trusted = [ROOT.certificate, CA.certificate]
    path.write_bytes(to_jks(key, chain, password=PASSWORD, alias="Web", created=CREATED, trusted=trusted))
    assert entries_of(path, PASSWORD) == {
        Entry("web", "PrivateKeyEntry"),
        Entry("ca", "trustedCertEntry"),
        Entry("ca-2", "trustedCertEntry"),
    }
    assert chain_length(path, PASSWORD, "web") == 2
    read = pkcs12.load_pkcs12(key_of(path, PASSWORD, tmp_path), PASSWORD.encode())
    assert read.key is not None
    assert read.key.public_key() == key.public_key()


def test_java_reads_a_trust_store(tmp_path: Path) -> None:
    path = tmp_path / "truststore.jks"
    path.write_bytes(to_jks_truststore([ROOT.certificate], password=PASSWORD, created=CREATED))
    assert entries_of(path, PASSWORD) == {Entry("ca", "trustedCertEntry")}


def test_the_entry_of_a_ca_gets_out_of_the_way_of_the_key() -> None:
    key = generate_private_key()
    chain = parse_chain(Ca.pem(CA.issue(key), CA.certificate))
    made = to_jks(key, chain, password=PASSWORD, alias="CA", created=CREATED, trusted=[ROOT.certificate])
    assert (made.count(b"\x00\x02ca"), made.count(b"\x00\x04ca-2")) == (1, 1)


def test_a_wrong_password_does_not_open_it(tmp_path: Path) -> None:
    path = tmp_path / "truststore.jks"
    path.write_bytes(to_jks_truststore([ROOT.certificate], password=PASSWORD, created=CREATED))
    with pytest.raises(AssertionError, match="password was incorrect"):
        entries_of(path, "another one")


def test_mistakes_are_told() -> None:
    key = generate_private_key()
    chain = parse_chain(Ca.pem(CA.issue(key), CA.certificate))
    with pytest.raises(KeyMismatch):
        to_jks(generate_private_key(), chain, password=PASSWORD, alias="a", created=CREATED)
    with pytest.raises(KeystoreError, match="the alias must be"):
        to_jks(key, chain, password=PASSWORD, alias="", created=CREATED)
    with pytest.raises(KeystoreError, match="the password is empty"):
        to_jks_truststore([ROOT.certificate], password="", created=CREATED)
