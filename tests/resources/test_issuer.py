import base64
from collections.abc import Callable
from typing import Any

import pytest

from certwright.resources import AllowedDomains, ClusterIssuer, Dns01, InvalidResource, Issuer
from certwright.resources.dns_providers.base import provider_fields

Make = Callable[..., dict[str, Any]]
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
BUNDLE = base64.b64encode(PEM.encode()).decode()
HTTP01: dict[str, Any] = {"http01": {"ingress": {}}}
RFC2136 = {"rfc2136": {"nameserver": "ns1.example"}}
PROVIDERS = ", ".join(provider_fields(Dns01))
ENTRY = {"name": "dns", "key": "token"}


def ovh(**fields: Any) -> dict[str, Any]:
    return {"solvers": [{"dns01": {"ovh": fields}}]}


def cloudflare(**fields: Any) -> dict[str, Any]:
    return {"solvers": [{"dns01": {"cloudflare": fields}}]}


def azure(**fields: Any) -> dict[str, Any]:
    """An issuer whose solver uses Azure DNS with ambient credentials, unless the fields say otherwise."""
    usual = {"subscriptionID": "00000000-0000-0000-0000-00000000000a", "resourceGroupName": "dns"}
    return {"solvers": [{"dns01": {"azureDNS": {**usual, **fields}}}]}


def persistent(**fields: Any) -> dict[str, Any]:
    """An issuer whose solver is for dns-persist-01, unless the fields say otherwise."""
    return {"solvers": [{"dns01": {"challengeType": "dns-persist-01", **fields}}]}


def raw(**fields: Any) -> dict[str, Any]:
    """An issuer whose solver calls a server in the mode RAW."""
    return {"solvers": [{"dns01": {"httpRequest": {"url": "https://dns.example", "mode": "RAW"}, **fields}}]}


def test_a_small_issuer_has_the_defaults(issuer_body: Make) -> None:
    acme = Issuer.parse(issuer_body()).spec.acme
    assert acme.private_key_secret_ref.key == "tls.key"
    assert acme.account_key_algorithm == "ES256"
    assert not acme.disable_account_key_generation
    assert not acme.skip_tls_verify
    assert not acme.enable_duration_feature
    assert acme.ca_bundle_pem is None
    (solver,) = acme.solvers
    assert solver.selector is None
    assert solver.dns01 is not None
    assert solver.dns01.cname_strategy == "Follow"
    assert solver.dns01.propagation_timeout is None
    assert solver.dns01.rfc2136 is not None
    assert (solver.dns01.rfc2136.protocol, solver.dns01.rfc2136.tsig_algorithm) == ("TCP", "HMACSHA256")


def test_the_names_with_capitals_are_read(issuer_body: Make) -> None:
    assert Issuer.parse(issuer_body(skipTLSVerify=True)).spec.acme.skip_tls_verify
    assert Issuer.parse(issuer_body(caBundle=BUNDLE)).spec.acme.ca_bundle_pem == PEM


def test_a_bundle_may_have_line_breaks(issuer_body: Make) -> None:
    folded = "\n".join(BUNDLE[start : start + 20] for start in range(0, len(BUNDLE), 20))
    assert Issuer.parse(issuer_body(caBundle=folded)).spec.acme.ca_bundle_pem == PEM


def test_a_solver_by_tsig_is_read(issuer_body: Make) -> None:
    rfc2136 = {
        "nameserver": "[2001:db8::1]:5353",
        "tsigKeyName": "key",
        "tsigAlgorithm": "HMACSHA512",
        "tsigSecretSecretRef": {"name": "tsig", "key": "secret"},
        "protocol": "UDP",
    }
    solver = {
        "selector": {"dnsNames": ["*.a.example"], "dnsZones": ["a.example"], "matchLabels": {"team": "x"}},
        "dns01": {
            "rfc2136": rfc2136,
            "nameservers": ["10.0.0.1:53"],
            "authoritativeNameservers": ["ns1.example"],
        },
    }
    (read,) = Issuer.parse(issuer_body(solvers=[solver])).spec.acme.solvers
    assert read.selector is not None
    assert read.selector.match_labels == {"team": "x"}
    assert read.dns01 is not None
    assert read.dns01.nameservers == ("10.0.0.1:53",)
    assert read.dns01.rfc2136 is not None
    assert read.dns01.rfc2136.tsig_secret_secret_ref is not None
    assert read.dns01.rfc2136.tsig_secret_secret_ref.key == "secret"


@pytest.mark.parametrize("provider", [{}, RFC2136], ids=["without a provider", "with one"])
def test_permanent_records_need_no_provider_and_say_what_persist_does(
    issuer_body: Make, provider: dict[str, Any]
) -> None:
    body = issuer_body(**persistent(**provider, persist={"policy": "wildcard"}, propagationWait="0m"))
    [solver] = Issuer.parse(body).spec.acme.solvers
    assert solver.challenge_type == "dns-persist-01"
    assert solver.persistent is solver.dns01
    assert solver.persistent is not None
    assert solver.persistent.has_provider == bool(provider)
    assert solver.persistent.lasting.policy == "wildcard"


