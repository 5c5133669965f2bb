from __future__ import annotations

import base64

import josepy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from certwright.acme import AccountKey, AccountKeyAlgorithm, InvalidAccountKey
from certwright.acme.key import jwk_thumbprint

ALGORITHMS: tuple[AccountKeyAlgorithm, ...] = ("ES256", "ES384", "ES512", "RS256")
WIDTHS = {"ES256": 64, "ES384": 96, "ES512": 132, "RS256": 256}


@pytest.fixture(scope="module", params=ALGORITHMS)
def any_key(request: pytest.FixtureRequest) -> AccountKey:
    return AccountKey.generate(request.param)


def test_the_default_is_es256() -> None:
    assert AccountKey.generate().algorithm == "ES256"


def test_josepy_accepts_the_signature(any_key: AccountKey) -> None:
    public = josepy.JWK.from_json(dict(any_key.jwk))
    # Enough signatures to meet r and s with leading zero bytes, which the fixed width has to keep.
    for number in range(300 if any_key.algorithm == "ES256" else 5):
        signature = any_key.sign(b"%d" % number)
        assert len(signature) == WIDTHS[any_key.algorithm]
        assert josepy.JWASignature.from_json(any_key.algorithm).verify(public.key, b"%d" % number, signature)


def test_josepy_computes_the_same_thumbprint(any_key: AccountKey) -> None:
    public = josepy.JWK.from_json(dict(any_key.jwk))
    assert josepy.encode_b64jose(public.thumbprint()) == any_key.thumbprint


def test_the_jwk_has_the_public_members_only(any_key: AccountKey) -> None:
    assert set(any_key.jwk) in ({"crv", "kty", "x", "y"}, {"e", "kty", "n"})
    assert list(any_key.jwk) == sorted(any_key.jwk)


def test_pem_brings_the_same_key_back(any_key: AccountKey) -> None:
    pem = any_key.to_pem()
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    again = AccountKey.from_pem(pem)
    assert again == any_key
    assert hash(again) == hash(any_key)
    assert again.algorithm == any_key.algorithm


def test_repr_shows_the_public_side_only(any_key: AccountKey) -> None:
    assert repr(any_key) == f"AccountKey({any_key.algorithm}, thumbprint={any_key.thumbprint})"


def test_the_thumbprint_of_rfc_7638_section_3_1() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    assert jwk_thumbprint({"kty": "RSA", "n": n, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_jwk_of_rfc_7515_appendix_a_3() -> None:
    numbers = ec.derive_private_key(
        int.from_bytes(josepy.decode_b64jose("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), "big"), ec.SECP256R1()
    )
    assert dict(AccountKey(numbers).jwk) == {
        "crv": "P-256",
        "kty": "EC",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }


def _pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | x25519.X25519PrivateKey, password: bytes | None = None
) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (b"", "cannot be read: it is not PEM"),
        (b"hunter2 is no key", "cannot be read: it is not PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read: it is not PEM"),
        (b"x" * 20_000, "the limit is 16384"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), b"hunter2"), "encrypted"),
        (_pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
        (_pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - that is the mistake
        (_pem(x25519.X25519PrivateKey.generate()), "neither RSA, ECDSA nor Ed25519"),
    ],
)
def test_unusable_keys_are_refused_without_being_quoted(pem: bytes, reason: str) -> None:
    with pytest.raises(InvalidAccountKey, match=reason) as caught:
        AccountKey.from_pem(pem)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unknown_algorithm_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="ES256, ES384, ES512, RS256, EdDSA"):
        AccountKey.generate("HS256")  # type: ignore[arg-type]  # that is the mistake


def test_what_is_derived_from_a_key_is_the_keys_and_the_purposes_own(any_key: AccountKey) -> None:
    derived = any_key.derived_secret("one")
    assert len(derived) == 32
    assert derived == AccountKey.from_pem(any_key.to_pem()).derived_secret("one"), "the same after a restart"
    assert derived != any_key.derived_secret("other")
    assert derived != AccountKey.generate().derived_secret("one")
    assert derived not in any_key.to_pem()


@pytest.mark.parametrize("size", [None, 2048, 3072, 4096])
def test_rsa_keys_are_made_in_every_size_that_cas_take(size: int | None) -> None:
    key = AccountKey.generate("RS256", size=size)
    assert len(base64.urlsafe_b64decode(key.jwk["n"] + "==")) * 8 == (size or 2048)


@pytest.mark.parametrize(("algorithm", "size"), [("RS256", 1024), ("RS256", 8192), ("ES256", 2048), ("EdDSA", 256)])
def test_sizes_that_there_are_not_are_refused(algorithm: AccountKeyAlgorithm, size: int) -> None:
    with pytest.raises(ValueError, match="there is no"):
        AccountKey.generate(algorithm, size=size)
