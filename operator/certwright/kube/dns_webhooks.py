"""Calls DNS webhooks with cert-manager's protocol, through the API server (API aggregation).

The protocol is `webhook.acme.cert-manager.io/v1alpha1`. They are never called directly, because they would
then receive a token with the operator's permissions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.api import FIELD_MANAGER
from certwright.kube.client import MERGE, Patience
from certwright.kube.errors import KubeError, NotFound
from certwright.kube.paths import segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.client import KubeClient

PAYLOAD_VERSION: Final = "webhook.acme.cert-manager.io/v1alpha1"
API_VERSION: Final = "v1alpha1"
"""Of the APIs, whatever their groups."""
MAX_SHOWN_SOLVERS: Final = 10

_ONE_CALL: Final = Patience(request=40.0, total=40.0, tries=1)
"""A little longer than the 34 s after which the API server gives up on an aggregated API."""


class DnsWebhookApi:
    """Calls DNS webhooks by the API server, with the operator's own rights.

    Args:
        client: Sends the requests.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def call(self, group: str, solver: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a solver carry out a `ChallengeRequest` and return its `response`; empty if it gave none.

        Args:
            group: The API group of the webhook.
            solver: The name of its solver.
            request: What is to be done.

        Raises:
            KubeError: The API server did not pass it on, or the webhook did not answer.
        """
        answer = await self._client.request(
            "POST",
            f"/apis/{segment(group)}/{API_VERSION}/{segment(solver)}",
            action=f"call the DNS webhook {solver} of {group}",
            body={"apiVersion": PAYLOAD_VERSION, "kind": "ChallengePayload", "request": dict(request)},
            patience=_ONE_CALL,
        )
        response = answer.get("response")
        return response if isinstance(response, dict) else {}

    async def solvers(self, group: str) -> tuple[str, ...] | None:
        """Return the names of a group's solvers; None if the API server does not know the group, or does not tell."""
        try:
            found = await self._client.request(
                "GET", f"/apis/{segment(group)}/{API_VERSION}", action=f"look for the DNS webhook {group}"
            )
        except KubeError:
            return None
        listed = found.get("resources")
        names = [one.get("name") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return tuple(name for name in names if isinstance(name, str))[:MAX_SHOWN_SOLVERS]

    async def api_service(self, group: str) -> dict[str, Any] | None:
        """Return the APIService of a group, or None if there is none. Raises `KubeError`."""
        try:
            return await self._client.request("GET", _api_service(group), action=f"read the APIService of {group}")
        except NotFound:
            return None

    async def set_ca_bundle(self, api_service: Mapping[str, Any], bundle: str) -> None:
        """Replace the `caBundle` of an APIService as it was read.

        Args:
            api_service: The APIService.
            bundle: PEM certificates in base64.

        Raises:
            Conflict: Others have changed it since.
            KubeError: It cannot be written.
        """
        metadata = api_service["metadata"]
        group = api_service["spec"]["group"]
        await self._client.request(
            "PATCH",
            _api_service(group),
            action=f"write the caBundle of the APIService of {group}",
            query={"fieldManager": FIELD_MANAGER},
            body={
                "metadata": {key: metadata[key] for key in ("uid", "resourceVersion")},
                "spec": {"caBundle": bundle},
            },
            content_type=MERGE,
        )

    async def why_unavailable(self, group: str) -> str:
        """Return what the API server says is wrong with a group's APIService; empty if it does not tell."""
        try:
            found = await self.api_service(group) or {}
        except KubeError:
            return ""
        conditions = (found.get("status") or {}).get("conditions") or ()
        return next(
            (
                f"{one.get('reason', '')}: {one.get('message', '')}"
                for one in conditions
                if one.get("type") == "Available" and one.get("status") == "False"
            ),
            "",
        )


def _api_service(group: str) -> str:
    return f"/apis/apiregistration.k8s.io/v1/apiservices/{segment(f'{API_VERSION}.{group}')}"
