"""Keys that other people wrote: none costs more than a moment, whatever is in it."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from certwright.acme import AccountKey
from certwright.acme.errors import InvalidAccountKey
from certwright.key_file import PrivateKey, UnreadableKey, prove, read_private_key
from tests.fakes.hostile import der, integers, pem, rsa_key, rsa_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

RSA = rsa.generate_private_key(65537, 2048)
NUMBERS = RSA.private_numbers()
CPU_SECONDS = 0.5
"""Far above what any of these takes, far below what OpenSSL's own check takes for the worst of them."""


def _written(key: PrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.mark.parametrize(
    "form",
    [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL],
    ids=["PKCS8", "PKCS1"],
)
@pytest.mark.parametrize(
    "key",
    [RSA, ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP521R1())],
    ids=["RSA", "P-256", "P-521"],
)
def test_keys_as_programs_write_them_are_read(key: PrivateKey, form: serialization.PrivateFormat) -> None:
    found = read_private_key(b"subject=CN = shop.test\n" + _written(key, form))
    assert found.public_key() == key.public_key()
    prove(found)


def test_an_ed25519_key_is_read() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    found = read_private_key(_written(key, serialization.PrivateFormat.PKCS8))
    assert found.public_key() == key.public_key()


def test_the_parameters_that_openssl_writes_in_front_of_an_ec_key_are_skipped() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    front = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    found = read_private_key(front + _written(key, serialization.PrivateFormat.TraditionalOpenSSL))
    assert found.public_key() == key.public_key()


@pytest.mark.parametrize("bits", [8193, 8676, 20_000])
@pytest.mark.parametrize("read", [read_private_key, AccountKey.from_pem], ids=["certificate", "account"])
def test_an_rsa_key_that_takes_long_to_check_is_refused_at_once(read: Callable[[bytes], object], bits: int) -> None:
    content = rsa_key(bits)
    started = time.thread_time()
    with pytest.raises((UnreadableKey, InvalidAccountKey), match=r"the limit is"):
        read(content)
    assert time.thread_time() - started < CPU_SECONDS


def test_a_key_of_8192_bits_is_read_without_a_test_for_primes() -> None:
    started = time.thread_time()
    assert isinstance(read_private_key(rsa_key(8192)), rsa.RSAPrivateKey)
    assert time.thread_time() - started < CPU_SECONDS


def test_an_account_key_longer_than_any_ca_takes_is_refused_in_words() -> None:
    with pytest.raises(InvalidAccountKey, match="RSA account key of 8192 bits is too long; 4096 is the most"):
        AccountKey.from_pem(rsa_key(8192))


@pytest.mark.parametrize("bits", [2048, 4096])
def test_composite_factors_are_noticed_before_the_key_signs(bits: int) -> None:
    key = read_private_key(rsa_key(bits))
    started = time.thread_time()
    with pytest.raises(UnreadableKey, match="does not work"):
        prove(key)
    assert time.thread_time() - started < CPU_SECONDS
    with pytest.raises(InvalidAccountKey, match="does not work"):
        AccountKey.from_pem(rsa_key(bits))


@pytest.mark.parametrize("place", range(1, 9), ids=["n", "e", "d", "p", "q", "d mod p-1", "d mod q-1", "1/q mod p"])
@pytest.mark.parametrize("number", [0, 1, -3, 2**4000 + 1, 2**30_000 + 1], ids=["0", "1", "-3", "4001", "30001"])
def test_no_number_of_an_rsa_key_is_taken_on_trust(place: int, number: int) -> None:
    numbers = list(rsa_numbers(NUMBERS))
    numbers[place] = number
    started = time.thread_time()
    with pytest.raises(UnreadableKey):
        read_private_key(pem("RSA PRIVATE KEY", integers(*numbers)))
    assert time.thread_time() - started < CPU_SECONDS


def test_small_modulus_and_large_factors_do_not_pass() -> None:
    n, huge = NUMBERS.public_numbers.n, 2**50_001 + 1
    with pytest.raises(UnreadableKey):
        read_private_key(pem("RSA PRIVATE KEY", integers(0, n, 65537, NUMBERS.d, huge, huge - 2, 1, 1, 1)))


