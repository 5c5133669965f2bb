"""Kubeconfig files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from .certificates import KeyPair


def write_kubeconfig(
    path: Path, *, server: str, ca: bytes, client: KeyPair | None = None, token: str | None = None
) -> Path:
    """Write a self-contained kubeconfig, readable by its owner only, and return its path.

    Args:
        path: the file.
        server: https URL of the API server.
        ca: PEM that its certificate is verified with.
        client: client certificate to authenticate with.
        token: bearer token to authenticate with.
    """
    user: dict[str, Any] = {}
    if client is not None:
        user["client-certificate-data"] = _base64(client.certificate.read_bytes())
        user["client-key-data"] = _base64(client.key.read_bytes())
    if token is not None:
        user["token"] = token
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": server, "certificate-authority-data": _base64(ca)}}],
        "users": [{"name": "testbed", "user": user}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
        "current-context": "testbed",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
