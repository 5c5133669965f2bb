"""Install, upgrade, uninstall, as Helm does it: on an API server of its own, at first without our CRDs.

No kubelet runs here, so the releases have no pods; e2e/ installs the chart on a node.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from chart import CHART, Helm
from testbed.bed import TestBed
from testbed.errors import CommandFailed
from testbed.options import BedOptions
from testbed.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

CRDS: Final = ("certificates.certwright.io", "clusterissuers.certwright.io", "issuers.certwright.io")
# Nothing would make pods Ready that do not exist, and `--wait` waits for what there is.
NO_PODS: Final = {"replicas": 0, "image": {"registry": "localhost"}}


@pytest.fixture(scope="module")
def own_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    """An API server for this file."""
    options = BedOptions(acme=False, challtestsrv=False, ingress=False)
    with TestBed(options, folder=tmp_path_factory.mktemp("chart") / "bed") as started:
        yield started


class Release:
    """A release of the chart in a namespace of its own."""

    def __init__(self, bed: TestBed) -> None:
        self._bed = bed
        self._helm = Helm.find(reporter(), bed.kubeconfig)

    def upgrade(self, values: dict[str, Any], *options: str, name: str = "certwright") -> str:
        """Install or upgrade, as docs/helm.md says; issuers are not waited for, as no operator makes them Ready."""
        return self._helm.run(
            *("upgrade", "--install", name, str(CHART), "--namespace=certwright", "--create-namespace"),
            *("--wait=legacy", "--timeout=120s", "--values=-", *options),
            stdin=yaml.safe_dump({**NO_PODS, **values}),
        )

    def uninstall(self, name: str = "certwright") -> None:
        self._helm.run("uninstall", name, "--namespace=certwright", "--wait", "--timeout=120s")

    def rollback(self, revision: int) -> None:
        where = ("--namespace=certwright", "--wait=legacy", "--timeout=120s")
        self._helm.run("rollback", "certwright", str(revision), *where)

    def installed(self) -> bool:
        return self.get("deployment", "certwright") is not None

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = self._bed.kubectl("get", kind, name, "--namespace=certwright", "--ignore-not-found", "--output=json")
        return json.loads(answer) if answer else None

    def uid(self, kind: str, name: str) -> str:
        found = self.get(kind, name)
        assert found is not None, f"there is no {kind} {name}"
        uid: str = found["metadata"]["uid"]
        return uid

    def size(self) -> int:
        """The bytes of the newest Secret that Helm keeps the release in; the API server takes a MiB."""
        secrets = json.loads(self._bed.kubectl("get", "secret", "-n", "certwright", "-l", "owner=helm", "-o", "json"))
        return max(len(base64.b64decode(one["data"]["release"])) for one in secrets["items"])


@pytest.fixture
def release(own_bed: TestBed) -> Release:
    """No release so far, and no CRDs."""
    release = Release(own_bed)
    if release.installed():
        release.uninstall()
    own_bed.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--timeout=120s")
    return release


@pytest.fixture
def installed(own_bed: TestBed) -> Release:
    """A release with the chart's own values, or what an earlier test has left of it: most of a test is its CRDs."""
    release = Release(own_bed)
    if not release.installed():
        release.upgrade({})
    return release


def issuers(*names: str, email: str = "admin@example.test") -> dict[str, Any]:
    acme = {
        "server": "https://ca.example/directory",
        "email": email,
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": {"rfc2136": {"nameserver": "ns1.example.com"}}}],
    }
    return {
        "issuers": [{"name": name, "namespace": "certwright", "spec": {"acme": acme}} for name in names],
        "clusterIssuers": [{"name": f"cluster-{name}", "spec": {"acme": acme}} for name in names],
    }


def apply_certificate(bed: TestBed) -> None:
    manifest = {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "web", "namespace": "certwright"},
        "spec": {"dnsNames": ["a.example"], "secretName": "web-tls", "issuerRef": {"name": "first"}},
    }
    bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-tls", "namespace": "certwright"}}
    bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(secret))


