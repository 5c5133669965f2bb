from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certwright.resources import (
    AuthorizationStatus,
    Certificate,
    CertificateStatus,
    ChallengeStatus,
    Condition,
    InvalidResource,
    OrderStatus,
    PrivateKey,
    RecordStatus,
)

Make = Callable[..., dict[str, Any]]
NOW = datetime(2026, 1, 31, 12, 0, 0, 987_654, tzinfo=UTC)


def test_a_small_certificate_has_the_defaults(certificate_body: Make) -> None:
    spec = Certificate.parse(certificate_body()).spec
    assert spec.dns_names == ("a.example",)
    assert [(one.kind, one.group) for one in spec.issuers] == [("Issuer", "certwright.io")]
    assert spec.private_key == PrivateKey(rotation_policy="Always")
    assert (spec.private_key.effective_algorithm, spec.private_key.effective_size) == ("ECDSA", 256)
    assert spec.secret_owner_reference is False
    assert (spec.duration, spec.renew_before, spec.renew_before_percentage) == (None, None, None)


def test_a_whole_certificate_is_read(certificate_body: Make) -> None:
    body = certificate_body(
        commonName="a.example",
        secretTemplate={"labels": {"team": "x"}, "annotations": {"example.com/why": "a b"}},
        secretOwnerReference=True,
        issuerRef={"name": "ca", "kind": "ClusterIssuer"},
        duration="2160h",
        renewBefore="360h",
        privateKey={"algorithm": "RSA", "size": 3072, "encoding": "PKCS1", "rotationPolicy": "Never"},
    )
    spec = Certificate.parse(body).spec
    assert spec.common_name == "a.example"
    assert spec.secret_template is not None
    assert spec.secret_template.labels == {"team": "x"}
    assert spec.secret_template.annotations == {"example.com/why": "a b"}
    assert spec.duration == timedelta(days=90)
    assert spec.renew_before == timedelta(days=15)
    assert spec.private_key.effective_size == 3072


