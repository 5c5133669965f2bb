"""The flags of cert-manager's controller, as its Deployment has them."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.cert_manager import ControllerFlags


def test_flags_are_read_in_every_form_of_go() -> None:
    found = ControllerFlags.read(
        [
            "--v=2",
            "--cluster-resource-namespace=$(POD_NAMESPACE)",
            "--leader-election-namespace",
            "leases",
            "--enable-certificate-owner-ref",
            "--dns01-recursive-nameservers=192.0.2.1:53,192.0.2.2:53",
            "--dns01-recursive-nameservers-only=false",
            "-config=/etc/config.yaml",
            "--default-issuer-name=le",
        ],
        "cert-manager",
    )
    assert found == ControllerFlags(
        cluster_resource_namespace="cert-manager",
        leader_election_namespace="leases",
        enable_certificate_owner_ref=True,
        dns01_recursive_nameservers="192.0.2.1:53,192.0.2.2:53",
        config="/etc/config.yaml",
    )
    assert found.nameservers == ["192.0.2.1:53", "192.0.2.2:53"]


def test_the_right_container_of_its_deployment_is_read() -> None:
    containers = [
        {"name": "sidecar", "args": ["--cluster-resource-namespace=wrong"]},
        {"name": "cert-manager-controller", "args": ["--cluster-resource-namespace=$(POD_NAMESPACE)"]},
    ]
    deployment = {"metadata": {"namespace": "cm"}, "spec": {"template": {"spec": {"containers": containers}}}}
    assert ControllerFlags.of_deployment(deployment).cluster_resource_namespace == "cm"


@pytest.mark.parametrize("deployment", [{}, {"spec": []}, {"spec": {"template": {"spec": {"containers": ["x"]}}}}])
def test_a_strange_deployment_has_the_defaults(deployment: dict[str, Any]) -> None:
    assert ControllerFlags.of_deployment(deployment) == ControllerFlags()
