"""Account keys, JSON Web Keys, and signed requests as flattened JWS (RFC 8555 section 6.2, RFC 7515, RFC 7517)."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from certwright import key_file
from certwright.acme import base64url
from certwright.acme.errors import InvalidAccountKey
from certwright.key_file import prove, read_private_key, rsa_private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

AccountKeyAlgorithm: TypeAlias = Literal["ES256", "ES384", "ES512", "RS256", "EdDSA"]
"""JWS algorithms of account keys (RFC 7518 section 3.1, RFC 8037 section 3.1)."""

SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
"""The types of account keys, and of certificate keys that sign their own revocation."""

RSA_SIZES: Final = (2048, 3072, 4096)
"""Bits of RSA account keys that are made here."""
_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 4096
"""No public CA takes a longer account key, and each signature would hold up everything else for 70 ms."""

_MAX_EXPONENT_BITS: Final = 64
_SMALLEST_MODULUS: Final = 3
_MAX_MEMBER: Final = 2048

JOSE_JSON: Final = "application/jose+json"
"""The content type of every POST (section 6.2)."""

# Created once: json.dumps would create one for each call.
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True)
class _Curve:
    algorithm: AccountKeyAlgorithm
    curve: ec.EllipticCurve
    digest: hashes.HashAlgorithm

    @property
    def width(self) -> int:
        """Bytes of one coordinate: the bits of the curve rounded up, so 66 for P-521."""
        return (self.curve.key_size + 7) // 8


_CURVES: Final = {
    "P-256": _Curve("ES256", ec.SECP256R1(), hashes.SHA256()),
    "P-384": _Curve("ES384", ec.SECP384R1(), hashes.SHA384()),
    "P-521": _Curve("ES512", ec.SECP521R1(), hashes.SHA512()),
}
_CURVE_NAMES: Final = {entry.curve.name: name for name, entry in _CURVES.items()}

# An RSA key can do all of these; RS256 is what ACME servers know (RFC 7518 sections 3.3 and 3.5).
_RSA_DIGESTS: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
    "PS256": hashes.SHA256(),
    "PS384": hashes.SHA384(),
    "PS512": hashes.SHA512(),
}


class AccountKey:
    """A private key of an ACME account.

    Attributes:
        algorithm: The signature algorithm; it follows from the type of key.
        jwk: The public key as a JSON Web Key (RFC 7517) with its required members only, in lexical order.
        thumbprint: The JWK thumbprint (RFC 7638), SHA-256 in base64url: a part of every key authorization.
    """

    def __init__(self, private_key: SigningKey) -> None:
        """Wrap a key of the cryptography library, or one of a device or service that implements its abstract class.

        Of the latter only `sign`, `public_key` and `curve` or `key_size` are used.

        Raises:
            InvalidAccountKey: ACME servers do not accept the curve or the size, or it is no private key.
        """
        self._private_key = private_key
        self._curve: _Curve | None = None
        self.algorithm: str
        if isinstance(private_key, ec.EllipticCurvePrivateKey):
            name = _CURVE_NAMES.get(private_key.curve.name)
            if name is None:
                raise InvalidAccountKey(
                    f"An account key on the curve {private_key.curve.name} cannot be used; use P-256, P-384 or P-521"
                )
            self._curve = _CURVES[name]
            self.algorithm = self._curve.algorithm
            self.jwk: Mapping[str, str] = MappingProxyType(_ec_jwk(private_key.public_key(), name, self._curve.width))
        elif isinstance(private_key, rsa.RSAPrivateKey):
            if private_key.key_size < _RSA_BITS:
                raise InvalidAccountKey(
                    f"An RSA account key of {private_key.key_size} bits is too short; {_RSA_BITS} is the least"
                )
            if private_key.key_size > _MAX_RSA_BITS:
                raise InvalidAccountKey(
                    f"An RSA account key of {private_key.key_size} bits is too long; {_MAX_RSA_BITS} is the most"
                )
            self.algorithm = "RS256"
            self.jwk = MappingProxyType(_rsa_jwk(private_key.public_key()))
        elif isinstance(private_key, ed25519.Ed25519PrivateKey):
            self.algorithm = "EdDSA"
            self.jwk = MappingProxyType(_okp_jwk(private_key.public_key()))
        else:
            raise InvalidAccountKey(
                f"An account key cannot be a {type(private_key).__name__}; use AccountKey.from_pem,"
                " AccountKey.from_jwk, or an EC, RSA or Ed25519 key of the cryptography library"
            )
        self.thumbprint: str = jwk_thumbprint(self.jwk)

    @classmethod
    def generate(cls, algorithm: AccountKeyAlgorithm = "ES256", *, size: int | None = None) -> AccountKey:
        """Generate a key. RS256 takes about 0.1 s of CPU time with 2048 bits, a second with 4096.

        Args:
            algorithm: Of the signatures.
            size: Bits of an RSA key: 2048, 3072 or 4096; None for 2048. The other algorithms have one size.

        Raises:
            ValueError: There is no such algorithm, or not with this size.
        """
        if size is not None and (algorithm != "RS256" or size not in RSA_SIZES):
            raise ValueError(f"there is no {algorithm} account key of {size} bits: RS256 has 2048, 3072 and 4096")
        if algorithm == "RS256":
            return cls(rsa.generate_private_key(public_exponent=65537, key_size=size or _RSA_BITS))
        if algorithm == "EdDSA":
            return cls(ed25519.Ed25519PrivateKey.generate())
        for entry in _CURVES.values():
            if entry.algorithm == algorithm:
                return cls(ec.generate_private_key(entry.curve))
        raise ValueError(
            f"no account key algorithm {algorithm!r}; there are {', '.join(get_args(AccountKeyAlgorithm))}"
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> AccountKey:
        """Load an unencrypted private key from PEM: PKCS #8, or the traditional forms of EC and RSA keys.

        An RSA key is tried by a signature, which takes 10 ms at most.

        Raises:
            InvalidAccountKey: The text is no such key. The message does not quote it.
        """
        try:
            key = cls(read_private_key(pem))
            key.prove()
        except key_file.UnreadableKey as error:
            raise InvalidAccountKey(f"The account key {error}") from None
        return key

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> AccountKey:
        """Load a private JSON Web Key (RFC 7517, 7518, 8037), the format of some other ACME clients.

        Raises:
            InvalidAccountKey: It is not such a key. The message does not quote it.
        """
        key = cls(private_key_of(jwk))
        try:
            key.prove()
        except key_file.UnreadableKey as error:
            raise InvalidAccountKey(f"The account key {error}") from None
        return key

    def prove(self) -> None:
        """Sign something and verify the signature.

        Raises:
            UnreadableKey: The key does not work.
        """
        prove(self._private_key)

    def belongs_to(self, public_key: object) -> bool:
        """Return whether a public key, of the cryptography library, is the one of this key."""
        return self._private_key.public_key() == public_key

    def to_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS #8 in PEM.

        Raises:
            InvalidAccountKey: It cannot leave the device or service that signs with it.
        """
        try:
            return self._private_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        except Exception as error:
            # Whatever the object of another library says of that.
            raise InvalidAccountKey("The account key cannot be exported; it stays where it is") from error

    def sign(self, data: bytes) -> bytes:
        """Return the JWS signature (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1).

        For EC keys this is r and s in fixed width, for RSA keys PKCS #1 v1.5 unless the server asked for PSS.
        """
        if isinstance(self._private_key, ed25519.Ed25519PrivateKey):
            return self._private_key.sign(data)
        if isinstance(self._private_key, rsa.RSAPrivateKey):
            digest = _RSA_DIGESTS[self.algorithm]
            if self.algorithm.startswith("PS"):
                pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH)
                return self._private_key.sign(data, pss, digest)
            return self._private_key.sign(data, padding.PKCS1v15(), digest)
        assert self._curve is not None  # noqa: S101 - set in the constructor for every EC key
        r, s = decode_dss_signature(self._private_key.sign(data, ec.ECDSA(self._curve.digest)))
        return r.to_bytes(self._curve.width, "big") + s.to_bytes(self._curve.width, "big")

    def derived_secret(self, purpose: str) -> bytes:
        """Return 32 bytes that only holders of this key can compute (HKDF with SHA-256, RFC 5869).

        Args:
            purpose: What they are for; another purpose gives other bytes.
        """
        secret = self._private_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)

    def signing_with(self, accepted: Iterable[str]) -> AccountKey | None:
        """Return a copy of this key that signs with the first accepted algorithm that it supports and does not use yet.

        Only RSA keys have a choice. Return None if there is no such algorithm (RFC 8555 section 6.2).
        """
        if not isinstance(self._private_key, rsa.RSAPrivateKey):
            return None
        name = next((name for name in accepted if name in _RSA_DIGESTS and name != self.algorithm), None)
        if name is None:
            return None
        other = copy.copy(self)
        other.algorithm = name
        return other

    def __eq__(self, other: object) -> bool:
        return self.thumbprint == other.thumbprint if isinstance(other, AccountKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.thumbprint)

    def __repr__(self) -> str:
        return f"AccountKey({self.algorithm}, thumbprint={self.thumbprint})"


