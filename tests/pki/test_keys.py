from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import example, given
from hypothesis import strategies as st

from certwright.pki import (
    KeyAlgorithm,
    KeyEncoding,
    PrivateKey,
    PrivateKeyError,
    UnsupportedKey,
    generate_private_key,
    key_matches_spec,
    load_private_key,
    private_key_to_pem,
)

KINDS: list[tuple[KeyAlgorithm, int | None]] = [
    ("ECDSA", 256),
    ("ECDSA", 384),
    ("ECDSA", 521),
    ("RSA", 2048),
    ("RSA", 3072),
    ("Ed25519", None),
]


@pytest.fixture(scope="module")
def keys() -> dict[tuple[KeyAlgorithm, int | None], PrivateKey]:
    return {kind: generate_private_key(*kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_key_matches_its_own_spec_and_no_other(
    keys: dict[tuple[KeyAlgorithm, int | None], PrivateKey], kind: tuple[KeyAlgorithm, int | None]
) -> None:
    assert [other for other in KINDS if key_matches_spec(keys[kind], *other)] == [kind]


@pytest.mark.parametrize(("algorithm", "size"), [("ECDSA", 256), ("RSA", 2048), ("Ed25519", None)])
def test_a_spec_without_size_means_the_default_size(algorithm: KeyAlgorithm, size: int | None) -> None:
    assert key_matches_spec(generate_private_key(algorithm), algorithm, size)
    assert key_matches_spec(generate_private_key(algorithm, size), algorithm)


@pytest.mark.parametrize(
    ("kind", "encoding", "label"),
    [
        (("ECDSA", 256), "PKCS1", b"EC PRIVATE KEY"),
        (("ECDSA", 256), "PKCS8", b"PRIVATE KEY"),
        (("ECDSA", 521), "PKCS1", b"EC PRIVATE KEY"),
        (("RSA", 2048), "PKCS1", b"RSA PRIVATE KEY"),
        (("RSA", 2048), "PKCS8", b"PRIVATE KEY"),
        (("Ed25519", None), "PKCS8", b"PRIVATE KEY"),
    ],
)
def test_a_key_survives_being_written_and_read(
    keys: dict[tuple[KeyAlgorithm, int | None], PrivateKey],
    kind: tuple[KeyAlgorithm, int | None],
    encoding: KeyEncoding,
    label: bytes,
) -> None:
    pem = private_key_to_pem(keys[kind], encoding)

    assert pem.startswith(b"-----BEGIN " + label + b"-----\n")
    assert pem.endswith(b"\n")
    for trusted in (False, True):
        assert load_private_key(pem, trusted=trusted).public_key() == keys[kind].public_key()


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [("ECDSA", 224), ("ECDSA", 2048), ("RSA", 1024), ("RSA", 16384), ("Ed25519", 256), ("DSA", None)],
)
def test_keys_that_there_are_not_are_refused(algorithm: KeyAlgorithm, size: int | None) -> None:
    with pytest.raises(UnsupportedKey, match=algorithm):
        generate_private_key(algorithm, size)


@pytest.mark.parametrize("encoding", ["PKCS1", "DER"])
def test_encodings_that_there_are_not_are_refused(encoding: KeyEncoding) -> None:
    with pytest.raises(UnsupportedKey, match=encoding):
        private_key_to_pem(generate_private_key("Ed25519"), encoding)


def test_an_encrypted_key_is_told_apart_from_a_damaged_one() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(PrivateKeyError, match="passphrase"):
        load_private_key(pem)


def test_a_key_of_a_foreign_kind_is_refused() -> None:
    pem = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(PrivateKeyError, match="neither"):
        load_private_key(pem)


def test_an_rsa_key_that_does_not_fit_together_is_refused() -> None:
    good, other = generate_private_key("RSA"), generate_private_key("RSA")
    assert isinstance(good, rsa.RSAPrivateKey)
    assert isinstance(other, rsa.RSAPrivateKey)
    numbers, wrong = good.private_numbers(), other.private_numbers()
    mixed = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, wrong.d, numbers.dmp1, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(PrivateKeyError):
        load_private_key(private_key_to_pem(mixed))


@given(st.binary(max_size=300))
@example(b"ENCRYPTED")
def test_no_garbage_is_a_key_and_none_is_quoted(data: bytes) -> None:
    pem = b"-----BEGIN PRIVATE KEY-----\n" + data + b"\n-----END PRIVATE KEY-----\n"
    # What says ENCRYPTED is taken for that, as the traditional form does.
    said = r"^the private key (cannot be read: (it|there) [a-z0-9 ,;#A-Z]+|is encrypted: store it without .*)$"
    with pytest.raises(PrivateKeyError, match=said):
        load_private_key(pem)


def test_a_text_far_too_long_is_not_even_parsed() -> None:
    with pytest.raises(PrivateKeyError, match="the limit is"):
        load_private_key(b"-" * 70_000)
