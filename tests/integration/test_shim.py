"""Certificates for Ingresses and Gateways, on a real API server: made, changed and taken away as annotations say."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness import Cluster, OperatorProcess, Tenant, certificate, issuer, tsig_secret
from harness.mistakes import wait_event
from testbed.definitions import GATEWAY_API
from testbed.exchanges import Forward, Hang
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.cluster import Object
    from testbed.bed import TestBed
    from testbed.exchanges import Action, Request, Response

pytestmark = pytest.mark.usefixtures("without_operator")

PLURALS = ("gateways", "listenersets", "httproutes")
MOST_REQUESTS = 11 + 3
"""Of one issuance: as without the shim, and three more (the Ingress read, the Certificate applied, an Event)."""


@pytest.fixture(scope="module")
def api(bed: TestBed) -> Iterator[RecordingProxy]:
    """Counts the operator's requests."""
    with RecordingProxy.for_apiserver(bed.apiserver) as running:
        yield running


@pytest.fixture(scope="module")
def shim(
    bed: TestBed, operator_namespace: str, api: RecordingProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("shim")
    arguments = ("--shim", "--shim-default-issuer=Issuer/pebble")
    kubeconfig = api.kubeconfig(folder / "kubeconfig")
    with (
        OperatorProcess(
            kubeconfig, folder / "log", operator_namespace=operator_namespace, arguments=arguments
        ) as running,
        # While it runs: it has to notice.
        bed.crds(*GATEWAY_API.of(*PLURALS)),
    ):
        yield running


@pytest.fixture
def tenant(bed: TestBed, cluster: Cluster, namespace: str, shim: OperatorProcess) -> Tenant:
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(issuer(bed, namespace))
    cluster.wait_ready("Issuer", namespace, "pebble")
    return Tenant(namespace, bed, cluster, shim)


@pytest.fixture
def host() -> Callable[[], str]:
    return lambda: f"{secrets.token_hex(5)}.example.test"


def ingress(tenant: Tenant, name: str, tls: dict[str, list[str]], **annotations: str) -> Object:
    """Return an Ingress; annotations by the end of their names."""
    keyed = {f"certwright.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": tenant.namespace, "annotations": keyed},
        "spec": {
            "tls": [{"secretName": secret, "hosts": hosts} for secret, hosts in tls.items()],
            "defaultBackend": backend,
        },
    }


def wait_names(tenant: Tenant, secret: str, *names: str) -> None:
    """Wait until a Secret has a certificate for these names."""

    def look() -> Object | None:
        if tenant.cluster.get("Secret", tenant.namespace, secret) is None:
            return None
        leaf = tenant.leaf(secret)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {"status": {"names": sorted(found.get_values_for_type(x509.DNSName))}}

    tenant.cluster.wait_for(
        f"Secret {secret} is not for {names}", look, lambda seen: seen["status"]["names"] == sorted(names)
    )


def certificates(tenant: Tenant) -> set[str]:
    return {one["metadata"]["name"] for one in tenant.cluster.find_all("Certificate", tenant.namespace)}


def wait_certificates(tenant: Tenant, *names: str) -> None:
    tenant.cluster.wait_for(
        f"the Certificates are not {names}",
        lambda: {"status": {"names": sorted(certificates(tenant))}},
        lambda seen: seen["status"]["names"] == sorted(names),
    )


