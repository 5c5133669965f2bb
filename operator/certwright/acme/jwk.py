"""Private JSON Web Keys (RFC 7517): how other ACME clients keep the account keys that are brought here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certwright.acme import base64url
from certwright.acme.errors import InvalidAccountKey

if TYPE_CHECKING:
    from collections.abc import Mapping

_PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_CURVES: Final[Mapping[object, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_MAX_MEMBER: Final = 2048


def private_key_of(jwk: Mapping[str, object]) -> _PrivateKey:
    """Return the private key in a JWK of type EC, RSA or OKP (RFC 7518 section 6, RFC 8037 section 2).

    Raises:
        InvalidAccountKey: A member is missing or not base64url, the parts do not belong together, or the type is
            another. The message quotes no member.
    """
    kind = jwk.get("kty")
    try:
        if kind == "EC":
            return _ec_key(jwk)
        if kind == "RSA":
            return _rsa_key(jwk)
        if kind == "OKP" and jwk.get("crv") == "Ed25519":
            return _ed25519_key(jwk)
    except (ValueError, UnsupportedAlgorithm):
        # The cause is cut off: the library's message may describe the numbers it was given.
        raise InvalidAccountKey("The account key is a JSON Web Key whose parts do not make a key") from None
    raise InvalidAccountKey("The account key is a JSON Web Key of another type than EC, RSA and Ed25519")


def uint(number: int) -> str:
    """Encode as Base64urlUInt (RFC 7518 section 2)."""
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _ec_key(jwk: Mapping[str, object]) -> ec.EllipticCurvePrivateKey:
    curve = _CURVES.get(jwk.get("crv"))
    if curve is None:
        raise InvalidAccountKey("The account key is a JSON Web Key on another curve than P-256, P-384 and P-521")
    public = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curve)
    return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public).private_key()


def _rsa_key(jwk: Mapping[str, object]) -> rsa.RSAPrivateKey:
    e, n, d = (_number(jwk, name) for name in ("e", "n", "d"))
    if "p" in jwk:
        p, q, dp, dq, qi = (_number(jwk, name) for name in ("p", "q", "dp", "dq", "qi"))
    else:
        p, q = rsa.rsa_recover_prime_factors(n, e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def _ed25519_key(jwk: Mapping[str, object]) -> ed25519.Ed25519PrivateKey:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d"))
    if key.public_key().public_bytes_raw() != _octets(jwk, "x"):
        raise ValueError("the halves belong to different keys")
    return key


def _number(jwk: Mapping[str, object], name: str) -> int:
    return int.from_bytes(_octets(jwk, name), "big")


def _octets(jwk: Mapping[str, object], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value or len(value) > _MAX_MEMBER:
        raise InvalidAccountKey(f"The member {name!r} of the JSON Web Key is missing or no base64url")
    return base64url.decode(value)
