from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from certwright.cli.run_options import options_of
from certwright.cli.run_parser import parser
from certwright.http01.manifests import RESOURCES
from certwright.issuers.template_policy import (
    INGRESS_ANNOTATION_PATTERNS,
    POD_ANNOTATION_PATTERNS,
    POD_LABEL_PATTERNS,
)
from chart.matrix import case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chart import Helm


def deployment(helm: Helm, values: Mapping[str, Any]) -> dict[str, Any]:
    return next(one for one in helm.objects(values) if one["kind"] == "Deployment")


def pod(helm: Helm, values: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = deployment(helm, values)["spec"]["template"]["spec"]
    return spec


def environment(helm: Helm, values: Mapping[str, Any]) -> dict[str, Any]:
    entries = pod(helm, values)["containers"][0]["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def test_every_option_of_the_operator_is_set_that_a_pod_has_a_use_for(helm: Helm) -> None:
    options = {
        option.removeprefix("--").replace("-", "_").upper()
        for action in parser()._actions
        for option in action.option_strings
        if option.startswith("--")
    } - {
        "HELP",
        "KUBECONFIG",
        "HTTP01_PORT",
        "TLS_ALPN01_PORT",
        "ALLOW_LOOPBACK",
    }  # a pod has its account; the others are for test beds
    assert len(options) > 5
    set_by_chart = {
        name.removeprefix("CERTWRIGHT_")
        for name in environment(
            helm,
            {
                **case("namespaced"),
                **case("dns-webhooks"),
                **case("shim-default-issuer"),
                **case("drop-in"),
                "tlsAlpn01": {"enabled": True},
            },
        )
        if name.startswith("CERTWRIGHT_")
    }
    assert options - set_by_chart == set()


def test_the_environment_by_default(helm: Helm) -> None:
    assert environment(helm, {}) == {
        "CERTWRIGHT_OPERATOR_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "CERTWRIGHT_HTTP_HOST": "0.0.0.0",  # noqa: S104 - of the pod
        "CERTWRIGHT_HTTP_PORT": "8080",
        "CERTWRIGHT_WORKERS": "32",
        "CERTWRIGHT_LOG_LEVEL": "info",
        "CERTWRIGHT_LOG_FORMAT": "json",
        "CERTWRIGHT_SOLVER_IMAGE": "localhost/certwright:0.1.0",
        "CERTWRIGHT_SOLVER_IMAGE_PULL_POLICY": "IfNotPresent",
        "CERTWRIGHT_SOLVER_RESOURCES": json.dumps(
            {kind: dict(sorted(RESOURCES[kind].items())) for kind in sorted(RESOURCES)}, separators=(",", ":")
        ),
        "CERTWRIGHT_ALLOW_POD_LABEL": ",".join(POD_LABEL_PATTERNS),
        "CERTWRIGHT_ALLOW_POD_ANNOTATION": ",".join(POD_ANNOTATION_PATTERNS),
        "CERTWRIGHT_ALLOW_INGRESS_ANNOTATION": ",".join(INGRESS_ANNOTATION_PATTERNS),
        "CERTWRIGHT_RESPONDER_ADDRESS": {"fieldRef": {"fieldPath": "status.podIP"}},
        "CERTWRIGHT_RESPONDER_PORT": "8089",
        "CERTWRIGHT_CLUSTER_ISSUER_AMBIENT_CREDENTIALS": "true",
        "CERTWRIGHT_ISSUER_AMBIENT_CREDENTIALS": "false",
        "CERTWRIGHT_SHIM": "true",
        "CERTWRIGHT_SHIM_CERT_MANAGER_ANNOTATIONS": "auto",
        "CERTWRIGHT_CERT_MANAGER_GUARD": "true",
        "CERTWRIGHT_CERT_MANAGER_LEADER_ELECTION_NAMESPACE": "kube-system",
        "CERTWRIGHT_LEADER_ELECT": "true",
        "CERTWRIGHT_LEASE_NAME": "certwright",
        "CERTWRIGHT_IDENTITY": {"fieldRef": {"fieldPath": "metadata.name"}},
    }


def test_what_every_object_is_to_carry_reaches_the_operator(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"objectLabels": {"team": "web", "example.com/cost-centre": "7"}, "objectAnnotations": {"note": "a=b, c"}}
    found = environment(helm, values)
    for name in ("OBJECT_LABEL", "OBJECT_ANNOTATION"):
        monkeypatch.setenv(f"CERTWRIGHT_{name}", found[f"CERTWRIGHT_{name}"])
    common = options_of(parser().parse_args([]), on_lost=lambda: None).common
    assert (common.labels, common.annotations) == (values["objectLabels"], values["objectAnnotations"])


def test_how_objects_of_cert_manager_are_served_is_told_only_where_they_are(helm: Helm) -> None:
    told = {name: text for name, text in environment(helm, case("drop-in")).items() if "CERT_MANAGER" in name}
    assert told == {
        "CERTWRIGHT_SERVE_CERT_MANAGER_OBJECTS": "true",
        "CERTWRIGHT_CERT_MANAGER_ARGUMENTS": "--dns01-recursive-nameservers=192.0.2.53:53,198.51.100.53:53 "
        "--dns01-recursive-nameservers-only",
        "CERTWRIGHT_CERT_MANAGER_METRICS": "true",
        "CERTWRIGHT_CERT_MANAGER_GUARD": "true",
        "CERTWRIGHT_CERT_MANAGER_LEADER_ELECTION_NAMESPACE": "kube-system",
        "CERTWRIGHT_SHIM_CERT_MANAGER_ANNOTATIONS": "auto",
    }


def test_namespaces_are_a_list_in_one_variable_each_once(helm: Helm) -> None:
    assert environment(helm, case("namespaced-dns-only"))["CERTWRIGHT_NAMESPACE"] == "chart-a,certwright,default"


def test_the_api_server_is_never_behind_the_proxy(helm: Helm) -> None:
    both = environment(helm, case("proxy-and-ca-bundle"))
    assert both["NO_PROXY"] == "$(KUBERNETES_SERVICE_HOST),.svc,.internal"
    assert both["HTTP_PROXY"] == both["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert environment(helm, case("ca-bundle-secret"))["NO_PROXY"] == "$(KUBERNETES_SERVICE_HOST)"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "proxy-and-ca-bundle",
            {"configMap": {"name": "company-ca", "items": [{"key": "ca.crt", "path": "bundle.pem"}]}},
        ),
        (
            "ca-bundle-secret",
            {"secret": {"secretName": "company-ca", "items": [{"key": "bundle.crt", "path": "bundle.pem"}]}},
        ),
    ],
)
def test_the_ca_bundle_is_mounted_where_the_variable_says(helm: Helm, name: str, source: dict[str, Any]) -> None:
    spec = pod(helm, case(name))
    volume = next(one for one in spec["volumes"] if one["name"] == "ca-bundle")
    assert {key: content for key, content in volume.items() if key != "name"} == source
    mount = next(one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "ca-bundle")
    assert mount["readOnly"] is True
    assert environment(helm, case(name))["SSL_CERT_FILE"] == f"{mount['mountPath']}/bundle.pem"


