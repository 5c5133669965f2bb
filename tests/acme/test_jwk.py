"""Published keys and signatures: RFC 7515 A.2 to A.4, RFC 7517 A.2, RFC 8037 A."""

from __future__ import annotations

import josepy
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from certwright.acme import AccountKey, InvalidAccountKey, base64url
from tests.fakes.published_keys import (
    EC_OF_RFC_7515_A_3,
    EC_OF_RFC_7515_A_4,
    EC_OF_RFC_7517_A_2,
    OKP_OF_RFC_8037_A_1,
    RSA_OF_RFC_7515_A_2,
)

PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"


def test_the_signature_of_rfc_7515_appendix_a_2() -> None:
    # The key without its primes, which RFC 7518 section 6.3.2 allows.
    key = AccountKey.from_jwk(RSA_OF_RFC_7515_A_2)
    assert key.algorithm == "RS256"
    assert base64url.encode(key.sign(f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}".encode())) == (
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
        "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
        "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ"
        "Ge77Rw"
    )


@pytest.mark.parametrize("jwk", [EC_OF_RFC_7515_A_3, EC_OF_RFC_7515_A_4, EC_OF_RFC_7517_A_2], ids=["A.3", "A.4", "A.2"])
def test_the_ec_keys_of_rfc_7515_and_7517_sign_what_josepy_verifies(jwk: dict[str, str]) -> None:
    key = AccountKey.from_jwk(jwk)
    public = josepy.JWK.from_json({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    assert dict(key.jwk) == {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    assert josepy.JWASignature.from_json(key.algorithm).verify(public.key, b"data", key.sign(b"data"))
    assert josepy.encode_b64jose(public.thumbprint()) == key.thumbprint


@pytest.mark.parametrize(
    ("jwk", "signed", "signature"),
    [
        (
            EC_OF_RFC_7515_A_3,
            f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            EC_OF_RFC_7515_A_4,
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
            (
                "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoX"
                "D2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
            ),
        ),
    ],
    ids=["A.3", "A.4"],
)
def test_the_published_signatures_of_rfc_7515_have_the_form_of_ours(
    jwk: dict[str, str], signed: str, signature: str
) -> None:
    key = AccountKey.from_jwk(jwk)
    public = josepy.JWK.from_json(dict(key.jwk))
    assert josepy.JWASignature.from_json(key.algorithm).verify(public.key, signed.encode(), base64url.decode(signature))
    assert len(key.sign(signed.encode())) == len(base64url.decode(signature))


def test_ed25519_as_in_rfc_8037_appendix_a() -> None:
    key = AccountKey.from_jwk(OKP_OF_RFC_8037_A_1)
    assert dict(key.jwk) == {"crv": "Ed25519", "kty": "OKP", "x": OKP_OF_RFC_8037_A_1["x"]}
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert base64url.encode(key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "aHVudGVyMg"},
        {"kty": "OKP", "crv": "X25519", "d": "aHVudGVyMg", "x": "aHVudGVyMg"},
        {**EC_OF_RFC_7515_A_3, "crv": "secp256k1"},
        {**EC_OF_RFC_7515_A_3, "d": EC_OF_RFC_7517_A_2["d"]},
        {**EC_OF_RFC_7515_A_3, "d": "hunter2!"},
        {**EC_OF_RFC_7515_A_3, "d": 7},
        {**EC_OF_RFC_7515_A_3, "d": "A" * 3000},
        {name: value for name, value in EC_OF_RFC_7515_A_3.items() if name != "d"},
        {**RSA_OF_RFC_7515_A_2, "d": "AQAB"},
        # The same number, behind more zeros than anybody writes.
        {**RSA_OF_RFC_7515_A_2, "d": "A" * 2048 + RSA_OF_RFC_7515_A_2["d"]},
        {**OKP_OF_RFC_8037_A_1, "x": EC_OF_RFC_7515_A_3["x"]},
    ],
)
def test_other_json_web_keys_are_refused_without_being_quoted(jwk: dict[str, object]) -> None:
    with pytest.raises(InvalidAccountKey) as caught:
        AccountKey.from_jwk(jwk)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


def test_an_rsa_key_can_sign_as_the_server_wants_and_others_cannot() -> None:
    key = AccountKey.from_jwk(RSA_OF_RFC_7515_A_2)
    public = josepy.JWK.from_json({name: RSA_OF_RFC_7515_A_2[name] for name in ("kty", "n", "e")})
    for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        other = key.signing_with(["ES256", algorithm])
        assert other is not None
        assert other.algorithm == algorithm
        assert josepy.JWASignature.from_json(algorithm).verify(public.key, b"data", other.sign(b"data"))
    assert key.algorithm == "RS256"
    assert key.signing_with(["RS256", "ES256"]) is None
    # RFC 7518 section 3.5: the salt is as long as the hash, which not every verifier insists on.
    salted = key.signing_with(["PS256"])
    assert salted is not None
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    public.key.verify(salted.sign(b"data"), b"data", pss, hashes.SHA256())
    assert AccountKey.generate().signing_with(["ES384"]) is None
