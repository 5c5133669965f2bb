"""Tokens of ServiceAccounts from a real API server, with no more rights than docs/providers/route53.md grants."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certwright.dns import InvalidCredential
from certwright.issuers.service_account_tokens import TOKEN_SECONDS, identity_token
from certwright.kube.api import KubeApi
from certwright.kube.client import KubeClient
from certwright.kube.login import connect
from certwright.resources.dns_providers.service_account import ServiceAccountAuth
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from testbed import TestBed

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "route53.md"
USER = "certwright-tokens"


def documented(namespace: str) -> list[dict[str, Any]]:
    """The ServiceAccount and its rights as the page has them, for a user in the place of the operator's account."""
    (text,) = [
        part.partition("```")[0] for part in PAGE.read_text().split("```yaml\n") if "serviceaccounts/token" in part
    ]
    made = [one for one in yaml.safe_load_all(text) if one["kind"] != "Issuer"]
    for one in made:
        one["metadata"]["namespace"] = namespace
        if one["kind"] == "RoleBinding":
            one["subjects"] = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": USER}]
    return made


async def granted(token: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return a token once the right to it is known to the API server."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await token("route53")
            except InvalidCredential:
                await asyncio.sleep(0.1)


async def test_the_documented_role_gives_tokens_of_that_service_account_and_of_no_other(
    bed: TestBed, namespace: str, tmp_path: Path
) -> None:
    api = await connect(str(bed.write_kubeconfig(tmp_path / "config", USER)))
    kube_api = KubeApi(KubeClient(api), group="certwright.io", version="v1")
    issuer: Any = SimpleNamespace(key=Key("Issuer", namespace, "ca"), secrets_namespace=namespace)

    async def token(name: str) -> dict[str, Any]:
        auth = ServiceAccountAuth.model_validate({"kubernetes": {"serviceAccountRef": {"name": name}}})
        payload = (await identity_token(kube_api, issuer, auth, "sts.amazonaws.com").fetch()).split(".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return found

    try:
        with pytest.raises(
            InvalidCredential, match=f"may not request tokens for the ServiceAccount {namespace}/route53"
        ):
            await token("route53")
        bed.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documented(namespace)))
        said = await granted(token)
        assert said["aud"] == ["sts.amazonaws.com"]
        assert said["sub"] == f"system:serviceaccount:{namespace}:route53"
        assert said["exp"] - said["iat"] == TOKEN_SECONDS
        with pytest.raises(
            InvalidCredential, match=f"may not request tokens for the ServiceAccount {namespace}/default"
        ):
            await token("default")
        bed.kubectl("delete", "serviceaccount", "route53", "-n", namespace)
        with pytest.raises(InvalidCredential, match="does not exist"):
            await token("route53")
    finally:
        await api.close()  # type: ignore[no-untyped-call]  # the library has no types here
