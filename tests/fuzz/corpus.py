"""Real inputs of each parser, from which the fuzz targets make theirs."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dns.message
import dns.rrset
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certwright.acme import AccountKey, Identifier, validation_certificate
from certwright.certificates.revisions.secret import revision_of, revisions_secret
from certwright.pki import build_csr
from tests.fakes.dns import reply
from tests.fakes.hostile import integers, laborious_answer, pem, rsa_key
from tests.fakes.operator import Build, Issuing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from certwright.pki import PrivateKey

PROJECT: Final = Path(__file__).parents[2]
_ORIGIN: Final = "https://ca.test"
VALIDATED: Final = ("a.example.test", "token.thumbprint")
"""A domain, and what its validation certificates are for."""
PERMANENT_RECORDS: Final = tuple(
    f"ca.test; accounturi=https://ca.test/1{more}".encode()
    for more in ("", "; policy=wildcard", "; persistUntil=1800000000", ";", "; persistUntil=x; policy")
)
CAA_VALUES: Final = (b"ca.test", b";", b"ca.test; accounturi=https://ca.test/1; validationmethods=dns-01,http-01", b"")


def _json(*documents: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in documents)


@cache
def private_keys() -> tuple[bytes, ...]:
    """Private keys of all kinds, in all forms."""
    made: Sequence[PrivateKey] = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    )
    forms = serialization.PrivateFormat
    written = [
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        for key in made
        for form in (forms.PKCS8, forms.TraditionalOpenSSL)
        if form is forms.PKCS8 or not isinstance(key, ed25519.Ed25519PrivateKey)
    ]
    return (*written, rsa_key(4096), rsa_key(8192), rsa_key(8676))


@cache
def key_der() -> tuple[bytes, ...]:
    """The same in DER: PEM that was changed rarely decodes."""
    bodies = (b"".join(line for line in key.splitlines() if not line.startswith(b"-")) for key in private_keys())
    return (*map(base64.b64decode, bodies), integers(0, 15, 3, 3, 3, 5, 1, 3, 2))


@cache
def chains() -> tuple[bytes, ...]:
    """Chains of certificates in PEM."""
    build = Build(Issuing())
    many = [f"{number:x}.example.test" for number in range(400)]
    found = [build.ca.chain(names).pem for names in (("a.example.test",), ("*.b.test", "b.test"), many)]
    return (*found, found[0] + b"\nsubject=CN = x\n" + found[1], found[2] * 3)


@cache
def certificate_der() -> tuple[bytes, ...]:
    """Certificates in DER."""
    return tuple(
        certificate.public_bytes(serialization.Encoding.DER)
        for chain in chains()
        for certificate in x509.load_pem_x509_certificates(chain)
    )


@cache
def validation_certificates() -> tuple[bytes, ...]:
    """Certificates of tls-alpn-01 in DER, for the domain and the key authorization of `VALIDATED`."""
    pems = (validation_certificate(Identifier.dns(name), VALIDATED[1]).certificate_pem for name in (VALIDATED[0], "b"))
    return (*map(_der, pems), *certificate_der())


def _der(pem_bytes: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem_bytes).public_bytes(serialization.Encoding.DER)


@cache
def csrs() -> tuple[bytes, ...]:
    """Certificate signing requests in DER and PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = build_csr(key, dns_names=["a.test", "*.b.test"], ip_addresses=["::1", "10.0.0.1"], common_name="a.test")
    return (der, pem("CERTIFICATE REQUEST", der))


@cache
def secrets() -> tuple[bytes, ...]:
    """TLS Secrets, ours and strange ones, as the API server gives them."""
    build = Build(Issuing())
    with_outputs = build.secret()
    with_outputs["data"]["key.der"] = "AAAA"
    record = {"entries": ["key.der"], "content": "0" * 32, "formats": "0" * 32}
    rolled_back = {"at": "2026-06-01T12:00:00Z", "request": "r-1", "from": 2}
    with_outputs["metadata"]["annotations"] |= {
        "certwright.io/outputs": json.dumps(record),
        "certwright.io/rolled-back": json.dumps(rolled_back),
    }
    return _json(build.secret(), with_outputs, build.strange_secret(), build.strange_secret(immutable=True))


@cache
def revisions() -> tuple[bytes, ...]:
    """Secrets with earlier revisions of a certificate."""
    build = Build(Issuing())
    certificate = build.certificate()
    annotations = {"certwright.io/issuer-name": "ca", "certwright.io/acme-server": "https://ca.test/directory"}
    sources = {entry: base64.b64decode(content) for entry, content in build.secret()["data"].items()}
    kept = (revision_of(annotations, number, sources) for number in (0, 7))
    return _json(*(revisions_secret(certificate, one) for one in kept))


