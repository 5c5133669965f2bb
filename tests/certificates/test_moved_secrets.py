"""Secrets that come back from a backup, or from another cluster: kept where they fit, replaced where they do not."""

from __future__ import annotations

import copy
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.certificates.secret.facts import SecretFacts
from tests.fakes.operator import encoded

from .bench import Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Body, Build, FakeKubeApi

PLACE: Final = ("team", "web-tls")


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


async def backup(bench: Bench, kube_api: FakeKubeApi, **spec: Any) -> Body:
    """Issue a certificate, then lose everything; return what a backup tool kept of the Secret."""
    bench.write(**spec)
    await bench.run(60)
    secret = copy.deepcopy(kube_api.secrets.pop(PLACE))
    bench.secrets.remove(secret["metadata"])
    secret["metadata"] = {
        "namespace": "team",
        "name": "web-tls",
        "labels": secret["metadata"]["labels"],
        "annotations": secret["metadata"]["annotations"],
        "managedFields": [{"manager": "velero", "operation": "Update", "fieldsV1": {"f:data": {}}}],
    }
    bench.cluster.body = {}
    bench.restart()
    return secret


def restore(bench: Bench, kube_api: FakeKubeApi, secret: Body) -> None:
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))


async def test_a_backup_is_kept_though_every_uid_and_version_is_another(bench: Bench, kube_api: FakeKubeApi) -> None:
    secret = await backup(bench, kube_api)
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
    assert kube_api.secrets[PLACE]["data"] == secret["data"]
    assert bench.status.revision == 1


async def test_a_moved_secret_is_renewed_when_it_is_due_and_no_earlier(bench: Bench, kube_api: FakeKubeApi) -> None:
    secret = await backup(bench, kube_api)
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(30 * 86400)
    assert len(bench.ca.orders) == 1
    await bench.run(32 * 86400)
    assert (len(bench.ca.orders), bench.status.revision) == (2, 2)


async def test_a_secret_that_comes_with_its_keystores_keeps_them_byte_for_byte(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    spec: dict[str, Any] = {"keystores": {"pkcs12": {"create": True, "password": "changeit"}}}
    secret = await backup(bench, kube_api, **spec)
    assert "keystore.p12" in secret["data"]
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"}, **spec)
    await bench.run(3600)
    assert (kube_api.secrets[PLACE]["data"], bench.condition().status) == (secret["data"], "True")


async def test_a_secret_that_lost_its_metadata_on_the_way_is_adopted(bench: Bench, kube_api: FakeKubeApi) -> None:
    secret = await backup(bench, kube_api)
    secret["metadata"] |= {"labels": {}, "annotations": {}}
    kube_api.put(secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
    assert kube_api.secrets[PLACE]["data"] == secret["data"]
    assert kube_api.secrets[PLACE]["metadata"]["labels"]["certwright.io/managed"] == "true"


async def test_a_secret_of_another_certificate_is_taken_over_where_it_fits_exactly(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    secret = await backup(bench, kube_api)
    secret["metadata"]["annotations"] |= {
        "certwright.io/certificate-name": "of-another-name",
        "certwright.io/metadata-fingerprint": "0123456789abcdef",
    }
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
    assert kube_api.secrets[PLACE]["metadata"]["annotations"]["certwright.io/certificate-name"] == "web"


async def test_a_secret_of_an_issuer_with_another_name_is_adopted_if_it_is_of_the_same_ca(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    secret = await backup(bench, kube_api)
    secret["metadata"]["annotations"]["certwright.io/issuer-name"] = "letsencrypt-of-old"
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
    assert kube_api.secrets[PLACE]["data"] == secret["data"]
    assert kube_api.secrets[PLACE]["metadata"]["annotations"]["certwright.io/issuer-name"] == "ca"
    assert bench.events.count("Adopted") == 1
    bench.restart()
    writes = kube_api.calls.count("apply web-tls")
    await bench.run(3600)
    assert (len(bench.ca.orders), kube_api.calls.count("apply web-tls")) == (1, writes)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [("certwright.io/acme-server", "https://other.example.test/directory"), ("certwright.io/content-digest", "f" * 64)],
)
async def test_a_secret_of_an_issuer_with_another_name_and_who_knows_which_ca_is_replaced(
    bench: Bench, kube_api: FakeKubeApi, annotation: str, text: str
) -> None:
    secret = await backup(bench, kube_api)
    secret["metadata"]["annotations"] |= {"certwright.io/issuer-name": "letsencrypt-of-old", annotation: text}
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)


async def test_an_issuer_that_is_changed_later_issues_though_it_is_at_the_same_ca(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    bench.write()
    await bench.run(86400)
    secret = copy.deepcopy(kube_api.secrets[PLACE])
    secret["metadata"]["annotations"]["certwright.io/issuer-name"] = "the-one-before"
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))
    await bench.run(60)
    assert len(bench.ca.orders) == 2


@pytest.mark.parametrize(
    ("names", "spec", "reason"),
    [
        (("b.example.test",), {}, "NamesChanged"),
        ((), {"privateKey": {"algorithm": "RSA"}}, "PrivateKeyChanged"),
    ],
)
async def test_what_does_not_fit_is_not_taken_for_the_certificate(
    bench: Bench, kube_api: FakeKubeApi, names: tuple[str, ...], spec: dict[str, Any], reason: str
) -> None:
    secret = await backup(bench, kube_api)
    restore(bench, kube_api, secret)
    bench.ca.verdict = "pending"
    bench.write(*names, metadata={"uid": "uid-in-another-cluster"}, **spec)
    await bench.run(30)
    assert bench.condition().status == "False"
    assert reason in (bench.condition().reason, bench.messages.get("Issuing", "").partition("(")[2].partition(")")[0])
    assert kube_api.secrets[PLACE]["data"] == secret["data"], "the last good certificate was lost"


async def test_an_old_backup_that_is_due_is_renewed_once_and_serves_until_then(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    secret = await backup(bench, kube_api)
    bench.now += dt.timedelta(days=70)
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders), bench.status.revision) == ("True", 2, 2)


async def test_a_damaged_backup_is_replaced_within_the_budget(bench: Bench, kube_api: FakeKubeApi) -> None:
    secret = await backup(bench, kube_api)
    secret["data"]["tls.key"] = encoded(b"damaged")
    restore(bench, kube_api, secret)
    bench.write(metadata={"uid": "uid-in-another-cluster"})
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)