@pytest.mark.parametrize(
    ("image", "solver", "operators", "solvers"),
    [
        ({}, {}, "localhost/certwright:0.1.0", "localhost/certwright:0.1.0"),
        ({"registry": "", "repository": "certwright"}, {}, "certwright:0.1.0", "certwright:0.1.0"),
        ({"registry": "quay.io/x"}, {}, "quay.io/x/certwright:0.1.0", "quay.io/x/certwright:0.1.0"),
        ({"repository": "quay.io/x/certwright"}, {}, "quay.io/x/certwright:0.1.0", "quay.io/x/certwright:0.1.0"),
        (
            {"registry": "", "repository": "registry:5000/cw"},
            {"tag": "2"},
            "registry:5000/cw:0.1.0",
            "registry:5000/cw:2",
        ),
        ({"registry": "", "repository": "team/cw"}, {}, "team/cw:0.1.0", "team/cw:0.1.0"),
        ({}, {"repository": "quay.io/x/solver"}, "localhost/certwright:0.1.0", "quay.io/x/solver:0.1.0"),
        (
            {"repository": "quay.io/x/certwright"},
            {"registry": "r.example"},
            "quay.io/x/certwright:0.1.0",
            "r.example/x/certwright:0.1.0",
        ),
        ({"tag": "2"}, {}, "localhost/certwright:2", "localhost/certwright:2"),
        ({"tag": "2"}, {"tag": "3"}, "localhost/certwright:2", "localhost/certwright:3"),
        ({"tag": "2"}, {"registry": "r.example:5000"}, "localhost/certwright:2", "r.example:5000/certwright:2"),
        ({"digest": f"sha256:{'a' * 64}"}, {}, f"localhost/certwright@sha256:{'a' * 64}", None),
        # The operator's digest names another image than the one that is asked for here.
        (
            {"digest": f"sha256:{'a' * 64}"},
            {"tag": "3"},
            f"localhost/certwright@sha256:{'a' * 64}",
            "localhost/certwright:3",
        ),
        ({}, {"digest": f"sha256:{'b' * 64}"}, "localhost/certwright:0.1.0", f"localhost/certwright@sha256:{'b' * 64}"),
    ],
)
def test_image_references(
    helm: Helm, image: dict[str, str], solver: dict[str, str], operators: str, solvers: str | None
) -> None:
    values = {"image": image, "http01": {"solver": {"image": solver}}}
    assert pod(helm, values)["containers"][0]["image"] == operators
    assert environment(helm, values)["CERTWRIGHT_SOLVER_IMAGE"] == (solvers or operators)


def test_solver_pods_have_the_operators_pull_policy_or_their_own(helm: Helm) -> None:
    assert environment(helm, case("image"))["CERTWRIGHT_SOLVER_IMAGE_PULL_POLICY"] == "Always"
    assert environment(helm, case("solver-image"))["CERTWRIGHT_SOLVER_IMAGE_PULL_POLICY"] == "Never"