@cache
def dns_answers() -> tuple[bytes, ...]:
    """Answers to our questions, laborious ones included."""
    question = dns.message.make_query("_acme-challenge.a.test", "TXT", id=4711)
    name, soa = "_acme-challenge.a.test.", "a.test. 60 IN SOA ns1.a.test. host.a.test. 1 60 60 60 1"
    answers = [
        reply(question, f'{name} 60 IN TXT "{"x" * 43}"', f'{name} 60 IN TXT "y" "z"'),
        reply(question, f"{name} 60 IN CNAME b.test.", 'b.test. 60 IN TXT "x"'),
        reply(question, authority=(soa,), rcode="NXDOMAIN"),
        reply(question, authority=("a.test. 60 IN NS ns1.a.test.", "a.test. 60 IN NS ns2.b.test.")),
        reply(question, "a.test. 60 IN A 192.0.2.1", "a.test. 60 IN AAAA 2001:db8::1"),
        reply(question, 'a.test. 60 IN CAA 128 issue "ca.test; accounturi=https://ca.test/1"'),
        reply(question, "a.test. 60 IN MX 10 mx.a.test.", "a.test. 60 IN SRV 1 2 3 srv.a.test."),
        reply(question, "a.test. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1"),
        reply(question, 'a.test. 60 IN NAPTR 1 2 "u" "x" "!a!b!" .', "a.test. 60 IN LOC 1 N 1 E 1m"),
        reply(question, "a.test. 60 IN NSEC b.test. A TXT", "a.test. 60 IN DNSKEY 257 3 13 AAAA"),
    ]
    wire = question.to_wire()
    hostile = [laborious_answer(wire, size=size, rdtype=rdtype) for size in (600, 3000, 16_000) for rdtype in (2, 16)]
    return (*(answer.to_wire() for answer in answers), *hostile)


ORDER: Final = {
    "status": "pending",
    "expires": "2026-06-08T12:00:00Z",
    "notBefore": "2026-06-01T12:00:00Z",
    "notAfter": "2026-09-01T12:00:00Z",
    "identifiers": [{"type": "dns", "value": "a.test"}, {"type": "ip", "value": "192.0.2.1"}],
    "authorizations": [f"{_ORIGIN}/authz/1", f"{_ORIGIN}/authz/2"],
    "finalize": f"{_ORIGIN}/order/1/finalize",
    "certificate": f"{_ORIGIN}/certificate/1",
    "profile": "classic",
    "replaces": "AYhba4.BCd",
    "error": {"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden", "status": 403},
}
AUTHORIZATION: Final = {
    "status": "pending",
    "expires": "2026-06-08T12:00:00Z",
    "identifier": {"type": "dns", "value": "a.test"},
    "wildcard": True,
    "challenges": [
        {"type": "dns-01", "url": f"{_ORIGIN}/challenge/1", "status": "pending", "token": "evaGxfADs6pSRb2LAv9IZ"},
        {
            "type": "http-01",
            "url": f"{_ORIGIN}/challenge/2",
            "status": "invalid",
            "token": "evaGxfADs6pSRb2LAv9IZ",
            "validated": "2026-06-01T12:00:00Z",
            "error": {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "x" * 300},
        },
        {"type": "dns-persist-01", "url": f"{_ORIGIN}/challenge/3", "issuer-domain-names": ["ca.test"]},
    ],
}
PROBLEM: Final = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "title": "no",
    "detail": "too many certificates (5) already issued for a.test, retry after 2026-06-02 12:00:00 UTC",
    "status": 429,
    "instance": f"{_ORIGIN}/terms",
    "algorithms": ["ES256", "RS256"],
    "subproblems": [
        {"type": "urn:ietf:params:acme:error:dns", "detail": "x", "identifier": {"type": "dns", "value": "a.test"}}
    ],
}


