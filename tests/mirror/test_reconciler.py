"""What is done for objects of cert-manager: what is applied, written, asked for and told; and how little of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.cert_manager import ControllerFlags
from certwright.cert_manager.api import MOVED
from certwright.certificates.observation import Note
from certwright.certificates.status import report
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.errors import Conflict, Forbidden, Invalid
from certwright.mirror.objects import OURS, THEIR_CERTIFICATES, THEIR_CLUSTER_ISSUERS, THEIR_ISSUERS
from certwright.mirror.reconciler import CALM_SECONDS, HELD_SECONDS, QUIET_SECONDS, SETTLING_SECONDS, MirrorReconciler
from certwright.resources import Certificate, Issuer
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from tests.fakes.operator import NOW
from tests.mirror.judges import kubectl_wait, renewed_by_cmctl
from tests.mirror.world import WEB, World, their_issuer, theirs

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.kube.resource import Resource
    from tests.fakes.operator import Build

Body = dict[str, Any]
STAMP = "2026-06-01T11:59:00Z"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def mirror(world: World) -> MirrorReconciler:
    return world.reconciler()


@pytest.fixture
def ours(build: Build, mirror: MirrorReconciler) -> Callable[..., Certificate]:
    """Returns ours as the operator has it: what the mirror applies, with a status."""

    def make(*, note: Note | None = None, ready: bool = True, requests: Any = (), **changes: Any) -> Certificate:
        found = mirror.parse(THEIR_CERTIFICATES, theirs(metadata={"uid": "uid-web"}))
        assert found.manifest is not None
        metadata = {**found.manifest["metadata"], "ownerReferences": [found.reference], "uid": "uid-ours"}
        metadata |= {"generation": 1, "resourceVersion": "1", **changes.pop("metadata", {})}
        certificate = Certificate.parse({"metadata": metadata, "spec": {**found.manifest["spec"], **changes}})
        like = build.certificate()
        secret = build.facts(like, not_before=NOW) if ready else None
        status = report(build.observation(like, secret=secret).remember(note=note), NOW)
        return certificate.model_copy(update={"status": status.replace(requests=requests, revision=int(ready))})

    return make


async def test_an_issuance_is_one_apply_and_two_statuses_and_rest_is_nothing_at_all(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    assert await mirror.reconcile(key) == Result.ON_EVENT
    assert world.condition(key) == ("False", "DoesNotExist")
    world.put(ours(ready=False, note=Note("Presenting", "Presenting 1 DNS record.", under_way=True)))
    world.seconds += 1
    assert await mirror.reconcile(key) == Result.again_in(QUIET_SECONDS - 1)
    world.put(ours())
    assert list(mirror.wakes(None, world.certificates.get(Key("Certificate", "team", "web")))) == [key]
    assert await mirror.reconcile(key) == Result.ON_EVENT
    assert world.condition(key) == ("True", "Ready")
    status = "status certificates.cert-manager.io"
    assert world.calls == ["apply certificates.certwright.io", status, status]
    for one in (mirror, world.reconciler()):
        world.see(one, THEIR_CERTIFICATES, world.bodies[key])
        assert await one.reconcile(key) == Result.ON_EVENT
    assert len(world.calls) == 3
    assert world.events == []


async def test_an_issuance_that_takes_long_says_what_it_waits_for_every_few_seconds(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    await mirror.reconcile(key)
    for number in range(10):
        world.seconds += QUIET_SECONDS + 1
        world.put(ours(ready=False, note=Note("WaitingForDNS", f"Look {number}.", under_way=True)))
        assert await mirror.reconcile(key) == Result.ON_EVENT
    assert world.bodies[key]["status"]["conditions"][1]["message"] == "Look 9."
    assert ("web", "StatusContested") not in world.events


async def test_ours_belongs_to_theirs_and_has_the_labels_that_solvers_select_by_and_nothing_else_of_it(
    world: World, build: Build
) -> None:
    world.common = CommonMetadata(labels={"team": "web"})
    mirror = world.reconciler(flags=ControllerFlags(enable_certificate_owner_ref=True))
    acme = build.issuer(
        solvers=[{"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}, "selector": {"matchLabels": {"use": "dns"}}}]
    )
    metadata = {"name": "ca", "namespace": "team", "uid": "uid-ca", "generation": 1, "resourceVersion": "1"}
    issuer = Issuer.parse({"metadata": metadata, "spec": {"acme": acme.to_json()}})
    world.issuers.put(metadata, issuer)
    labels = {"use": "dns", "app.kubernetes.io/instance": "shop"}
    body = theirs(metadata={"labels": labels, "annotations": {"argocd.argoproj.io/tracking-id": "x"}})
    await mirror.reconcile(world.see(mirror, THEIR_CERTIFICATES, body))
    [manifest] = world.applied
    [owner] = manifest["metadata"].pop("ownerReferences")
    assert owner == {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "name": "web",
        "uid": "uid-web",
        "controller": True,
        "blockOwnerDeletion": False,
    }
    assert manifest["metadata"] == {"name": "web", "namespace": "team", "labels": {"team": "web", "use": "dns"}}
    assert manifest["spec"]["secretOwnerReference"] is True
    assert manifest["spec"]["privateKey"] == {
        "algorithm": "RSA",
        "encoding": "PKCS1",
        "rotationPolicy": "Always",
        "size": 2048,
    }
    # Another choice of labels has their Certificates looked at.
    world.certificates.put({**manifest, "metadata": {**manifest["metadata"], **metadata, "name": "web"}})
    after = issuer.model_copy(update={"metadata": issuer.metadata.replace(generation=2)})
    assert WEB in set(mirror.wakes(issuer, after))
    assert set(mirror.wakes(issuer, issuer)) == set()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (theirs(isCA=True), "InvalidSpec"),
        (theirs(dnsNames=None), "InvalidSpec"),
        (theirs(dnsNames=["a" * 1_000_000]), "InvalidSpec"),
        (theirs(issuerRef={"name": "pca", "group": "awspca.cert-manager.io"}), "InvalidSpec"),
        (theirs(issuerRef={"name": "self"}), "InvalidSpec"),
        ({"metadata": {"name": "web", "namespace": "team"}, "spec": None}, "InvalidSpec"),
        (theirs(dnsNames=[f"{one}.test" for one in range(50_000)]), "InvalidSpec"),
    ],
)
async def test_what_cannot_be_served_says_so_once_and_nothing_is_applied(
    world: World, mirror: MirrorReconciler, body: Body, reason: str
) -> None:
    issuer = their_issuer({"selfSigned": {}})
    issuer["metadata"]["name"] = "self"
    world.see(mirror, THEIR_ISSUERS, issuer)
    key = world.see(mirror, THEIR_CERTIFICATES, body)
    for _ in range(3):
        await mirror.reconcile(key)
    assert world.condition(key) == ("False", reason)
    assert world.calls == ["status certificates.cert-manager.io"]
    assert world.events == [("web", reason)]
    [seen] = mirror.stores[key.kind]
    assert len(str(seen)) < 8000, "little is kept of it"


@pytest.mark.parametrize(("resource", "namespace"), [(THEIR_ISSUERS, "team"), (THEIR_CLUSTER_ISSUERS, None)])
async def test_an_issuer_is_served_too_and_one_without_acme_has_its_certificates_looked_at(
    world: World, mirror: MirrorReconciler, resource: Resource, namespace: str | None
) -> None:
    world.see(mirror, THEIR_CERTIFICATES, theirs(issuerRef={"name": "ca", "kind": resource.kind}))
    world.see(mirror, THEIR_CERTIFICATES, theirs("other", issuerRef={"name": "another", "kind": resource.kind}))
    key = world.see(mirror, resource, their_issuer(namespace=namespace))
    await mirror.reconcile(key)
    assert world.calls == [f"apply {OURS[resource].title}"]
    assert list(mirror.of_issuer(next(iter(mirror.stores[key.kind])))) == [WEB]
    key = world.see(mirror, resource, their_issuer({"vault": {}}, namespace=namespace))
    await mirror.reconcile(key)
    assert world.condition(key) == ("False", "InvalidConfig")
    assert world.events == [("ca", "InvalidConfig")]


async def test_an_object_of_ours_that_is_not_theirs_is_left_alone_unless_the_migration_made_it_for_theirs(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs(duration="2160h"))
    world.put(ours(metadata={"ownerReferences": []}))
    await mirror.reconcile(key)
    assert world.condition(key) == ("False", "CertificateNotOurs")
    world.put(ours(metadata={"ownerReferences": [], "annotations": {MOVED: "uid-web"}}))
    await mirror.reconcile(key)
    assert world.condition(key) == ("True", "Ready")
    assert not [one for one in world.calls if one.startswith("apply")]


async def test_a_certificate_that_an_annotation_made_there_is_reported_on_and_made_by_the_shim_alone(
    world: World, ours: Callable[..., Certificate]
) -> None:
    owner = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "i1", "controller": True}
    mirror = world.reconciler(annotated={"web"})
    key = world.see(mirror, THEIR_CERTIFICATES, theirs(metadata={"ownerReferences": [owner]}))
    await mirror.reconcile(key)
    assert world.calls == ["status certificates.cert-manager.io"]
    world.put(ours(metadata={"ownerReferences": [owner]}))
    await mirror.reconcile(key)
    assert world.condition(key) == ("True", "Ready")
    assert not [one for one in world.calls if one.startswith("apply")]
    other = {**owner, "apiVersion": "networking.istio.io/v1", "kind": "Gateway"}
    await mirror.reconcile(world.see(mirror, THEIR_CERTIFICATES, theirs("x", metadata={"ownerReferences": [other]})))
    assert "apply certificates.certwright.io" in world.calls, "no annotation made it"
    elsewhere = World()
    plain = elsewhere.reconciler()
    await plain.reconcile(elsewhere.see(plain, THEIR_CERTIFICATES, theirs(metadata={"ownerReferences": [owner]})))
    assert elsewhere.calls[0] == "apply certificates.certwright.io", "nobody else makes it"


async def test_a_certificate_whose_ingress_has_no_annotation_any_more_is_served_like_any_other(
    world: World, ours: Callable[..., Certificate]
) -> None:
    owner = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "i1", "controller": True}
    annotated: set[str] = set()
    mirror = world.reconciler(annotated=annotated)
    key = world.see(mirror, THEIR_CERTIFICATES, theirs(metadata={"ownerReferences": [owner]}))
    assert await mirror.reconcile(key) == Result.again_in(SETTLING_SECONDS)
    assert not [one for one in world.calls if one.startswith("apply")], "it may not be known yet"
    world.seconds += SETTLING_SECONDS
    await mirror.reconcile(key)
    [made] = world.applied
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
    # The annotation comes back: it stays what it is.
    annotated.add("web")
    world.put(ours())
    await mirror.reconcile(key)
    assert world.condition(key) == ("True", "Ready")
    assert len(world.applied) == 1


async def test_while_cert_manager_lives_nothing_is_written_and_it_is_said_once(
    world: World, mirror: MirrorReconciler
) -> None:
    world.is_live = True
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    for _ in range(3):
        assert await mirror.reconcile(key) == Result.again_in(HELD_SECONDS)
    assert (world.calls, world.events) == ([], [("web", "LeftToCertManager")])
    world.is_live = False
    assert await mirror.reconcile(key) == Result.ON_EVENT
    assert world.calls


async def test_one_that_is_deleted_or_gone_is_left_alone(world: World, mirror: MirrorReconciler) -> None:
    going = {"deletionTimestamp": STAMP}
    key = world.see(mirror, THEIR_CERTIFICATES, theirs(metadata=going))
    assert await mirror.reconcile(key) == Result.ON_EVENT
    assert await mirror.reconcile(Key("Certificate.cert-manager.io", "team", "none")) == Result.ON_EVENT
    assert world.calls == []


async def test_a_write_that_is_refused_is_a_condition_and_one_that_collides_is_tried_again(
    world: World, mirror: MirrorReconciler
) -> None:
    world.failure = Conflict("write", status=409)
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    assert (await mirror.reconcile(key)).after is not None
    world.failure = Invalid("write", status=422, message="spec.duration: is too long")
    await mirror.reconcile(key)
    assert world.condition(key) == ("False", "InvalidSpec")
    assert "spec.duration: is too long" in world.bodies[key]["status"]["conditions"][0]["message"]


async def test_the_trigger_of_cmctl_is_one_request_however_often_it_is_seen(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    world.put(ours())
    await mirror.reconcile(key)
    triggered = renewed_by_cmctl(world.bodies[key], STAMP)
    world.see(mirror, THEIR_CERTIFICATES, triggered)
    await mirror.reconcile(key)
    [request] = world.requests
    assert (request["action"], world.condition(key, "Issuing")) == ("Renew", ("True", "ManuallyTriggered"))
    # Another process, and the request on its way.
    for mirrors in (mirror, world.reconciler()):
        world.see(mirrors, THEIR_CERTIFICATES, triggered)
        world.put(ours(request=request))
        await mirrors.reconcile(key)
        assert world.condition(key, "Issuing") == ("True", "ManuallyTriggered")
    entry = {"id": request["id"], "action": "Renew", "state": "Succeeded"}
    world.put(Certificate.parse({**(body := ours().to_json()), "status": {**body["status"], "requests": [entry]}}))
    world.see(mirror, THEIR_CERTIFICATES, triggered)
    await mirror.reconcile(key)
    assert world.condition(key, "Issuing") == ("", "")
    assert world.requests == [request]


@pytest.mark.parametrize(
    ("stamp", "ready"),
    [
        ("2026-05-30T12:00:00Z", True),
        ("2026-06-01T13:00:00Z", True),
        ("2026-06-01T12:00:00", True),
        ("soon", True),
        ("", True),
        (STAMP, False),
    ],
)
async def test_a_trigger_that_is_old_or_to_come_or_for_what_is_being_issued_asks_for_nothing(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate], stamp: str, *, ready: bool
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    world.put(ours(ready=ready))
    await mirror.reconcile(key)
    world.seconds += CALM_SECONDS
    world.see(mirror, THEIR_CERTIFICATES, renewed_by_cmctl(world.bodies[key], stamp))
    await mirror.reconcile(key)
    assert world.requests == []
    assert world.condition(key, "Issuing")[1] != "ManuallyTriggered"


async def test_a_request_that_collides_is_tried_again_before_the_trigger_is_written_over(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    world.put(ours())
    await mirror.reconcile(key)
    world.see(mirror, THEIR_CERTIFICATES, renewed_by_cmctl(world.bodies[key], STAMP))
    world.failure, calls = Conflict("write", status=409), len(world.calls)
    assert (await mirror.reconcile(key)).after is not None
    assert world.calls[calls:] == ["request"]
    world.failure = None
    await mirror.reconcile(key)
    assert len(world.requests) == 1


async def test_whoever_keeps_changing_a_status_is_answered_less_and_less_often_and_that_is_said(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    world.put(ours())
    await mirror.reconcile(key)
    world.calls.clear()
    for _ in range(600):
        world.seconds += 1
        if world.condition(key)[0] == "True":
            lie = {"type": "Ready", "status": "False", "reason": "Lie"}
            world.see(mirror, THEIR_CERTIFICATES, {**world.bodies[key], "status": {"conditions": [lie]}})
        await mirror.reconcile(key)
    assert 5 < len(world.calls) < 20
    assert world.events == [("web", "StatusContested")]


def test_metadata_and_status_of_any_kind_are_taken_in() -> None:
    mirror = World().reconciler()
    statuses: list[Any] = [None, 7, [], {"conditions": {}}, {"acme": 7, "revision": {}, "notAfter": []}]
    for status in statuses:
        metadata = {"name": "web", "namespace": "team", "labels": {str(one): "x" for one in range(1000)}}
        for resource in OURS:
            seen = mirror.parse(resource, {"metadata": metadata, "spec": {"acme": [], "dnsNames": 7}, "status": status})
            assert (seen.name, dict(seen.labels), seen.manifest) == ("web", {}, None)


async def test_what_is_known_of_ours_says_nothing_of_a_spec_that_was_applied_a_moment_ago(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs(metadata={"generation": 1}))
    world.put(ours())
    await mirror.reconcile(key)
    before = world.bodies[key]["status"]
    changed = theirs(dnsNames=["b.example.test"], metadata={"generation": 2})
    world.see(mirror, THEIR_CERTIFICATES, {**changed, "status": before})
    for _ in range(2):
        await mirror.reconcile(key)
        assert world.bodies[key]["status"] == before
    assert not kubectl_wait(world.bodies[key])
    # The watch brings it, and then what the operator makes of it.
    world.put(ours(dnsNames=["b.example.test"], ready=False, metadata={"generation": 2}))
    await mirror.reconcile(key)
    assert not kubectl_wait(world.bodies[key])


async def test_whoever_keeps_changing_ours_is_answered_less_and_less_often_and_that_is_said(
    world: World, mirror: MirrorReconciler, ours: Callable[..., Certificate]
) -> None:
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    await mirror.reconcile(key)
    world.calls.clear()
    for generation in range(1, 601):
        world.seconds += 1
        # Another release with other arguments, a policy that changes what is written, a GitOps tool.
        world.put(ours(dnsNames=["b.example.test"], metadata={"generation": 1000 + generation}))
        assert (await mirror.reconcile(key)).after is None or generation > 3
    assert 5 < world.calls.count("apply certificates.certwright.io") < 20
    assert world.events == [("web", "CertificateContested")]


@pytest.mark.parametrize("error", [Invalid, Forbidden])
async def test_what_a_policy_refuses_is_told_and_tried_again(
    world: World, mirror: MirrorReconciler, error: type[Exception]
) -> None:
    world.failure = error("write", status=403, message="admission webhook denied the request: no")  # type: ignore[call-arg]
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    assert await mirror.reconcile(key) == Result.again_in(HELD_SECONDS)
    assert world.condition(key) == ("False", "InvalidSpec")
    assert world.events == [("web", "InvalidSpec")]
    world.failure = None
    await mirror.reconcile(key)
    assert world.condition(key) == ("False", "DoesNotExist")


async def test_one_that_cannot_be_read_is_refused_and_ends_no_watch(
    world: World, mirror: MirrorReconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("certwright.mirror.objects.translate_certificate", fail)
    key = world.see(mirror, THEIR_CERTIFICATES, theirs())
    for _ in range(3):
        assert await mirror.reconcile(key) == Result.ON_EVENT
    assert world.condition(key) == ("False", "InvalidSpec")
    assert world.events == [("web", "InvalidSpec")]
