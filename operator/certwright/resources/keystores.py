"""Additional entries of the Secret, derived from tls.crt and tls.key: keystores and other formats."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from certwright.resources.base import Model
from certwright.resources.names import ObjectName, SecretKey
from certwright.resources.rules import ATOMIC_LIST, rule, validations
from certwright.resources.text_rule import TextRule

Pkcs12Profile = Literal["LegacyRC2", "LegacyDES", "Modern2023"]
OutputFormatType = Literal["DER", "CombinedPEM"]

MAX_REVISIONS: Final = 20
"""Of a Certificate that are kept: each private key is worth as much care as the present one."""

_ONE_PASSWORD: Final = "set either password or passwordSecretRef"  # noqa: S105 - a message
_EACH_FORMAT_ONCE: Final = "has a type more than once"
_PASSWORD_RULE: Final = rule("has(self.password) != has(self.passwordSecretRef)", _ONE_PASSWORD)
_PASSWORD: Final = TextRule(
    pattern="[ -~]+",
    message="must be 1 to 256 characters of printable ASCII: programs encode other characters differently",
    max_length=256,
)
_ALIAS: Final = TextRule(
    pattern="[ -~]+",
    message="must be 1 to 128 characters of printable ASCII",
    max_length=128,
)
_FORMATS: Final[dict[str, JsonValue]] = {
    **ATOMIC_LIST,
    **validations(rule("self.all(one, self.exists_one(other, one.type == other.type))", _EACH_FORMAT_ONCE)),
}


class PasswordRef(Model):
    """A reference to an entry of a Secret in the namespace of the Certificate."""

    name: ObjectName
    """The name of the Secret."""
    key: SecretKey
    """The key of the entry in the Secret's `data`. The entry is the password, printable ASCII without a line break."""


class Keystore(Model):
    """Whether to create a keystore, and its password."""

    create: bool
    """Whether to create the keystore. If this changes to false, the operator removes the keystore from the Secret."""
    password_secret_ref: PasswordRef | None = None
    """
    The password, in a Secret in the namespace of the Certificate. The operator notices a changed password within ten
    minutes, and writes the keystore again. Mutually exclusive with password.
    """
    password: Annotated[str, _PASSWORD] | None = Field(default=None, repr=False)
    """
    The password itself, for software that requires a well-known one such as changeit: anyone who may read the
    Certificate can read it. Mutually exclusive with passwordSecretRef.
    """

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_secret_ref is None):
            raise ValueError(_ONE_PASSWORD)
        return self


class Pkcs12Keystore(Keystore):
    """A PKCS #12 keystore."""

    model_config = ConfigDict(json_schema_extra=validations(_PASSWORD_RULE))

    profile: Pkcs12Profile = "LegacyDES"
    """
    The encryption of the files. LegacyDES: 3DES and SHA-1; all software can read it. Modern2023: AES-256 and SHA-256,
    for OpenSSL 1.1, Java 8u301, macOS 15, Windows Server 2019 and later. LegacyRC2: for very old software; OpenSSL 3
    and Java 20 refuse it by default. The private key is in the same Secret without encryption, so the profile protects
    only copies of the keystore.
    """


class JksKeystore(Keystore):
    """A Java keystore in the old format, JKS."""

    model_config = ConfigDict(json_schema_extra=validations(_PASSWORD_RULE))

    alias: Annotated[str, _ALIAS] = "certificate"
    """The name of the entry with the private key. Java ignores case: the operator writes it in lower case."""


class Keystores(Model):
    """Keystores in the Secret, in addition to tls.crt and tls.key."""

    pkcs12: Pkcs12Keystore | None = None
    """
    keystore.p12 holds the private key and the chain; truststore.p12 holds the certificates of ca.crt, if the Secret has
    it.
    """
    jks: JksKeystore | None = None
    """
    keystore.jks holds the private key and the chain; truststore.jks holds the certificates of ca.crt, if the Secret has
    it. Java 9 and later can also read PKCS #12.
    """

    @property
    def wanted_pkcs12(self) -> Pkcs12Keystore | None:
        """The PKCS #12 keystore, if it is to be created."""
        return self.pkcs12 if self.pkcs12 is not None and self.pkcs12.create else None

    @property
    def wanted_jks(self) -> JksKeystore | None:
        """The JKS keystore, if it is to be created."""
        return self.jks if self.jks is not None and self.jks.create else None


class OutputFormat(Model):
    """An additional format of certificate or key."""

    type: OutputFormatType
    """DER: key.der, the private key in DER. CombinedPEM: tls-combined.pem, the private key followed by the chain."""


def _each_once(formats: tuple[OutputFormat, ...]) -> tuple[OutputFormat, ...]:
    if len({one.type for one in formats}) < len(formats):
        raise ValueError(_EACH_FORMAT_ONCE)
    return formats


OutputFormats = Annotated[
    tuple[OutputFormat, ...], Field(max_length=2, json_schema_extra=_FORMATS), AfterValidator(_each_once)
]
RevisionHistoryLimit = Annotated[int, Field(ge=1, le=MAX_REVISIONS)]
