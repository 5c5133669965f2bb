from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.resource import GATEWAY_GROUP, GATEWAYS, INGRESSES, LISTENER_SETS, X_LISTENER_SETS
from certwright.resources import Certificate
from certwright.shim.annotations import Defaults, read_annotations
from certwright.shim.certificates import Wanted, wanted_certificates
from certwright.shim.sources import MAX_BLOCKS, MAX_REFUSALS, Source, is_taken

if TYPE_CHECKING:
    from certwright.kube.resource import Resource


def source(resource: Resource, spec: Any, labels: dict[str, str] | None = None, **annotations: str) -> Source:
    keyed = {f"certwright.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    metadata = {
        "namespace": "shop",
        "name": "web",
        "uid": "u1",
        "resourceVersion": "7",
        "labels": labels or {},
        "annotations": {"certwright.io/cluster-issuer": "le", **keyed},
    }
    return Source.of(resource, {"metadata": metadata, "spec": spec})


def wanted(one: Source, **options: Any) -> Wanted:
    return wanted_certificates(one, read_annotations(one.annotations, Defaults()), **options)


def ingress(*blocks: Any, labels: dict[str, str] | None = None, class_name: str = "", **annotations: str) -> Source:
    spec: dict[str, Any] = {"tls": list(blocks)}
    if class_name:
        spec["ingressClassName"] = class_name
    return source(INGRESSES, spec, labels, **annotations)


def block(secret: str, *hosts: str) -> dict[str, Any]:
    return {"secretName": secret, "hosts": list(hosts)}


def listener(name: str = "web", hostname: str | None = "a.test", ref: str = "a-tls", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "protocol": "HTTPS",
        "port": 443,
        "tls": {"certificateRefs": [{"name": ref}]},
    }
    if hostname is not None:
        made["hostname"] = hostname
    return made | more


def names(found: Wanted) -> dict[str, list[str]]:
    return {name: one["spec"]["dnsNames"] for name, one in found.certificates.items()}


