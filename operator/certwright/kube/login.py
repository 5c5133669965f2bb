"""Credentials for the API server: the pod's service account, or a kubeconfig."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config

from certwright.kube.credentials import Credentials
from certwright.kube.kubeconfig import NoCredentials

__all__ = ["ApiClient", "NoCredentials", "connect", "credentials_of", "in_cluster", "in_cluster_url", "own_namespace"]

SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
CONNECTIONS: Final = 64
USER_AGENT: Final = "certwright"


class KubeconfigClient(ApiClient):
    """A client whose credentials come from a kubeconfig.

    Attributes:
        credentials: The same that kopf is given.
    """

    credentials: Credentials


async def connect(
    kubeconfig: str | None = None, context: str | None = None, *, connections: int = CONNECTIONS
) -> ApiClient:
    """Return a client for the API server; close it with ``await api.close()``.

    Args:
        kubeconfig: Path of a kubeconfig; by default the service account in a pod, else ``KUBECONFIG``, else
            ``~/.kube/config``.
        context: A context of the kubeconfig; by default its current one.
        connections: How many may be open at once; 0 for as many as it takes, as each watch holds one.

    Raises:
        NoCredentials: With what was tried.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    # The one place that retries is KubeClient; two layers would multiply the tries.
    configuration.retries = None
    try:
        if in_cluster() and kubeconfig is None and context is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library has no types here
            api = ApiClient(configuration)
        else:
            api = await _from_kubeconfig(configuration, kubeconfig, context)
    except Exception as error:
        # The library checks little: a CA that is none ends in an SSLError.
        known = isinstance(error, ConfigException | OSError | NoCredentials)
        detail = str(error) if known else f"{type(error).__name__}: {error}"
        raise NoCredentials(
            f"no credentials for a Kubernetes API server in {kubeconfig or 'the default places'}: {detail}. "
            "Run in a pod with a service account, or name a kubeconfig with --kubeconfig or KUBECONFIG."
        ) from error
    api.user_agent = USER_AGENT
    return api


async def _from_kubeconfig(
    configuration: Configuration, kubeconfig: str | None, context: str | None
) -> KubeconfigClient:
    credentials = await asyncio.to_thread(Credentials.load, kubeconfig, context)

    async def bring(configuration: Configuration) -> None:
        authorization = await credentials.authorization()
        configuration.api_key = {} if authorization is None else {"BearerToken": authorization}

    await bring(configuration)
    configuration.host = credentials.server
    configuration.tls_server_name = credentials.tls_server_name
    configuration.proxy = credentials.proxy
    # The environment's proxy is decided on already, with networks in NO_PROXY.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.refresh_api_key_hook = bring  # type: ignore[assignment]  # the library has no type here
    api = KubeconfigClient(configuration)
    api.credentials = credentials
    api.rest_client.ssl_context = credentials.tls
    return api


def credentials_of(api: ApiClient) -> Credentials | None:
    """Return the credentials of a client, None for those of a pod's service account."""
    return api.credentials if isinstance(api, KubeconfigClient) else None


def in_cluster() -> bool:
    """Whether this process runs in a pod with a service account."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and SERVICE_ACCOUNT_NAMESPACE.exists()


def in_cluster_url() -> str:
    """Return the API server's URL as every pod is told it: by address, for which nothing is looked up in the DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def own_namespace() -> str | None:
    """Return the namespace of the pod this process runs in, or None outside a cluster."""
    return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if in_cluster() else None
