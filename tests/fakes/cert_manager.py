"""Fifty objects of cert-manager as people have them, written after its API reference, and what becomes of each."""

from __future__ import annotations

from typing import Any, Final

MOVES: Final = "moves"
CHANGES: Final = "moves with changes"
STAYS: Final = "stays"
_SECRET: Final = {"name": "credentials", "key": "token"}
_ACCOUNT: Final = {"name": "account"}
_URL: Final = "https://acme.example.test/directory"
_RFC2136: Final = {
    "nameserver": "192.0.2.53:53",
    "tsigKeyName": "certs",
    "tsigAlgorithm": "HMACSHA512",
    "tsigSecretSecretRef": _SECRET,
}
_HTTP01: Final = {"http01": {"ingress": {"ingressClassName": "nginx"}}}
_PASSWORD: Final = {"name": "keystore", "key": "password"}


def _certificate(name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop"}
    if annotations:
        metadata["annotations"] = annotations
    body = {"dnsNames": [f"{name}.example.test"], "secretName": f"{name}-tls", "issuerRef": {"name": "http"}, **spec}
    body = {field: value for field, value in body.items() if value is not None}
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata, "spec": body}


def _issuer(name: str, spec: dict[str, Any], kind: str = "Issuer") -> dict[str, Any]:
    metadata = {"name": name} if kind == "ClusterIssuer" else {"name": name, "namespace": "shop"}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _acme(name: str, *solvers: dict[str, Any], kind: str = "Issuer", **acme: Any) -> dict[str, Any]:
    body = {"server": _URL, "privateKeySecretRef": _ACCOUNT, "solvers": list(solvers), **acme}
    return _issuer(name, {"acme": body}, kind)


def _dns01(name: str, **provider: Any) -> dict[str, Any]:
    return _acme(name, {"dns01": provider})


_POD: Final = {"podTemplate": {"metadata": {"labels": {"team": "a"}}, "spec": {"nodeSelector": {"disk": "ssd"}}}}
_GATEWAY: Final = {"parentRefs": [{"name": "gateway", "namespace": "infra", "kind": "Gateway"}], "labels": {"a": "b"}}
_BINDING: Final = {"keyID": "kid-1", "keySecretRef": _SECRET, "keyAlgorithm": "HS256"}
_NEW_FIELDS: Final[dict[str, Any]] = {
    "renewal": {"policy": "RenewBefore", "windows": [{"cron": "0 2 * * 6", "windowDuration": "4h"}]}
}
_AKAMAI: Final = {f"{one}SecretRef": _SECRET for one in ("clientToken", "clientSecret", "accessToken")}
_AZURE: Final = {"subscriptionID": "0b1f6471-1bf0-4dda-aec3-cb9272f09590", "resourceGroupName": "dns"}

