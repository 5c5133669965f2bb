"""A ServiceAccount whose identity is used for a DNS provider's API."""

from typing import Annotated

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.dns_providers.base import InCluster
from certwright.resources.names import ObjectName
from certwright.resources.rules import ATOMIC_LIST, VISIBLE_ASCII

Audience = Annotated[str, Field(min_length=1, max_length=253, pattern=VISIBLE_ASCII)]


class ServiceAccountRef(Model):
    """A ServiceAccount for which the operator requests tokens."""

    name: ObjectName
    """
    The name of the ServiceAccount, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer.
    The operator needs permission to create tokens for it.
    """
    audiences: Annotated[tuple[Audience, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST)] = ()
    """The audiences of its tokens. If unset, the provider's usual audience."""


class KubernetesAuth(Model):
    """Authentication as a ServiceAccount."""

    service_account_ref: ServiceAccountRef
    """The ServiceAccount."""


class ServiceAccountAuth(InCluster):
    """How to authenticate."""

    kubernetes: KubernetesAuth
    """With a token of a ServiceAccount."""