@pytest.mark.parametrize(
    ("acme", "problem"),
    [
        ({"server": "http://ca.example/dir"}, "spec.acme.server: must start with https://"),
        ({"email": "mailto:a@b.c"}, "spec.acme.email: must be the address alone"),
        ({"caBundle": PEM}, "spec.acme.caBundle: is PEM that is not encoded"),
        ({"caBundle": "AAA"}, "caBundle is not base64"),
        ({"caBundle": "AAAA"}, "no PEM certificate"),
        ({"caBundle": BUNDLE, "skipTLSVerify": True}, "mutually exclusive"),
        ({"accountKeySize": 4096}, "accountKeySize is for accountKeyAlgorithm RS256"),
        ({"accountKeyAlgorithm": "RS256", "accountKeySize": 1024}, "spec.acme.accountKeySize: "),
        ({"accountKeyAlgorithm": "ES255"}, "spec.acme.accountKeyAlgorithm: .*'ES256'"),
        ({"solvers": []}, "spec.acme.solvers: .*at least 1"),
        (
            {"solvers": [{}]},
            r"spec.acme.solvers\[0\]: must have exactly one of dns01, http01 and tlsAlpn01",
        ),
        ({"solvers": [{"http01": {"ingress": {}}, "dns01": RFC2136}]}, "must have exactly one"),
        (persistent(challengeType="dns-01", **RFC2136, persist={}), "persist requires challengeType dns-persist-01"),
        (persistent(allowedTargets=["acme.example"]), "allowedTargets needs a DNS provider"),
        (persistent(selfCheck="off"), "selfCheck, selfCheckViews and propagationWait cannot be set with challengeType"),
        (persistent(selfCheckViews=["recursive"]), "propagationWait cannot be set with challengeType dns-persist-01"),
        (persistent(propagationWait="1s"), "propagationWait cannot be set with challengeType dns-persist-01"),
        (persistent(challengeType="dns-account-01"), f"must name one DNS provider: {PROVIDERS}"),
        (
            persistent(acmeDNS={"host": "https://auth.example", "accountSecretRef": {"name": "a", "key": "b"}}),
            "acmeDNS cannot be used with challengeType dns-persist-01",
        ),
        (
            {"solvers": [{"tlsAlpn01": {"service": {"type": "NodePort", "loadBalancerClass": "metal"}}}]},
            "loadBalancerClass requires type LoadBalancer",
        ),
        (persistent(challengeType="dns-02"), "'dns-persist-01'"),
        (raw(challengeType="dns-account-01"), "httpRequest with mode RAW is for challengeType dns-01"),
        (raw(challengeType="dns-persist-01"), "httpRequest with mode RAW is for challengeType dns-01"),
        ({"solvers": [{"dns01": {"httpRequest": {"url": "https://dns.example", "mode": "raw"}}}]}, "'RAW'"),
        (azure(clientID="0" * 8), "clientID: is not an ID of Azure"),
        (azure(tenantID="contoso.example"), "clientID, clientSecretSecretRef and tenantID must be set together"),
        (azure(tenantID="a/b"), "tenantID: is neither the ID of a tenant nor"),
        (azure(clientSecretSecretRef=ENTRY), "must be set together; leave all unset for ambient credentials"),
        (
            azure(
                clientID="00000000-0000-0000-0000-00000000000c",
                tenantID="contoso.example",
                clientSecretSecretRef=ENTRY,
                managedIdentity={},
            ),
            "managedIdentity is for ambient credentials",
        ),
        (
            azure(
                managedIdentity={"clientID": "00000000-0000-0000-0000-00000000000c", "resourceID": "/subscriptions/a"}
            ),
            "managedIdentity: must not have both clientID and resourceID",
        ),
        (
            azure(managedIdentity={"resourceID": "a"}),
            "resourceID: is not a resource ID: it starts with /subscriptions/",
        ),
        (azure(resourceGroupName="/subscriptions/a"), "resourceGroupName: must be the name alone, not the resource ID"),
        (azure(resourceGroupName=".."), "resourceGroupName: is not the name of a resource group"),
        (azure(zoneType="Private"), "zoneType: Input should be"),
        (cloudflare(), "must have exactly one of apiTokenSecretRef and apiKeySecretRef"),
        (
            cloudflare(apiTokenSecretRef=ENTRY, apiKeySecretRef=ENTRY, email="a@b.c"),
            "must have exactly one of apiToken",
        ),
        (
            ovh(endpoint="ovh-eu"),
            "must have either applicationKey, applicationSecretSecretRef and consumerKeySecretRef",
        ),
        (ovh(endpoint="ovh-eu", applicationKey="a", applicationSecretSecretRef=ENTRY), "must have either"),
        (ovh(endpoint="ovh-eu", clientID="a", clientSecretSecretRef=ENTRY, applicationKey="a"), "must have either"),
        (ovh(endpoint="ovh-eu", clientID="a", consumerKeySecretRef=ENTRY), "must have either"),
        (ovh(endpoint="kimsufi-eu", clientID="a", clientSecretSecretRef=ENTRY), "clientID is for the endpoints ovh-eu"),
        (ovh(endpoint="evil.example", clientID="a", clientSecretSecretRef=ENTRY), "'ovh-eu', 'ovh-ca'"),
        (cloudflare(apiKeySecretRef=ENTRY), "apiKeySecretRef needs the email address of the account in email"),
        (
            {"solvers": [{"dns01": {**RFC2136, "cloudflare": {"apiTokenSecretRef": ENTRY}}}]},
            "must name one DNS provider",
        ),
        ({"solvers": [{"dns01": {}}]}, r"solvers\[0\].dns01: must name one DNS provider"),
        (
            {"solvers": [{"dns01": {**RFC2136, "cnameStrategy": "None", "allowedTargets": ["acme.example"]}}]},
            "allowedTargets has no effect with cnameStrategy None",
        ),
        ({"solvers": [{"dns01": {**RFC2136, "allowedTargets": ["*.acme.example"]}}]}, "must be a zone such as"),
        ({"solvers": [{"dns01": {"rfc2136": {"nameserver": "a b"}}}]}, "rfc2136.nameserver: is not a server"),
        (
            {"solvers": [{"dns01": {"rfc2136": {"nameserver": "ns", "tsigKeyName": "key"}}}]},
            "dns01.rfc2136: tsigKeyName and tsigSecretSecretRef must be set together",
        ),
        ({"solvers": [{"dns01": {**RFC2136, "propagationTimeout": "0s"}}]}, "must be 1s or longer"),
        (
            {"solvers": [{"dns01": {**RFC2136, "propagationTimeout": "1m", "propagationWait": "61s"}}]},
            "propagationWait must not be longer than propagationTimeout",
        ),
        ({"solvers": [{"dns01": {**RFC2136, "selfCheckViews": ["public"]}}]}, "'authoritative' or 'recursive'"),
        ({"solvers": [{"dns01": {**RFC2136, "selfCheckViews": []}}]}, "at least 1 item"),
        ({"solvers": [{"dns01": {**RFC2136, "selfCheckViews": ["recursive"] * 2}}]}, "more than once"),
        ({"solvers": [{"dns01": {**RFC2136, "nameservers": ["http://dns.example/"]}}]}, "start with https://"),
        (
            {"solvers": [{"dns01": {**RFC2136, "nameservers": ["https://me:word@dns.example/"]}}]},
            "must not contain a user name or password",
        ),
        (
            {"solvers": [{"http01": {"ingress": {}}, "selector": {"dnsZones": ["*.a"]}}]},
            r"dnsZones\[0\]: must be a zone",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_path_and_reason(issuer_body: Make, acme: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=f"^Issuer team/ca is invalid: .*{problem}"):
        Issuer.parse(issuer_body(**acme))


def test_a_cluster_issuer_has_no_namespace(issuer_body: Make) -> None:
    body = issuer_body()
    del body["metadata"]["namespace"]
    assert ClusterIssuer.parse(body).display_name == "ClusterIssuer ca"
    body["spec"] = {}
    with pytest.raises(InvalidResource, match=r"^ClusterIssuer ca is invalid: spec\.acme: Field required"):
        ClusterIssuer.parse(body)


@pytest.mark.parametrize("field", ["namespaces", "dnsNames", "dnsZones"])
def test_a_list_of_names_that_is_null_is_one_that_is_not_set(field: str) -> None:
    assert AllowedDomains.model_validate({field: None}) == AllowedDomains()


@pytest.mark.parametrize("levels", [65, 3000])
@pytest.mark.parametrize("field", ["webhook", "plugin", "podTemplate"])
def test_content_that_is_nested_without_end_is_refused_like_any_other_mistake(field: str, levels: int) -> None:
    content: dict[str, Any] = {}
    for _ in range(levels):
        content = {"a": [content]} if len(content) % 2 else {"a": content}
    solvers: dict[str, dict[str, Any]] = {
        "webhook": {"dns01": {"webhook": {"groupName": "acme.example.com", "solverName": "x", "config": content}}},
        "plugin": {"dns01": {"plugin": {"name": "x", "config": content}}},
        "podTemplate": {"http01": {"ingress": {"podTemplate": {"spec": {"affinity": content}}}}},
    }
    body = {
        "metadata": {"name": "ca", "namespace": "shop"},
        "spec": {
            "acme": {
                "server": "https://ca.example/d",
                "privateKeySecretRef": {"name": "account"},
                "solvers": [solvers[field]],
            }
        },
    }
    with pytest.raises(InvalidResource, match="nested more than 64 levels"):
        Issuer.parse(body)
