"""What is generated from the chart's values: descriptions in the schema, a table in the docs, plain manifests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from chart.helm import CHART, NAMESPACE
from chart.values import Value, documented_values
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chart.helm import Helm

SCHEMA: Final = CHART / "values.schema.json"
PAGE: Final = PROJECT / "docs" / "helm.md"
MANIFESTS: Final = PROJECT / "deploy" / "certwright.yaml"

_TABLE: Final = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)
_LONGEST_DEFAULT: Final = 60
# What only Helm makes use of, or what would say that Helm looks after the objects.
_OF_HELM: Final = re.compile(r"^ +(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
_HEAD: Final = f"""\
# Certwright without Helm: the chart helm/certwright with its default values, written by `make chart`; change that, not
# this file. Serves all namespaces. Set the image to where you have pushed yours.
#   kubectl apply --server-side -f deploy/certwright.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def derived(helm: Helm) -> dict[Path, str]:
    """Return the content that each derived file should have.

    Raises:
        CommandFailed: The chart does not render.
    """
    values = documented_values()
    return {
        SCHEMA: with_descriptions(SCHEMA.read_text(encoding="utf-8"), values),
        PAGE: with_table(PAGE.read_text(encoding="utf-8"), values),
        MANIFESTS: plain_manifests(helm),
    }


def with_descriptions(schema: str, values: Iterable[Value]) -> str:
    """Return a schema in which each documented value has its description.

    Raises:
        KeyError: A value is not in the schema; the types are written by hand.
    """
    document = json.loads(schema)
    for value in values:
        properties: dict[str, Any] = document["properties"]
        for group in value.path[:-1]:
            properties = properties[group]["properties"]
        name = value.path[-1]
        properties[name] = {"description": value.description} | {
            key: content for key, content in properties[name].items() if key != "description"
        }
    return json.dumps(document, indent=2) + "\n"


def with_table(page: str, values: Iterable[Value]) -> str:
    """Return a page with the table of values between its two markers."""
    rows = [f"| `{value.name}` | {_default(value)} | {value.description} |\n" for value in values]
    table = "".join(["| Value | Default | |\n", "|---|---|---|\n", *rows])
    return _TABLE.sub(lambda _: table, page)


def plain_manifests(helm: Helm) -> str:
    """Render the chart for users without Helm."""
    # Only Helm reads the annotation that keeps the CRDs.
    rendered = helm.template({"crds": {"keep": False}})
    return _HEAD + re.sub(r"^# Source: .*\n", "", _OF_HELM.sub("", rendered), flags=re.MULTILINE)


def _default(value: Value) -> str:
    text = value.default_text
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see values.yaml"
