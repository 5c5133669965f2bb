"""An issuer's account: who vouches for it, its key's rotation, what becomes of it, and how its CA is reached."""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.known_authorities import KNOWN_AUTHORITIES
from certwright.resources.base import Model
from certwright.resources.duration import AtLeast, Between
from certwright.resources.names import ObjectName, ProxyUrl
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import ATOMIC_LIST, rule, validations
from certwright.resources.timestamp import Timestamp

Preset = Literal[
    "letsencrypt",
    "letsencrypt-staging",
    "zerossl",
    "google",
    "google-staging",
    "sslcom-ecc",
    "sslcom-rsa",
    "actalis",
]
"""The public CAs that an issuer can name instead of a URL."""

MAX_TIMEOUT: Final = "100s"
"""A look at an issuer, and a step of a Certificate, has two minutes."""
_NO_TRIGGER: Final = "set request, interval, or both: nothing else rotates the key"


def preset_url(preset: Preset) -> str:
    """The directory URL of a preset."""
    return KNOWN_AUTHORITIES[preset].directory_url


class ExternalAccountBinding(Model):
    """The credentials that the CA gives its customers (RFC 8555, section 7.3.4)."""

    key_id: Annotated[str, Field(min_length=1, max_length=1024, pattern="^[ -~]+$")] = Field(alias="keyID")
    """The key identifier, as the CA shows it."""
    key_secret_ref: SecretKeyRef
    """
    The Secret entry that holds the MAC key as the CA shows it: base64url or base64, with or without padding. The
    operator reads it to register an account, and again if the CA loses the account.
    """
    key_algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    """The MAC algorithm. Nearly every CA uses HS256."""


class TlsSecretRef(Model):
    """A reference to a Secret with a certificate and its private key, such as one of type kubernetes.io/tls."""

    name: ObjectName
    """
    The name of the Secret, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer. The
    operator uses its entries tls.crt and tls.key.
    """


class BasicAuthRef(Model):
    """A reference to a Secret with a user name and a password, such as one of type kubernetes.io/basic-auth."""

    name: ObjectName
    """
    The name of the Secret, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer. The
    operator uses its entries username and password.
    """


class CaProxy(Model):
    """An HTTP proxy for requests to the CA."""

    url: ProxyUrl
    """The URL of the proxy, such as http://proxy.example.net:3128, without a user name or password."""
    credentials_secret_ref: BasicAuthRef | None = None
    """The Secret with the user name and password for the proxy."""


class CaTimeouts(Model):
    """How long one request to the CA may take."""

    connect: Annotated[timedelta, Between("1s", MAX_TIMEOUT)] = timedelta(seconds=10)
    """To connect, including the TLS handshake."""
    read: Annotated[timedelta, Between("1s", MAX_TIMEOUT)] = timedelta(seconds=30)
    """Between two parts of the response."""
    total: Annotated[timedelta, Between("1s", MAX_TIMEOUT)] = timedelta(seconds=60)
    """For everything, from connecting to the last byte of the response."""


class AccountKeyRotation(Model):
    """When to replace the account's private key (RFC 8555, section 7.3.5)."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.request) || has(self.interval)", _NO_TRIGGER))
    )

    request: Annotated[str, Field(min_length=1, max_length=64, pattern="^[!-~]+$")] | None = None
    """
    Rotates the key once for each new value, such as a date or the number of a ticket. The annotation
    certwright.io/account-key-request of the key's Secret has the last completed value.
    """
    interval: Annotated[timedelta, AtLeast("24h")] | None = None
    """Rotates the key when it is older than this, such as 2160h for 90 days."""
    replace_provided_key: bool = False
    """
    Whether to rotate a key whose Secret the operator did not create. A tool that writes that Secret could put the old
    key back, so by default the operator refuses.
    """

    @model_validator(mode="after")
    def _has_a_trigger(self) -> Self:
        if self.request is None and self.interval is None:
            raise ValueError(_NO_TRIGGER)
        return self


class KeyRotationStatus(Model):
    """The last rotation of the account key."""

    time: Timestamp
    """When the CA confirmed the new key."""
    former_thumbprint: Annotated[str, Field(max_length=128, pattern="^[A-Za-z0-9_-]+$")]
    """The thumbprint of the key that was replaced (RFC 7638). The issuer never uses that key again."""


_Shown = Annotated[str, Field(max_length=256)]


class CaOffer(Model):
    """What the CA offers, from its directory and from authorizations."""

    external_account_required: bool = False
    """Whether new accounts need an external account binding."""
    website: Annotated[str, Field(max_length=512)] | None = None
    """The CA's web site."""
    caa_identities: Annotated[tuple[_Shown, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """The names in CAA records that allow this CA."""
    profiles: Annotated[tuple[_Shown, ...], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = ()
    """The certificate profiles that spec.acme.profile can name."""
    challenges: Annotated[tuple[_Shown, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """The challenge types that the CA has offered so far, for any domain."""