OBJECTS: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    (_acme("http", _HTTP01, email="admin@example.test"), MOVES),
    (_acme("class", {"http01": {"ingress": {"class": "traefik", "serviceType": "ClusterIP"}}}), MOVES),
    (_acme("in-place", {"http01": {"ingress": {"name": "front"}}}), MOVES),
    (_acme("any-class", {"http01": {"ingress": {}}}), MOVES),
    (_acme("pod", {"http01": {"ingress": _POD}}), CHANGES),
    (_acme("gateway", {"http01": {"gatewayHTTPRoute": _GATEWAY}}), MOVES),
    (_acme("gateways", {"http01": {"gatewayHTTPRoute": {}}}), MOVES),
    (_dns01("rfc2136", rfc2136=_RFC2136), MOVES),
    (_acme("zones", {"dns01": {"rfc2136": _RFC2136}, "selector": {"dnsZones": ["a.test"]}}, _HTTP01), MOVES),
    (_acme("names", {**_HTTP01, "selector": {"dnsNames": ["a.test"], "matchLabels": {"use": "http"}}}), MOVES),
    (_acme("shared", _HTTP01, kind="ClusterIssuer"), MOVES),
    (
        _acme("follow", {"dns01": {"rfc2136": _RFC2136, "cnameStrategy": "Follow"}}, kind="ClusterIssuer"),
        CHANGES,
    ),
    (_acme("unchecked", {"dns01": {"rfc2136": _RFC2136}, "waitInsteadOfSelfCheck": "2m"}), MOVES),
    (_dns01("cloudflare", cloudflare={"apiTokenSecretRef": _SECRET}), MOVES),
    (_dns01("cloudflare-key", cloudflare={"email": "a@example.test", "apiKeySecretRef": _SECRET}), MOVES),
    (_dns01("route53", route53={"region": "eu-west-1", "role": "arn:aws:iam::123456789012:role/dns"}), MOVES),
    (
        _dns01(
            "route53-key",
            route53={
                "region": "eu-west-1",
                "accessKeyID": "AKIAIOSFODNN7EXAMPLE",
                "secretAccessKeySecretRef": _SECRET,
                "hostedZoneID": "Z2FDTNDATAQYW2",
            },
        ),
        MOVES,
    ),
    (_dns01("google", cloudDNS={"project": "my-project", "serviceAccountSecretRef": _SECRET}), MOVES),
    (_dns01("azure", azureDNS={**_AZURE, "environment": "AzurePublicCloud", "managedIdentity": {}}), MOVES),
    (_dns01("digitalocean", digitalocean={"tokenSecretRef": _SECRET}), MOVES),
    (_dns01("acme-dns", acmeDNS={"host": "https://auth.example.test", "accountSecretRef": _SECRET}), MOVES),
    (_dns01("acme-dns-clear", acmeDNS={"host": "http://acme-dns.dns.svc", "accountSecretRef": _SECRET}), STAYS),
    (_dns01("akamai", akamai={"serviceConsumerDomain": "a.luna.akamaiapis.net", **_AKAMAI}), MOVES),
    (
        _dns01("webhook", webhook={"groupName": "acme.example.test", "solverName": "mine", "config": {"a": [1, ""]}}),
        MOVES,
    ),
    (_acme("bound", _HTTP01, externalAccountBinding=_BINDING), MOVES),
    (_acme("chain", _HTTP01, preferredChain="Example Root", profile="shortlived", enableDurationFeature=True), MOVES),
    (_acme("unsolved"), STAYS),
    (_issuer("self", {"selfSigned": {}}), STAYS),
    (_issuer("ca", {"ca": {"secretName": "root"}}, "ClusterIssuer"), STAYS),
    (
        _issuer("vault", {"vault": {"path": "pki/sign/a", "server": "https://vault.example.test", "auth": {}}}),
        STAYS,
    ),
    (_certificate("plain"), MOVES),
    (_certificate("upper", dnsNames=["WWW.Example.Test", "www.example.test"]), MOVES),
    (_certificate("wildcard", dnsNames=["example.test", "*.example.test"]), MOVES),
    (_certificate("common", commonName="other.example.test"), MOVES),
    (_certificate("person", commonName="Shop of the Example Company"), STAYS),
    (_certificate("address", dnsNames=None, ipAddresses=["192.0.2.1", "2001:db8::1"]), MOVES),
    (_certificate("spiffe", dnsNames=None, uris=["spiffe://example.test/a"]), STAYS),
    (_certificate("subject", subject={"organizations": ["Example"], "countries": ["DE"]}), MOVES),
    (_certificate("literal", literalSubject="CN=literal.example.test,O=Example"), MOVES),
    (_certificate("key", privateKey={"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Never"}), MOVES),
    (_certificate("ed", privateKey={"algorithm": "Ed25519"}), MOVES),
    (_certificate("times", duration="2160h0m0s", renewBefore="360h"), MOVES),
    (_certificate("percent", renewBeforePercentage=25, **_NEW_FIELDS), MOVES),
    (_certificate("history", revisionHistoryLimit=5), CHANGES),
    (_certificate("usages", usages=["server auth", "client auth"], encodeUsagesInRequest=False), CHANGES),
    (_certificate("formats", additionalOutputFormats=[{"type": "DER"}, {"type": "CombinedPEM"}]), MOVES),
    (
        _certificate(
            "stores",
            keystores={
                "jks": {"create": True, "passwordSecretRef": _PASSWORD, "alias": "shop"},
                "pkcs12": {"create": True, "passwordSecretRef": _PASSWORD, "profile": "Modern2023"},
            },
        ),
        MOVES,
    ),
    (
        _certificate("override", annotations={"acme.cert-manager.io/http01-override-ingress-class": "internal"}),
        MOVES,
    ),
    (
        _certificate("template", secretTemplate={"labels": {"a": "b"}, "annotations": {"example.test/a": "{}"}}),
        MOVES,
    ),
    (_certificate("root", isCA=True, commonName="root", dnsNames=None, issuerRef={"name": "self"}), STAYS),
    (
        _certificate(
            "external", issuerRef={"name": "pca", "kind": "AWSPCAClusterIssuer", "group": "awspca.cert-manager.io"}
        ),
        STAYS,
    ),
    (_certificate("signed", signatureAlgorithm="SHA512WithRSA", issuerRef={"name": "http", "kind": "Issuer"}), CHANGES),
)
