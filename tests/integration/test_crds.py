"""What the API server makes of good objects of ours, and how kubectl shows them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from harness.documented import filled_in
from testbed.bed import TestBed
from testbed.errors import CommandFailed

Body = dict[str, Any]
Apply = Callable[..., Body]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
RFC2136: Final = {"rfc2136": {"nameserver": "ns1.example"}}
NOW: Final = "2026-01-31T12:00:00Z"

pytestmark = pytest.mark.usefixtures("without_operator")


def certificate(**spec: Any) -> Body:
    whole = {"dnsNames": ["a.example"], "secretName": "a-tls", "issuerRef": {"name": "ca"}, **spec}
    return {"apiVersion": "certwright.io/v1", "kind": "Certificate", "metadata": {"name": "a"}, "spec": whole}


def issuer(**acme: Any) -> Body:
    whole = {
        "server": "https://ca.example/directory",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": RFC2136}],
        **acme,
    }
    return {"apiVersion": "certwright.io/v1", "kind": "Issuer", "metadata": {"name": "ca"}, "spec": {"acme": whole}}


def longest_names(count: int) -> list[str]:
    tail = ".".join(("b" * 63, "c" * 63, "d" * 61))
    return [f"{number:063d}.{tail}" for number in range(count)]


def write_status(bed: TestBed, namespace: str, status: Body) -> None:
    body = {**certificate(), "status": status}
    del body["spec"]
    how = ("--server-side", "--subresource=status", "--field-manager=certwright")
    bed.kubectl("apply", *how, "-n", namespace, "-f", "-", stdin=json.dumps(body))


@pytest.fixture(scope="module", autouse=True)
def _crds(bed: TestBed) -> None:
    bed.apply_crds()


@pytest.fixture
def apply(bed: TestBed, namespace: str) -> Apply:
    """Applies an object as kubectl does and gives back what the API server made of it."""

    def run(body: Body, *options: str) -> Body:
        how = ("-n", namespace, "-f", "-", "-o", "json", *options)
        stored: Body = json.loads(bed.kubectl("apply", *how, stdin=json.dumps(body)))
        return stored

    return run


def test_the_api_server_fills_in_what_a_small_certificate_leaves_out(apply: Apply) -> None:
    assert apply(certificate())["spec"] == {
        "dnsNames": ["a.example"],
        "secretName": "a-tls",
        "secretOwnerReference": False,
        "paused": False,
        "revisionHistoryLimit": 1,
        "revokeOnDelete": False,
        "temporaryCertificate": False,
        "issuerRef": {"name": "ca", "kind": "Issuer", "group": "certwright.io"},
        "privateKey": {"rotationPolicy": "Always"},
    }


def test_the_api_server_fills_in_what_a_small_issuer_leaves_out(apply: Apply) -> None:
    acme = apply(issuer())["spec"]["acme"]
    assert acme["privateKeySecretRef"] == {"name": "account", "key": "tls.key"}
    assert acme["accountKeyAlgorithm"] == "ES256"
    assert acme["solvers"][0]["dns01"] == {
        "challengeType": "dns-01",
        "cnameStrategy": "Follow",
        "selfCheck": "required",
        "selfCheckViews": ["authoritative"],
        "propagationWait": "0s",
        "rfc2136": {"nameserver": "ns1.example", "protocol": "TCP", "tsigAlgorithm": "HMACSHA256"},
    }


@pytest.mark.parametrize(
    "body",
    [
        certificate(dnsNames=longest_names(100)),
        certificate(secretTemplate={"labels": {f"example.com/{n:063d}": "v" * 63 for n in range(64)}}),
        issuer(
            solvers=[
                {
                    "selector": {
                        "dnsNames": longest_names(48),
                        "dnsZones": longest_names(48),
                    },
                    "dns01": RFC2136,
                }
            ]
            * 32
        ),
    ],
    ids=["names", "labels", "solvers"],
)
def test_the_largest_object_stays_within_the_cost_of_its_rules(apply: Apply, body: Body) -> None:
    # Server-side, since the annotation of a client-side apply would be too long.
    assert apply(body, "--server-side")["metadata"]["name"]


def test_a_status_for_a_hundred_names_fits(bed: TestBed, namespace: str, apply: Apply) -> None:
    apply(certificate())
    authorizations = [
        {
            "name": f"n{n}.example",
            "url": f"https://ca.example/authz/{n}",
            "state": "pending",
            "error": "e" * 500,
            "challenge": {"type": "dns-01", "url": f"https://ca.example/challenge/{n}"},
            "record": {"name": f"_acme-challenge.n{n}.example", "type": "TXT", "value": "v" * 43},
            "presented": True,
            "lastSeen": "s" * 500,
            "lastLookTime": NOW,
        }
        for n in range(100)
    ]
    order = {
        "url": "https://ca.example/order/1",
        "accountURL": "https://ca.example/account/1",
        "server": "https://ca.example/directory",
        "names": [f"n{n}.example" for n in range(100)],
        "specHash": "h",
        "state": "pending",
        "createdAt": NOW,
        "authorizations": authorizations,
    }
    write_status(bed, namespace, {"order": order, "revision": 1})
    stored = json.loads(bed.kubectl("get", "cwcert", "a", "-n", namespace, "-o", "json", "--show-managed-fields"))
    assert stored["status"] == {"observedGeneration": -1, "order": order, "revision": 1}
    (mine,) = [entry for entry in stored["metadata"]["managedFields"] if entry["manager"] == "certwright"]
    assert mine["fieldsV1"] == {"f:status": {"f:order": {}, "f:revision": {}}}, "the order is owned as a whole"


def test_kubectl_shows_the_columns(bed: TestBed, namespace: str, apply: Apply) -> None:
    apply(certificate())
    write_status(
        bed,
        namespace,
        {
            "conditions": [{"type": "Ready", "status": "True", "reason": "Issued", "message": "All is well."}],
            "notAfter": "2099-01-31T12:00:00Z",
            "renewalTime": "2099-01-01T12:00:00Z",
            "issuer": {"kind": "Issuer", "name": "ca"},
        },
    )
    header, row = bed.kubectl("get", "certificates.certwright.io", "-n", namespace, "-o", "wide").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "SECRET", "ISSUER", "EXPIRES", "RENEWS", "STATUS", "AGE"]
    times = "2099-01-31T12:00:00Z +2099-01-01T12:00:00Z"
    assert re.fullmatch(rf"a +True +Issued +a-tls +ca +{times} +All is well\. +\d+s", row)


def test_the_short_names_and_the_category_find_our_objects(bed: TestBed, namespace: str, apply: Apply) -> None:
    apply(certificate())
    apply(issuer())
    assert bed.kubectl("get", "cwcert", "-n", namespace, "-o", "name") == "certificate.certwright.io/a\n"
    assert bed.kubectl("get", "cwiss", "-n", namespace, "-o", "name") == "issuer.certwright.io/ca\n"
    assert bed.kubectl("explain", "cwcert.spec.dnsNames").startswith("GROUP:      certwright.io\n")
    found = set(bed.kubectl("get", "certwright", "-n", namespace, "-o", "name").splitlines())
    assert {"certificate.certwright.io/a", "issuer.certwright.io/ca"} <= found


def test_a_manifest_cannot_write_the_status_which_says_that_nothing_was_seen_yet(apply: Apply) -> None:
    assert apply({**certificate(), "status": {"revision": 7}})["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("certificates.spec.dnsNames", "covers one level of subdomains"),
        ("certificates.spec.privateKey.rotationPolicy", "Default: Always."),
        ("certificates.status.order", "The order in progress at the CA"),
        ("issuers.spec.acme.privateKeySecretRef.name", "or in the operator's namespace for a ClusterIssuer"),
        ("issuers.spec.acme.solvers.dns01.propagationWait", "Default: 0s."),
        ("clusterissuers", "for the Certificates of every namespace"),
    ],
)
def test_kubectl_explains_the_fields(bed: TestBed, field: str, text: str) -> None:
    explained = bed.kubectl("explain", field, "--api-version=certwright.io/v1")
    assert text in " ".join(explained.split())


@pytest.mark.usefixtures("operator_namespace")
@pytest.mark.parametrize("folder", sorted({path.parent.name for path in EXAMPLES.glob("*/*.yaml")}))
def test_the_examples_apply_once_their_placeholders_are_replaced(bed: TestBed, folder: str) -> None:
    files = sorted((EXAMPLES / folder).glob("*.yaml"))
    manifests = "\n---\n".join(filled_in(path.read_text(encoding="utf-8")) for path in files)
    said = bed.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifests)
    assert len(said.splitlines()) >= len(files)


@pytest.mark.usefixtures("operator_namespace")
@pytest.mark.parametrize("folder", ["http01", "letsencrypt-staging", "letsencrypt-production"])
def test_an_example_whose_address_was_not_replaced_is_refused_with_what_to_do(bed: TestBed, folder: str) -> None:
    with pytest.raises(CommandFailed, match=r'acme.email: Invalid value: "you@example.com": is a placeholder'):
        bed.kubectl("apply", "--dry-run=server", "-f", str(EXAMPLES / folder))


def test_beside_cert_manager_the_commands_of_the_pages_mean_our_objects(
    bed: TestBed, namespace: str, apply: Apply
) -> None:
    """Its CRD has the names that ours had too: the plural, and `cert` for short."""
    foreign = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {
            "group": "cert-manager.io",
            "scope": "Namespaced",
            "names": {"kind": "Certificate", "plural": "certificates", "shortNames": ["cert", "certs"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(foreign))
    try:
        bed.kubectl("wait", "--for=condition=Established", "crd/certificates.cert-manager.io", "--timeout=60s")
        theirs = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "theirs"}}
        bed.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(theirs))
        apply(certificate())
        assert bed.kubectl("get", "cert", "-n", namespace, "-o", "name") == "certificate.cert-manager.io/theirs\n"
        assert bed.kubectl("get", "cwcert", "-n", namespace, "-o", "name") == "certificate.certwright.io/a\n"
        assert bed.kubectl("explain", "cwcert.spec").startswith("GROUP:      certwright.io\n")
        bed.kubectl("delete", "certificates.certwright.io", "--all", "-n", namespace)
        assert bed.kubectl("get", "cwcert", "-n", namespace, "-o", "name") == ""
        assert bed.kubectl("get", "cert", "-n", namespace, "-o", "name") == "certificate.cert-manager.io/theirs\n"
    finally:
        bed.kubectl("delete", "crd", "certificates.cert-manager.io")