def test_an_ingress_gets_one_certificate_for_each_secret_that_it_names() -> None:
    found = wanted(ingress(block("a-tls", "a.test", "b.test"), block("c-tls", "c.test")))
    assert names(found) == {"a-tls": ["a.test", "b.test"], "c-tls": ["c.test"]}
    assert not found.refusals
    assert found.certificates["c-tls"] == {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {
            "namespace": "shop",
            "name": "c-tls",
            "ownerReferences": [
                {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "name": "web",
                    "uid": "u1",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "dnsNames": ["c.test"],
            "secretName": "c-tls",
            "issuerRef": {"kind": "ClusterIssuer", "name": "le"},
        },
    }
    Certificate.parse(found.certificates["c-tls"])


def test_blocks_and_listeners_with_one_secret_share_a_certificate() -> None:
    assert names(wanted(ingress(block("a", "a.test", "b.test"), block("a", "b.test", "c.test")))) == {
        "a": ["a.test", "b.test", "c.test"]
    }
    both = source(GATEWAYS, {"listeners": [listener(), listener("other", "b.test")]})
    assert names(wanted(both)) == {"a-tls": ["a.test", "b.test"]}


def test_alt_names_are_added_to_each_certificate_once() -> None:
    found = wanted(ingress(block("a", "a.test"), alt_names="b.test, a.test"))
    assert names(found) == {"a": ["a.test", "b.test"]}


def test_a_host_that_is_an_address_is_one_of_the_addresses() -> None:
    found = wanted(ingress(block("a", "a.test", "192.0.2.1"), block("b", "2001:db8::1"), ip_sans="192.0.2.9"))
    specs = {name: (one["spec"]["dnsNames"], one["spec"]["ipAddresses"]) for name, one in found.certificates.items()}
    assert specs == {"a": (["a.test"], ["192.0.2.9", "192.0.2.1"]), "b": ([], ["192.0.2.9", "2001:db8::1"])}
    assert not found.refusals


def test_labels_are_copied_only_where_a_solver_selects_by_them() -> None:
    one = ingress(block("a", "a.test"), labels={"team": "web", "argocd.argoproj.io/instance": "shop"})
    assert "labels" not in wanted(one).certificates["a"]["metadata"]
    assert wanted(one, label_names={"team", "absent"}).certificates["a"]["metadata"]["labels"] == {"team": "web"}


@pytest.mark.parametrize(
    ("made", "route"),
    [
        (ingress(block("a", "a.test")), None),
        (
            ingress(block("a", "a.test"), class_name="internal"),
            {"ingress": {"ingressClassName": "internal", "onlyIfUnset": True}},
        ),
        (
            ingress(block("a", "a.test"), class_name="internal", http01_ingress_class="nginx"),
            {"ingress": {"class": "nginx"}},
        ),
        (
            ingress(block("a", "a.test"), class_name="x", http01_ingress_ingressclassname="nginx"),
            {"ingress": {"ingressClassName": "nginx"}},
        ),
        (ingress(block("a", "a.test"), class_name="x", http01_edit_in_place="true"), {"ingress": {"name": "web"}}),
        (
            source(GATEWAYS, {"listeners": [listener(ref="a")]}),
            {
                "gatewayHTTPRoute": {
                    "parentRefs": [{"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": "shop", "name": "web"}]
                }
            },
        ),
        (
            source(X_LISTENER_SETS, {"parentRef": {"name": "front"}, "listeners": [listener(ref="a")]}),
            {
                "gatewayHTTPRoute": {
                    "parentRefs": [
                        {
                            "group": "gateway.networking.x-k8s.io",
                            "kind": "XListenerSet",
                            "namespace": "shop",
                            "name": "web",
                        }
                    ]
                }
            },
        ),
        (
            source(
                LISTENER_SETS,
                {"parentRef": {"name": "front", "namespace": "infra"}, "listeners": [listener(ref="a")]},
                http01_parentreffallback="true",
            ),
            {
                "gatewayHTTPRoute": {
                    "parentRefs": [{"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": "infra", "name": "front"}]
                }
            },
        ),
    ],
)
def test_the_solver_is_reached_as_the_object_is(made: Source, route: dict[str, Any] | None) -> None:
    manifest = wanted(made).certificates["a"]
    assert manifest["spec"].get("http01") == route
    Certificate.parse(manifest)


def test_the_class_may_be_an_annotation() -> None:
    one = ingress(block("a", "a.test"))
    old = Source.of(
        INGRESSES,
        {
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "annotations": {**one.annotations, "kubernetes.io/ingress.class": "nginx"},
            },
            "spec": one.spec,
        },
    )
    assert wanted(old).certificates["a"]["spec"]["http01"] == {"ingress": {"class": "nginx", "onlyIfUnset": True}}


@pytest.mark.parametrize(
    ("made", "words", "kept"),
    [
        (ingress(), "spec.tls is empty: name a Secret and its hosts there to get a certificate", set()),
        (source(INGRESSES, {"tls": "all"}), "spec.tls is empty", set()),
        (ingress({"hosts": ["a.test"]}), "spec.tls[0].secretName is not set", set()),
        (ingress({"secretName": "a"}), "spec.tls[0].hosts is empty: it has the names of the certificate", {"a"}),
        (ingress({"secretName": "a", "hosts": [7]}), "spec.tls[0] has a host that is no text", {"a"}),
        (ingress(block("a", "a_b.test")), "hosts of Secret a 'a_b.test' has an underscore", {"a"}),
        (ingress(block("A", "a.test")), "spec.tls: secretName 'A'", {"A"}),
        (ingress(block("a", "a.test"), alt_names="b..test"), "certwright.io/alt-names 'b..test'", {"a"}),
        (
            ingress(block("a", "a.test"), duration="30d"),
            "certwright.io/duration '30d' has a unit for days or weeks: write hours",
            {"a"},
        ),
        (ingress(block("a", "a.test"), duration="1s"), "certwright.io/duration '1s' ", {"a"}),
        (ingress(block("a", "a.test"), common_name="x" * 65), "certwright.io/common-name", {"a"}),
        (ingress(block("a", "a.test"), usages="server"), "certwright.io/usages 'server'", {"a"}),
        (ingress(block("a", "a.test"), ip_sans="1.2.3"), "certwright.io/ip-sans '1.2.3'", {"a"}),
        (
            ingress(block("a", "a.test"), private_key_algorithm="DSA"),
            "certwright.io/private-key-algorithm 'DSA'",
            {"a"},
        ),
        (
            ingress(block("a", "a.test"), secret_template='{"labels": {"certwright.io/a": "b"}}'),
            "certwright.io/secret-template",
            {"a"},
        ),
        (
            ingress(block("a", *(f"n{number}.test" for number in range(1000)))),
            "spec.tls[0] 'a' has more than 100 names, which one certificate takes",
            {"a"},
        ),
        (source(GATEWAYS, {"listeners": [listener(hostname=None)]}), "listener web: hostname is not set", {"a-tls"}),
        (
            source(GATEWAYS, {"listeners": [listener(tls={})]}),
            "listener web: tls.certificateRefs is empty",
            set(),
        ),
        (
            source(GATEWAYS, {"listeners": [listener(tls={"certificateRefs": [{"name": "a", "kind": "ConfigMap"}]})]}),
            "tls.certificateRefs 'ConfigMap' is not a Secret",
            set(),
        ),
        (
            source(GATEWAYS, {"listeners": [listener(tls={"certificateRefs": [{"name": "a", "namespace": "infra"}]})]}),
            "tls.certificateRefs 'infra/a' is in another namespace: make a Certificate there",
            set(),
        ),
    ],
)
def test_what_cannot_be_done_is_refused_where_it_stands_and_stays_as_it_is(
    made: Source, words: str, kept: set[str]
) -> None:
    found = wanted(made)
    assert any(words in str(one) for one in found.refusals), [str(one) for one in found.refusals]
    assert (dict(found.certificates), set(found.kept)) == ({}, kept)
    assert all(str(one).isprintable() and len(str(one)) < 700 for one in found.refusals)


def test_a_bad_block_does_not_keep_the_others_from_theirs() -> None:
    found = wanted(ingress(block("bad", "a_b.test"), {"secretName": "empty"}, block("good", "a.test")))
    assert names(found) == {"good": ["a.test"]}
    assert found.kept == {"bad", "empty"}
    assert len(found.refusals) == 2


def test_a_bad_annotation_changes_nothing_of_what_is_there() -> None:
    found = wanted(ingress(block("a", "a.test"), private_key_size="big"))
    assert found.keeps_all
    assert not found.certificates


def test_listeners_that_need_no_certificate_are_passed_over() -> None:
    spec = {
        "listeners": [
            listener("plain", protocol="HTTP"),
            listener("through", tls={"mode": "Passthrough"}),
            listener("theirs"),
            listener(
                "ours",
                "c.test",
                "c-tls",
                protocol="TLS",
                tls={"mode": "Terminate", "certificateRefs": [{"name": "c-tls"}]},
            ),
        ]
    }
    found = wanted(source(GATEWAYS, spec, ignore_tls_listeners="theirs, other"))
    assert names(found) == {"c-tls": ["c.test"]}
    assert not found.refusals


def test_one_object_gets_a_bounded_number_of_certificates() -> None:
    found = wanted(ingress(*(block(f"s{number}", f"n{number}.test") for number in range(1000))))
    assert len(found.certificates) == MAX_BLOCKS
    assert len(found.refusals) <= MAX_REFUSALS + 1
    assert f"at most {MAX_BLOCKS}" in str(found.refusals[0])
    # Those that were made when there were fewer stay.
    assert found.kept == {f"s{number}" for number in range(MAX_BLOCKS, 1000)}


def test_the_names_of_further_blocks_count_as_well() -> None:
    found = wanted(ingress(block("a", *(f"n{number}.test" for number in range(60))), block("a", "n0.test", "b.test")))
    assert len(found.certificates["a"]["spec"]["dnsNames"]) == 61
    more = block("a", *(f"m{number}.test" for number in range(60)))
    found = wanted(ingress(block("a", *(f"n{number}.test" for number in range(60))), more, block("b", "b.test")))
    assert names(found) == {"b": ["b.test"]}
    assert found.kept == {"a"}


@pytest.mark.parametrize(
    ("allowed", "namespace", "accepted", "is_allowed"),
    [
        (None, "infra", True, False),
        ("None", "infra", True, False),
        ("Same", "infra", False, True),
        ("Same", "shop", True, False),
        ("All", "shop", False, True),
        ("Selector", "shop", True, True),
        ("Selector", "shop", False, None),
        ("Others", "shop", True, False),
        ({}, "shop", True, False),
    ],
)
def test_a_gateway_decides_whose_listeners_it_takes(
    allowed: Any, namespace: str, *, accepted: bool, is_allowed: bool | None
) -> None:
    spec = {} if allowed is None else {"allowedListeners": {"namespaces": {"from": allowed}}}
    gateway = Source.of(GATEWAYS, {"metadata": {"namespace": "infra", "name": "front"}, "spec": spec})
    conditions = [None, {"type": "Accepted", "status": str(accepted)}]
    listeners = {"metadata": {"namespace": namespace, "name": "set"}, "spec": {}, "status": {"conditions": conditions}}
    assert is_taken(Source.of(LISTENER_SETS, listeners), gateway) is is_allowed


@pytest.mark.parametrize("spec", [None, 7, [], {"tls": [None, 3, {"hosts": "x", "secretName": {}}]}, {"listeners": 4}])
@pytest.mark.parametrize("resource", [INGRESSES, GATEWAYS, LISTENER_SETS])
def test_a_spec_of_any_form_does_no_harm(spec: Any, resource: Resource) -> None:
    assert not wanted(source(resource, spec, http01_parentreffallback="true")).certificates
