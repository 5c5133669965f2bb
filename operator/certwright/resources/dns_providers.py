"""The DNS providers that an issuer may name, and their settings."""

import json
from typing import Any, Final, Literal, Self, get_args

from pydantic import ConfigDict, model_validator

from certwright.resources.base import Model
from certwright.resources.free_form import FreeForm
from certwright.resources.names import ApiGroup, Endpoint, SolverName, TsigKeyName
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import rule, validations

TsigAlgorithm = Literal[
    "HMACMD5",
    "HMACSHA1",
    "HMACSHA224",
    "HMACSHA256",
    "HMACSHA256-128",
    "HMACSHA384",
    "HMACSHA384-192",
    "HMACSHA512",
    "HMACSHA512-256",
]
UpdateProtocol = Literal["TCP", "UDP"]

MAX_CONFIG: Final = 16384
"""Characters of a webhook's config: it goes with every call."""
_REF = "_secret_ref"
_TSIG_PAIR = "tsigKeyName and tsigSecretSecretRef must be set together; leave both unset for unsigned updates"


class DnsProvider(Model):
    """The base of the models of DNS providers: an issuer names one of them.

    The names of its fields are those of the provider's configuration in `certwright.dns.providers`; a credential
    `api_token` there is named here by `api_token_secret_ref`.
    """

    def credentials(self) -> dict[str, SecretKeyRef]:
        """Where the credentials are that are given, by the names of the configuration."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name.removesuffix(_REF): value for name, value in given if isinstance(value, SecretKeyRef)}

    def credential_field(self, name: str) -> str:
        """The field that says where a credential is, as users write it."""
        field = f"{name}{_REF}"
        return type(self).model_fields[field].alias or field

    def settings(self) -> dict[str, Any]:
        """What is given besides credentials, by the names of the configuration."""
        return {name: getattr(self, name) for name in type(self).model_fields if not name.endswith(_REF)}


class Rfc2136(DnsProvider):
    """Dynamic updates (RFC 2136), as supported by BIND, Knot, PowerDNS and Microsoft DNS."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.tsigKeyName) == has(self.tsigSecretSecretRef)", _TSIG_PAIR))
    )

    nameserver: Endpoint
    """
    The server to send updates to, as host, host:port or [IPv6 address]:port. The default port is 53.
    """
    tsig_key_name: TsigKeyName | None = None
    """The name of the TSIG key, as in the server's configuration."""
    tsig_algorithm: TsigAlgorithm = "HMACSHA256"
    """The algorithm of the TSIG key."""
    tsig_secret_secret_ref: SecretKeyRef | None = None
    """
    The Secret entry that holds the TSIG key in base64, as printed by tsig-keygen. Paste it into the Secret's
    `stringData` unchanged.
    """
    protocol: UpdateProtocol = "TCP"
    """The transport protocol for updates."""

    @model_validator(mode="after")
    def _tsig_is_whole(self) -> Self:
        if (self.tsig_key_name is None) != (self.tsig_secret_secret_ref is None):
            raise ValueError(_TSIG_PAIR)
        return self


class Webhook(DnsProvider):
    """A DNS webhook that was written for cert-manager. The API server must have an APIService for it.

    The operator calls it by the API server, and needs the right to create solverName in the API group groupName; with
    the Helm chart, list it in dns01.webhooks.
    """

    group_name: ApiGroup
    """The API group of the webhook, as in its own documentation."""
    solver_name: SolverName
    """The name of the solver within the webhook."""
    config: FreeForm | None = None
    """
    What the webhook is given. Secrets that it names are those of the Issuer's namespace, or of the operator's namespace
    for a ClusterIssuer.
    """

    @property
    def config_json(self) -> str | None:
        """The config as JSON, always the same for the same content."""
        return None if self.config is None else json.dumps(self.config, sort_keys=True)

    @model_validator(mode="after")
    def _config_is_short(self) -> Self:
        if len(self.config_json or "") > MAX_CONFIG:
            raise ValueError(f"config must not have more than {MAX_CONFIG} characters as JSON")
        return self


def provider_fields(model: type[Model]) -> list[str]:
    """The fields that name a provider, as users write them."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if any(isinstance(one, type) and issubclass(one, DnsProvider) for one in get_args(field.annotation))
    ]


class ProviderChoice(Model):
    """The base of the solver whose records a DNS provider creates: one field for each provider."""

    rfc2136: Rfc2136 | None = None
    """Creates records by dynamic updates (RFC 2136)."""
    webhook: Webhook | None = None
    """Creates records by a DNS webhook that was written for cert-manager."""

    @property
    def provider(self) -> tuple[str, DnsProvider]:
        """The provider: its name, which is also its name in `certwright.dns.providers`, and its model."""
        ((name, provider),) = self.providers()
        return name, provider

    def providers(self) -> list[tuple[str, DnsProvider]]:
        """All providers that are given."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, value) for name, value in given if isinstance(value, DnsProvider)]