def test_a_dsa_key_with_parameters_of_its_own_is_refused_unread() -> None:
    key = dsa.generate_private_key(1024)  # noqa: S505 - none is ever used
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(UnreadableKey, match="neither RSA, ECDSA nor Ed25519"):
        read_private_key(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x05\x02\x01\x00",
        der(0x30, b""),
        der(0x30, der(0x02, b"\x00"), der(0x30, b""), der(0x04, b"")),
        integers(0),
        integers(*range(9)),
        integers(1, *rsa_numbers(NUMBERS)[1:]),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("label", ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"])
def test_damaged_der_is_an_error_of_ours(label: str, content: bytes) -> None:
    with pytest.raises(UnreadableKey, match=r"cannot be read|damaged"):
        read_private_key(pem(label, content))


def test_nothing_of_a_key_is_quoted() -> None:
    secret = base64.b64encode(b"hunter2").decode()
    for text in (secret, f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(UnreadableKey) as caught:
            read_private_key(text.encode())
        assert "hunter2" not in str(caught.value)
        assert secret not in str(caught.value)


def test_a_json_web_key_without_its_factors_is_read_within_bounds() -> None:
    numbers = NUMBERS.public_numbers

    def text(number: int) -> str:
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    jwk = {"kty": "RSA", "n": text(numbers.n), "e": text(numbers.e), "d": text(NUMBERS.d)}
    assert AccountKey.from_jwk(jwk).jwk["n"] == jwk["n"]
    started = time.thread_time()
    for wrong in ({"n": text(2**8000 + 1)}, {"d": text(NUMBERS.d - 2)}, {"e": text(2**1999 + 1)}):
        with pytest.raises(InvalidAccountKey):
            AccountKey.from_jwk({**jwk, **wrong})
    assert time.thread_time() - started < CPU_SECONDS


def test_the_numbers_of_a_real_key_pass() -> None:
    found = read_private_key(pem("RSA PRIVATE KEY", integers(*rsa_numbers(NUMBERS))))
    assert found.public_key() == RSA.public_key()
    prove(found)


CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def pem_of(key: PrivateKey, password: bytes | None = None, *, traditional: bool = False) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    encryption = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CERTIFICATE, "there is a certificate in its place"),
        (CERTIFICATE.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST"), "a certificate request in its place"),
        (CERTIFICATE.replace(b"CERTIFICATE", b"PUBLIC KEY"), "there is a public key in its place"),
        (CERTIFICATE.replace(b"CERTIFICATE", b"OPENSSH PRIVATE KEY"), "it is in the format of OpenSSH"),
        (b'{"kty": "EC", "d": "secret"}', "it is a JSON Web Key; convert it to PEM"),
        (base64.b64encode(pem_of(KEY)), "it was encoded in base64 once too often"),
        (base64.encodebytes(pem_of(KEY)), "it was encoded in base64 once too often"),
        (pem_of(KEY).decode().encode("utf-16"), "it is UTF-16; save it as plain text"),
        (base64.b64decode(b"".join(pem_of(KEY).splitlines()[1:-1])), "it is DER; convert it to PEM"),
        (pem_of(KEY).partition(b"-----END")[0], "its END line is missing"),
        (pem_of(KEY).replace(b"\n", b"\\n"), "it is not PEM, or it is damaged"),
        (b" \n", "it is not PEM, or it is damaged"),
        (b"/etc/letsencrypt/accounts/private_key.json", "it is not PEM, or it is damaged"),
    ],
)
def test_what_people_take_for_a_private_key_is_called_by_its_name(content: bytes, said: str) -> None:
    with pytest.raises(UnreadableKey) as caught:
        read_private_key(content)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("traditional", [False, True])
def test_an_encrypted_key_is_called_encrypted_in_both_forms(*, traditional: bool) -> None:
    with pytest.raises(UnreadableKey, match="is encrypted: store it without a passphrase"):
        read_private_key(pem_of(KEY, b"passphrase", traditional=traditional))


def test_of_two_different_keys_none_is_chosen() -> None:
    two = pem_of(KEY) + pem_of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UnreadableKey, match="is one of 2 keys in one place"):
        read_private_key(two)
    assert read_private_key(pem_of(KEY) + CERTIFICATE + pem_of(KEY)).public_key() == KEY.public_key()


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----" * 600,
        b"-----BEGIN PRIVATE KEY-----Proc-Type:" * 430,
        b"-----BEGIN RSA PRIVATE KEY-----" + b"Proc-Type:\n" * 1400,
        b"-----BEGIN RSA PRIVATE KEY-----" + b" \n" * 8000,
        b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n" * 300,
    ],
)
def test_many_beginnings_are_read_in_no_time(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(UnreadableKey):
        read_private_key(content[: 16 * 1024])
    assert time.process_time() - started < 2.0, "a few milliseconds; what grows with the square takes longer"