def test_a_rollout_without_a_lease_never_has_two_pods(helm: Helm) -> None:
    assert deployment(helm, case("single"))["spec"]["strategy"] == {"type": "Recreate"}
    assert "CERTWRIGHT_LEADER_ELECT" not in environment(helm, case("single"))


def test_a_rollout_with_a_lease_has_the_new_pod_ready_first(helm: Helm) -> None:
    strategy = deployment(helm, {})["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_only_the_pod_mounts_the_token(helm: Helm) -> None:
    objects = {one["kind"]: one for one in helm.objects({})}
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod(helm, {})["automountServiceAccountToken"] is True
    assert pod(helm, {})["enableServiceLinks"] is False
    assert pod(helm, {})["terminationGracePeriodSeconds"] == 40


def test_the_pod_runs_as_the_account_that_has_the_rights(helm: Helm) -> None:
    for name in ("default", "workload-identity", "names"):
        objects = helm.objects(case(name))
        account = next(one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount")
        assert pod(helm, case(name))["serviceAccountName"] == account
        for binding in objects:
            if binding["kind"].endswith("Binding"):
                assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "certwright"}]
    assert pod(helm, case("rights-elsewhere"))["serviceAccountName"] == "prepared"
    assert pod(helm, {"serviceAccount": {"create": False}})["serviceAccountName"] == "default"


def test_probes_ask_the_port_that_the_operator_listens_on(helm: Helm) -> None:
    values = case("network-policy-narrow")
    container = pod(helm, values)["containers"][0]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 9090, "responder": 9091}
    assert environment(helm, values)["CERTWRIGHT_HTTP_PORT"] == "9090"
    assert environment(helm, values)["CERTWRIGHT_RESPONDER_PORT"] == "9091"
    asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/healthz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


def test_without_http01_nothing_listens_for_validations(helm: Helm) -> None:
    values = {"http01": {"enabled": False}}
    assert [port["name"] for port in pod(helm, values)["containers"][0]["ports"]] == ["http"]
    assert not {name for name in environment(helm, values) if "RESPONDER" in name}


def test_an_annotation_of_the_users_counts_before_the_charts(helm: Helm) -> None:
    values = {"podAnnotations": {"kubectl.kubernetes.io/default-container": "sidecar", "their": "own"}}
    rendered = helm.template(values)
    assert rendered.count("kubectl.kubernetes.io/default-container:") == 1
    assert deployment(helm, values)["spec"]["template"]["metadata"]["annotations"] == values["podAnnotations"]


def test_a_spread_constraint_without_a_selector_counts_our_pods(helm: Helm) -> None:
    ours, theirs = pod(helm, case("high-availability"))["topologySpreadConstraints"]
    selector = deployment(helm, case("high-availability"))["spec"]["selector"]
    assert ours["labelSelector"] == selector
    assert theirs["labelSelector"] == {"matchLabels": {"their": "own"}}


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("default", None),
        ("no-disruption-budget", None),
        ("high-availability", {"minAvailable": 1}),
        ("disruptions", {"maxUnavailable": "50%"}),
    ],
)
def test_a_budget_is_there_when_it_can_do_something(helm: Helm, name: str, budget: dict[str, Any] | None) -> None:
    found = [one["spec"] for one in helm.objects(case(name)) if one["kind"] == "PodDisruptionBudget"]
    assert [{key: spec[key] for key in spec if key.startswith(("min", "max"))} for spec in found] == (
        [budget] if budget else []
    )


def test_the_network_policy_lets_through_what_the_operator_does(helm: Helm) -> None:
    policy = next(one["spec"] for one in helm.objects(case("network-policy")) if one["kind"] == "NetworkPolicy")
    egress = {(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]}
    assert egress == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443), ("TCP", 80)}
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["http", "responder"]
    assert not any("from" in rule for rule in policy["ingress"])


def test_the_network_policy_can_be_narrowed(helm: Helm) -> None:
    values = case("network-policy-narrow")
    policy = next(one["spec"] for one in helm.objects(values) if one["kind"] == "NetworkPolicy")
    assert [rule["from"] for rule in policy["ingress"]] == [
        values["networkPolicy"]["metricsFrom"],
        values["networkPolicy"]["responderFrom"],
    ]
    assert policy["egress"][-1] == values["networkPolicy"]["extraEgress"][0]
    assert {port["port"] for port in policy["egress"][1]["ports"]} == {6443, 443, 14000}


def test_the_operator_answers_tls_where_that_is_enabled(helm: Helm) -> None:
    assert "CERTWRIGHT_TLS_RESPONDER_PORT" not in environment(helm, {})
    values = {"tlsAlpn01": {"enabled": True}, "http01": {"enabled": False}, "ports": {"tlsResponder": 9443}}
    assert environment(helm, values)["CERTWRIGHT_TLS_RESPONDER_PORT"] == "9443"
    ports = {port["name"]: port["containerPort"] for port in pod(helm, values)["containers"][0]["ports"]}
    assert ports == {"http": 8080, "responder": 8089, "tls-responder": 9443}