def test_what_a_newer_version_wrote_is_ignored(certificate_body: Make) -> None:
    body = certificate_body(tomorrow=True, issuerRef={"name": "ca", "tomorrow": 1})
    body["status"] = {"tomorrow": {}, "conditions": [{"type": "Ready", "status": "True", "tomorrow": 1}]}
    certificate = Certificate.parse(body)
    assert certificate.status.conditions == (Condition(type="Ready", status="True"),)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"dnsNames": []}, "spec: needs at least one of dnsNames, ipAddresses and commonName"),
        ({"dnsNames": [], "uris": ["spiffe://a.example/b"]}, "needs at least one of dnsNames"),
        (
            {"dnsNames": [f"n{n}.example" for n in range(60)], "ipAddresses": [f"192.0.2.{n}" for n in range(41)]},
            "100 entries together",
        ),
        (
            {"dnsNames": [f"n{n}.example" for n in range(100)], "commonName": "other.example"},
            "including a common name that is in neither",
        ),
        (
            {"dnsNames": [f"n{n}.example" for n in range(100)], "literalSubject": "CN=other.example,O=x"},
            "including a common name that is in neither",
        ),
        ({"ipAddresses": ["192.0.2.256"]}, r"spec.ipAddresses\[0\]: is not an IP address"),
        ({"otherNames": [{"oid": "1.2.3", "utf8Value": "a"}]}, "otherNames must be empty: ACME CAs certify DNS names"),
        (
            {"encodeUsagesInRequest": False},
            "encodeUsagesInRequest must be true or unset: usages are always in the request",
        ),
        ({"isCA": True}, "isCA must be false or unset: ACME CAs do not issue CA certificates"),
        ({"usages": ["client"]}, r"spec.usages\[0\]: "),
        ({"usages": ["encipher only"]}, "need key agreement"),
        ({"literalSubject": "a.example"}, "spec.literalSubject: is not a distinguished name"),
        ({"literalSubject": "CN=a b"}, "the CN of literalSubject is not a DNS name"),
        ({"literalSubject": "CN=a.example,CN=b.example"}, "more than one CN"),
        ({"literalSubject": "O=x", "commonName": "a.example"}, "literalSubject is the whole subject"),
        ({"literalSubject": "O=x", "subject": {"countries": ["DE"]}}, "literalSubject is the whole subject"),
        ({"subject": {"countries": ["de"]}}, r"spec.subject.countries\[0\]: must be in capitals"),
        ({"subject": {"organizations": ["x" * 65]}}, "longer than 64"),
        ({"uris": ["a.example/b"]}, r"spec.uris\[0\]: is not a URI"),
        ({"emailAddresses": ["mailto:a@b.example"]}, r"spec.emailAddresses\[0\]: must be the address alone"),
        (
            {"dnsNames": [f"{n}.example" for n in map("n{}".format, range(101))]},
            "spec.dnsNames: should have at most 100",
        ),
        ({"commonName": "b.1"}, "spec.commonName: ends in a number"),
        ({"secretName": "A/b"}, "spec.secretName: has upper-case"),
        (
            {"keystores": {"pkcs12": {"create": True}}},
            "spec.keystores.pkcs12: set either password or passwordSecretRef",
        ),
        (
            {"keystores": {"jks": {"create": True, "password": "a", "passwordSecretRef": {"name": "a", "key": "b"}}}},
            "spec.keystores.jks: set either password or passwordSecretRef",
        ),
        ({"keystores": {"jks": {"create": True, "password": "ä"}}}, "spec.keystores.jks.password: must be 1 to 256"),
        ({"keystores": {"jks": {"create": True, "password": "a", "alias": ""}}}, "alias: must be 1 to 128"),
        ({"additionalOutputFormats": [{"type": "DER"}, {"type": "DER"}]}, "has a type more than once"),
        ({"revisionHistoryLimit": 0}, "spec.revisionHistoryLimit: .*greater than or equal to 1"),
        ({"revisionHistoryLimit": 21}, "spec.revisionHistoryLimit: .*less than or equal to 20"),
        (
            {"issuerRef": {"name": "ca", "kind": "Other"}},
            "spec.issuerRef.kind: .*'Issuer' or 'ClusterIssuer'",
        ),
        ({"issuerRef": {"name": "ca", "group": "other.io"}}, "spec.issuerRef.group: .*'certwright.io'"),
        ({"duration": "30m"}, "spec.duration: must be 1h or longer"),
        ({"duration": "90d"}, "spec.duration: has a unit for days"),
        ({"duration": 90}, "spec.duration: has no unit"),
        ({"renewBefore": "1m"}, "spec.renewBefore: must be 5m or longer"),
        ({"duration": "2h", "renewBefore": "2h"}, "renewBefore must be shorter than duration"),
        ({"renewBefore": "2h", "renewBeforePercentage": 30}, "mutually exclusive"),
        ({"renewal": {"policy": "Never"}}, "spec.renewal.policy: .*'Automatic' or 'Disabled'"),
        (
            {"renewal": {"windows": [{"schedule": "0 2 * *", "duration": "4h"}]}},
            r"spec.renewal.windows\[0\].schedule: has fewer than five fields",
        ),
        (
            {"renewal": {"windows": [{"schedule": "0 25 * * *", "duration": "4h"}]}},
            r"spec.renewal.windows\[0\].schedule: is not a cron schedule",
        ),
        (
            {"renewal": {"windows": [{"schedule": "@daily", "duration": "1m"}]}},
            r"spec.renewal.windows\[0\].duration: must be 15m or longer",
        ),
        (
            {"renewal": {"windows": [{"schedule": "@daily", "duration": "4h", "timeZone": "Europe/Springfield"}]}},
            r"spec.renewal.windows\[0\].timeZone: is not a time zone of the IANA database, such as Europe/Berlin",
        ),
        (
            {"issuerRef": {"name": "ca"}, "renewal": {"rehearse": {"issuerRef": {"name": "ca"}}}},
            "rehearse.issuerRef must differ from the issuers of the certificate",
        ),
        ({"renewBeforePercentage": 100}, "spec.renewBeforePercentage: .* less than or equal to 99"),
        ({"privateKey": {"algorithm": "RSA", "size": 256}}, "size must be"),
        ({"privateKey": {"algorithm": "Ed25519", "size": 256}}, "unset for Ed25519"),
        ({"privateKey": {"algorithm": "Ed25519", "encoding": "PKCS1"}}, "no PKCS1 form"),
        ({"secretTemplate": {"labels": {"a b": "c"}}}, "invalid key"),
        ({"secretTemplate": {"labels": {"a": "b c"}}}, "value that is invalid for a label"),
        ({"secretTemplate": {"annotations": {"certwright.io/x": "y"}}}, "the operator writes them"),
    ],
)
def test_a_bad_spec_is_refused_with_path_and_reason(certificate_body: Make, spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=f"^Certificate team/a is invalid: .*{problem}"):
        Certificate.parse(certificate_body(**spec))


def test_spellings_of_one_name_are_one_name(certificate_body: Make) -> None:
    spec = Certificate.parse(
        certificate_body(
            dnsNames=["A.example", "a.example.", "b\u00fccher.example", "XN--BCHER-KVA.example"],
            ipAddresses=["2001:DB8::1", "2001:db8:0::1", "192.0.2.1"],
            commonName="B\u00dcCHER.example.",
            usages=["client auth", "server auth", "client auth"],
        )
    ).spec
    assert spec.dns_names == ("a.example", "xn--bcher-kva.example")
    assert spec.ip_addresses == ("2001:db8::1", "192.0.2.1")
    assert spec.common_name == "xn--bcher-kva.example"
    assert spec.usages == ("server auth", "client auth")


@pytest.mark.parametrize(
    "spec", [{"dnsNames": [], "ipAddresses": ["192.0.2.1"]}, {"dnsNames": [], "commonName": "192.0.2.1"}]
)
def test_a_certificate_need_not_have_dns_names(certificate_body: Make, spec: dict[str, Any]) -> None:
    assert Certificate.parse(certificate_body(**spec)).spec.dns_names == ()


