"""The Helm chart: render it, and keep what is generated from it up to date.

Generated from `crds/` and the comments of `values.yaml`: the chart's copies of the CRDs, the descriptions in its
`values.schema.json`, the table in `docs/helm.md`, the plain manifests in `deploy/certwright.yaml`.
"""

from chart.helm import CHART, Helm
from chart.values import Value, documented_values

__all__ = ["CHART", "Helm", "Value", "documented_values"]
