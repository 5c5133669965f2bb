"""The base of all DNS provider models."""

from collections.abc import Mapping
from typing import Any, get_args

from certwright.resources.base import Model
from certwright.resources.references import SecretKeyRef

_REF = "_secret_ref"


class InCluster(Model):
    """The base of settings that mean something in a cluster only: the command line and the library do not have them."""


class DnsProvider(Model):
    """The base of the models of DNS providers: an issuer names one of them.

    The names of its fields are those of the provider's configuration in `certwright.dns.providers`; a credential
    `api_token` there is named here by `api_token_secret_ref`.
    """

    def credentials(self) -> dict[str, SecretKeyRef]:
        """Where the credentials are that are given, by the names of the configuration."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name.removesuffix(_REF): value for name, value in given if isinstance(value, SecretKeyRef)}

    def arguments(self, credentials: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the configuration, without `ambient`.

        Args:
            credentials: What was read for each of `credentials()`.
        """
        return {**self.settings(), **credentials}

    def credential_field(self, name: str) -> str:
        """The field that says where a credential is, as users write it."""
        field = f"{name}{_REF}"
        return type(self).model_fields[field].alias or field

    def settings(self) -> dict[str, Any]:
        """What is given besides credentials, by the names of the configuration."""
        return {name: getattr(self, name) for name in type(self).model_fields if not name.endswith(_REF)}


def provider_fields(model: type[Model]) -> list[str]:
    """The fields that name a provider, as users write them."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if any(isinstance(one, type) and issubclass(one, DnsProvider) for one in get_args(field.annotation))
    ]
