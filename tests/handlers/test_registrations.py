from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.handlers.registrations import SECRETS, source_kind
from certwright.handlers.watching.watcher import make_registry
from certwright.kube.resource import CERTIFICATES, CLUSTER_ISSUERS, GATEWAYS, ISSUERS
from certwright.resources import MANAGED_LABEL
from certwright.runtime.key import Key
from certwright.shim.noticed import Noticed
from certwright.shim.reconciler import ShimReconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from certwright.handlers.controller import Controller
    from certwright.kube.resource import Resource

Body = dict[str, Any]

WEB = Key("Certificate", "shop", "web")
OTHER = Key("Certificate", "shop", "other")
CA = Key("Issuer", "shop", "ca")


@pytest.fixture
def secret() -> Callable[..., Body]:
    def make(*, version: int = 1, managed: bool = True, uid: str = "uid-s") -> Body:
        labels = {MANAGED_LABEL: "true"} if managed else {"other": "label"}
        metadata = {"namespace": "shop", "name": "web-tls", "uid": uid, "resourceVersion": str(version)}
        return {"metadata": {**metadata, "labels": labels}, "type": "kubernetes.io/tls"}

    return make


@pytest.mark.parametrize("event", [None, "ADDED", "MODIFIED"])
async def test_a_certificate_is_stored_and_queued(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]], event: str | None
) -> None:
    await controller.manager.take_event(CERTIFICATES, event, certificate())
    assert controller.certificates.get(WEB) is not None
    assert list(waiting()) == [WEB]


