"""Run Helm on our chart."""

from __future__ import annotations

import pickle
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from testbed.binaries import find_or_build
from testbed.command import output_of
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.progress import Reporter

CHART: Final = PROJECT / "helm" / "certwright"
RELEASE: Final = "certwright"
NAMESPACE: Final = "certwright"
SECONDS: Final = 280.0
LOADED: Final = {"registry": "localhost"}
"""The image of values that name none: one that was loaded onto the nodes."""
# Without the C library the CRDs take a second to parse.
_SEPARATOR: Final = re.compile(r"^---$", re.MULTILINE)
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Helm:
    """Helm for our chart.

    Attributes:
        program: The executable.
        kubeconfig: The cluster that `run` speaks to; None for commands that need none.
    """

    program: Path
    kubeconfig: Path | None = None

    @classmethod
    def find(cls, reporter: Reporter, kubeconfig: Path | None = None) -> Self:
        """Find Helm, or build it.

        Raises:
            BinaryUnavailable: Neither is possible; the error says what is missing.
        """
        return cls(find_or_build(["helm"], reporter)["helm"], kubeconfig)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it and return its standard output.

        Raises:
            CommandFailed: It ended with an error, or took longer than 280 s.
        """
        with tempfile.TemporaryDirectory(prefix="helm-") as home:
            # The user's settings, plugins, caches and clusters have no influence, and nothing is left behind.
            environment = {
                "PATH": "/usr/bin:/bin",
                "HOME": home,
                "KUBECONFIG": str(self.kubeconfig or f"{home}/kubeconfig"),
            }
            return output_of(self.program, arguments, environment=environment, seconds=SECONDS, stdin=stdin)

    def lint(self, values: Mapping[str, Any] | None = None) -> str:
        """Lint the chart with values; warnings are errors. Without an image in the values, `LOADED` is used.

        Raises:
            CommandFailed: With what is wrong.
        """
        return self.run("lint", "--strict", str(CHART), "--values=-", stdin=_with_image(values))

    def template(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
        api_versions: tuple[str, ...] = (),
        notes: bool = False,
    ) -> str:
        """Render the chart.

        Args:
            values: What differs from `values.yaml`. Without an image's place in them, `LOADED` is used.
            release: Name of the release.
            namespace: Of the release.
            api_versions: What the API server serves beside the kinds of Kubernetes, as ``group/version/Kind``.
            notes: Whether NOTES.txt follows the manifests.

        Raises:
            CommandFailed: The values or the templates are wrong.
        """
        served = [f"--api-versions={version}" for version in api_versions]
        command = ["install", "--dry-run=client"] if notes else ["template"]
        return self.run(
            *command,
            release,
            str(CHART),
            f"--namespace={namespace}",
            "--values=-",
            *(() if notes else served),
            stdin=_with_image(values),
        )

    def objects(self, values: Mapping[str, Any] | None = None, **options: Any) -> list[dict[str, Any]]:
        """Render the chart and return its objects; ``options`` are those of `template`."""
        documents = _SEPARATOR.split(self.template(values, **options))
        return [found for document in documents if (found := pickle.loads(_parsed(document)))]  # noqa: S301 - our own


@cache
def _parsed(document: str) -> bytes:
    """Return the pickle of a document: most are the same for all values, and YAML takes long to parse."""
    return pickle.dumps(yaml.load(document, Loader=_LOADER))  # noqa: S506 - a safe one


def _with_image(values: Mapping[str, Any] | None) -> str:
    given = dict(values or {})
    return yaml.safe_dump({**given, "image": {**LOADED, **given.get("image", {})}})