def acme(kind: str) -> tuple[bytes, ...]:
    """JSON objects of a CA."""
    directory = {
        name: f"{_ORIGIN}/{name}"
        for name in ("newNonce", "newAccount", "newOrder", "newAuthz", "revokeCert", "keyChange", "renewalInfo")
    }
    meta = {
        "termsOfService": f"{_ORIGIN}/terms",
        "website": f"{_ORIGIN}/",
        "caaIdentities": ["ca.test"],
        "externalAccountRequired": True,
        "profiles": {"classic": f"{_ORIGIN}/profiles/classic", "shortlived": "six days"},
    }
    account = {
        "status": "valid",
        "contact": ["mailto:a@a.test"],
        "termsOfServiceAgreed": True,
        "orders": f"{_ORIGIN}/orders/1",
        "key": dict(AccountKey.generate().jwk),
        "externalAccountBinding": {"protected": "e30", "payload": "e30", "signature": "AA"},
    }
    window = {"start": "2026-06-01T12:00:00Z", "end": "2026-06-02T12:00:00.5+02:00"}
    documents: dict[str, tuple[Any, ...]] = {
        "directory": ({**directory, "meta": meta}, directory),
        "order": (ORDER, {**ORDER, "status": "valid"}, {"status": "ready", "finalize": f"{_ORIGIN}/f"}),
        "authorization": (AUTHORIZATION, {**AUTHORIZATION, "status": "valid"}),
        "challenge": tuple(AUTHORIZATION["challenges"]),  # type: ignore[arg-type]  # it is a list
        "account": (account, {"status": "deactivated"}),
        "problem": (PROBLEM, {"type": "about:blank", "detail": "x"}),
        "renewal info": ({"suggestedWindow": window, "explanationURL": f"{_ORIGIN}/why"}, {"suggestedWindow": window}),
    }
    return _json(*documents[kind])


@cache
def manifests(kind: str) -> tuple[bytes, ...]:
    """Our examples of a kind, with metadata, and a status where there is one in tests."""
    found = list(_of_kind(kind))
    for body in found:
        body["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 3, "annotations": {"a": "b"}}
    if kind == "Certificate":
        build = Build(Issuing())
        certificate = build.certificate("a.example.test", "*.a.example.test")
        status = certificate.status.replace(order=build.order_status(certificate))
        found += [{**body, "status": status.to_json()} for body in found[:2]]
    else:
        condition = {"type": "Ready", "status": "True", "reason": "x", "message": "y"}
        acme_status = {"uri": f"{_ORIGIN}/account/1", "server": f"{_ORIGIN}/directory", "keyThumbprint": "x"}
        found += [{**body, "status": {"conditions": [condition], "acme": acme_status}} for body in found[:2]]
    return _json(*found)


def _of_kind(kind: str) -> Iterable[dict[str, Any]]:
    for path in sorted(PROJECT.glob("examples/**/*.yaml")):
        for body in yaml.safe_load_all(path.read_text()):
            if body and body["kind"] in {kind, f"Cluster{kind}"}:
                yield {**body, "metadata": {"namespace": "shop", **body["metadata"]}}


TSIG_FILES: Final = (
    b'key "acme-key" {\n\talgorithm hmac-sha256;\n\tsecret "c2VjcmV0c2VjcmV0";\n};\n',
    b"key a. { # x\n secret 'c2VjcmV0//8='; /* y */ algorithm hmac-sha512; };\nkey b { secret \"AA==\"; };",
    b"c2VjcmV0c2VjcmV0\n",
)
LINKS: Final = (
    b'<https://ca.test/directory>;rel="index", </cert/1/1>;rel="alternate"; title*=UTF-8\'\'x',
    b'<../2>; rel=alternate, <>; rel="up next"; anchor="#x"',
)
RETRY_AFTER: Final = (b"120", b"Mon, 01 Jun 2026 12:01:40 GMT", b"Monday, 01-Jun-26 12:01:40 GMT", b"2026-06-01")
INGRESSES: Final = _json(
    {
        "metadata": {
            "name": "shop",
            "namespace": "shop",
            "resourceVersion": "7",
            "annotations": {"kubernetes.io/ingress.class": "nginx"},
            "managedFields": [{"manager": "kubectl", "time": "2026-06-01T12:00:00Z", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [
                {
                    "host": "a.test",
                    "http": {
                        "paths": [
                            {
                                "path": "/.well-known/acme-challenge/t1",
                                "pathType": "Exact",
                                "backend": {"service": {"name": "cw", "port": {"number": 8089}}},
                            },
                            {"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "x", "name": "y"}}},
                        ]
                    },
                },
                {"host": "*.b.test"},
                {"http": {"paths": []}},
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }
)
ANNOTATED: Final = _json(
    {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
            "generation": 2,
            "labels": {"team": "web"},
            "annotations": {
                "certwright.io/issuer": "le",
                "certwright.io/alt-names": "b.test, c.test",
                "certwright.io/duration": "2160h0m0s",
                "certwright.io/private-key-size": "2048",
                "certwright.io/subject-organizations": 'Example Inc,"Example, GmbH"',
                "certwright.io/secret-template": '{"labels": {"a": "b"}, "annotations": {}}',
                "certwright.io/usages": "digital signature,server auth",
            },
        },
        "spec": {
            "ingressClassName": "traefik",
            "tls": [{"secretName": "a-tls", "hosts": ["a.test", "*.a.test"]}],
            "parentRef": {"name": "front", "namespace": "infra"},
            "listeners": [
                {
                    "name": "web",
                    "hostname": "a.test",
                    "protocol": "HTTPS",
                    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "a-tls", "kind": "Secret", "group": ""}]},
                },
            ],
        },
    },
    {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "annotations": {
                "cert-manager.io/cluster-issuer": "le",
                "acme.cert-manager.io/http01-edit-in-place": "true",
                "cert-manager.io/renew-before-percentage": "25",
            },
        },
        "spec": {"tls": [{"secretName": "a-tls", "hosts": ["a.test"]}, {"hosts": ["b.test"]}]},
    },
)
HTTP_ROUTES: Final = _json(
    {
        "metadata": {"name": "r", "namespace": "shop", "generation": 2},
        "spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["a.test"]},
        "status": {
            "parents": [
                {
                    "parentRef": {"name": "gw"},
                    "controllerName": "x.test/c",
                    "conditions": [{"type": "Accepted", "status": "False", "reason": "NoMatch", "message": "no"}],
                }
            ]
        },
    }
)
PODS: Final = _json(
    {
        "metadata": {"name": "p", "labels": {"app": "x"}, "deletionTimestamp": "2026-06-01T12:00:00Z"},
        "status": {
            "phase": "Pending",
            "reason": "Evicted",
            "message": "low on memory",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}],
            "containerStatuses": [
                {
                    "name": "solver",
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}},
                    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                }
            ],
        },
    }
)


