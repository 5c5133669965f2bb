"""Certificates of cert-manager in our terms: each field moves, moves with a change that is told, or keeps it there."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.cert_manager import ControllerFlags, Translation, Verdict, translate_certificate
from certwright.resources import Certificate

RSA = {"algorithm": "RSA", "size": 2048, "encoding": "PKCS1", "rotationPolicy": "Always"}


def theirs(annotations: dict[str, str] | None = None, /, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "web", "namespace": "shop"}
    if annotations is not None:
        metadata["annotations"] = annotations
    body = {"secretName": "web-tls", "dnsNames": ["a.example.test"], "issuerRef": {"name": "le"}}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata,
        "spec": {name: value for name, value in {**body, **spec}.items() if value is not ...},
    }


def translated(annotations: dict[str, str] | None = None, /, **spec: Any) -> Translation:
    return translate_certificate(theirs(annotations, **spec))


def moved(annotations: dict[str, str] | None = None, /, **spec: Any) -> dict[str, Any]:
    found = translated(annotations, **spec)
    assert found.verdict is Verdict.MOVES, (found.changes, found.refusals)
    assert found.manifest is not None
    return dict(found.manifest["spec"])


def test_a_small_one_moves_with_the_defaults_of_its_key_written_out() -> None:
    found = translated()
    assert found.verdict is Verdict.MOVES
    assert found.manifest == {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "secretName": "web-tls",
            "dnsNames": ["a.example.test"],
            "issuerRef": {"name": "le", "kind": "Issuer"},
            "privateKey": RSA,
        },
    }


def test_what_go_programs_write_for_unset_is_unset() -> None:
    empty: dict[str, Any] = {
        "commonName": "",
        "literalSubject": "",
        "subject": None,
        "ipAddresses": [],
        "usages": None,
        "isCA": False,
    }
    assert moved(**empty, duration=None, nameConstraints={}) == moved()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("commonName", "a.example.test"),
        ("ipAddresses", ["192.0.2.1"]),
        ("uris", ["spiffe://example.test/a"]),
        ("emailAddresses", ["a@example.test"]),
        ("subject", {"organizations": ["Example"], "serialNumber": "1"}),
        ("renewBeforePercentage", 20),
        ("secretTemplate", {"labels": {"team": "a"}, "annotations": {"example.test/why": ""}}),
        ("additionalOutputFormats", [{"type": "DER"}, {"type": "CombinedPEM"}]),
        ("usages", ["server auth", "digital signature"]),
    ],
)
def test_fields_of_the_same_meaning_move_as_they_are(field: str, value: Any) -> None:
    assert moved(**{field: value})[field] == value


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("2160h0m0s", "2160h"),
        ("1.5h", "1h30m"),
        ("3600s", "1h"),
        ("90m30s500ms", "1h30m30.5s"),
        ("3600000000\N{MICRO SIGN}s", "1h"),
    ],
)
def test_durations_of_every_form_of_go_move(there: str, here: str) -> None:
    assert moved(duration=there)["duration"] == here


@pytest.mark.parametrize("text", ["90d", "1h 30m", "-1h", "1", "9" * 40 + "h", 5, "1h" * 40])
def test_what_is_no_duration_keeps_it_there(text: Any) -> None:
    assert [one.field for one in translated(duration=text).refusals] == ["spec.duration"]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"algorithm": "ECDSA"}, {**RSA, "algorithm": "ECDSA", "size": 256}),
        ({"algorithm": "RSA", "size": 4096, "encoding": "PKCS8"}, {**RSA, "size": 4096, "encoding": "PKCS8"}),
        ({"size": 0, "rotationPolicy": "Never"}, {**RSA, "rotationPolicy": "Never"}),
        (
            {"algorithm": "Ed25519", "encoding": "PKCS1"},
            {"algorithm": "Ed25519", "encoding": "PKCS8", "rotationPolicy": "Always"},
        ),
    ],
)
def test_keys_stay_what_they_are(there: dict[str, Any], here: dict[str, Any]) -> None:
    assert moved(privateKey=there)["privateKey"] == here


def test_keystores_keep_cert_managers_profile_and_unwanted_ones_go() -> None:
    password = {"name": "p", "key": "k"}
    keystores = {
        "pkcs12": {"create": True, "passwordSecretRef": password},
        "jks": {"create": False, "passwordSecretRef": password},
    }
    wanted = {"pkcs12": {"create": True, "passwordSecretRef": password, "profile": "LegacyRC2"}}
    assert moved(keystores=keystores)["keystores"] == wanted
    literal = {"jks": {"create": True, "password": "changeit", "passwordSecretRef": {"name": "", "key": ""}}}
    assert moved(keystores=literal)["keystores"] == {"jks": {"create": True, "password": "changeit"}}


def test_windows_of_renewal_move_under_our_names() -> None:
    window = {"cron": "0 2 * * SAT", "windowDuration": "4h0m0s", "timezone": "UTC"}
    assert moved(renewal={"policy": "RenewBefore", "windows": [window]})["renewal"] == {
        "windows": [{"schedule": "0 2 * * SAT", "duration": "4h", "timeZone": "Etc/UTC"}]
    }
    assert moved(renewal={"policy": "Disabled"})["renewal"] == {"policy": "Disabled"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"signatureAlgorithm": "SHA384WithRSA"}, "spec.signatureAlgorithm"),
        ({"revisionHistoryLimit": 3}, "spec.revisionHistoryLimit"),
        ({"usages": ["client auth"], "encodeUsagesInRequest": False}, "spec.encodeUsagesInRequest"),
        (
            {"keystores": {"pkcs12": {"create": True, "password": "changeit", "profile": "Modern2026"}}},
            "spec.keystores.pkcs12.profile",
        ),
        ({"subject": {"organizations": ["x"], "planets": ["y"]}}, "spec.subject.planets"),
        ({"somethingNew": True}, "spec.somethingNew"),
    ],
)
def test_what_means_something_else_is_told_and_moves(spec: dict[str, Any], field: str) -> None:
    found = translated(**spec)
    assert (found.verdict, [one.field for one in found.changes]) == (Verdict.CHANGES, [field])
    assert found.manifest is not None
    assert "planets" not in str(found.manifest)


def test_a_history_of_one_is_ours_as_well() -> None:
    assert "revisionHistoryLimit" not in moved(revisionHistoryLimit=1)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"isCA": True}, "spec.isCA", "no certificates for CAs"),
        ({"otherNames": [{"oid": "1.2", "utf8Value": "x"}]}, "spec.otherNames", "DNS names and IP addresses only"),
        ({"nameConstraints": {"critical": True}}, "spec.nameConstraints", "CAs"),
        ({"dnsNames": ["a_b.example.test"]}, "spec.dnsNames[0]", "underscore"),
        ({"commonName": "My Service"}, "spec.commonName", "is not a DNS name"),
        ({"dnsNames": ..., "uris": ["spiffe://a/b"]}, "spec", "needs at least one"),
        ({"secretName": ...}, "spec.secretName", "is not set"),
        (
            {"issuerRef": {"name": "x", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"}},
            "spec.issuerRef",
            "no ACME",
        ),
        ({"privateKey": {"algorithm": "RSA", "size": 2500}}, "spec.privateKey", "2048, 3072, 4096 or 8192"),
    ],
)
def test_what_has_no_counterpart_keeps_it_there_with_the_reason(spec: dict[str, Any], field: str, words: str) -> None:
    found = translated(**spec)
    assert (found.verdict, found.manifest) == (Verdict.STAYS, None)
    assert [one.field for one in found.refusals] == [field]
    assert words in found.refusals[0].why


@pytest.mark.parametrize("held", ["selfSigned", "ca", "vault", "venafi"])
def test_an_issuer_without_acme_keeps_it_there(held: str) -> None:
    issuer: dict[str, Any] = {"spec": {held: {}}}
    found = translate_certificate(theirs(), issuer=issuer)
    assert [(one.field, held in one.why) for one in found.refusals] == [("spec.issuerRef", True)]
    assert translate_certificate(theirs(), issuer={"spec": {"acme": {}}}).verdict is Verdict.MOVES


def test_labels_and_annotations_of_the_user_move_and_those_of_programs_do_not() -> None:
    manifest = theirs(
        {"example.test/team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}", "cert-manager.io/x": "y"}
    )
    manifest["metadata"] |= {"labels": {"app": "web"}, "uid": "1", "resourceVersion": "2", "finalizers": ["x"]}
    ours = translate_certificate(manifest).manifest
    assert ours is not None
    assert ours["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "web"},
        "annotations": {"example.test/team": "a"},
    }


@pytest.mark.parametrize(
    ("annotations", "route"),
    [
        ({"acme.cert-manager.io/http01-override-ingress-name": "front"}, {"ingress": {"name": "front"}}),
        ({"acme.cert-manager.io/http01-override-ingress-class": "gce"}, {"ingress": {"class": "gce"}}),
        (
            {"acme.cert-manager.io/http01-override-ingress-ingressclassname": "nginx"},
            {"ingress": {"ingressClassName": "nginx"}},
        ),
        (
            {
                "acme.cert-manager.io/http01-parentrefname": "gw",
                "acme.cert-manager.io/http01-parentrefnamespace": "infra",
            },
            {"gatewayHTTPRoute": {"parentRefs": [{"name": "gw", "namespace": "infra"}]}},
        ),
    ],
)
def test_overrides_of_the_solver_become_a_field(annotations: dict[str, str], route: dict[str, Any]) -> None:
    assert moved(annotations)["http01"] == route


def test_a_temporary_certificate_is_written_here_as_well() -> None:
    assert moved({"cert-manager.io/issue-temporary-certificate": "true"})["temporaryCertificate"] is True
    assert "temporaryCertificate" not in moved({"cert-manager.io/issue-temporary-certificate": "yes"})


def test_two_overrides_of_an_ingress_keep_it_there() -> None:
    names = ("acme.cert-manager.io/http01-override-ingress-name", "acme.cert-manager.io/http01-override-ingress-class")
    assert "more than one of" in str(translated(dict.fromkeys(names, "x")).refusals[0])


def test_a_secret_that_goes_with_its_certificate_goes_with_ours() -> None:
    ours = translate_certificate(theirs(), flags=ControllerFlags(enable_certificate_owner_ref=True)).manifest
    assert ours is not None
    assert Certificate.parse(ours).spec.secret_owner_reference is True


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate"},
        {"apiVersion": "cert-manager.io/v1alpha2", "kind": "Certificate", "spec": {}},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": [], "spec": {"dnsNames": "x"}},
        theirs(issuerRef="le", keystores=[], renewal=3, privateKey="RSA"),
        theirs(renewal={"windows": [{}, 4]}, keystores={"jks": {"create": True}}),
        theirs(dnsNames=[str(at) for at in range(30_000)]),
        theirs(issuerRef={"name": "le", "kind": {}}),
        theirs(privateKey={"algorithm": ["RSA"]}),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_an_exception(manifest: dict[str, Any]) -> None:
    assert translate_certificate(manifest).verdict is Verdict.STAYS


def test_no_more_is_told_than_people_read_and_no_control_characters() -> None:
    unknown: dict[str, Any] = {f"x\u202e{at}": 1 for at in range(200)}
    found = translated(**unknown)
    assert len(found.changes) == 50
    assert "\u202e" not in "".join(map(str, found.changes))
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(2000):
        inner["x"] = inner = {}
    assert translated(subject=deep).refusals[0].why.startswith("is larger or more deeply nested")
