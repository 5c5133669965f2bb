"""What the CRDs say of lists and of objects that the operator has not seen, on a real API server."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from testbed.bed import TestBed
from testbed.errors import CommandFailed

Body = dict[str, Any]

NAMESPACE: Final = "lists"
RFC2136: Final = {"rfc2136": {"nameserver": "ns1.example"}}


def certificate(*names: str, name: str = "web") -> Body:
    spec = {"dnsNames": list(names), "secretName": "web-tls", "issuerRef": {"name": "ca"}}
    return _object("Certificate", name, spec)


def issuer(solver: Body) -> Body:
    spec = {"server": "https://ca.example/directory", "privateKeySecretRef": {"name": "account"}, "solvers": [solver]}
    return _object("Issuer", "ca", {"acme": spec})


def _object(kind: str, name: str, spec: Body) -> Body:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "certwright.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module", autouse=True)
def _namespace(bed: TestBed) -> Iterator[None]:
    bed.apply_crds()
    bed.kubectl("create", "namespace", NAMESPACE)
    yield
    bed.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def applied(bed: TestBed, body: Body, manager: str) -> Body:
    """Apply an object as a field manager, and return it as it is then."""
    flags = ("--server-side", f"--field-manager={manager}", "--force-conflicts")
    bed.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(body))
    return shown(bed, body["kind"], body["metadata"]["name"])


def shown(bed: TestBed, kind: str, name: str) -> Body:
    found: Body = json.loads(bed.kubectl("-n", NAMESPACE, "get", f"{kind}.certwright.io", name, "-o", "json"))
    return found


def test_a_name_that_is_taken_out_of_git_is_gone_although_another_manager_wrote_it_too(bed: TestBed) -> None:
    applied(bed, certificate("a.example", "old.example", name="merged"), "somebody-else")
    applied(bed, certificate("a.example", "old.example", name="merged"), "git")
    found = applied(bed, certificate("a.example", name="merged"), "git")
    assert found["spec"]["dnsNames"] == ["a.example"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            issuer({"dns01": {**RFC2136, "nameservers": ["NS1.example:53", "ns1.example:53"]}}),
            "nameservers: Invalid value: has NS1.example:53 more than once",
        ),
    ],
)
def test_an_entry_that_is_listed_twice_is_refused_by_its_name(bed: TestBed, body: Body, said: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert said in str(caught.value.details)


def test_the_longest_list_of_the_longest_names_is_accepted(bed: TestBed) -> None:
    rest = ".".join(("b" * 63, "c" * 63, "d" * 63))
    names = [f"{'a' * 53}-{number:03}.{rest}" for number in range(100)]
    bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(certificate(*names)))


@pytest.mark.usefixtures("without_operator")
def test_an_object_that_the_operator_has_not_seen_is_not_taken_for_done(bed: TestBed) -> None:
    for body in (certificate("a.example", name="unseen"), issuer({"dns01": RFC2136})):
        found = applied(bed, body, "git")
        assert found["status"] == {"observedGeneration": -1}
        assert found["metadata"]["generation"] == 1
