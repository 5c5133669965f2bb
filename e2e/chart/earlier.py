"""An earlier chart than the present one, to upgrade from; until one was published it is made from this one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from chart.helm import CHART

if TYPE_CHECKING:
    from chart.helm import Helm

VERSION: Final = "0.0.9"
CRD: Final = Path("files", "crds", "certwright.io_certificates.yaml")
COLUMN: Final = "Renews"
FIELD: Final = "renewBeforePercentage"
_POD_LABEL: Final = "app.kubernetes.io/part-of: certwright\n"
_RULE: Final = """\
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list]
"""


def earlier_chart(helm: Helm, folder: Path) -> Path:
    """Package a chart of a lower version, and return the archive.

    Upgrading from it has to change everything that a version may change: it lacks a field and a column of a CRD, a rule
    of the operator's rights, and a label of all objects, so that the pods are replaced.
    """
    chart = folder / "certwright"
    shutil.copytree(CHART, chart)
    _take(chart / "templates" / "_helpers.tpl", _POD_LABEL)
    _take(chart / "templates" / "_rules.tpl", _RULE)
    crd: dict[str, Any] = yaml.safe_load((chart / CRD).read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    version["additionalPrinterColumns"] = [
        column for column in version["additionalPrinterColumns"] if column["name"] != COLUMN
    ]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"][FIELD]
    spec["x-kubernetes-validations"] = [rule for rule in spec["x-kubernetes-validations"] if FIELD not in rule["rule"]]
    (chart / CRD).write_text(yaml.safe_dump(crd, sort_keys=False), encoding="utf-8")
    helm.run("package", str(chart), f"--version={VERSION}", f"--destination={folder}")
    return folder / f"certwright-{VERSION}.tgz"


def _take(path: Path, piece: str) -> None:
    text = path.read_text(encoding="utf-8")
    if piece not in text:
        raise ValueError(f"{path.name} has no {piece!r} any more: take something else from the earlier chart")
    path.write_text(text.replace(piece, ""), encoding="utf-8")
