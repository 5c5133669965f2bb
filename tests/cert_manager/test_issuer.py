"""Issuers of cert-manager in our terms, with the defaults that differ written out."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.cert_manager import ControllerFlags, Translation, Verdict, translate_issuer
from certwright.cert_manager.solver import PROVIDERS
from certwright.resources import Dns01
from certwright.resources.dns_providers.base import provider_fields

SECRET = {"name": "s", "key": "k"}
RFC2136 = {"nameserver": "192.0.2.53", "tsigKeyName": "k", "tsigSecretSecretRef": SECRET}
SOLVER = {"dns01": {"rfc2136": RFC2136}}
URL = "https://acme.example.test/directory"


def theirs(kind: str = "Issuer", solvers: Any = (SOLVER,), **acme: Any) -> dict[str, Any]:
    body = {"server": URL, "privateKeySecretRef": {"name": "account"}, "solvers": list(solvers), **acme}
    metadata = {"name": "le"} if kind == "ClusterIssuer" else {"name": "le", "namespace": "shop"}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": {"acme": body}}


def solver_of(found: Translation) -> dict[str, Any]:
    assert found.manifest is not None, found.refusals
    return dict(found.manifest["spec"]["acme"]["solvers"][0])


def moved(solver: dict[str, Any]) -> dict[str, Any]:
    found = translate_issuer(theirs(solvers=[solver]))
    assert found.verdict is Verdict.MOVES, (found.changes, found.refusals)
    return solver_of(found)


@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_an_issuer_moves_and_follows_no_cname_as_before(kind: str) -> None:
    found = translate_issuer(theirs(kind, email="a@b.example.test", caBundle="", preferredChain=""))
    assert found.verdict is Verdict.MOVES
    assert found.manifest is not None
    assert found.manifest["spec"]["acme"] == {
        "server": URL,
        "email": "a@b.example.test",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": {"rfc2136": RFC2136, "cnameStrategy": "None"}}],
    }
    assert found.manifest["metadata"].get("namespace") == (None if kind == "ClusterIssuer" else "shop")


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        (
            "akamai",
            {"serviceConsumerDomain": "x.luna.akamaiapis.net"}
            | {f"{one}SecretRef": SECRET for one in ("clientToken", "clientSecret", "accessToken")},
        ),
        ("cloudDNS", {"project": "my-project", "serviceAccountSecretRef": SECRET}),
        ("cloudflare", {"apiTokenSecretRef": SECRET}),
        ("cloudflare", {"email": "a@b.example.test", "apiKeySecretRef": SECRET}),
        ("route53", {"region": "eu-west-1", "accessKeyID": "AKIAIOSFODNN7EXAMPLE", "secretAccessKeySecretRef": SECRET}),
        ("digitalocean", {"tokenSecretRef": SECRET}),
        ("acmeDNS", {"host": "https://auth.example.test", "accountSecretRef": SECRET}),
        ("webhook", {"groupName": "acme.example.test", "solverName": "x", "config": {"a": "", "b": []}}),
    ],
)
def test_every_provider_moves_as_it_is(name: str, provider: dict[str, Any]) -> None:
    assert moved({"dns01": {name: provider}})["dns01"][name] == provider


def test_its_providers_are_ours() -> None:
    assert set(PROVIDERS) <= set(provider_fields(Dns01))


def test_services_of_solvers_stay_of_the_type_that_they_are() -> None:
    assert moved({"http01": {"ingress": {}}}) == {"http01": {"ingress": {"serviceType": "NodePort"}}}
    assert moved({"http01": {"ingress": {"class": "gce", "name": "", "serviceType": "ClusterIP"}}}) == {
        "http01": {"ingress": {"class": "gce", "serviceType": "ClusterIP"}}
    }
    gateway = {"parentRefs": [{"name": "gw", "namespace": "infra"}], "labels": {"a": ""}}
    assert moved({"http01": {"gatewayHTTPRoute": gateway}}) == {
        "http01": {"gatewayHTTPRoute": {**gateway, "serviceType": "NodePort"}}
    }
    assert moved({"http01": {"gatewayHTTPRoute": {}}})["http01"] == {"gatewayHTTPRoute": {"serviceType": "NodePort"}}


def test_waiting_in_place_of_looking_is_no_self_check() -> None:
    assert moved({**SOLVER, "waitInsteadOfSelfCheck": "90s"})["dns01"] | {"rfc2136": {}} == {
        "rfc2136": {},
        "cnameStrategy": "None",
        "selfCheck": "off",
        "propagationWait": "1m30s",
        "propagationTimeout": "1m30s",
    }
    found = translate_issuer(theirs(solvers=[{"http01": {"ingress": {}}, "waitInsteadOfSelfCheck": "5s"}]))
    assert (found.verdict, solver_of(found)["http01"]["selfCheck"]) == (Verdict.CHANGES, "off")


def test_a_cluster_issuer_that_follows_cnames_is_told_of_the_zones_to_list() -> None:
    solver = {"dns01": {"rfc2136": RFC2136, "cnameStrategy": "Follow"}}
    found = translate_issuer(theirs("ClusterIssuer", [solver]))
    assert (found.verdict, "allowedTargets" in found.changes[0].then) == (Verdict.CHANGES, True)
    assert translate_issuer(theirs("Issuer", [solver])).verdict is Verdict.MOVES


def test_the_cname_to_an_account_of_acme_dns_is_followed_and_a_cluster_issuer_is_told_what_to_allow() -> None:
    solver = {"dns01": {"acmeDNS": {"host": "https://auth.example.test", "accountSecretRef": SECRET}}}
    for given in (solver, {"dns01": {**solver["dns01"], "cnameStrategy": "Follow"}}):
        assert moved(given)["dns01"]["cnameStrategy"] == "Follow"
        found = translate_issuer(theirs("ClusterIssuer", [given]))
        (change,) = found.changes
        assert (found.verdict, change.field) == (Verdict.CHANGES, "spec.acme.solvers[0].dns01.acmeDNS")
        assert "list the zone of the acme-dns server" in change.then
        assert solver_of(found)["dns01"]["cnameStrategy"] == "Follow"


@pytest.mark.parametrize("host", ["http://acme-dns.acme-dns.svc", "HTTP://auth.example.test:8080/"])
def test_acme_dns_over_plain_http_stays_with_what_to_do(host: str) -> None:
    found = translate_issuer(theirs(solvers=[{"dns01": {"acmeDNS": {"host": host, "accountSecretRef": SECRET}}}]))
    (refusal,) = found.refusals
    assert (found.verdict, refusal.field) == (Verdict.STAYS, "spec.acme.solvers[0].dns01.acmeDNS.host")
    assert "password of the account goes there" in refusal.why
    assert "give the API of acme-dns a certificate (tls in its config.cfg), or put a proxy" in refusal.remedy
    assert not refusal.remedy.endswith("\N{HORIZONTAL ELLIPSIS}"), "it is told whole"


def test_templates_are_told_because_the_operator_allows_few() -> None:
    template = {"metadata": {"labels": {"team": "a"}}, "spec": {"nodeSelector": {"disk": "ssd"}}}
    found = translate_issuer(theirs(solvers=[{"http01": {"ingress": {"podTemplate": template}}}]))
    assert (found.verdict, "http01.templates" in found.changes[0].then) == (Verdict.CHANGES, True)


def test_the_resolvers_of_its_controller_become_those_of_the_solver() -> None:
    flags = ControllerFlags(
        dns01_recursive_nameservers="192.0.2.1:53, https://dns.example.test/dns-query",
        dns01_recursive_nameservers_only=True,
    )
    dns01 = solver_of(translate_issuer(theirs(), flags=flags))["dns01"]
    assert dns01["nameservers"] == ["192.0.2.1:53", "https://dns.example.test/dns-query"]
    assert dns01["selfCheckViews"] == ["recursive"]


@pytest.mark.parametrize("held", ["selfSigned", "ca", "vault", "venafi"])
def test_an_issuer_without_acme_stays_with_what_to_do(held: str) -> None:
    found = translate_issuer(
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "x"}, "spec": {held: {}}}
    )
    assert (found.verdict, found.refusals[0].field) == (Verdict.STAYS, f"spec.{held}")
    assert found.refusals[0].remedy


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (theirs(solvers=[]), "spec.acme.solvers"),
        (theirs(solvers=[{"selector": {}}]), "spec.acme.solvers[0]"),
        (theirs(solvers=["x"]), "spec.acme.solvers[0]"),
        (theirs(server="http://acme.example.test/"), "spec.acme.server"),
        (theirs(email="me@example.com"), "spec.acme.email"),
        (theirs(solvers=[{"dns01": {}}]), "spec.acme.solvers[0].dns01"),
    ],
)
def test_what_we_refuse_is_told_by_its_field(manifest: dict[str, Any], field: str) -> None:
    found = translate_issuer(manifest)
    assert (found.verdict, [one.field for one in found.refusals]) == (Verdict.STAYS, [field])


def test_what_neither_of_us_has_is_told_and_left_out() -> None:
    found = translate_issuer(theirs(solvers=[{**SOLVER, "dns02": {}}], planet="earth"))
    assert {one.field for one in found.changes} == {"spec.acme.planet", "spec.acme.solvers[0].dns02"}
    assert "planet" not in str(found.manifest)
