from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from certwright.certificates.secret.beside import pending_key_name, pending_key_secret
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import adopted_secret, metadata_fingerprint, tls_secret
from certwright.issuers.account_key import account_key_secret
from certwright.pki import generate_private_key, private_key_to_pem

if TYPE_CHECKING:
    from tests.fakes.operator import Build

KEY = generate_private_key()
PEM = private_key_to_pem(KEY)
SERVER = "https://ca.example.test/directory"


def test_what_is_written_is_what_is_read(build: Build) -> None:
    certificate = build.certificate("b.example.test", "*.a.example.test")
    chain = build.ca.chain(("b.example.test", "*.a.example.test"), key=KEY)
    secret = tls_secret(certificate, chain, PEM, server=SERVER)
    facts = SecretFacts.of(secret)
    assert (facts.namespace, facts.name, facts.type) == ("team", "web-tls", "kubernetes.io/tls")
    assert (facts.certificate_name, facts.issuer_name, facts.issuer_kind) == ("web", "ca", "Issuer")
    assert (facts.server, facts.problem, facts.empty) == (SERVER, None, False)
    assert facts.certificate is not None
    assert facts.certificate.dns_names == ("*.a.example.test", "b.example.test")
    assert facts.leaf == chain.leaf
    assert facts.metadata_fingerprint == metadata_fingerprint(certificate)
    assert secret["metadata"]["annotations"]["certwright.io/alt-names"] == "*.a.example.test,b.example.test"
    assert base64.b64decode(secret["data"]["tls.crt"]) == chain.pem
    assert base64.b64decode(secret["data"]["tls.key"]) == PEM


@pytest.mark.parametrize("with_root", [True, False])
def test_the_root_is_kept_where_the_chain_has_it(build: Build, *, with_root: bool) -> None:
    secret = tls_secret(build.certificate(), build.ca.chain(with_root=with_root), PEM, server=SERVER)
    assert ("ca.crt" in secret["data"]) == with_root


def test_the_template_is_added_and_cannot_take_ours_away(build: Build) -> None:
    template = {"labels": {"team": "a"}, "annotations": {"note": "b"}}
    secret = build.secret(build.certificate(secretTemplate=template))
    assert secret["metadata"]["labels"] == {"team": "a", "certwright.io/managed": "true"}
    assert secret["metadata"]["annotations"]["note"] == "b"
    assert "certwright.io/certificate-name" in secret["metadata"]["annotations"]


def test_the_secret_is_owned_only_if_the_spec_asks(build: Build) -> None:
    assert "ownerReferences" not in build.secret()["metadata"]
    (owner,) = build.secret(build.certificate(secretOwnerReference=True))["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Certificate", "web", "uid-web", True)


def test_the_fingerprint_is_of_what_the_spec_says_about_metadata(build: Build) -> None:
    plain = metadata_fingerprint(build.certificate())
    assert metadata_fingerprint(build.certificate("b.example.test", renewBefore="24h")) == plain
    assert metadata_fingerprint(build.certificate(metadata={"uid": "restored"})) == plain
    others = {
        metadata_fingerprint(build.certificate(secretTemplate={"labels": {"a": "b"}})),
        metadata_fingerprint(build.certificate(secretTemplate={"annotations": {"a": "b"}})),
        metadata_fingerprint(build.certificate(secretOwnerReference=True)),
        metadata_fingerprint(build.certificate(secretOwnerReference=True, metadata={"uid": "restored"})),
        metadata_fingerprint(build.certificate(metadata={"name": "other"})),
        plain,
    }
    assert len(others) == 6


def test_adopting_leaves_the_content_byte_for_byte(build: Build) -> None:
    existing = build.strange_secret()
    existing["data"] |= {"ca.crt": "Y2E=", "password": "c2VjcmV0"}
    certificate = build.certificate()
    adopted = adopted_secret(certificate, existing)
    assert adopted["data"] == {entry: existing["data"][entry] for entry in ("tls.crt", "tls.key", "ca.crt")}
    assert adopted["metadata"]["resourceVersion"] == existing["metadata"]["resourceVersion"]
    facts = SecretFacts.of(adopted)
    assert (facts.certificate_name, facts.issuer_name, facts.server) == ("web", None, None)
    assert facts.metadata_fingerprint == metadata_fingerprint(certificate)


def test_adopting_ones_own_keeps_where_it_came_from(build: Build) -> None:
    renamed = build.certificate(secretTemplate={"labels": {"a": "b"}}, issuerRef={"name": "other"})
    facts = SecretFacts.of(adopted_secret(renamed, build.secret()))
    assert (facts.issuer_name, facts.issuer_kind, facts.server) == ("ca", "Issuer", SERVER)


def test_the_pending_key_goes_with_its_certificate(build: Build) -> None:
    certificate = build.certificate(metadata={"name": "n" * 253})
    secret = pending_key_secret(certificate, PEM)
    assert secret["metadata"]["name"] == pending_key_name(certificate)
    assert len(pending_key_name(certificate)) < 64
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
    assert "certwright.io/managed" not in secret["metadata"]["labels"], "it must not be watched as a certificate"
    assert base64.b64decode(secret["data"]["tls.key"]) == PEM
    assert pending_key_name(build.certificate(metadata={"uid": "other"})) != pending_key_name(build.certificate())


def test_nobody_owns_the_account_key() -> None:
    secret = account_key_secret("team", "account", "tls.key", PEM)
    assert "ownerReferences" not in secret["metadata"]
    assert (secret["type"], secret["metadata"]["name"], list(secret["data"])) == ("Opaque", "account", ["tls.key"])