def jwk_thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the thumbprint of a JWK that has its required members only (RFC 7638 section 3)."""
    canonical = json.dumps(dict(jwk), separators=(",", ":"), sort_keys=True).encode("ascii")
    return base64url.encode(hashlib.sha256(canonical).digest())


def _ec_jwk(key: ec.EllipticCurvePublicKey, curve: str, width: int) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "crv": curve,
        "kty": "EC",
        "x": base64url.encode(numbers.x.to_bytes(width, "big")),
        "y": base64url.encode(numbers.y.to_bytes(width, "big")),
    }


def _rsa_jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"e": uint(numbers.e), "kty": "RSA", "n": uint(numbers.n)}


def _okp_jwk(key: ed25519.Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": base64url.encode(key.public_bytes_raw())}


def private_key_of(jwk: Mapping[str, object]) -> SigningKey:
    """Return the private key in a JWK of type EC, RSA or OKP (RFC 7518 section 6, RFC 8037 section 2).

    Raises:
        InvalidAccountKey: A member is missing or not base64url, the parts do not belong together, or the type is
            unsupported. The message quotes no member.
    """
    kind = jwk.get("kty")
    try:
        if kind == "EC":
            return _ec_key(jwk)
        if kind == "RSA":
            return _rsa_key(jwk)
        if kind == "OKP" and jwk.get("crv") == "Ed25519":
            return _ed25519_key(jwk)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        # The cause is cut off: the library's message may describe the numbers it was given.
        raise InvalidAccountKey("The account key is a JSON Web Key whose parts do not make a key") from None
    raise InvalidAccountKey("The account key is a JSON Web Key of a type other than EC, RSA or Ed25519")


def uint(number: int) -> str:
    """Encode as Base64urlUInt (RFC 7518 section 2)."""
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _ec_key(jwk: Mapping[str, object]) -> ec.EllipticCurvePrivateKey:
    name = jwk.get("crv")
    known = _CURVES.get(name) if isinstance(name, str) else None
    if known is None:
        raise InvalidAccountKey("The account key is a JSON Web Key on a curve other than P-256, P-384 or P-521")
    public = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), known.curve)
    return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public).private_key()


def _rsa_key(jwk: Mapping[str, object]) -> rsa.RSAPrivateKey:
    e, n, d = (_number(jwk, name) for name in ("e", "n", "d"))
    if max(n.bit_length(), d.bit_length()) > _MAX_RSA_BITS or e.bit_length() > _MAX_EXPONENT_BITS:
        raise InvalidAccountKey(f"The account key is a JSON Web Key of more than {_MAX_RSA_BITS} bits")
    if "p" in jwk:
        p, q, dp, dq, qi = (_number(jwk, name) for name in ("p", "q", "dp", "dq", "qi"))
    else:
        if n < _SMALLEST_MODULUS or pow(2, e * d, n) != 2:  # noqa: PLR2004 - any number comes back if they belong together
            raise ValueError("the exponents do not belong together")
        p, q = rsa.rsa_recover_prime_factors(n, e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa_private_key(n, e, d, p, q, dp, dq, qi)


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
        raise InvalidAccountKey(f"The member {name!r} of the JSON Web Key is missing or not base64url")
    return base64url.decode(value)


def sign_request(key: AccountKey, *, url: str, nonce: str, payload: Mapping[str, Any] | None, kid: str | None) -> bytes:
    """Return the body of a signed POST.

    Args:
        key: The key that signs.
        url: The URL of the request, byte for byte (section 6.4).
        nonce: A nonce not used before (section 6.5).
        payload: The JSON object to send, or None for POST-as-GET, whose payload is empty (section 6.3).
        kid: The account URL. None puts the public key itself into the header, as newAccount requires.
    """
    identity: dict[str, Any] = {"jwk": dict(key.jwk)} if kid is None else {"kid": kid}
    protected = {"alg": key.algorithm, **identity, "nonce": nonce, "url": url}
    return compact_json(flattened(protected, b"" if payload is None else compact_json(payload), key.sign))


def flattened(protected: Mapping[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> dict[str, str]:
    """Return a flattened JWS with a protected header only."""
    head, body = base64url.encode(compact_json(protected)), base64url.encode(payload)
    return {
        "protected": head,
        "payload": body,
        "signature": base64url.encode(sign(f"{head}.{body}".encode("ascii"))),
    }


def compact_json(document: Mapping[str, Any]) -> bytes:
    """Serialise without white space, in ASCII."""
    return _COMPACT.encode(document).encode("ascii")
