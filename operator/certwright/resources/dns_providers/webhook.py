"""DNS webhooks that were written for cert-manager."""

import json
from typing import Final, Self

from pydantic import model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.free_form import FreeForm
from certwright.resources.names import ApiGroup, SolverName

MAX_CONFIG: Final = 16384
"""Characters of a webhook's config: it goes with every call."""


class Webhook(DnsProvider):
    """A DNS webhook written for cert-manager.

    The API server must have an APIService for it. The operator calls it through the API server, and needs the
    permission to create solverName in the API group groupName; with the Helm chart, list it in dns01.webhooks.
    """

    group_name: ApiGroup
    """The API group of the webhook, as in its own documentation."""
    solver_name: SolverName
    """The name of the solver within the webhook."""
    config: FreeForm | None = None
    """
    Settings for the webhook. It reads the Secrets named here from the Issuer's namespace, or from the operator's
    namespace for a ClusterIssuer.
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
