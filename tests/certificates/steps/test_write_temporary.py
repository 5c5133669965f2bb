"""A certificate of our own until the CA has issued one: written once, replaced, and never in anybody's way."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.certificates.bench import Bench

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from tests.fakes.operator import Body, Build, FakeKubeApi


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    made = Bench(build, kube_api, now)
    made.dns.hidden = True
    made.write(temporaryCertificate=True)
    return made


def leaf(bench: Bench) -> x509.Certificate:
    data = bench.cluster.secrets.secrets["team", "web-tls"]["data"]
    return x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))


def is_self_signed(bench: Bench) -> bool:
    found = leaf(bench)
    return found.issuer == found.subject


async def test_it_is_there_before_the_ca_answers_for_the_names_of_the_spec_and_not_ready(bench: Bench) -> None:
    await bench.run(20)
    assert is_self_signed(bench)
    names = leaf(bench).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.test"]
    assert bench.condition().status == "False"
    assert bench.events.count("TemporaryWritten") == 1


async def test_the_real_one_takes_its_place_and_no_other_is_written(bench: Bench) -> None:
    await bench.run(20)
    bench.dns.hidden = False
    await bench.run()
    assert not is_self_signed(bench)
    assert bench.condition().status == "True"
    del bench.cluster.secrets.secrets["team", "web-tls"]
    bench.secrets.drop("team", "web-tls")
    bench.dns.hidden = True
    await bench.run(20)
    assert bench.events.count("TemporaryWritten") == 1


async def test_a_new_process_takes_it_for_what_it_is_and_goes_on_with_the_same_order(bench: Bench) -> None:
    await bench.run(20)
    before = leaf(bench)
    bench.restart()
    await bench.run(20)
    assert leaf(bench) == before
    assert len(bench.ca.orders) == 1
    assert bench.condition().status == "False"
    bench.dns.hidden = False
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_a_secret_of_others_that_appears_in_that_moment_is_left_as_it_is(
    bench: Bench, kube_api: FakeKubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"namespace": "team", "name": "web-tls"}
    theirs = {"metadata": metadata, "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}
    apply = kube_api.apply_secret

    async def slower(secret: Mapping[str, Any], *, force: bool) -> Body:
        if secret["metadata"]["name"] == "web-tls" and ("team", "web-tls") not in kube_api.secrets:
            kube_api.put(theirs)
        return await apply(secret, force=force)

    monkeypatch.setattr(kube_api, "apply_secret", slower)
    await bench.run(120)
    assert bench.cluster.secrets.secrets["team", "web-tls"]["data"] == theirs["data"]
    assert bench.condition().reason == "SecretNotOurs"
    assert "TemporaryWritten" not in bench.events
