"""The operator's account with exactly the rights that the chart gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import yaml

from harness.cluster import Cluster
from testbed.kubeconfig import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from chart import Helm
    from testbed.bed import TestBed

RELEASE: Final = "certwright"
KINDS: Final = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Lease"}


@dataclass(frozen=True)
class ChartRights:
    """Applies the account, roles, bindings and Lease of the chart, and removes them at the end.

    The namespaces must exist.

    Attributes:
        bed: The bed.
        helm: Renders the chart.
        namespace: Of the release.
        values: Of the chart.
    """

    bed: TestBed
    helm: Helm
    namespace: str
    values: Mapping[str, Any]

    def __enter__(self) -> Self:
        self.grant()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bed.kubectl(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=self._manifests(), check=False
        )

    def grant(self) -> None:
        """Apply the objects that grant the rights, and wait until the API server applies them."""
        self.bed.kubectl("apply", "--server-side", "-f", "-", stdin=self._manifests())
        with Cluster(self.bed) as cluster:
            for space in self.values.get("namespaces", [None]):
                cluster.wait_allowed(self.user, "list", "Certificate", space)
            for lease in (one["metadata"]["name"] for one in self._objects() if one["kind"] == "Lease"):
                cluster.wait_allowed(self.user, "get", "Lease", self.namespace, lease)

    @property
    def user(self) -> str:
        """The account's name for the API server."""
        return f"system:serviceaccount:{self.namespace}:{RELEASE}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that the chart sets, without those that only a pod can have."""
        container = self._find("Deployment")["spec"]["template"]["spec"]["containers"][0]
        return {
            entry["name"]: entry["value"]
            for entry in container["env"]
            if "value" in entry and not entry["name"].startswith("CERTWRIGHT_HTTP_")
        }

    def token(self) -> str:
        """Return a token of the account."""
        return self.bed.kubectl("create", "token", RELEASE, "--namespace", self.namespace).strip()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig with a token of the account."""
        return write_kubeconfig(path, server=self.bed.apiserver.url, ca=self.bed.authority.pem, token=self.token())

    def client(self) -> httpx.Client:
        """Return a client of the API server with a token of the account; close it."""
        return httpx.Client(
            base_url=self.bed.apiserver.url,
            headers={"Authorization": f"Bearer {self.token()}"},
            verify=self.bed.authority.client_context(),
            trust_env=False,
        )

    def refused(self) -> list[str]:
        """Return the requests that the API server refused because the account lacks a right."""
        return self.bed.apiserver.refusals(self.user)

    def _find(self, kind: str) -> dict[str, Any]:
        return next(one for one in self._objects() if one["kind"] == kind)

    def _manifests(self) -> str:
        return yaml.safe_dump_all([one for one in self._objects() if one["kind"] in KINDS])

    def _objects(self) -> list[dict[str, Any]]:
        return self.helm.objects(self.values, release=RELEASE, namespace=self.namespace)