async def test_what_we_wrote_ourselves_is_no_news(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    controller.certificates.put(certificate(version=7))
    for version in (5, 7):
        await controller.manager.take_event(CERTIFICATES, "MODIFIED", certificate(version=version))
    assert list(waiting()) == []
    await controller.manager.take_event(CERTIFICATES, "MODIFIED", certificate(version=8))
    assert list(waiting()) == [WEB]


async def test_who_waited_for_the_secret_is_looked_at_when_another_lets_it_go(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    await controller.manager.take_event(CERTIFICATES, None, certificate())
    await controller.manager.take_event(CERTIFICATES, None, certificate("other", version=2))
    list(waiting())
    await controller.manager.take_event(
        CERTIFICATES, "MODIFIED", certificate(version=3, target="elsewhere", generation=2)
    )
    assert sorted(waiting()) == [OTHER, WEB]


async def test_who_waited_for_the_secret_is_looked_at_when_another_goes(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    await controller.manager.take_event(CERTIFICATES, None, certificate())
    await controller.manager.take_event(CERTIFICATES, None, certificate("other", version=2))
    list(waiting())
    controller.manager.scheduler.at(WEB, 100)
    await controller.manager.take_event(CERTIFICATES, "DELETED", certificate(version=3))
    assert list(waiting()) == [OTHER]
    assert controller.certificates.get(WEB) is None
    assert len(controller.manager.scheduler) == 0


async def test_the_late_end_of_a_certificate_leaves_its_successor_alone(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    """The events of two objects are not in order, even if one has the name of the other."""
    await controller.manager.take_event(CERTIFICATES, "ADDED", certificate(version=9, uid="uid-new"))
    list(waiting())
    controller.manager.scheduler.at(WEB, 100)
    await controller.manager.take_event(CERTIFICATES, "DELETED", certificate(version=8, uid="uid-old"))
    found = controller.certificates.get(WEB)
    assert found is not None
    assert found.metadata.uid == "uid-new"
    assert len(controller.manager.scheduler) == 1


async def test_a_certificate_that_cannot_be_read_is_queued_to_be_told_so(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    body = certificate()
    body["spec"]["dnsNames"] = []
    await controller.manager.take_event(CERTIFICATES, "ADDED", body)
    assert controller.certificates.get(WEB) is None
    assert list(waiting()) == [WEB]


@pytest.mark.parametrize(
    ("resource", "namespace"), [(ISSUERS, "shop"), (CLUSTER_ISSUERS, None)], ids=["Issuer", "ClusterIssuer"]
)
async def test_an_issuer_is_looked_at_when_its_spec_changes_and_not_for_its_status(
    controller: Controller,
    issuer: Callable[..., Body],
    waiting: Callable[[], Iterator[Key]],
    resource: Resource,
    namespace: str | None,
) -> None:
    key = Key(resource.kind, namespace or "", "ca")
    looks = []
    for version, generation, uid in [(1, 1, "a"), (2, 1, "a"), (3, 2, "a"), (3, 2, "a"), (2, 9, "a"), (5, 2, "b")]:
        body = issuer(version=version, namespace=namespace, generation=generation, uid=uid)
        await controller.manager.take_event(resource, "MODIFIED", body)
        looks.append(list(waiting()))
    assert looks == [[key], [], [key], [], [], [key]]


async def test_an_issuer_that_is_gone_is_looked_at_so_that_its_certificates_learn_it(
    controller: Controller, issuer: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    await controller.manager.take_event(ISSUERS, None, issuer())
    list(waiting())
    await controller.manager.take_event(ISSUERS, "DELETED", issuer(version=2))
    assert list(waiting()) == [CA]
    assert controller.issuers.get("shop", "ca") is None


async def test_an_issuer_that_cannot_be_read_is_queued_to_be_told_so(
    controller: Controller, issuer: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    body = issuer()
    body["spec"]["acme"]["caBundle"] = "bm8gUEVN"
    await controller.manager.take_event(ISSUERS, "ADDED", body)
    assert list(waiting()) == [CA]


async def test_a_change_of_a_secret_wakes_those_that_name_it(
    controller: Controller,
    certificate: Callable[..., Body],
    secret: Callable[..., Body],
    waiting: Callable[[], Iterator[Key]],
) -> None:
    await controller.manager.take_event(CERTIFICATES, None, certificate())
    await controller.manager.take_event(CERTIFICATES, None, certificate("other", target="other-tls"))
    list(waiting())
    looks = []
    for event, version in [(None, 3), ("MODIFIED", 3), ("MODIFIED", 4), ("DELETED", 5)]:
        await controller.manager.take_event(SECRETS, event, secret(version=version))
        looks.append(list(waiting()))
    assert looks == [[WEB], [], [WEB], [WEB]]
    assert controller.secrets.get("shop", "web-tls") is None


async def test_a_secret_whose_label_went_and_came_back_is_watched_again(
    controller: Controller, secret: Callable[..., Body]
) -> None:
    await controller.manager.take_event(SECRETS, "ADDED", secret(version=1))
    await controller.manager.take_event(SECRETS, "MODIFIED", secret(version=2, managed=False))
    assert controller.secrets.get("shop", "web-tls") is None
    await controller.manager.take_event(SECRETS, "ADDED", secret(version=3))
    assert controller.secrets.get("shop", "web-tls") is not None


async def test_nothing_is_kept_of_a_secret_that_no_certificate_names(
    controller: Controller, certificate: Callable[..., Body], secret: Callable[..., Body]
) -> None:
    take, unclaimed = controller.manager.take_event, controller._unclaimed
    await take(SECRETS, None, secret(version=1))
    assert controller.secrets.get("shop", "web-tls") is not None  # the Certificate may be listed after it
    unclaimed.drop()
    assert controller.secrets.get("shop", "web-tls") is None
    await take(SECRETS, "MODIFIED", secret(version=2))
    assert controller.secrets.get("shop", "web-tls") is None
    await take(CERTIFICATES, "ADDED", certificate(version=3))
    await take(SECRETS, "MODIFIED", secret(version=4))
    unclaimed.drop()
    assert controller.secrets.get("shop", "web-tls") is not None
    await take(CERTIFICATES, "DELETED", certificate(version=5))
    unclaimed.drop()
    assert len(controller.secrets) == 0


async def test_a_secret_that_no_certificate_names_is_not_parsed(
    controller: Controller, secret: Callable[..., Body], monkeypatch: pytest.MonkeyPatch
) -> None:
    controller._unclaimed.drop()
    parsed: list[Any] = []
    kind = controller.manager.kinds["Secret"]
    monkeypatch.setitem(controller.manager.kinds._kinds, "Secret", replace(kind, parse=parsed.append))
    await controller.manager.take_event(SECRETS, "ADDED", secret(version=1))
    assert parsed == []


def test_there_is_one_handler_for_each_of_our_kinds_and_for_secrets_with_our_label(controller: Controller) -> None:
    handlers = list(
        make_registry(controller.manager.kinds.resources, controller.manager.take_event)._watching.get_all_handlers()
    )
    watched = {
        handler.selector.plural or handler.selector.any_name: handler.labels for handler in handlers if handler.selector
    }
    assert watched == {
        "certificates": None,
        "issuers": None,
        "clusterissuers": None,
        "secrets": {MANAGED_LABEL: "true"},
    }


async def test_kopf_hands_each_kind_to_its_own_store(
    controller: Controller,
    certificate: Callable[..., Body],
    issuer: Callable[..., Body],
    secret: Callable[..., Body],
) -> None:
    objects = {
        "certificates": certificate(),
        "issuers": issuer(),
        "clusterissuers": issuer(namespace=None),
        "secrets": secret(),
    }
    for handler in make_registry(
        controller.manager.kinds.resources, controller.manager.take_event
    )._watching.get_all_handlers():
        assert handler.selector is not None
        name = handler.selector.plural or handler.selector.any_name
        handle: Any = handler.fn
        await handle(event={"type": "ADDED", "object": objects[str(name)]}, logger=None)
    stores = (controller.certificates, controller.issuers, controller.cluster_issuers, controller.secrets)
    assert [len(store) for store in stores] == [1, 1, 1, 1]


async def test_what_a_new_list_has_no_more_is_gone(
    controller: Controller,
    certificate: Callable[..., Body],
    issuer: Callable[..., Body],
    secret: Callable[..., Body],
    waiting: Callable[[], Iterator[Key]],
) -> None:
    await controller.manager.take_event(CERTIFICATES, None, certificate())
    await controller.manager.take_event(CERTIFICATES, None, certificate("other", version=2, namespace="elsewhere"))
    await controller.manager.take_event(ISSUERS, None, issuer())
    await controller.manager.take_event(CLUSTER_ISSUERS, None, issuer(namespace=None))
    await controller.manager.take_event(SECRETS, None, secret())
    list(waiting())
    await controller.manager.take_list(SECRETS, None, {"uid-of-another"}, 9)
    assert len(controller.secrets) == 0
    assert list(waiting()) == [WEB], "its Secret is made anew"
    for resource in (ISSUERS, CLUSTER_ISSUERS):
        await controller.manager.take_list(resource, None, set(), 9)
    assert sorted(waiting()) == [Key("ClusterIssuer", "", "ca"), CA]
    await controller.manager.take_list(CERTIFICATES, "shop", set(), 9)
    assert [one.metadata.name for one in controller.certificates] == ["other"]
    # What the watch still has to say about it comes too late.
    await controller.manager.take_event(CERTIFICATES, "MODIFIED", certificate(version=8))
    assert controller.certificates.get(WEB) is None
    assert list(waiting()) == []


async def test_a_new_list_says_nothing_about_what_came_after_it(
    controller: Controller, certificate: Callable[..., Body]
) -> None:
    controller.certificates.put(certificate(version=10))
    await controller.manager.take_list(CERTIFICATES, None, set(), 9)
    assert controller.certificates.get(WEB) is not None


async def test_an_invalid_object_that_a_new_list_has_no_more_is_forgotten(
    controller: Controller, certificate: Callable[..., Body], waiting: Callable[[], Iterator[Key]]
) -> None:
    broken = certificate()
    broken["spec"] = {"dnsNames": "no list"}
    await controller.manager.take_event(CERTIFICATES, None, broken)
    assert list(waiting()) == [WEB]
    await controller.manager.take_list(CERTIFICATES, None, {"uid-web"}, 9)
    assert controller.manager.kinds["Certificate"].invalid.get("shop", "web") is not None
    await controller.manager.take_list(CERTIFICATES, None, set(), 9)
    assert not controller.manager.kinds["Certificate"].knows(WEB)


async def test_a_change_of_a_gateways_annotations_wakes_the_listener_sets_that_take_its_issuer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front, at = Key("Gateway", "infra", "front"), Key("ListenerSet", "shop", "set")
    shim = ShimReconciler.__new__(ShimReconciler)
    monkeypatch.setattr(ShimReconciler, "at_gateway", lambda _self, key: (at,) if key == front else ())
    kind = source_kind(GATEWAYS, shim, wants=lambda _body: True)
    metadata = {"namespace": "infra", "name": "front", "uid": "uid-1", "generation": 1}
    before = Noticed.of({"metadata": metadata})
    after = Noticed.of({"metadata": {**metadata, "annotations": {"certwright.io/cluster-issuer": "le"}}})
    assert list(kind.wakes(front, before, after)) == [front, at]
    assert list(kind.wakes(front, after, None)) == [front, at]
    assert list(kind.wakes(front, after, after)) == []
