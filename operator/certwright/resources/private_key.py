"""The private key of a certificate: algorithm, size, encoding and rotation."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.rules import rule, validations

KeyAlgorithm = Literal["ECDSA", "RSA", "Ed25519"]
KeyEncoding = Literal["PKCS1", "PKCS8"]
RotationPolicy = Literal["Always", "Never"]

_SIZES: dict[KeyAlgorithm, tuple[int, ...]] = {
    "ECDSA": (256, 384, 521),
    "RSA": (2048, 3072, 4096, 8192),
    "Ed25519": (),
}
_SIZE_MESSAGE = "size must be 256, 384 or 521 for ECDSA, 2048, 3072, 4096 or 8192 for RSA, and unset for Ed25519"
_ENCODING_MESSAGE = "an Ed25519 key has no PKCS1 form: use PKCS8"


class PrivateKey(Model):
    """The private key of a certificate."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "!has(self.size)"
                " || ((!has(self.algorithm) || self.algorithm == 'ECDSA') && self.size in [256, 384, 521])"
                " || (has(self.algorithm) && self.algorithm == 'RSA' && self.size in [2048, 3072, 4096, 8192])",
                _SIZE_MESSAGE,
                field_path=".size",
            ),
            rule(
                "!has(self.algorithm) || self.algorithm != 'Ed25519'"
                " || !has(self.encoding) || self.encoding == 'PKCS8'",
                _ENCODING_MESSAGE,
                field_path=".encoding",
            ),
        )
    )

    algorithm: KeyAlgorithm | None = None
    """
    ECDSA, RSA or Ed25519. ECDSA keys are small and fast, and all current clients support them. If algorithm and size
    are both unset, new keys are ECDSA, and an existing key of another kind stays until the renewal.
    """
    size: Annotated[int, Field(ge=256, le=8192)] | None = None
    """
    The key size in bits. ECDSA: 256 (the default), 384 or 521. RSA: 2048 (the default), 3072, 4096 or 8192, which takes
    up to a minute to generate, and which many CAs refuse. Ed25519: leave unset.
    """
    encoding: KeyEncoding | None = None
    """
    The encoding of tls.key. PKCS8 works with all current software. PKCS1 (SEC 1 for ECDSA keys) is for old software. If
    it changes, the operator writes the same key in the other encoding. If unset, new keys are PKCS8, and an existing
    key keeps its encoding until the renewal.
    """
    rotation_policy: RotationPolicy = "Always"
    """Always generates a new key for every certificate. Never reuses the Secret's key while it matches the spec."""

    @property
    def is_any(self) -> bool:
        """Whether nothing is said of the kind of key: one that is there already will do until the renewal."""
        return self.algorithm is None and self.size is None

    @property
    def effective_encoding(self) -> KeyEncoding:
        """The encoding of new keys, with its default."""
        return self.encoding or "PKCS8"

    @property
    def effective_algorithm(self) -> KeyAlgorithm:
        """The algorithm with its default."""
        return self.algorithm or "ECDSA"

    @property
    def effective_size(self) -> int | None:
        """The size with its default; None for Ed25519, whose keys have one size."""
        return self.size or next(iter(_SIZES[self.effective_algorithm]), None)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.size is not None and self.size not in _SIZES[self.effective_algorithm]:
            raise ValueError(_SIZE_MESSAGE)
        if self.algorithm == "Ed25519" and self.encoding == "PKCS1":
            raise ValueError(_ENCODING_MESSAGE)
        return self
