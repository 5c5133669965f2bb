"""Labels, annotations and the owner of a Secret that something else takes off one by one: they are written again."""

from __future__ import annotations

import copy
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.certificates.secret.facts import SecretFacts
from tests.fakes.operator import encoded

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Body, Build, FakeKubeApi

PLACE: Final = ("team", "web-tls")
SPEC: Final[dict[str, Any]] = {
    "secretTemplate": {"labels": {"team": "shop", "tier": "1"}, "annotations": {"reload": "true"}},
    "secretOwnerReference": True,
}


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def without_a_label(metadata: Body) -> None:
    del metadata["labels"]["team"]


def with_another_label(metadata: Body) -> None:
    metadata["labels"]["tier"] = "2"


def without_an_annotation(metadata: Body) -> None:
    del metadata["annotations"]["reload"]


def without_its_owner(metadata: Body) -> None:
    metadata["ownerReferences"] = []


def without_its_record(metadata: Body) -> None:
    del metadata["annotations"]["certwright.io/secret-template"]


def with_more(metadata: Body) -> None:
    metadata["labels"]["theirs"] = "x"
    metadata["annotations"]["theirs"] = "y"
    metadata["ownerReferences"].append({"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "theirs"})
    metadata["finalizers"] = ["example.com/theirs"]


def tamper(bench: Bench, kube_api: FakeKubeApi, change: Callable[[Body], None]) -> None:
    secret = copy.deepcopy(kube_api.secrets[PLACE])
    change(secret["metadata"])
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))


@pytest.mark.parametrize(
    "change", [without_a_label, with_another_label, without_an_annotation, without_its_owner, without_its_record]
)
async def test_what_was_taken_off_is_written_again_without_an_order(
    bench: Bench, kube_api: FakeKubeApi, change: Callable[[Body], None]
) -> None:
    bench.write(**SPEC)
    await bench.run()
    before = kube_api.secrets[PLACE]
    bench.now += dt.timedelta(days=1)
    tamper(bench, kube_api, change)
    await bench.run()
    after = kube_api.secrets[PLACE]
    for field in ("labels", "annotations", "ownerReferences"):
        assert after["metadata"][field] == before["metadata"][field]
    assert after["data"] == before["data"]
    assert (len(bench.ca.orders), bench.condition().status) == (1, "True")


@pytest.mark.parametrize("change", [with_more, lambda _: None])
async def test_what_others_put_on_it_costs_no_write(
    bench: Bench, kube_api: FakeKubeApi, change: Callable[[Body], None]
) -> None:
    bench.write(**SPEC)
    await bench.run()
    bench.now += dt.timedelta(days=1)
    tamper(bench, kube_api, change)
    kube_api.calls.clear()
    await bench.run()
    assert "apply web-tls" not in kube_api.calls


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("template", [None, {}, {"labels": {}}, {"annotations": {"a": "b"}}])
async def test_what_is_as_it_was_written_is_left_alone(
    bench: Bench, kube_api: FakeKubeApi, template: Body | None, *, owned: bool
) -> None:
    bench.write(**({} if template is None else {"secretTemplate": template}), secretOwnerReference=owned)
    await bench.run()
    assert kube_api.calls.count("apply web-tls") == 1
    bench.restart()
    await bench.run(86400)
    assert kube_api.calls.count("apply web-tls") == 1


async def test_a_template_with_more_keys_than_are_recorded_is_believed_to_be_there(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    bench.write(secretTemplate={"annotations": {f"example.com/{'long' * 10}-{number}": "x" for number in range(60)}})
    await bench.run()
    assert kube_api.calls.count("apply web-tls") == 1
    # One that an earlier version wrote, which recorded nothing, is written once.
    tamper(bench, kube_api, without_its_record)
    await bench.run()
    assert kube_api.calls.count("apply web-tls") == 2
    assert len(bench.ca.orders) == 1


async def test_what_takes_a_label_off_again_and_again_is_told_and_costs_few_writes(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    bench.write(**SPEC)
    await bench.run(60)
    end = bench.now + dt.timedelta(hours=6)
    while bench.now < end:
        pause = (await bench.look()).after
        if kube_api.secrets[PLACE]["metadata"]["labels"].get("team"):
            tamper(bench, kube_api, without_a_label)
        elif pause is not None:
            bench.now += pause
    assert 50 < kube_api.calls.count("apply web-tls") < 120
    assert len(bench.ca.orders) == 1
    assert "has lost labels, annotations or the owner" in bench.messages["SecretContested"]


def test_owners_without_end_are_not_all_tried() -> None:
    metadata = {
        "namespace": "team",
        "name": "web-tls",
        "labels": {"certwright.io/managed": "true"},
        "annotations": {"certwright.io/metadata-fingerprint": "0" * 16, "certwright.io/secret-template": "[" * 2000},
        "ownerReferences": [{"uid": str(number)} for number in range(10_000)],
    }
    found = SecretFacts.of({"metadata": metadata, "data": {"tls.crt": encoded(b"x")}})
    assert found.metadata_fingerprint is None
