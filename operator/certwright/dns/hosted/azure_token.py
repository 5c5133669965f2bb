"""Access tokens of Microsoft Entra ID: from a client secret, the pod's token, or a managed identity."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from certwright.dns.errors import InvalidCredential, ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.answer import code_of, json_of
from certwright.dns.hosted.token import Token, token_from
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.provider import ProviderContext

METADATA: Final = "http://169.254.169.254"
"""The instance metadata service (IMDS) of a virtual machine."""
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The credential is a signed token (RFC 7523 section 2.2)."""


@dataclass(frozen=True)
class Cloud:
    """The endpoints of one of Azure's clouds.

    Attributes:
        manager: The Azure Resource Manager, without a path.
        resource: What tokens are for.
        authority: Where tokens are given.
    """

    manager: str
    resource: str
    authority: str


CLOUDS: Final[Mapping[str, Cloud]] = {
    "AzurePublicCloud": Cloud(
        "https://management.azure.com", "https://management.azure.com", "https://login.microsoftonline.com"
    ),
    "AzureChinaCloud": Cloud(
        "https://management.chinacloudapi.cn", "https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn"
    ),
    "AzureGermanCloud": Cloud(
        "https://management.microsoftazure.de",
        "https://management.core.cloudapi.de",
        "https://login.microsoftonline.de",
    ),
    "AzureUSGovernmentCloud": Cloud(
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net",
        "https://login.microsoftonline.us",
    ),
}
"""The clouds, by the names that cert-manager gives them."""

_TENANT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_AADSTS: Final = re.compile(r"AADSTS[0-9]{2,9}\b")
_HINTS: Final = {
    "AADSTS700016": "the tenant has no application with this client ID",
    "AADSTS90002": "there is no such tenant in this cloud",
    "AADSTS900023": "the tenant ID is not one",
    "AADSTS7000215": "the client secret is wrong; the Secret must hold its value, not its ID",
    "AADSTS7000222": "the client secret has expired; create another one",
    "AADSTS7000112": "the application is disabled",
    "AADSTS70021": "the identity has no federated credential for Certwright's ServiceAccount",
    "AADSTS700211": "the identity's federated credential names another issuer than this cluster",
    "AADSTS700212": "the identity's federated credential has another audience than api://AzureADTokenExchange",
    "AADSTS700213": "the identity's federated credential has another subject than Certwright's ServiceAccount",
    "AADSTS700024": "the token of Certwright's ServiceAccount has expired, or a clock is wrong",
}
"""What to do about the errors that people meet, by their numbers."""


@dataclass(frozen=True)
class ManagedIdentity:
    """Which identity to use, where the place has several or names none.

    Attributes:
        client_id: Its client ID; None for the one that the place names.
        resource_id: Its resource ID, for a virtual machine.
        tenant_id: Its tenant, for workload identity; None for the one that the place names.
    """

    client_id: str | None = None
    resource_id: str | None = None
    tenant_id: str | None = None


@dataclass(frozen=True)
class ServicePrincipal:
    """An application with a client secret.

    Attributes:
        tenant_id: Its tenant.
        client_id: Its client ID.
        secret: The client secret.
    """

    tenant_id: str
    client_id: str
    secret: str = field(repr=False)

    async def fetch(self, context: ProviderContext, cloud: Cloud) -> Token:
        """Get a token with the secret. Raises `DnsError`."""
        client = _Client(cloud.authority, self.tenant_id, self.client_id, {"client_secret": self.secret})
        return await client.fetch(context, cloud)


@dataclass(frozen=True)
class _Client:
    """Who asks for a token.

    Attributes:
        authority: Which server is asked.
        tenant_id: Its tenant.
        client_id: Its client ID.
        proof: The form's fields that prove who it is.
    """

    authority: str
    tenant_id: str
    client_id: str
    proof: Mapping[str, str] = field(repr=False)

    async def fetch(self, context: ProviderContext, cloud: Cloud) -> Token:
        """Get a token (RFC 6749 section 4.4). Raises `DnsError`."""
        if not _TENANT.fullmatch(self.tenant_id):
            raise InvalidCredential("the tenant ID is neither an ID nor a domain name")
        url = f"{self.authority}/{self.tenant_id}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "scope": f"{cloud.resource}/.default", "client_id": self.client_id}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        content = urlencode({**form, **self.proof}).encode()
        response = await context.request("POST", url, headers=headers, content=content)
        answer, host = json_of(response), host_of(url)
        if response.status == HTTPStatus.OK:
            return token_from(answer.get("access_token"), answer.get("expires_in"), host=host)
        code = _entra_code(answer)
        said = ", ".join(filter(None, (f"HTTP {response.status}", code_of(answer.get("error")), code)))
        why = _HINTS.get(code, f"it does not accept the credentials of {self.client_id}")
        raise ProviderRefused(f"{host} gave no access token ({said}): {why}", host=host, code=code)


