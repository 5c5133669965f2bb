from __future__ import annotations

from typing import Any

import pytest

from certwright.certificates.store import Certificates, certificate_key
from certwright.issuers.registry import issuer_keys
from certwright.resources import InvalidResource
from certwright.runtime.key import Key

CA, CLUSTER_CA = Key("Issuer", "team", "ca"), Key("ClusterIssuer", "", "ca")


def body(
    name: str = "web", version: int = 1, secret: str | None = None, issuer: dict[str, str] | None = None, uid: str = ""
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team", "uid": uid or f"uid-{name}", "resourceVersion": str(version)},
        "spec": {
            "dnsNames": ["a.example.test"],
            "secretName": secret or "web-tls",
            "issuerRef": issuer or {"name": "ca"},
        },
    }


def key(name: str = "web") -> Key:
    return Key("Certificate", "team", name)


def test_found_by_name_by_secret_and_by_issuer() -> None:
    certificates = Certificates()
    assert certificates.put(body())
    assert certificates.put(body("api", issuer={"name": "ca", "kind": "ClusterIssuer"}))
    web = certificates.get(key())
    assert web is not None
    assert certificate_key(web) == key()
    assert issuer_keys(web) == (CA,)
    assert {found.metadata.name for found in certificates.of_secret("team", "web-tls")} == {"web", "api"}
    assert certificates.of_secret("other", "web-tls") == []
    assert (certificates.of_issuer(CA), certificates.of_issuer(CLUSTER_CA)) == ([key()], [key("api")])
    assert len(certificates) == 2
    assert {found.metadata.name for found in certificates} == {"web", "api"}


def test_a_change_moves_it() -> None:
    certificates = Certificates()
    certificates.put(body())
    assert certificates.put(body(version=2, secret="other-tls", issuer={"name": "other"}))
    assert certificates.of_secret("team", "web-tls") == []
    assert certificates.of_issuer(CA) == []
    assert len(certificates.of_secret("team", "other-tls")) == 1
    assert certificates.of_issuer(Key("Issuer", "team", "other")) == [key()]


def test_old_news_is_no_news() -> None:
    certificates = Certificates()
    certificates.put(body(version=10))
    assert not certificates.put(body(version=9, secret="old-tls"))
    assert not certificates.put(body(version=10, secret="old-tls"))
    assert certificates.of_secret("team", "old-tls") == []
    with pytest.raises(InvalidResource):
        certificates.put({**body(version=11), "spec": {}})
    assert certificates.get(key()) is not None


def test_what_is_gone_leaves_nothing() -> None:
    certificates = Certificates()
    certificates.put(body())
    certificates.remove(body(version=2)["metadata"])
    certificates.remove(body("never-seen")["metadata"])
    assert certificates.get(key()) is None
    assert not certificates.put(body()), "a late event brings a deleted one back"
    assert dict(certificates.store._indexed) == {}


def test_one_made_anew_under_the_same_name_stays() -> None:
    certificates = Certificates()
    certificates.put(body())
    certificates.put(body(version=5, uid="anew"))
    certificates.remove(body(version=4)["metadata"])
    found = certificates.get(key())
    assert found is not None
    assert found.metadata.uid == "anew"
    assert len(certificates.of_secret("team", "web-tls")) == 1