def test_the_common_name_of_a_literal_subject_is_read(certificate_body: Make) -> None:
    body = certificate_body(literalSubject="cn=WWW.example,O=Example\\, Inc.,C=DE")
    assert Certificate.parse(body).spec.effective_common_name == "www.example"
    assert Certificate.parse(certificate_body(literalSubject="O=Example,C=DE")).spec.effective_common_name is None


def test_an_error_does_not_repeat_what_the_user_wrote(certificate_body: Make) -> None:
    with pytest.raises(InvalidResource) as caught:
        Certificate.parse(certificate_body(secretName="hunter2 hunter2"))
    assert "hunter2" not in str(caught.value)


def test_many_problems_are_counted_not_listed(certificate_body: Make) -> None:
    with pytest.raises(InvalidResource, match="and 4 more"):
        Certificate.parse(certificate_body(dnsNames=[f"-{n}" for n in range(14)]))


@pytest.mark.parametrize(
    ("key", "size"),
    [
        (PrivateKey(), 256),
        (PrivateKey(size=521), 521),
        (PrivateKey(algorithm="RSA"), 2048),
        (PrivateKey(algorithm="Ed25519"), None),
    ],
)
def test_the_size_of_a_key_has_a_default(key: PrivateKey, size: int | None) -> None:
    assert key.effective_size == size


def test_a_status_comes_back_from_the_api_server_as_it_went() -> None:
    status = CertificateStatus(
        conditions=(Condition(type="Ready", status="False", reason="Issuing", last_transition_time=NOW),),
        observed_generation=2,
        not_after=NOW,
        serial_number="0a",
        revision=1,
        order=OrderStatus(
            url="https://ca.example/order/1",
            account_url="https://ca.example/account/1",
            server="https://ca.example/directory",
            names=("a.example", "*.a.example"),
            spec_hash="abc",
            state="pending",
            created_at=NOW,
            authorizations=(
                AuthorizationStatus(
                    name="*.a.example",
                    url="https://ca.example/authz/1",
                    state="pending",
                    challenge=ChallengeStatus(type="dns-01", url="https://ca.example/challenge/1"),
                    record=RecordStatus(name="_acme-challenge.a.example", value="x"),
                    presented=True,
                ),
            ),
        ),
    )
    assert CertificateStatus.model_validate(status.to_json()) == status


def test_a_status_is_written_in_the_api_servers_terms() -> None:
    order = OrderStatus(
        url="u", account_url="a", server="s", names=("n",), spec_hash="h", state="valid", created_at=NOW
    )
    assert CertificateStatus(not_before=NOW, order=order).to_json() == {
        "conditions": [],
        "notBefore": "2026-01-31T12:00:00Z",
        "revision": 0,
        "revocations": [],
        "compromisedKeys": [],
        "failedAttempts": 0,
        "order": {
            "url": "u",
            "accountURL": "a",
            "server": "s",
            "names": ["n"],
            "specHash": "h",
            "state": "valid",
            "createdAt": "2026-01-31T12:00:00Z",
            "authorizations": [],
            "solverObjects": [],
        },
        "recentOrders": [],
        "revisions": [],
        "requests": [],
    }


def test_replace_refuses_a_field_that_is_not_there() -> None:
    with pytest.raises(TypeError, match="CertificateStatus has no field renewed"):
        CertificateStatus().replace(renewed=NOW)


def test_replace_checks_what_it_is_given() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        CertificateStatus().replace(failed_attempts=-1)
    assert CertificateStatus().replace(renewal_time=NOW).renewal_time == NOW.replace(microsecond=0)


def test_metadata_is_read(certificate_body: Make) -> None:
    body = certificate_body()
    body["metadata"].update(
        uid="u",
        generation=3,
        resourceVersion="7",
        creationTimestamp="2026-01-31T12:00:00Z",
        deletionTimestamp="2026-01-31T13:00:00+01:00",
        finalizers=["certwright.io/clean-up"],
        managedFields=[{}],
    )
    certificate = Certificate.parse(body)
    assert certificate.metadata.resource_version == "7"
    assert certificate.metadata.deletion_timestamp == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert certificate.display_name == "Certificate team/a"


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        ({"id": "r 1", "action": "Renew"}, "must consist of letters, digits"),
        ({"id": "r" * 65, "action": "Renew"}, "longer than 64"),
        ({"id": "r-1", "action": "Restart"}, "action"),
        ({"id": "r-1", "action": "Renew", "reason": "superseded"}, "reason is for the action Revoke"),
        ({"id": "r-1", "action": "Revoke", "reason": "bored"}, "reason"),
        ({"id": "r-1", "action": "Renew", "revision": 1}, "revision is for the action Rollback"),
        ({"id": "r-1", "action": "Rollback", "revision": 0}, "revision"),
        ({"id": "r-1", "action": "Renew", "requestedBy": "a\nb"}, "must be one line"),
        ({"action": "Renew"}, "id"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(certificate_body: Make, request_: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidResource, match=wrong):
        Certificate.parse(certificate_body(request=request_))
