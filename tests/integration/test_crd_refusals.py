"""Bad input that never gets into the cluster, and what kubectl says about it."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from certwright.resources import Dns01, names
from certwright.resources.dns_providers.base import provider_fields
from certwright.resources.text_rule import TextRule
from testbed.bed import TestBed
from testbed.errors import CommandFailed

Body = dict[str, Any]
Refuse = Callable[[Body], str]

LONG_NAME: Final = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
MISSING: Final = object()
RFC2136: Final = {"rfc2136": {"nameserver": "ns1.example"}}
PROVIDERS: Final = ", ".join(provider_fields(Dns01))
CLIENT: Final = "00000000-0000-0000-0000-00000000000c"
AZURE: Final = {"subscriptionID": "00000000-0000-0000-0000-00000000000a", "resourceGroupName": "dns"}
AWS_REF: Final = {"name": "aws", "key": "secret"}
PEM: Final = "-----BEGIN CERTIFICATE-----\n"
PEM_IN_BASE64: Final = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="


def certificate(**spec: Any) -> Body:
    """A good Certificate but for the given fields."""
    good = {"dnsNames": ["a.example"], "secretName": "a-tls", "issuerRef": {"name": "ca"}}
    return _object("Certificate", _without_missing({**good, **spec}))


def issuer(*, kind: str = "Issuer", **acme: Any) -> Body:
    """A good issuer but for the given fields of spec.acme."""
    good = {
        "server": "https://ca.example/directory",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": RFC2136}],
    }
    return _object(kind, {"acme": _without_missing({**good, **acme})})


def solver(**fields: Any) -> Body:
    """A good Issuer but for the given fields of its one solver."""
    return issuer(solvers=[_without_missing({"dns01": RFC2136, **fields})])


def http01(fields: Body) -> Body:
    """An Issuer with one http01 solver."""
    return solver(dns01=MISSING, http01=fields)


def persistent(**fields: Any) -> Body:
    """An Issuer with one solver for dns-persist-01, unless the fields say otherwise."""
    return solver(dns01={"challengeType": "dns-persist-01", **fields})


def _object(kind: str, spec: Body) -> Body:
    return {"apiVersion": "certwright.io/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def _without_missing(fields: Body) -> Body:
    return {name: value for name, value in fields.items() if value is not MISSING}


@pytest.fixture(scope="module", autouse=True)
def _crds(bed: TestBed) -> None:
    bed.apply_crds()


@pytest.fixture
def refusal(bed: TestBed) -> Refuse:
    """Tries an object and gives back what kubectl says about why it is refused."""

    def run(body: Body) -> str:
        with pytest.raises(CommandFailed) as caught:
            bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
        return str(caught.value.details)

    return run


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"dnsName": "a.example"}, 'unknown field "spec.dnsName"'),
        ({"dnsNames": MISSING}, "needs at least one of dnsNames, ipAddresses and commonName"),
        ({"secretName": MISSING}, "spec.secretName: Required value"),
        ({"issuerRef": MISSING}, "spec.issuerRef: Invalid value: exactly one of issuerRef and issuerRefs must be set"),
        ({"issuerRef": {}}, "spec.issuerRef.name: Required value"),
        ({"dnsNames": []}, "needs at least one of dnsNames, ipAddresses and commonName"),
        ({"dnsNames": "a.example"}, "spec.dnsNames in body must be of type array"),
        ({"dnsNames": [f"n{n}.example" for n in range(101)]}, "spec.dnsNames: Too many: 101"),
        (
            {"dnsNames": [f"n{n}.example" for n in range(60)], "ipAddresses": [f"192.0.2.{n}" for n in range(41)]},
            "dnsNames and ipAddresses may have 100 entries together",
        ),
        (
            {"dnsNames": [f"n{n}.example" for n in range(100)], "commonName": "other.example"},
            "including a common name that is in neither",
        ),
        (
            {"otherNames": [{"oid": "1.2.3", "utf8Value": "a"}]},
            "spec.otherNames: Invalid value: must be empty: ACME CAs certify DNS names and IP addresses",
        ),
        (
            {"encodeUsagesInRequest": False, "usages": ["server auth"]},
            "spec.encodeUsagesInRequest: Invalid value: must be true or unset: usages are always in the request",
        ),
        ({"isCA": True}, "spec.isCA: Invalid value: must be false or unset: ACME CAs do not issue CA certificates"),
        ({"usages": ["client"]}, 'spec.usages[0]: Unsupported value: "client"'),
        (
            {"usages": ["decipher only"]},
            "spec.usages: Invalid value: encipher only and decipher only also need key agreement",
        ),
        ({"literalSubject": "a"}, 'spec.literalSubject: Invalid value: "a": is not a distinguished name'),
        (
            {"literalSubject": "O=a", "commonName": "a.example"},
            "spec.literalSubject: Invalid value: literalSubject is the whole subject",
        ),
        ({"subject": {"countries": ["de"]}}, 'spec.subject.countries[0]: Invalid value: "de": must be in capitals'),
        ({"uris": ["a"]}, 'spec.uris[0]: Invalid value: "a": is not a URI'),
        ({"emailAddresses": ["a"]}, 'spec.emailAddresses[0]: Invalid value: "a": is not an e-mail address'),
        ({"dnsNames": ["10.0.0.1"]}, 'spec.dnsNames[0]: Invalid value: "10.0.0.1": is an IP address'),
        ({"dnsNames": ["a.*.example"]}, "may have a * only as the whole first label"),
        ({"dnsNames": [f"a.{LONG_NAME}"]}, "spec.dnsNames[0]: Too long: may not be more than 253"),
        ({"commonName": "b.1"}, 'spec.commonName: Invalid value: "b.1": ends in a number'),
        ({"commonName": LONG_NAME}, "spec.commonName: Too long: may not be more than 64"),
        ({"secretName": "b/tls"}, 'spec.secretName: Invalid value: "b/tls": must be a name without a namespace'),
        ({"secretName": ""}, 'spec.secretName: Invalid value: "": is empty'),
        ({"issuerRef": {"name": "x", "kind": "Other"}}, 'spec.issuerRef.kind: Unsupported value: "Other"'),
        ({"issuerRef": {"name": "x", "group": "other.io"}}, 'supported values: "certwright.io"'),
        ({"duration": "90d"}, 'spec.duration: Invalid value: "90d": has a unit for days or weeks'),
        ({"duration": "30m"}, 'spec.duration: Invalid value: "30m": must be 1h or longer'),
        ({"duration": 90}, "spec.duration in body must be of type string"),
        ({"renewBefore": "1m"}, 'spec.renewBefore: Invalid value: "1m": must be 5m or longer'),
        ({"duration": "2h", "renewBefore": "2h"}, "spec.renewBefore: Invalid value: renewBefore must be shorter"),
        ({"renewBefore": "2h", "renewBeforePercentage": 30}, "renewBeforePercentage are mutually exclusive"),
        ({"renewBeforePercentage": 0}, "greater than or equal to 1"),
        ({"renewBeforePercentage": 100}, "less than or equal to 99"),
        ({"renewal": {"policy": "Never"}}, 'supported values: "Automatic", "Disabled"'),
        (
            {"renewal": {"windows": [{"schedule": "0 2 * *", "duration": "4h"}]}},
            'spec.renewal.windows[0].schedule: Invalid value: "0 2 * *": has fewer than five fields',
        ),
        (
            {"renewal": {"windows": [{"schedule": "0 25 * * *", "duration": "4h"}]}},
            'spec.renewal.windows[0].schedule: Invalid value: "0 25 * * *": is not a cron schedule',
        ),
        (
            {"renewal": {"windows": [{"schedule": "@daily", "duration": "1m"}]}},
            'spec.renewal.windows[0].duration: Invalid value: "1m": must be 15m or longer',
        ),
        (
            {"renewal": {"windows": [{"schedule": "@daily", "duration": "4h", "timeZone": "+02:00"}]}},
            'spec.renewal.windows[0].timeZone: Invalid value: "+02:00": is an offset: write a time zone',
        ),
        (
            {"renewal": {"windows": [{"schedule": "@daily", "duration": "4h", "timeZone": "Europe/Springfield"}]}},
            "is not a time zone of the IANA database, such as Europe/Berlin or Etc/UTC",
        ),
        ({"renewal": {"windows": [{"schedule": "@daily", "duration": "4h"}] * 9}}, "must have at most 8 items"),
        ({"renewal": {"rehearse": {}}}, "spec.renewal.rehearse.issuerRef: Required value"),
        (
            {"request": {"id": "r 1", "action": "Renew"}},
            'spec.request.id: Invalid value: "r 1": must consist of letters',
        ),
        ({"request": {"action": "Renew"}}, "spec.request.id: Required value"),
        ({"request": {"id": "r-1", "action": "Restart"}}, 'supported values: "Renew", "Revoke", "Rollback"'),
        (
            {"request": {"id": "r-1", "action": "Renew", "reason": "superseded"}},
            "spec.request.reason: Invalid value: reason is for the action Revoke",
        ),
        (
            {"request": {"id": "r-1", "action": "Revoke", "revision": 1}},
            "spec.request.revision: Invalid value: revision is for the action Rollback",
        ),
        (
            {"request": {"id": "r-1", "action": "Renew", "requestedBy": "a\nb"}},
            "must be one line without control characters",
        ),
        ({"paused": "yes"}, "spec.paused in body must be of type boolean"),
        (
            {"renewal": {"rehearse": {"issuerRef": {"name": "ca"}}}},
            "spec.renewal: Invalid value: rehearse.issuerRef must differ from the issuers",
        ),
        (
            {
                "issuerRef": MISSING,
                "issuerRefs": [{"name": "first"}, {"name": "second", "kind": "ClusterIssuer"}],
                "renewal": {"rehearse": {"issuerRef": {"name": "second", "kind": "ClusterIssuer"}}},
            },
            "spec.renewal: Invalid value: rehearse.issuerRef must differ from the issuers",
        ),
        ({"privateKey": {"algorithm": "DSA"}}, 'supported values: "ECDSA", "RSA", "Ed25519"'),
        ({"privateKey": {"size": 2048}}, "spec.privateKey.size: Invalid value: size must be 256, 384 or 521"),
        ({"privateKey": {"algorithm": "RSA", "size": 1024}}, "spec.privateKey.size: Invalid value"),
        ({"privateKey": {"algorithm": "Ed25519", "size": 256}}, "unset for Ed25519"),
        ({"privateKey": {"algorithm": "Ed25519", "encoding": "PKCS1"}}, "spec.privateKey.encoding: Invalid"),
        ({"keystores": {"pkcs12": {"create": True}}}, "spec.keystores.pkcs12: Invalid value: set either password or"),
        ({"keystores": {"jks": {"create": True, "password": "\u00e4"}}}, "must be 1 to 256 characters of printable"),
        ({"keystores": {"jks": {"create": True, "password": "a", "alias": ""}}}, "must be 1 to 128 characters"),
        (
            {"keystores": {"pkcs12": {"create": True, "password": "a", "profile": "Best"}}},
            'supported values: "LegacyRC2", "LegacyDES", "Modern2023"',
        ),
        ({"additionalOutputFormats": [{"type": "DER"}, {"type": "DER"}]}, "has a type more than once"),
        ({"revisionHistoryLimit": 0}, "greater than or equal to 1"),
        ({"revisionHistoryLimit": 21}, "less than or equal to 20"),
        ({"additionalOutputFormats": [{"type": "PFX"}]}, 'supported values: "DER", "CombinedPEM"'),
        ({"secretTemplate": {"labels": {"a b": "c"}}}, "spec.secretTemplate.labels: Invalid value: has an invalid key"),
        ({"secretTemplate": {"labels": {"a": "b c"}}}, "has a value that is invalid for a label"),
        ({"secretTemplate": {"annotations": {"certwright.io/x": "y"}}}, "annotations: Forbidden: must not have"),
    ],
)
def test_a_bad_certificate_is_refused_with_what_is_wrong(refusal: Refuse, spec: Body, message: str) -> None:
    assert message in refusal(certificate(**spec))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_object("Issuer", {}), "spec.acme: Required value"),
        (issuer(servers="x"), 'unknown field "spec.acme.servers"'),
        (issuer(server=MISSING), "spec.acme.server: Required value"),
        (issuer(server="http://ca.example"), 'Invalid value: "http://ca.example": must start with https://'),
        (issuer(server="ca.example"), "is not an https:// URL"),
        (issuer(email="mailto:a@b.c"), "must be the address alone, without mailto:"),
        (issuer(caBundle=PEM), "is PEM that is not encoded: write it in base64"),
        (issuer(caBundle="?"), "is not base64"),
        (issuer(caBundle=PEM_IN_BASE64, skipTLSVerify=True), "spec.acme.skipTLSVerify: Invalid value: caBundle"),
        (issuer(accountKeySize=4096), "spec.acme.accountKeySize: Invalid value: accountKeySize is for"),
        (issuer(accountKeyAlgorithm="HS256"), 'supported values: "ES256", "ES384", "ES512", "RS256"'),
        (issuer(privateKeySecretRef={}), "spec.acme.privateKeySecretRef.name: Required value"),
        (issuer(privateKeySecretRef={"name": "a", "key": "a/b"}), "is not a key of a Secret"),
        (issuer(solvers=[]), "spec.acme.solvers in body should have at least 1 items"),
        (issuer(kind="ClusterIssuer", server="x"), "is not an https:// URL"),
        (
            solver(
                dns01={"acmeDNS": {"host": "http://acme-dns.dns.svc", "accountSecretRef": {"name": "a", "key": "b"}}}
            ),
            'acmeDNS.host: Invalid value: "http://acme-dns.dns.svc": must start with https://, as credentials are sent',
        ),
        (
            solver(dns01=MISSING),
            "spec.acme.solvers[0]: Invalid value: must have exactly one of dns01, http01 and tlsAlpn01",
        ),
        (solver(http01={}), "must have exactly one of dns01, http01 and tlsAlpn01"),
        (http01({"ingress": {}, "nope": 1}), 'unknown field "spec.acme.solvers[0].http01.nope"'),
        (
            http01({}),
            "solvers[0].http01: Invalid value: must have exactly one of ingress and gatewayHTTPRoute",
        ),
        (
            http01({"ingress": {}, "gatewayHTTPRoute": {"parentRefs": [{"name": "gateway"}]}}),
            "must have exactly one of ingress and gatewayHTTPRoute",
        ),
        (
            http01({"ingress": {"class": "a", "ingressClassName": "a"}}),
            "http01.ingress: Invalid value: must have at most one of ingressClassName, class and name",
        ),
        (http01({"gatewayHTTPRoute": {"parentRefs": [{}]}}), "parentRefs[0].name: Required value"),
        (
            http01({"responder": "shared", "ingress": {"podTemplate": {}}}),
            "podTemplate cannot be used with responder shared: there is no pod",
        ),
        (
            http01({"ingress": {"podTemplate": {"metadata": {"labels": {"certwright.io/x": "y"}}}}}),
            "must not have keys",
        ),
        (http01({"ingress": {}, "selfCheck": "maybe"}), 'supported values: "required", "advisory", "off"'),
        (http01({"ingress": {}, "selfCheckTimeout": "0s"}), "must be 1s or longer"),
        (
            solver(dns01={**RFC2136, "cnameStrategy": "None", "allowedTargets": ["acme.example"]}),
            "dns01.allowedTargets: Forbidden: allowedTargets has no effect with cnameStrategy None",
        ),
        (
            solver(dns01={**RFC2136, "allowedTargets": ["*.acme.example"]}),
            "must be a zone such as example.com, without *",
        ),
        (
            solver(dns01={**RFC2136, "persist": {}}),
            "dns01.persist: Invalid value: persist requires challengeType dns-persist",
        ),
        (persistent(allowedTargets=["a.example"]), "allowedTargets needs a DNS provider"),
        (persistent(selfCheck="off"), "selfCheck, selfCheckViews and propagationWait cannot be set with challengeType"),
        (persistent(selfCheckViews=["recursive"]), "propagationWait cannot be set with challengeType dns-persist-01"),
        (persistent(propagationWait="1s"), "propagationWait cannot be set with challengeType dns-persist-01"),
        (
            persistent(challengeType="dns-account-01"),
            f"dns01: Invalid value: must name one DNS provider: {PROVIDERS}",
        ),
        (
            solver(
                dns01={"challengeType": "dns-account-01", "httpRequest": {"url": "https://a.example", "mode": "RAW"}}
            ),
            "dns01.httpRequest.mode: Invalid value: httpRequest with mode RAW is for challengeType dns-01",
        ),
        (
            solver(dns01={"httpRequest": {"url": "https://a.example", "mode": "raw"}}),
            'supported values: "Default", "RAW"',
        ),
        (persistent(challengeType="dns-02"), 'supported values: "dns-01", "dns-account-01", "dns-persist-01"'),
        (
            solver(dns01=MISSING, tlsAlpn01={"service": {"type": "NodePort", "loadBalancerClass": "metal"}}),
            "tlsAlpn01.service.loadBalancerClass: Invalid value: loadBalancerClass requires type LoadBalancer",
        ),
        (
            persistent(acmeDNS={"host": "https://auth.example", "accountSecretRef": {"name": "a", "key": "b"}}),
            "dns01.acmeDNS: Invalid value: acmeDNS cannot be used with challengeType dns-persist-01",
        ),
        (
            solver(dns01=MISSING, tlsAlpn01={"service": {}, "responder": "shared", "podTemplate": {}}),
            "tlsAlpn01.podTemplate: Invalid value: podTemplate cannot be used with responder shared",
        ),
        (
            solver(dns01={"azureDNS": {**AZURE, "tenantID": "contoso.example"}}),
            "azureDNS: Invalid value: clientID, clientSecretSecretRef and tenantID must be set together",
        ),
        (
            solver(
                dns01={"azureDNS": {**AZURE, "managedIdentity": {"clientID": CLIENT, "resourceID": "/subscriptions/a"}}}
            ),
            "managedIdentity: Invalid value: must not have both clientID and resourceID",
        ),
        (
            solver(
                dns01={
                    "azureDNS": {
                        **AZURE,
                        "clientID": CLIENT,
                        "tenantID": "contoso.example",
                        "clientSecretSecretRef": {"name": "dns", "key": "token"},
                        "managedIdentity": {},
                    }
                }
            ),
            "azureDNS.managedIdentity: Forbidden: managedIdentity is for ambient credentials",
        ),
        (
            solver(dns01={"azureDNS": {**AZURE, "resourceGroupName": "/subscriptions/a"}}),
            'resourceGroupName: Invalid value: "/subscriptions/a": must be the name alone, not the resource ID',
        ),
        (solver(dns01={"cloudflare": {}}), "must have exactly one of apiTokenSecretRef and apiKeySecretRef"),
        (
            solver(dns01={"ovh": {"endpoint": "ovh-eu", "applicationKey": "a", "clientID": "b"}}),
            "must have either applicationKey, applicationSecretSecretRef and consumerKeySecretRef, or clientID",
        ),
        (
            solver(
                dns01={
                    "ovh": {
                        "endpoint": "kimsufi-eu",
                        "clientID": "b",
                        "clientSecretSecretRef": {"name": "dns", "key": "secret"},
                    }
                }
            ),
            "ovh.clientID: Invalid value: clientID is for the endpoints ovh-eu, ovh-ca, ovh-us",
        ),
        (solver(dns01={"ovh": {"endpoint": "api.evil.example"}}), "ovh.endpoint: Unsupported value"),
        (
            solver(dns01={"scaleway": {"secretKeySecretRef": AWS_REF, "projectID": "default"}}),
            'scaleway.projectID: Invalid value: "default": is not the ID of a Project',
        ),
        (
            solver(dns01={"cloudflare": {"apiKeySecretRef": {"name": "dns", "key": "token"}}}),
            "cloudflare.email: Invalid value: apiKeySecretRef needs the email address",
        ),
        (
            solver(dns01={**RFC2136, "cloudflare": {"apiTokenSecretRef": {"name": "dns", "key": "token"}}}),
            f"dns01: Invalid value: must name one DNS provider: {PROVIDERS}",
        ),
        (
            persistent(**RFC2136, cloudflare={"apiTokenSecretRef": {"name": "dns", "key": "token"}}),
            f"dns01: Invalid value: must name at most one DNS provider: {PROVIDERS}",
        ),
        (
            solver(dns01={"route53": {"accessKeyID": "A", "secretAccessKeySecretRef": {"name": ""}}}),
            "route53: Invalid value: an access key needs its ID (accessKeyID or accessKeyIDSecretRef)",
        ),
        (
            solver(dns01={"route53": {"accessKeyIDSecretRef": {"name": "a"}, "secretAccessKeySecretRef": AWS_REF}}),
            "accessKeyIDSecretRef.key: Required value",
        ),
        (
            solver(dns01={"route53": {"auth": {"kubernetes": {"serviceAccountRef": {"name": "dns"}}}}}),
            "route53.role: Required value: auth needs the role that the ServiceAccount assumes",
        ),
        (
            solver(dns01={"route53": {"role": "arn:aws:sts::123456789012:assumed-role/a/b"}}),
            "must be the ARN of the role (arn:aws:iam::...), not that of a session",
        ),
        (solver(dns01={"route53": {"hostedZoneID": "example.com"}}), "must be the ID of the zone, not its name"),
        (solver(dns01={"route53": {"region": "evil.example/"}}), "is not an AWS region, such as eu-central-1"),
        (
            solver(dns01={}),
            f"spec.acme.solvers[0].dns01: Invalid value: must name one DNS provider: {PROVIDERS}",
        ),
        (solver(dns01={"rfc2136": {"nameserver": "tcp://ns"}}), "must be host or host:port, without a scheme"),
        (solver(dns01={"rfc2136": {"nameserver": "ns", "tsigKeyName": "key"}}), "must be set together"),
        (
            solver(dns01={**RFC2136, "nameservers": ["a b"]}),
            'nameservers[0]: Invalid value: "a b": is not a DNS server',
        ),
        (solver(dns01={**RFC2136, "propagationTimeout": "0s"}), "must be 1s or longer"),
        (solver(selector={"dnsZones": ["*.a"]}), "must be a zone such as example.com"),
    ],
)
def test_a_bad_issuer_is_refused_with_what_is_wrong(refusal: Refuse, body: Body, message: str) -> None:
    assert message in refusal(body)


def test_what_cert_manager_writes_for_route_53_is_taken_as_it_is(bed: TestBed) -> None:
    role = "arn:aws:iam::123456789012:role/dns"
    for fields in (
        {"region": "us-east-1", "role": role, "secretAccessKeySecretRef": {"name": ""}},
        {"accessKeyID": "AKIA", "secretAccessKeySecretRef": AWS_REF, "hostedZoneID": "Z2ABC"},
        {
            "accessKeyIDSecretRef": {"name": ""},
            "auth": {"kubernetes": {"serviceAccountRef": {"name": "dns"}}},
            "role": role,
        },
    ):
        body = solver(dns01={"route53": fields})
        assert "created" in bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))


def test_every_mistake_is_named_at_once(refusal: Refuse) -> None:
    said = refusal(certificate(dnsNames=["-a.example", "b_.example"], duration="90d", secretName="X"))
    for path in ("spec.dnsNames[0]", "spec.dnsNames[1]", "spec.duration", "spec.secretName"):
        assert f"{path}: Invalid value" in said


NAMES: Final = [
    *("example.com", "*.example.com", "gitlab", "3com.4you", "xn--mnchen-3ya.de", "a.xn--p1ai", "a.b1", LONG_NAME),
    *("", "*", "*.", ".", "a.", ".a", "a..b", "-a", "a-", "A.b", "a_b.c", "10.0.0.1", "1", "a.1", "::1", "a:1"),
    *("a/b", "*.*.a", "a.*", "*a.b", "münchen.de", "a b", "a\n", "\ta", "a\x00", f"{'a' * 64}.b"),
]
ADDRESSES: Final = [
    *(
        "192.0.2.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "255.255.255.255",
        "::",
        "::1",
        "2001:DB8::1",
        "1:2:3:4:5:6:7:8",
        "1::8",
        "1:2:3:4:5:6:7::",
    ),
    *("::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "1:2:3:4:5:6:192.0.2.1", "::2:3:4:5:6:7:8", "1:2::4:5:6:7:8"),
    *("", "192.0.2", "192.0.2.256", "192.0.02.1", "1::2::3", "1:2:3:4:5:6:7:8:9", "12345::", ":1", "1:", ":::", "a.b"),
    *("192.0.2.0/24", "[::1]", "192.0.2.1:80", "fe80::1%eth0", " ::1", "::1\n", "0x7f.1", "2130706433"),
]
SERVERS: Final = [
    *("ns1", "ns1.example:53", "127.0.0.1:53", "::1", "[::1]", "[::1]:53"),
    *("", "a b", "a:b", "a:65535", "a:65536", "a:0", "tcp://a", "[::1", "a\n"),
]


@pytest.mark.parametrize(
    ("rule", "path", "body", "texts"),
    [
        (names.DNS_NAME, "spec.dnsNames", lambda texts: certificate(dnsNames=texts), NAMES),
        (
            names.ZONE_NAME,
            "spec.acme.solvers[0].selector.dnsZones",
            lambda texts: solver(selector={"dnsZones": texts}),
            NAMES,
        ),
        (names.IP_ADDRESS, "spec.ipAddresses", lambda texts: certificate(ipAddresses=texts), ADDRESSES),
        (
            names.RESOLVER,
            "spec.acme.solvers[0].dns01.nameservers",
            lambda texts: solver(dns01={**RFC2136, "nameservers": texts}),
            SERVERS,
        ),
    ],
    ids=["names", "zones", "addresses", "servers"],
)
def test_the_api_server_and_the_models_refuse_the_same_in_the_same_words(
    refusal: Refuse, rule: TextRule, path: str, body: Callable[[list[str]], Body], texts: list[str]
) -> None:
    said = refusal(body(texts))
    # kubectl writes one problem a line: * path: Invalid value: "the value": the message
    pattern = rf"^\* {re.escape(path)}\[(\d+)\]: Invalid value: (.*)$"
    problems = {int(position): problem for position, problem in re.findall(pattern, said, re.MULTILINE)}
    expected: dict[int, str] = {}
    for position, text in enumerate(texts):
        try:
            rule.check(text)
        except ValueError as error:
            expected[position] = str(error)
    assert problems.keys() == expected.keys()
    for position, message in expected.items():
        assert problems[position].endswith(f": {message}")
