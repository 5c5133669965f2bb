"""A release for some namespaces only: what it does there, what it cannot see elsewhere, and what people may do."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from harness import Cluster, Workspace, issuer, tsig_secret
from harness.cluster import refusal
from harness.manifests import certificate
from scenarios.installed import VALUES, Release
from scenarios.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed import TestBed

SHARED: Final = "shared"
UNSEEN: Final = {"observedGeneration": -1}
"""What the CRDs say of an object that no operator has looked at."""
OK: Final = 200
FORBIDDEN: Final = 403


@pytest.fixture(scope="module")
def spaces(node_bed: TestBed, cluster: Cluster) -> Iterator[list[Workspace]]:
    """Three namespaces with an Issuer each."""
    names = [f"{letter}-{secrets.token_hex(4)}" for letter in "abc"]
    for name in names:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        cluster.apply(tsig_secret(node_bed, name))
        cluster.apply(issuer(node_bed, name))
    yield [Workspace(name, node_bed, cluster) for name in names]
    for name in names:
        cluster.delete("Namespace", None, name)


@pytest.fixture(scope="module")
def namespaced_release(node_bed: TestBed, cluster: Cluster, spaces: list[Workspace]) -> Iterator[Release]:
    """A release for the first two, with a ClusterIssuer."""
    home = f"home-{secrets.token_hex(4)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    cluster.apply(tsig_secret(node_bed, home))
    release = Release(
        node_bed,
        namespace=home,
        values={
            **VALUES,
            "namespaces": [space.namespace for space in spaces[:2]],
            "clusterIssuers": [{"name": SHARED, "spec": issuer(node_bed, None, name=SHARED)["spec"]}],
        },
    )
    release.install()
    yield release
    release.uninstall()
    cluster.delete("Namespace", None, home)


def test_it_serves_its_namespaces_and_leaves_the_others_alone(
    cluster: Cluster, spaces: list[Workspace], namespaced_release: Release
) -> None:
    first, second, other = spaces
    Replicas(namespaced_release, cluster).wait(1)
    for space in spaces:
        space.apply("own", f"own.{space.namespace}.example.test")
        space.apply("shared", f"s.{space.namespace}.example.test", issuerRef={"name": SHARED, "kind": "ClusterIssuer"})
    for space in (first, second):
        for name in ("own", "shared"):
            space.ready(name)
    for name in ("own", "shared"):
        assert (cluster.get("Certificate", other.namespace, name) or {}).get("status") == UNSEEN
    assert (cluster.get("Issuer", other.namespace, "pebble") or {}).get("status") == UNSEEN
    assert cluster.get("Secret", namespaced_release.namespace, f"{SHARED}-account") is not None
    refused = first.bed.apiserver.refusals(namespaced_release.service_account)
    assert refused == [], "the chart gives less than the operator asks for"


def test_the_api_server_refuses_it_the_secrets_of_others(
    node_bed: TestBed, spaces: list[Workspace], namespaced_release: Release
) -> None:
    first, second, other = (space.namespace for space in spaces)
    token = node_bed.kubectl("create", "token", "certwright", f"--namespace={namespaced_release.namespace}").strip()
    with httpx.Client(
        base_url=node_bed.apiserver.url,
        headers={"Authorization": f"Bearer {token}"},
        verify=node_bed.authority.client_context(),
        trust_env=False,
    ) as account:

        def answer(path: str) -> int:
            return account.get(f"/api/v1/{path}").status_code

        assert [answer(f"namespaces/{name}/secrets/tsig") for name in (first, second)] == [OK, OK]
        assert answer(f"namespaces/{other}/secrets/tsig") == FORBIDDEN
        assert answer(f"namespaces/{other}/secrets") == FORBIDDEN
        assert answer("namespaces/kube-system/secrets") == FORBIDDEN
        assert answer("secrets") == FORBIDDEN
        said = account.get(f"/api/v1/namespaces/{other}/secrets/tsig").json()["message"]
        assert f'User "{namespaced_release.service_account}" cannot get resource "secrets"' in said


@pytest.mark.usefixtures("namespaced_release")
def test_editors_write_certificates_and_issuers_but_no_status_and_viewers_nothing(
    node_bed: TestBed, cluster: Cluster, spaces: list[Workspace]
) -> None:
    # No operator serves the third namespace: objects there stay as they are.
    namespace = spaces[2].namespace
    written = certificate(namespace, "edited", ["edited.example.test"])
    with person(cluster, node_bed, namespace, "edit") as editor, person(cluster, node_bed, namespace, "view") as viewer:
        editor.apply(written)
        editor.apply(issuer(node_bed, namespace, name="edited"))
        editor.patch("Certificate", namespace, "edited", {"spec": {"secretName": "other-tls"}})
        assert viewer.get("Certificate", namespace, "edited") == editor.get("Certificate", namespace, "edited")
        assert viewer.find_all("Issuer", namespace) != []
        state: dict[str, Any] = {"revision": 7}
        for who in (editor, viewer):
            assert_refused("certificates/status", who.patch_status, "Certificate", namespace, "edited", state)
            assert_refused("issuers/status", who.patch_status, "Issuer", namespace, "edited", state)
            assert_refused("clusterissuers", who.apply, issuer(node_bed, None, name="edited"))
            assert_refused("clusterissuers", who.get, "ClusterIssuer", None, SHARED)
        assert_refused("certificates", viewer.apply, {**written, "metadata": {**written["metadata"], "name": "new"}})
        assert_refused("issuers", viewer.delete, "Issuer", namespace, "edited")
        editor.delete("Certificate", namespace, "edited")


@contextmanager
def person(cluster: Cluster, bed: TestBed, namespace: str, role: str) -> Iterator[Cluster]:
    """A user who has a built-in role in a namespace."""
    name = f"{role}-{secrets.token_hex(4)}"
    bed.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={name}", f"--namespace={namespace}")
    # The built-in roles take up ours a moment after the release is installed.
    cluster.wait_allowed(name, "patch" if role == "edit" else "get", "Certificate", namespace)
    with Cluster(bed, bed.authority.client(name)) as connected:
        yield connected


def assert_refused(resource: str, act: Any, *arguments: Any) -> None:
    """Check that the API server refuses an act on a resource because a right is missing."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        act(*arguments)
    assert caught.value.response.status_code == FORBIDDEN
    assert f'resource "{resource}" in API group "certwright.io"' in refusal(caught.value)