async def fetch_ambient(context: ProviderContext, cloud: Cloud, identity: ManagedIdentity) -> Token:
    """Get a token for the place where this process runs.

    That is workload identity, where AZURE_FEDERATED_TOKEN_FILE names a file with a token of the pod; otherwise, and for
    an identity that is named by its resource, a managed identity that the metadata service of the virtual machine has.

    Raises:
        DnsError: There is none.
    """
    path = context.surroundings.environ.get("AZURE_FEDERATED_TOKEN_FILE")
    if path and identity.resource_id is None:
        return await _for_workload(context, cloud, identity, path)
    return await _from_metadata(context, cloud, identity)


async def _for_workload(context: ProviderContext, cloud: Cloud, identity: ManagedIdentity, path: str) -> Token:
    environ = context.surroundings.environ
    client = identity.client_id or environ.get("AZURE_CLIENT_ID")
    tenant = identity.tenant_id or environ.get("AZURE_TENANT_ID")
    if not client:
        raise InvalidCredential(
            "workload identity needs a client ID: annotate Certwright's ServiceAccount with "
            "azure.workload.identity/client-id, or set managedIdentity.clientID"
        )
    if not tenant:
        raise InvalidCredential("workload identity needs a tenant: set AZURE_TENANT_ID or managedIdentity.tenantID")
    # Another cloud than the usual one was named on purpose, and what surrounds the process need not know it.
    host = environ.get("AZURE_AUTHORITY_HOST") if cloud is CLOUDS["AzurePublicCloud"] else None
    authority = _origin(host, "AZURE_AUTHORITY_HOST", "https://") if host else cloud.authority
    assertion = (await context.surroundings.read_file(path, "token of the pod")).strip()
    proof = {"client_assertion_type": ASSERTION, "client_assertion": assertion}
    return await _Client(authority, tenant, client, proof).fetch(context, cloud)


def _entra_code(answer: Mapping[str, Any]) -> str:
    """Return the number of an error, which is in a list of its own, and in front of the description."""
    numbers = answer.get("error_codes")
    if isinstance(numbers, list) and numbers and (number := code_of(numbers[0])).isdecimal():
        return f"AADSTS{number}"
    found = _AADSTS.match(str(answer.get("error_description") or "")[:64])
    return found[0] if found else ""


async def _from_metadata(context: ProviderContext, cloud: Cloud, identity: ManagedIdentity) -> Token:
    named = context.surroundings.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST")
    service = _origin(named, "AZURE_POD_IDENTITY_AUTHORITY_HOST", "http") if named else METADATA
    query = {"api-version": "2018-02-01", "resource": cloud.resource}
    if identity.client_id is not None:
        query["client_id"] = identity.client_id
    elif identity.resource_id is not None:
        query["msi_res_id"] = identity.resource_id
    url = f"{service}/metadata/identity/oauth2/token?{urlencode(query)}"
    host = host_of(url)
    try:
        response = await context.surroundings.request("GET", url, headers={"Metadata": "true"})
    except ProviderUnreachable as error:
        raise ProviderUnreachable(
            f"{error}. If the cluster has workload identity, Certwright's pod needs the label "
            'azure.workload.identity/use: "true"',
            host=host,
        ) from error
    if response.status == HTTPStatus.OK:
        answer = json_of(response)
        return token_from(answer.get("access_token"), answer.get("expires_in"), host=host)
    said = f"the metadata service at {host} gave no access token (HTTP {response.status})"
    # 404 and 410 are said while the service is updated.
    if response.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise ProviderRefused(
            f"{said}: the node has no such managed identity, or several; assign it to the node, and name it in "
            "managedIdentity.clientID or managedIdentity.resourceID",
            host=host,
        )
    raise ProviderUnreachable(f"{said}: it is out of service", host=host)


def _origin(text: str, variable: str, scheme: str) -> str:
    origin = text.strip().rstrip("/")
    if not origin.startswith(scheme) or not _ORIGIN.fullmatch(origin):
        raise InvalidCredential(f"{variable} is not the URL of a host, such as https://login.microsoftonline.com/")
    return origin
