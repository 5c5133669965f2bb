"""The chart's NetworkPolicy, where policies hold: the operator works behind it, and strangers see no metrics.

The ports that are named here do not lead to the cluster's DNS: what is named by its address must do without. What the
operator may send elsewhere on its own node is not tested, because the bed's firewall lets pods reach that anyway.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness import Workspace, issuer, tsig_secret
from scenarios.installed import VALUES, Release
from scenarios.pods import OK, ask_by, asked_by, start_web
from scenarios.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Cluster
    from testbed import TestBed


@pytest.fixture(scope="module")
def policy(node_bed: TestBed) -> dict[str, Any]:
    """What the bed needs: nothing of it listens where it would elsewhere."""
    return {
        "enabled": True,
        "apiServerPorts": [node_bed.apiserver.ports["main"]],
        "httpsPorts": [node_bed.pebble.ports["acme"]],
        "dnsPorts": [53, node_bed.bind.ports["main"]],
        "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    }


@pytest.fixture(scope="module")
def namespaced_release(node_bed: TestBed, cluster: Cluster, team: str, policy: dict[str, Any]) -> Iterator[Release]:
    home = f"policy-{secrets.token_hex(4)}"
    release = Release(node_bed, namespace=home, values={**VALUES, "namespaces": [team], "networkPolicy": policy})
    release.install()
    yield release
    release.uninstall()
    cluster.delete("Namespace", None, home)


def test_it_is_ready_and_issues_behind_the_policy(
    node_bed: TestBed, cluster: Cluster, team: str, namespaced_release: Release
) -> None:
    Replicas(namespaced_release, cluster).wait(1)
    workspace = Workspace(team, node_bed, cluster)
    cluster.apply(tsig_secret(node_bed, team))
    cluster.apply(issuer(node_bed, team))
    cluster.wait_ready("Issuer", team, "pebble")
    workspace.apply("web", f"web.{team}.example.test")
    workspace.ready("web")


def test_metrics_are_for_those_who_are_named(node_bed: TestBed, cluster: Cluster, namespaced_release: Release) -> None:
    (pod,) = namespaced_release.pods()
    url = f"http://{pod['status']['podIP']}:8080/metrics"
    home = namespaced_release.namespace
    friend = start_web(node_bed, cluster, home, "prometheus")
    stranger = start_web(node_bed, cluster, home, "stranger")
    assert "certwright_leader 1.0" in asked_by(cluster, friend, url)
    assert ask_by(stranger, url).status != OK
