"""The operator as its users install it: the built image on the node, the chart by Helm, a pod that is Ready."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from chart import CHART, Helm
from testbed.images import CERTWRIGHT, certwright_image
from testbed.progress import reporter
from testbed.web import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed import TestBed

RELEASE: Final = "certwright"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
# The image that was loaded, and the CRDs that the bed has from its beginning.
VALUES: Final = {"image": {"registry": "localhost", "tag": CERTWRIGHT.rpartition(":")[2]}, "crds": {"install": False}}
SECONDS: Final = 240
LABELS: Final = {"app.kubernetes.io/name": "certwright"}


@dataclass(frozen=True)
class Release:
    """A release of the chart on a bed with a node.

    Attributes:
        bed: The bed.
        name: Of the release.
        namespace: Of the release; it takes pods of the restricted profile only.
        values: What differs from the chart's own values in every install and upgrade.
    """

    bed: TestBed
    name: str = RELEASE
    namespace: str = RELEASE
    values: Mapping[str, Any] = field(default_factory=lambda: VALUES)

    def install(self, values: Mapping[str, Any] | None = None, *options: str, chart: Path = CHART) -> str:
        """Load the image, make the namespace, install or upgrade, wait for the rollout; return what Helm says.

        Args:
            values: Beside those of the release, whole top-level values at a time.
            options: Further options of Helm's.
            chart: Folder or archive of the chart.

        Raises:
            CommandFailed: Helm gave up, or the pods were not Ready in time.
        """
        load_operator_image(self.bed)
        space = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": RESTRICTED},
        }
        self.bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(space))
        return self._helm.run(
            *("upgrade", "--install", self.name, str(chart), f"--namespace={self.namespace}"),
            *("--wait", f"--timeout={SECONDS}s", "--values=-", *options),
            stdin=yaml.safe_dump({**self.values, **(values or {})}),
        )

    def uninstall(self) -> None:
        """Uninstall the release and wait until its objects are gone."""
        self._helm.run("uninstall", self.name, f"--namespace={self.namespace}", "--wait", f"--timeout={SECONDS}s")

    def pods(self) -> list[dict[str, Any]]:
        """Return the operator's pods that are not about to end."""
        labels = LABELS | {"app.kubernetes.io/instance": self.name}
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self.bed.kubectl("get", "pods", f"--namespace={self.namespace}", f"--selector={selector}", "-o", "json")
        return [pod for pod in json.loads(found)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def log(self) -> str:
        """Return the logs of the operator's pods."""
        names = [pod["metadata"]["name"] for pod in self.pods()]
        return "".join(self.bed.kubectl("logs", name, f"--namespace={self.namespace}") for name in names)

    def metric(self, name: str) -> float:
        """Return a metric of the first pod's, summed over its labels."""
        address = self.pods()[0]["status"]["podIP"]
        text = fetch(f"http://{address}:8080/metrics").body.decode()
        found = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
        return sum(map(float, found))

    @property
    def service_account(self) -> str:
        """The user name that the operator has at the API server."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def _helm(self) -> Helm:
        return Helm.find(reporter(), self.bed.kubeconfig)


def load_operator_image(bed: TestBed) -> None:
    """Give the node the operator's image, unless it has it."""
    if CERTWRIGHT not in bed.node.image_names():
        bed.node.load_image(certwright_image(reporter()))