@cache
def cert_manager_objects() -> tuple[bytes, ...]:
    """Objects of cert-manager with most of their fields."""
    certificate = {
        "dnsNames": ["a.test"],
        "secretName": "s",
        "issuerRef": {"name": "i", "kind": "ClusterIssuer", "group": "cert-manager.io"},
        "duration": "2160h0m0s",
        "privateKey": {"algorithm": "RSA", "size": 2048},
        "keystores": {"pkcs12": {"create": True, "passwordSecretRef": {"name": "p", "key": "k"}}},
        "renewal": {"policy": "RenewBefore", "windows": [{"cron": "0 2 * * *", "windowDuration": "4h"}]},
        "usages": ["server auth"],
    }
    solvers = [
        {"http01": {"ingress": {"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}}}},
        {"dns01": {"route53": {"region": "eu-west-1"}, "cnameStrategy": "Follow"}, "waitInsteadOfSelfCheck": "60s"},
    ]
    acme = {"server": f"{_ORIGIN}/d", "privateKeySecretRef": {"name": "k"}, "solvers": solvers}
    head = {"apiVersion": "cert-manager.io/v1", "metadata": {"name": "n", "namespace": "m", "annotations": {"a": "b"}}}
    return _json(
        {**head, "kind": "Certificate", "spec": certificate}, {**head, "kind": "ClusterIssuer", "spec": {"acme": acme}}
    )


@cache
def mirrored_objects() -> tuple[bytes, ...]:
    """The same with the status that a controller and its tools write, and the Certificate that another was made for."""
    stamp = "2026-06-01T11:59:00Z"
    condition = {"status": "True", "message": "m", "lastTransitionTime": stamp, "observedGeneration": 2}
    statuses = {
        "Certificate": {
            "conditions": [
                {**condition, "type": "Ready", "reason": "Ready"},
                {**condition, "type": "Issuing", "reason": "ManuallyTriggered"},
                {**condition, "type": "example.test/Checked", "reason": "Fine"},
            ],
            **dict.fromkeys(("notBefore", "notAfter", "renewalTime", "lastFailureTime"), stamp),
            "revision": 3,
            "failedIssuanceAttempts": 1,
            "nextPrivateKeySecretName": "n-x7k2p",
        },
        "ClusterIssuer": {
            "conditions": [{**condition, "type": "Ready", "reason": "ACMEAccountRegistered"}],
            "acme": {"uri": f"{_ORIGIN}/a/1", "lastRegisteredEmail": "a@b.test", "lastPrivateKeyHash": "abc="},
        },
    }
    found = [json.loads(one) for one in cert_manager_objects()]
    return _json(*({**one, "status": statuses[one["kind"]]} for one in found))


AWS_ANSWERS: Final = (
    b"""<?xml version="1.0" encoding="UTF-8"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>
<ResourceRecordSet><Name>_acme-challenge.a.test.</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords>
<ResourceRecord><Value>"x\\052y" "z"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>""",
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
    b"<InvalidChangeBatch><Messages><Message>it is there already</Message></Messages></InvalidChangeBatch>",
    b'<!DOCTYPE a [<!ENTITY b "cccccccc"><!ENTITY d "&b;&b;&b;&b;">]><a>&d;&d;&d;</a>',
    b"<a>" * 2000,
)
"""What Route 53 and STS answer, and what they never would."""