def test_one_release_brings_crds_and_issuers_and_an_upgrade_or_rollback_goes_on_with_them(release: Release) -> None:
    said = release.upgrade(issuers("first", "second"))
    assert "kubectl get cwciss cluster-first" in said
    kinds = {"first": "issuer", "cluster-first": "clusterissuer"}
    before = {name: release.uid(kind, name) for name, kind in kinds.items()}

    def assert_the_same(email: str) -> None:
        """The same objects: not one was deleted and made anew, which would lose its status."""
        assert {name: release.uid(kind, name) for name, kind in kinds.items()} == before
        for name, kind in kinds.items():
            assert (release.get(kind, name) or {})["spec"]["acme"]["email"] == email

    release.upgrade(issuers("first", email="other@example.test"))
    assert_the_same("other@example.test")
    release.upgrade(issuers("first"))
    assert_the_same("admin@example.test")
    # Revision 1 made the issuers by a hook; they are the release's from revision 2 on.
    release.rollback(2)
    assert_the_same("other@example.test")
    release.upgrade({})
    assert [release.get(kind, name) for name, kind in kinds.items()] == [None, None]


def test_a_release_leaves_room_in_the_secret_that_helm_keeps_it_in(installed: Release) -> None:
    assert 10_000 < installed.size() < 400_000


def test_an_upgrade_upgrades_the_crds(installed: Release, own_bed: TestBed) -> None:
    change = '[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]'
    # A CRD of an older version; what Helm wrote is known to be Helm's.
    own_bed.kubectl("patch", "crd", CRDS[0], "--type=json", "--patch", change)
    installed.upgrade({}, "--force-conflicts")
    found = installed.get("crd", CRDS[0])
    assert found is not None
    columns = [column["name"] for column in found["spec"]["versions"][0]["additionalPrinterColumns"]]
    assert columns[0] == "Ready"


def test_a_second_release_in_the_namespace_has_names_of_its_own(installed: Release) -> None:
    installed.upgrade({"crds": {"install": False}, "rbac": {"aggregate": False}}, name="other")
    assert installed.get("deployment", "certwright") is not None
    assert installed.get("deployment", "other-certwright") is not None
    installed.uninstall("other")
    assert installed.get("clusterrole", "certwright") is not None


def test_uninstalling_keeps_crds_certificates_and_secrets_and_installing_again_goes_on(
    installed: Release, own_bed: TestBed
) -> None:
    apply_certificate(own_bed)
    kept = [("crd", name) for name in CRDS] + [("certificate", "web"), ("secret", "web-tls")]
    before = [installed.uid(kind, name) for kind, name in kept]
    installed.uninstall()
    assert installed.get("deployment", "certwright") is None
    assert installed.get("clusterrole", "certwright") is None
    assert [installed.uid(kind, name) for kind, name in kept] == before
    installed.upgrade({})
    assert [installed.uid(kind, name) for kind, name in kept] == before
    assert installed.get("deployment", "certwright") is not None


def test_uninstalling_removes_the_crds_if_it_is_told_to_and_never_a_secret(
    installed: Release, own_bed: TestBed
) -> None:
    installed.upgrade({"crds": {"keep": False}})
    apply_certificate(own_bed)
    installed.uninstall()
    assert [installed.get("crd", name) for name in CRDS] == [None, None, None]
    assert installed.get("secret", "web-tls") is not None


def test_crds_that_were_applied_by_hand_are_taken_over_on_request(release: Release, own_bed: TestBed) -> None:
    own_bed.apply_crds()
    before = release.uid("crd", CRDS[0])
    with pytest.raises(CommandFailed, match="cannot be imported into the current release"):
        release.upgrade({})
    release.upgrade({}, "--take-ownership", "--force-conflicts")
    assert release.uid("crd", CRDS[0]) == before


def test_beside_somebody_elses_crds_the_issuers_are_the_releases_from_the_start(
    release: Release, own_bed: TestBed
) -> None:
    own_bed.apply_crds()
    release.upgrade({**issuers("first"), "crds": {"install": False}})
    assert release.get("issuer", "first") is not None
    release.uninstall()
    assert release.get("issuer", "first") is None