def test_an_ingress_gets_its_certificate_by_few_requests_and_nothing_is_written_when_nothing_changed(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster = tenant.cluster
    # On a busy machine one issuance may take more: an order that is under way for longer says so in its status, and a
    # write that meets another one is repeated. What each needs is what the best of them took.
    for name in ("web", "web-2", "web-3"):
        one, secret = host(), f"{name}-tls"
        api.reset()
        cluster.apply(ingress(tenant, name, {secret: [one]}, issuer="pebble"))
        tenant.ready(secret)
        wait_names(tenant, secret, one)
        wait_event(cluster, tenant.namespace, name, "CreateCertificate")
        wait_event(cluster, tenant.namespace, secret, "Issued")
        of_issuance = [call for call in api.counts().elements() if tenant.namespace in call[1]]
        if len(of_issuance) <= MOST_REQUESTS:
            break
    assert len(of_issuance) <= MOST_REQUESTS, "\n".join(sorted(f"{method} {path}" for method, path in of_issuance))
    made = cluster.get("Certificate", tenant.namespace, secret)
    assert made is not None
    # Touched in every way that changes nothing of what is asked for.
    api.reset()
    found = cluster.get("Ingress", tenant.namespace, name)
    assert found is not None
    cluster.patch_status("Ingress", tenant.namespace, name, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})
    cluster.patch("Ingress", tenant.namespace, name, {"metadata": {"annotations": {"example.test/a": "b"}}})
    cluster.patch("Ingress", tenant.namespace, name, {"metadata": {"labels": {"a": "b"}}})
    cluster.wait_for(
        "the label is not looked at",
        lambda: {"status": {"asked": [path for (_, path) in api.counts()]}},
        lambda seen: any(path.endswith(f"/ingresses/{name}") for path in seen["status"]["asked"]),
    )
    tenant.operator.stop()
    tenant.operator.start()
    # What comes after a start is in the order of the queue: this one is looked at after the other.
    cluster.apply(ingress(tenant, "last", {"last-tls": [host()]}, issuer="pebble"))
    tenant.ready("last-tls")
    writes = [call for call in api.counts().elements() if call[0] != "GET" and call[1].endswith(f"/{secret}")]
    assert writes == []
    after = cluster.get("Certificate", tenant.namespace, secret)
    assert after is not None
    assert after["metadata"]["generation"] == made["metadata"]["generation"]


def test_hosts_and_secrets_that_change_and_go_take_their_certificates_with_them_and_leave_the_secrets(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b, c) = tenant.cluster, (host(), host(), host())
    cluster.apply(ingress(tenant, "web", {"a-tls": [a], "b-tls": [b]}, issuer="pebble"))
    wait_names(tenant, "a-tls", a)
    wait_names(tenant, "b-tls", b)
    cluster.apply(ingress(tenant, "web", {"a-tls": [a, c], "c-tls": [b]}, issuer="pebble"))
    wait_names(tenant, "a-tls", a, c)
    wait_names(tenant, "c-tls", b)
    wait_certificates(tenant, "a-tls", "c-tls")
    wait_event(cluster, tenant.namespace, "web", "UpdateCertificate")
    cluster.apply(ingress(tenant, "web", {"a-tls": [a], "c-tls": [b]}))
    wait_certificates(tenant)
    assert wait_event(cluster, tenant.namespace, "web", "DeleteCertificate")["type"] == "Normal"
    for secret in ("a-tls", "b-tls", "c-tls"):
        assert cluster.get("Secret", tenant.namespace, secret) is not None


