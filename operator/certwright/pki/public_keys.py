"""What kind of key a certificate is for, told without its private key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certwright.pki.keys import DEFAULT_SIZES

if TYPE_CHECKING:
    from cryptography import x509

    from certwright.pki.keys import KeyAlgorithm


def public_key_matches_spec(leaf: x509.Certificate, algorithm: KeyAlgorithm, size: int | None = None) -> bool:
    """Whether a certificate's key is what a spec asks for; a size of None means the algorithm's default size."""
    size = size or DEFAULT_SIZES[algorithm]
    try:
        key = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    match algorithm:
        case "ECDSA":
            return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size == size
        case "RSA":
            return isinstance(key, rsa.RSAPublicKey) and key.key_size == size
        case "Ed25519":
            return isinstance(key, ed25519.Ed25519PublicKey)
