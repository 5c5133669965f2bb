"""Tokens of the ServiceAccounts in issuers, for DNS providers that trust the cluster's identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.dns import InvalidCredential, ProviderUnreachable
from certwright.dns.credential import IdentityToken
from certwright.kube.errors import Forbidden, KubeError, NotFound

if TYPE_CHECKING:
    from certwright.issuers.registry import SolverSource
    from certwright.kube.api import KubeApi
    from certwright.resources.dns_providers.service_account import ServiceAccountAuth

TOKEN_SECONDS: Final = 600
"""The shortest that the API server issues: it is shown once, right away."""


def identity_token(kube_api: KubeApi, issuer: SolverSource, auth: ServiceAccountAuth, audience: str) -> IdentityToken:
    """Return what gets tokens of the ServiceAccount that an issuer names, in the namespace of the issuer's Secrets.

    Args:
        kube_api: Where tokens are requested.
        issuer: Who names it.
        auth: What it names.
        audience: Whom they are for unless the issuer says so.
    """
    reference = auth.kubernetes.service_account_ref
    namespace, name = issuer.secrets_namespace, reference.name
    audiences = reference.audiences or (audience,)

    async def fetch() -> str:
        try:
            return await kube_api.create_service_account_token(namespace, name, audiences, TOKEN_SECONDS)
        except NotFound:
            raise InvalidCredential(
                f"the ServiceAccount {namespace}/{name}, which {issuer.key} names in serviceAccountRef, does not exist"
            ) from None
        except Forbidden as error:
            raise InvalidCredential(
                f"the operator may not request tokens for the ServiceAccount {namespace}/{name}: grant its own "
                f"ServiceAccount, by a Role in {namespace}, create on serviceaccounts/token for the resourceName {name}"
            ) from error
        except KubeError as error:
            raise ProviderUnreachable(
                f"the API server issues no token for the ServiceAccount {namespace}/{name}: {error}", host="kubernetes"
            ) from error

    return IdentityToken(f"the ServiceAccount {namespace}/{name}", audiences, fetch)