def test_what_somebody_deletes_or_changes_comes_back_and_what_is_not_the_ingresses_is_left_alone(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    tenant.apply("own-tls", b, secretName="elsewhere")
    tenant.ready("own-tls")
    cluster.apply(ingress(tenant, "web", {"a-tls": [a], "own-tls": [a]}, issuer="pebble", renew_before="300h"))
    tenant.ready("a-tls")
    event = wait_event(cluster, tenant.namespace, "web", "CertificateNotOurs")
    assert "The Certificate own-tls was created by something else" in event["message"]
    found = cluster.get("Certificate", tenant.namespace, "own-tls")
    assert found is not None
    assert found["spec"]["dnsNames"] == [b]
    cluster.patch("Certificate", tenant.namespace, "a-tls", {"spec": {"renewBefore": "100h"}})
    cluster.wait_for(
        "the change is not undone",
        lambda: cluster.get("Certificate", tenant.namespace, "a-tls"),
        lambda seen: bool(seen["spec"]["renewBefore"] == "300h"),
    )
    # Another controller's, for the same object: it names no Secret of the Ingress, and is not ours to delete.
    owner = cluster.get("Ingress", tenant.namespace, "web")
    assert owner is not None
    reference = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "controller": True}
    theirs = certificate(tenant.namespace, "theirs", [host()])
    theirs["metadata"]["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    cluster.apply(theirs)
    tenant.ready("theirs")
    cluster.patch(
        "Ingress", tenant.namespace, "web", {"metadata": {"annotations": {"certwright.io/duration": "2000h"}}}
    )
    cluster.wait_for(
        "the annotation is not followed",
        lambda: cluster.get("Certificate", tenant.namespace, "a-tls"),
        lambda seen: bool(seen["spec"].get("duration") == "2000h"),
    )
    assert "theirs" in certificates(tenant)
    uid = found_uid(cluster, tenant, "a-tls")
    cluster.delete("Certificate", tenant.namespace, "a-tls")
    cluster.wait_for(
        "it is not made again",
        lambda: cluster.get("Certificate", tenant.namespace, "a-tls"),
        lambda seen: bool(seen["metadata"]["uid"] != uid),
    )


def found_uid(cluster: Cluster, tenant: Tenant, name: str) -> str:
    found = cluster.get("Certificate", tenant.namespace, name)
    assert found is not None
    return str(found["metadata"]["uid"])


def test_two_ingresses_with_one_secret_have_one_certificate_and_the_other_takes_it_over(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    cluster.apply(ingress(tenant, "first", {"web-tls": [a]}, issuer="pebble"))
    wait_names(tenant, "web-tls", a)
    cluster.apply(ingress(tenant, "same", {"web-tls": [a]}, issuer="pebble"))
    cluster.apply(ingress(tenant, "more", {"web-tls": [a, b]}, issuer="pebble"))
    event = wait_event(cluster, tenant.namespace, "more", "SecretShared")
    assert f"is that of the Ingress first too, whose Certificate applies but lacks {b}" in event["message"]
    assert not [one for one in cluster.events(tenant.namespace, "same") if one["type"] == "Warning"]
    writes = [call for call in api.counts().elements() if call[0] == "PATCH" and call[1].endswith("/web-tls")]
    cluster.delete("Ingress", tenant.namespace, "same")
    cluster.delete("Ingress", tenant.namespace, "first")
    wait_names(tenant, "web-tls", a, b)
    assert len(writes) < 20


def test_a_refusal_is_an_event_that_names_annotation_and_value_and_changes_nothing(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    cluster.apply(ingress(tenant, "web", {"a-tls": [a]}, issuer="pebble"))
    wait_names(tenant, "a-tls", a)
    cluster.apply(ingress(tenant, "web", {"b-tls": [b]}, issuer="pebble", duration="90d"))
    event = wait_event(cluster, tenant.namespace, "web", "BadConfig")
    assert "certwright.io/duration '90d' has a unit for days or weeks" in event["message"]
    assert certificates(tenant) == {"a-tls"} or "b-tls" not in certificates(tenant)
    cluster.apply(ingress(tenant, "web", {"b-tls": [b]}, issuer="pebble", duration="2160h"))
    wait_names(tenant, "b-tls", b)
    wait_certificates(tenant, "b-tls")


def test_hostile_objects_hold_up_nobody_and_are_told_what_is_wrong(tenant: Tenant, host: Callable[[], str]) -> None:
    cluster, one = tenant.cluster, host()
    many = [f"n{number}.{one}" for number in range(1000)]
    cluster.apply(ingress(tenant, "many", {"many-tls": many}, issuer="pebble"))
    cluster.apply(ingress(tenant, "long", {"long-tls": [one]}, issuer="pebble", alt_names="a." * 100_000))
    cluster.apply(ingress(tenant, "bidi", {"bidi-tls": [one]}, issuer="\u202egpj.exe\u2066"))
    cluster.apply(ingress(tenant, "good", {"good-tls": [one]}, issuer="pebble"))
    wait_names(tenant, "good-tls", one)
    for name, words in (("many", "100"), ("long", "is longer than"), ("bidi", "certwright.io/issuer")):
        event = wait_event(cluster, tenant.namespace, name, "BadConfig")
        assert words in event["message"]
        assert event["message"].isprintable()
    assert certificates(tenant) == {"good-tls"}


def test_blocks_that_cannot_be_served_do_nobody_harm_and_the_others_are_served(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    """5,000 hosts, another's Secret, names in no form that a CA takes: each is told, and costs nothing else."""
    cluster, (a, b) = tenant.cluster, (host(), host())
    password = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": tenant.namespace}}
    cluster.apply({**password, "stringData": {"password": "of another"}})
    before = cluster.secret_data(tenant.namespace, "db")
    cluster.apply(
        ingress(
            tenant,
            "web",
            {"many-tls": [f"n{number}.{a}" for number in range(5000)], "db": [a], "good-tls": [a]},
            issuer="pebble",
        )
    )
    wait_names(tenant, "good-tls", a)
    event = wait_event(cluster, tenant.namespace, "web", "BadConfig")
    assert "spec.tls[0] 'many-tls' has more than 100 names" in event["message"]
    tenant.not_ready("db", "SecretNotOurs")
    assert cluster.secret_data(tenant.namespace, "db") == before
    names = f"a.*.{b}, ü.{b}, B.{b.upper()}., {b}"
    cluster.apply(ingress(tenant, "names", {"names-tls": [b]}, issuer="pebble", alt_names=names))
    event = wait_event(cluster, tenant.namespace, "names", "BadConfig")
    assert event["message"].startswith(f"certwright.io/alt-names 'a.*.{b}' may have a *")
    cluster.apply(ingress(tenant, "names", {"names-tls": [b]}, issuer="pebble", alt_names=names.partition(", ")[2]))
    wait_names(tenant, "names-tls", b, f"b.{b}", f"xn--tda.{b}")
    # More blocks than one object gets Certificates for, of which one was served before.
    blocks = {f"s{number}-tls": [a] for number in range(130)}
    cluster.apply(ingress(tenant, "blocks", {**blocks, "last-tls": [a]}, issuer="nobody"))
    event = wait_event(cluster, tenant.namespace, "blocks", "BadConfig")
    assert "is one too many: of one object at most 100 are made" in event["message"]
    cluster.wait_for(
        "a hundred Certificates are not there",
        lambda: {"number": len([one for one in certificates(tenant) if one in blocks])},
        lambda seen: seen["number"] == 100,
    )
    told = [one for one in cluster.events(tenant.namespace, "blocks") if one["type"] == "Warning"]
    assert len(told) <= 12


def test_an_annotation_that_comes_and_goes_is_followed_at_a_bounded_rate(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, one = tenant.cluster, host()
    cluster.apply(ingress(tenant, "web", {"web-tls": [one]}, issuer="pebble"))
    tenant.ready("web-tls")
    before = tenant.leaf("web-tls")
    api.reset()
    for number in range(200):
        issuer_name = "pebble" if number % 2 else None
        change = {"metadata": {"annotations": {"certwright.io/issuer": issuer_name}}}
        cluster.patch("Ingress", tenant.namespace, "web", change)
    # The last one asks for it.
    cluster.wait_ready("Certificate", tenant.namespace, "web-tls")
    path = f"/namespaces/{tenant.namespace}/certificates/web-tls"
    writes = [call for call in api.counts().elements() if call[0] in {"PATCH", "DELETE"} and call[1].endswith(path)]
    assert len(writes) < 40
    told = [one for one in cluster.events(tenant.namespace, "web") if one["type"] == "Warning"]
    assert len(told) <= 1
    assert tenant.leaf("web-tls") == before


def test_two_controllers_that_undo_each_others_writes_come_to_rest(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, one = tenant.cluster, host()
    cluster.apply(ingress(tenant, "web", {"web-tls": [one]}, issuer="pebble", renew_before="300h"))
    tenant.ready("web-tls")
    api.reset()

    def undo() -> Object:
        """Change it as another controller does, as soon as it sees that it was put back."""
        cluster.patch("Certificate", tenant.namespace, "web-tls", {"spec": {"renewBefore": "100h"}})
        events = cluster.events(tenant.namespace, "web")
        return {"told": [one["message"] for one in events if one["reason"] == "CertificateContested"]}

    told = cluster.wait_for("the two go on", undo, lambda seen: bool(seen["told"]))["told"]
    assert "The Certificate web-tls is changed or deleted again and again" in told[0]
    path = f"/namespaces/{tenant.namespace}/certificates/web-tls"
    writes = [call for call in api.counts().elements() if call[0] == "PATCH" and call[1].endswith(path)]
    assert len(writes) < 12


def test_in_a_namespace_that_is_being_deleted_nothing_is_made(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, one = tenant.cluster, host()
    going = f"{tenant.namespace}-going"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": going}})
    made = ingress(tenant, "web", {"web-tls": [one]})
    made["metadata"] |= {"namespace": going, "finalizers": ["example.test/stays"]}
    cluster.apply(made)
    cluster.delete("Namespace", None, going)
    cluster.wait_for(
        "the namespace stays",
        lambda: cluster.get("Namespace", None, going),
        lambda seen: "deletionTimestamp" in seen["metadata"],
    )
    api.reset()
    asked = {"metadata": {"annotations": {"certwright.io/issuer": "pebble"}}}
    cluster.patch("Ingress", going, "web", asked)
    path = f"/namespaces/{going}/certificates/web-tls"
    cluster.apply(ingress(tenant, "web", {"web-tls": [one]}, issuer="pebble"))
    tenant.ready("web-tls")
    assert sum(call[1].endswith(path) for call in api.counts().elements()) <= 2
    cluster.patch("Ingress", going, "web", {"metadata": {"finalizers": None}})


def test_annotations_of_cert_manager_and_tls_acme_count_where_cert_manager_does_not_run(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    for name, asked in (
        ("theirs", {"cert-manager.io/issuer": "pebble", "cert-manager.io/private-key-algorithm": "RSA"}),
        ("old", {"kubernetes.io/tls-acme": "true"}),
    ):
        made = ingress(tenant, name, {f"{name}-tls": [a if name == "old" else b]})
        made["metadata"]["annotations"] = asked
        cluster.apply(made)
    wait_names(tenant, "old-tls", a)
    wait_names(tenant, "theirs-tls", b)
    found = cluster.get("Certificate", tenant.namespace, "theirs-tls")
    assert found is not None
    assert found["spec"]["privateKey"]["algorithm"] == "RSA"


def test_the_crd_of_gateways_that_came_later_is_noticed_and_a_gateway_gets_its_certificates(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())

    def listener(name: str, hostname: str, secret: str) -> dict[str, Any]:
        tls = {"mode": "Terminate", "certificateRefs": [{"name": secret}]}
        return {"name": name, "hostname": hostname, "port": 443, "protocol": "HTTPS", "tls": tls}

    cluster.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {
                "name": "front",
                "namespace": tenant.namespace,
                "annotations": {"certwright.io/issuer": "pebble"},
            },
            "spec": {
                "gatewayClassName": "none",
                "listeners": [
                    listener("a", a, "a-tls"),
                    listener("b", b, "a-tls"),
                    listener("wild", f"*.{a}", "w-tls"),
                ],
            },
        }
    )
    wait_names(tenant, "a-tls", a, b)
    wait_names(tenant, "w-tls", f"*.{a}")
    made = cluster.get("Certificate", tenant.namespace, "a-tls")
    assert made is not None
    [parent] = made["spec"]["http01"]["gatewayHTTPRoute"]["parentRefs"]
    assert (parent["kind"], parent["name"]) == ("Gateway", "front")
    cluster.patch("Gateway", tenant.namespace, "front", {"metadata": {"annotations": {"certwright.io/issuer": None}}})
    wait_certificates(tenant)
    cluster.delete("Gateway", tenant.namespace, "front")


def test_by_choice_the_names_of_a_listener_are_those_of_the_routes_that_its_controller_accepted(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    annotations = {"certwright.io/issuer": "pebble", "certwright.io/names-from-routes": "true"}
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "routes-tls"}]}
    parent = {"group": GATEWAY_API.group, "kind": "Gateway", "name": "routed"}

    def route(name: str, *hostnames: str) -> None:
        cluster.apply(
            {
                "apiVersion": f"{GATEWAY_API.group}/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": name, "namespace": tenant.namespace},
                "spec": {"parentRefs": [parent], "hostnames": list(hostnames)},
            }
        )

    def accept(name: str) -> None:
        """Say what a controller of Gateways says; none runs here."""
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"parents": [{"parentRef": parent, "controllerName": "test/controller", "conditions": [condition]}]}
        cluster.patch_status("HTTPRoute", tenant.namespace, name, status)

    route("first", a)
    accept("first")
    cluster.apply(
        {
            "apiVersion": f"{GATEWAY_API.group}/v1",
            "kind": "Gateway",
            "metadata": {"name": "routed", "namespace": tenant.namespace, "annotations": annotations},
            "spec": {
                "gatewayClassName": "none",
                "listeners": [{"name": "web", "port": 443, "protocol": "HTTPS", "tls": tls}],
            },
        }
    )
    wait_names(tenant, "routes-tls", a)
    route("second", b)
    accept("second")
    wait_names(tenant, "routes-tls", a, b)
    cluster.delete("HTTPRoute", tenant.namespace, "first")
    wait_names(tenant, "routes-tls", b)


def gateway(tenant: Tenant, name: str, *listeners: Object, issuer: str = "pebble", **spec: Any) -> Object:
    return {
        "apiVersion": f"{GATEWAY_API.group}/v1",
        "kind": "Gateway",
        "metadata": {
            "name": name,
            "namespace": tenant.namespace,
            "annotations": {"certwright.io/issuer": issuer},
        },
        "spec": {"gatewayClassName": "none", "listeners": list(listeners), **spec},
    }


def tls_listener(name: str, hostname: str, secret: str, **reference: str) -> Object:
    tls = {"mode": "Terminate", "certificateRefs": [{"name": secret, **reference}]}
    return {"name": name, "hostname": hostname, "port": 443, "protocol": "HTTPS", "tls": tls}


def test_a_listener_set_takes_the_issuer_of_a_gateway_that_takes_its_listeners(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    tenant.add_issuer("second")
    own = tls_listener("own", b, "own-tls")
    cluster.apply(gateway(tenant, "front", own))
    made = {
        "apiVersion": f"{GATEWAY_API.group}/v1",
        "kind": "ListenerSet",
        "metadata": {"name": "more", "namespace": tenant.namespace},
        "spec": {"parentRef": {"name": "front"}, "listeners": [tls_listener("a", a, "set-tls")]},
    }
    cluster.apply(made)
    event = wait_event(cluster, tenant.namespace, "more", "BadConfig")
    assert event["message"].startswith(
        f"spec.parentRef '{tenant.namespace}/front' takes no ListenerSets of this namespace"
    )
    wait_names(tenant, "own-tls", b)
    assert certificates(tenant) == {"own-tls"}
    allowed: dict[str, Any] = {"allowedListeners": {"namespaces": {"from": "Same"}}}
    cluster.apply(gateway(tenant, "front", own, issuer="pebble", **allowed))
    wait_names(tenant, "set-tls", a)
    found = cluster.get("Certificate", tenant.namespace, "set-tls")
    assert found is not None
    assert found["metadata"]["ownerReferences"][0]["kind"] == "ListenerSet"
    [parent] = found["spec"]["http01"]["gatewayHTTPRoute"]["parentRefs"]
    assert (parent["kind"], parent["name"]) == ("ListenerSet", "more")

    def wait_issuer(name: str) -> None:
        cluster.wait_for(
            f"its issuer is not {name}",
            lambda: cluster.get("Certificate", tenant.namespace, "set-tls"),
            lambda seen: bool(seen["spec"]["issuerRef"]["name"] == name),
        )

    cluster.apply(gateway(tenant, "front", own, issuer="second", **allowed))
    wait_issuer("second")
    metadata = {"name": "more", "namespace": tenant.namespace, "annotations": {"certwright.io/issuer": "pebble"}}
    cluster.apply({**made, "metadata": metadata})
    wait_issuer("pebble")
    cluster.delete("ListenerSet", tenant.namespace, "more")
    wait_certificates(tenant, "own-tls")
    assert cluster.get("Secret", tenant.namespace, "set-tls") is not None
    cluster.delete("Gateway", tenant.namespace, "front")


def test_a_secret_of_another_namespace_is_refused_and_the_other_listener_is_served(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, (a, b) = tenant.cluster, (host(), host())
    away = tls_listener("away", a, "away-tls", namespace="kube-system")
    cluster.apply(gateway(tenant, "far", away, tls_listener("here", b, "here-tls")))
    event = wait_event(cluster, tenant.namespace, "far", "BadConfig")
    assert "listener away: tls.certificateRefs 'kube-system/away-tls' is in another namespace" in event["message"]
    wait_names(tenant, "here-tls", b)
    assert certificates(tenant) == {"here-tls"}
    cluster.delete("Gateway", tenant.namespace, "far")


def test_a_temporary_certificate_is_there_at_once_and_the_real_one_takes_its_place(
    tenant: Tenant, host: Callable[[], str]
) -> None:
    cluster, one = tenant.cluster, host()
    cluster.apply(ingress(tenant, "web", {"web-tls": [one]}, issuer="later", issue_temporary_certificate="true"))
    wait_names(tenant, "web-tls", one)
    temporary = tenant.leaf("web-tls")
    assert temporary.issuer == temporary.subject
    assert wait_event(cluster, tenant.namespace, "web-tls", "TemporaryWritten")["type"] == "Normal"
    tenant.not_ready("web-tls", "IssuerNotFound")
    tenant.add_issuer("later")
    found = tenant.ready("web-tls")
    assert found["status"]["revision"] == 1
    issued = tenant.leaf("web-tls")
    assert issued.issuer != temporary.issuer
    assert issued.public_key() != temporary.public_key()


def test_killed_after_each_of_its_writes_it_goes_on_where_it_was(
    tenant: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, namespace = tenant.cluster, tenant.namespace
    kept, gone, more = host(), host(), host()

    def kill_after_next_write() -> None:
        """Kill the operator right after its next write of a Certificate, before it learns of it, and start it."""
        written = threading.Event()

        def hold(request: Request, response: Response) -> Action:
            own = f"/namespaces/{namespace}/certificates/" in request.path and not request.path.endswith("/status")
            if written.is_set() or (own and request.is_write and response.status < 300):
                written.set()
                return Hang()
            return Forward()

        api.on_response = hold
        assert written.wait(60)
        tenant.operator.kill()
        api.on_response = lambda _request, _response: Forward()
        tenant.operator.start()

    cluster.apply(ingress(tenant, "web", {"a-tls": [kept], "b-tls": [gone]}, issuer="pebble"))
    kill_after_next_write()  # one of the two is there
    wait_certificates(tenant, "a-tls", "b-tls")
    for name in ("a-tls", "b-tls"):
        tenant.ready(name)
    cluster.apply(ingress(tenant, "web", {"a-tls": [kept, more]}, issuer="pebble"))
    kill_after_next_write()  # changed, and not deleted yet
    wait_certificates(tenant, "a-tls")
    wait_names(tenant, "a-tls", kept, more)
    tenant.ready("a-tls")
    made = cluster.get("Certificate", namespace, "a-tls")
    assert made is not None
    assert made["status"]["revision"] == 2
    assert cluster.get("Secret", namespace, "b-tls") is not None
    cluster.patch("Ingress", namespace, "web", {"metadata": {"annotations": {"certwright.io/issuer": None}}})
    kill_after_next_write()
    wait_certificates(tenant)
    assert cluster.get("Secret", namespace, "a-tls") is not None


def test_the_crds_of_gateways_may_go_and_come_again_while_it_runs(tenant: Tenant, host: Callable[[], str]) -> None:
    """The last of this file: what is of the Gateway API is gone for a while."""
    cluster, bed, (a, b, c) = tenant.cluster, tenant.bed, (host(), host(), host())
    cluster.apply(gateway(tenant, "front", tls_listener("a", a, "a-tls")))
    wait_names(tenant, "a-tls", a)
    bed.kubectl("delete", "crd", *(f"{plural}.{GATEWAY_API.group}" for plural in PLURALS))
    # Its Certificate goes with its Gateway, and the Secret stays.
    wait_certificates(tenant)
    assert cluster.get("Secret", tenant.namespace, "a-tls") is not None
    cluster.apply(ingress(tenant, "web", {"b-tls": [b]}, issuer="pebble"))
    wait_names(tenant, "b-tls", b)
    bed.apply_crds(*GATEWAY_API.of(*PLURALS))
    cluster.apply(gateway(tenant, "front", tls_listener("c", c, "c-tls")))
    wait_names(tenant, "c-tls", c)
    assert tenant.operator.running
