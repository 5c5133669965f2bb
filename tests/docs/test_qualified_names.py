"""Every kubectl command that users can copy means our objects, also where cert-manager is installed.

Both have Certificates, Issuers and ClusterIssuers: `kubectl delete certificates --all` may delete cert-manager's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from certwright.resources import Certificate, ClusterIssuer, Issuer
from certwright.resources.crd import custom_resource_definitions
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

READ: Final = (
    "*.md",
    "docs/**/*.md",
    "docs/**/*.rst",
    "examples/**/*",
    "helm/**/*",
    "deploy/*",
    "operator/certwright/**/*.py",
    "e2e/demo/*.py",
    "Makefile",
)
"""What users read: pages, manifests, the chart's notes, and the texts of the programs."""
AMBIGUOUS: Final = frozenset(
    {name for model in (Certificate, Issuer, ClusterIssuer) for name in (model.PLURAL, model.KIND.lower())}
    | {"cert", "certs", "cr", "crs", "iss", "ciss"}
)
"""What means cert-manager's resources too, where both are installed."""
_COMMAND: Final = re.compile(r"\bkubectl\s[^`\n]*")
_QUALIFIED: Final = re.compile(r"\w+\.cert(wright|-manager)\.io")


def ambiguous_names(text: str) -> Iterator[str]:
    """Yield each command in a text that names a resource of ours without its group."""
    for command in _COMMAND.findall(re.sub(r"\\\n\s*", " ", text)):
        words = command.partition(" #")[0].split()[1:]
        if words[:1] == ["certwright"]:
            continue  # our own plug-in knows no other group
        names = [name.strip("'\".;:)") for word in words for name in re.split("[,/]", word)]
        if any(name.split(".")[0] in AMBIGUOUS and not _QUALIFIED.match(name) for name in names):
            yield command


def test_every_command_names_our_group_or_a_short_name_of_ours() -> None:
    paths = sorted(
        {path for pattern in READ for path in PROJECT.glob(pattern) if path.is_file() and path.suffix != ".pyc"}
    )
    found = [
        f"{path.relative_to(PROJECT)}: {command}"
        for path in paths
        for command in ambiguous_names(path.read_text(encoding="utf-8"))
    ]
    assert len(paths) > 300
    remedy = "write cwcert, cwiss or cwciss, or give the group (certificates.certwright.io)"
    assert not found, "\n".join([remedy, *found])


@pytest.mark.parametrize(
    "command",
    [
        "kubectl delete certificates --all",
        "kubectl -n shop get issuer/letsencrypt",
        "kubectl get secrets,certs",
        "kubectl explain clusterissuers.spec",
        "kubectl --namespace shop \\\n  patch certificate web",
        "run `kubectl describe cert web`, then",
    ],
)
def test_a_name_without_its_group_is_found(command: str) -> None:
    assert list(ambiguous_names(command))


@pytest.mark.parametrize(
    "command",
    [
        "kubectl delete certificates.certwright.io --all",
        "kubectl get certificates.cert-manager.io web",
        "kubectl explain cwcert.spec",
        "kubectl apply -f web.yaml   # the certificate",
        "kubectl logs deployment/certwright",
        "`kubectl get cwiss` shows the issuers",
    ],
)
def test_what_is_clear_is_left_alone(command: str) -> None:
    assert not list(ambiguous_names(command))


def test_no_short_name_of_ours_is_cert_managers() -> None:
    names = {name for definition in custom_resource_definitions() for name in definition["spec"]["names"]["shortNames"]}
    assert names == {"cwcert", "cwiss", "cwciss"}
    assert not names & AMBIGUOUS
