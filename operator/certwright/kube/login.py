"""Credentials for the API server: the pod's service account, or a kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
CONNECTIONS: Final = 64
USER_AGENT: Final = "certwright"


class NoCredentials(Exception):
    """Neither a service account nor a usable kubeconfig was found."""


async def connect(kubeconfig: str | None = None) -> ApiClient:
    """Return a client for the API server; close it with ``await api.close()``.

    Args:
        kubeconfig: Path of a kubeconfig; by default the service account in a pod, else ``KUBECONFIG``, else
            ``~/.kube/config``.

    Raises:
        NoCredentials: With what was tried.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    # The one place that retries is KubeClient; two layers would multiply the tries.
    configuration.retries = None
    try:
        if in_cluster() and kubeconfig is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library has no types here
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]  # as above
                config_file=kubeconfig, client_configuration=configuration, persist_config=False
            )
        api = ApiClient(configuration)
    except Exception as error:
        # The library checks little: a file that is no kubeconfig ends in a TypeError, a CA that is none in an SSLError.
        detail = str(error) if isinstance(error, ConfigException | OSError) else f"{type(error).__name__}: {error}"
        raise NoCredentials(
            f"no credentials for a Kubernetes API server in {kubeconfig or 'the default places'}: {detail}. "
            "Run in a pod with a service account, or name a kubeconfig with --kubeconfig or KUBECONFIG."
        ) from error
    api.user_agent = USER_AGENT
    return api


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
