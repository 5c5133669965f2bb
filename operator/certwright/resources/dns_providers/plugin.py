"""Plugins: DNS providers of other packages."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.free_form import FreeForm
from certwright.resources.names import PluginName
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import ATOMIC_MAP, rule, validations

MAX_CONFIG: Final = 16384
"""Characters of a plugin's config."""
MAX_SECRETS: Final = 8
_NAMES: Final = "names in secretRefs must be 1 to 63 of A-Z, a-z, 0-9, - and _, with a letter first"
_NAME: Final = "^[a-zA-Z][a-zA-Z0-9_-]{0,62}$"


class Plugin(DnsProvider):
    """A DNS provider from a Python package that is installed with the operator."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(f"!has(self.secretRefs) || self.secretRefs.all(name, name.matches('{_NAME}'))", _NAMES)
        )
    )

    name: PluginName
    """The name of the plugin: its entry point in the group certwright.dns_providers."""
    config: FreeForm | None = None
    """Settings for the plugin, as in its own documentation."""
    secret_refs: Annotated[Mapping[str, SecretKeyRef], Field(max_length=MAX_SECRETS, json_schema_extra=ATOMIC_MAP)] = {}
    """Secret entries whose values are passed to the plugin, under the names in its documentation."""

    def credentials(self) -> dict[str, SecretKeyRef]:
        """Where the secrets are, by their names."""
        return dict(self.secret_refs)

    def credential_field(self, name: str) -> str:
        """The field that says where a secret is."""
        return f"secretRefs.{name}"

    def settings(self) -> dict[str, Any]:
        """What is given besides secrets."""
        return {"name": self.name, "config": None if self.config is None else dict(self.config)}

    def arguments(self, credentials: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the configuration."""
        return {**self.settings(), "secret_refs": dict(credentials)}

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        import re  # noqa: PLC0415 - of no use elsewhere

        if not all(re.fullmatch(_NAME, name) for name in self.secret_refs):
            raise ValueError(_NAMES)
        if self.config is not None and len(json.dumps(self.config)) > MAX_CONFIG:
            raise ValueError(f"config must not have more than {MAX_CONFIG} characters as JSON")
        return self
