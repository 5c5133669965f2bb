"""What the shim writes for annotated objects, with the API server of a few lines."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from certwright.certificates.store import Certificates
from certwright.kube.contest import LONGEST_SECONDS
from certwright.kube.errors import Conflict, Forbidden, Invalid
from certwright.kube.resource import GATEWAYS, INGRESSES, LISTENER_SETS, X_LISTENER_SETS
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.shim.annotations import Defaults
from certwright.shim.reconciler import (
    FREE_WRITES,
    HELD_SECONDS,
    REFUSED_SECONDS,
    TAKEN_SECONDS,
    Options,
    ShimReconciler,
)
from certwright.shim.routes import Routes
from certwright.shim.sources import MAX_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.events import Subject
    from certwright.kube.resource import Resource
    from certwright.resources import Metadata

WEB: Final = Key("Ingress", "shop", "web")
OTHER: Final = Key("Ingress", "shop", "other")
SET: Final = Key("ListenerSet", "shop", "set")
FRONT: Final = Key("Gateway", "infra", "front")
OPEN: Final = {"allowedListeners": {"namespaces": {"from": "All"}}}
OURS, THEIRS = "certwright.io/cluster-issuer", "cert-manager.io/cluster-issuer"


class World:
    """The objects there are, and a reconciler that reads and writes them; the watch of Certificates is at once."""

    def __init__(self, *, auto: bool = True) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.certificates = Certificates()
        self.manifests: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.refuses: Exception | None = None
        self.refused: dict[str, Exception] = {}
        """By the names of Certificates."""
        self.now = 1000.0
        self.is_theirs: set[str] = set()
        """Certificates that another manager has made."""
        self.cert_manager_runs = False
        self.asked_for_creation: list[bool] = []
        self.claimed: set[tuple[str, str]] = set()
        self.version = 0
        self.routes = Routes()
        self.shim = ShimReconciler(
            cast("Any", self),
            Options(Defaults(cert_manager=True), leaves_to_cert_manager=auto),
            certificates=self.certificates,
            find_issuer=lambda _key: None,
            recorder=cast("Any", SimpleNamespace(record=self.record)),
            routes=self.routes,
            is_cert_manager_live=self.is_live,
            is_claimed=lambda namespace, secret: (namespace, secret) in self.claimed,
            clock=lambda: self.now,
        )

    async def is_live(self, *, creating: bool) -> bool:
        self.asked_for_creation.append(creating)
        return self.cert_manager_runs

    def record(self, _subject: Subject, _kind: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def put(self, key: Key, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> None:
        self.version += 1
        metadata = {
            "namespace": key.namespace,
            "name": key.name,
            "uid": f"uid-{key.name}",
            "resourceVersion": str(self.version),
            "annotations": dict(annotations or {}),
        }
        self.objects[key.kind, key.namespace, key.name] = {"metadata": metadata, "spec": spec}

    def ingress(self, key: Key, tls: Mapping[str, list[str]], **annotations: str) -> None:
        named = {f"certwright.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.put(key, {"tls": [{"secretName": name, "hosts": hosts} for name, hosts in tls.items()]}, named)

    def completed(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        return dict(manifest)

    async def read(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads.append(f"{resource.kind} {name}")
        return self.objects.get((resource.kind, namespace, name))

    async def apply(self, manifest: Mapping[str, Any], *, uid: str | None) -> dict[str, Any]:
        await asyncio.sleep(0)
        name = manifest["metadata"]["name"]
        if (refusal := self.refused.get(name, self.refuses)) is not None:
            raise refusal
        before = self.manifests.get(name)
        assert (before or {"metadata": {"uid": None}})["metadata"]["uid"] == uid
        self.writes.append(f"apply {name}")
        self.version += 1
        generation = 1 if before is None else before["metadata"]["generation"] + (before["spec"] != manifest["spec"])
        metadata = {
            **manifest["metadata"],
            "uid": uid or f"uid-{name}-{self.version}",
            "generation": generation,
            "resourceVersion": str(self.version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self.manifests[name] = {**manifest, "metadata": metadata}
        self.certificates.put(self.manifests[name])
        return self.manifests[name]

    async def delete(self, metadata: Metadata) -> bool:
        if metadata.name in self.is_theirs:
            return False
        self.writes.append(f"delete {metadata.name}")
        self.version += 1
        gone = self.certificates.get(Key("Certificate", metadata.namespace or "", metadata.name))
        self.certificates.remove({**metadata.identity, "resourceVersion": str(self.version)})
        del self.manifests[metadata.name]
        list(self.shim.wakes(gone, None))
        return True

    async def look(self, key: Key) -> Result:
        return await self.shim.reconcile(key)

    def names(self, name: str) -> list[str]:
        return cast("list[str]", self.manifests[name]["spec"]["dnsNames"])

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]


async def test_an_ingress_gets_a_certificate_for_each_block_and_a_second_look_writes_nothing() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test", "c.test"]}, cluster_issuer="le")
    assert await world.look(WEB) == Result.ON_EVENT
    assert {name: world.names(name) for name in world.manifests} == {"a-tls": ["a.test"], "b-tls": ["b.test", "c.test"]}
    assert world.reasons == ["CreateCertificate", "CreateCertificate"]
    world.writes.clear()
    await world.look(WEB)
    assert world.writes == []


async def test_a_changed_block_is_applied_and_one_that_is_gone_is_deleted() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test"]}, cluster_issuer="le")
    await world.look(WEB)
    world.ingress(WEB, {"a-tls": ["a.test", "new.test"]}, cluster_issuer="le")
    await world.look(WEB)
    assert {name: world.names(name) for name in world.manifests} == {"a-tls": ["a.test", "new.test"]}
    assert world.events[2:] == [
        ("UpdateCertificate", "Updated the Certificate a-tls for a.test, new.test"),
        (
            "DeleteCertificate",
            "Deleted the Certificate b-tls: it no longer names the Secret. The Secret b-tls is kept",
        ),
    ]


async def test_an_annotation_that_goes_takes_its_certificates_along_and_those_of_others_stay() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test"]}, cluster_issuer="le")
    await world.look(WEB)
    world.is_theirs = {"b-tls"}
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test"]})
    await world.look(WEB)
    assert set(world.manifests) == {"b-tls"}


async def test_a_refused_block_keeps_its_certificate_and_is_told_once_and_the_others_go_on() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test"]}, cluster_issuer="le")
    await world.look(WEB)
    world.ingress(WEB, {"a-tls": ["no name"], "b-tls": ["b.test", "new.test"]}, cluster_issuer="le")
    for _ in range(3):
        await world.look(WEB)
    assert {name: world.names(name) for name in world.manifests} == {
        "a-tls": ["a.test"],
        "b-tls": ["b.test", "new.test"],
    }
    assert world.reasons.count("BadConfig") == 1


async def test_of_two_with_one_secret_the_first_counts_and_the_second_follows_when_it_goes() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    world.ingress(OTHER, {"a-tls": ["a.test", "b.test"]}, cluster_issuer="le")
    await world.look(WEB)
    await world.look(OTHER)
    assert world.names("a-tls") == ["a.test"]
    assert world.reasons[-1] == "SecretShared"
    known = world.certificates.get(Key("Certificate", "shop", "a-tls"))
    world.ingress(WEB, {}, cluster_issuer="le")
    await world.look(WEB)
    assert list(world.shim.wakes(known, None)) == [OTHER, WEB]
    await world.look(OTHER)
    assert world.names("a-tls") == ["a.test", "b.test"]


async def test_a_conflict_is_looked_at_again_and_a_refusal_of_the_api_server_is_told() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    world.refuses = Conflict("write it", status=409, reason="Conflict", message="another manager")
    assert await world.look(WEB) == Result.again_in(TAKEN_SECONDS)
    assert world.events == []
    world.refuses = None
    await world.look(WEB)
    world.ingress(WEB, {"a-tls": ["b.test"]}, cluster_issuer="le")
    world.refuses = Invalid("write it", status=422, reason="Invalid", message="a policy forbids b.test")
    assert await world.look(WEB) == Result.again_in(REFUSED_SECONDS)
    assert world.events[-1] == ("BadConfig", "The Certificate a-tls is refused: a policy forbids b.test")


@pytest.mark.parametrize("kind", [Invalid, Forbidden])
async def test_what_is_refused_at_its_creation_is_told_and_keeps_no_other_block_from_its_certificate(
    kind: type[Invalid | Forbidden],
) -> None:
    world = World()
    message = 'admission webhook "names" denied the request: no a.test'
    world.refused["a-tls"] = kind("write it", status=403, reason="Forbidden", message=message)
    world.ingress(WEB, {"a-tls": ["a.test"], "b-tls": ["b.test"]}, cluster_issuer="le")
    assert await world.look(WEB) == Result.again_in(REFUSED_SECONDS)
    assert set(world.manifests) == {"b-tls"}
    [(reason, said)] = [one for one in world.events if one[0] == "BadConfig"]
    assert said.startswith(f"The Certificate a-tls is refused: {message}. For labels or annotations")
    await world.look(WEB)
    assert world.reasons.count(reason) == 1


async def test_in_a_namespace_that_is_being_deleted_nothing_is_made_and_nothing_told() -> None:
    world = World()
    message = "unable to create new content in namespace shop because it is being terminated"
    world.refuses = Forbidden("write it", status=403, reason="Forbidden", message=message)
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    assert await world.look(WEB) == Result.ON_EVENT
    assert world.events == []


async def test_a_refusal_of_the_operator_itself_is_no_business_of_the_ingress() -> None:
    world = World()
    world.refuses = Forbidden("write it", status=401, reason="Unauthorized", message="Unauthorized")
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    with pytest.raises(Forbidden):
        await world.look(WEB)
    assert world.events == []


@pytest.mark.parametrize("way", ["changes", "deletes"])
async def test_what_something_else_undoes_every_time_is_put_back_with_growing_pauses(way: str) -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")

    async def undo() -> None:
        found = world.manifests["a-tls"]
        if way == "deletes":
            await world.delete(world.certificates.store.get("shop", "a-tls").metadata)  # type: ignore[union-attr]
            return
        world.version += 1
        found["spec"] = {**found["spec"], "duration": "2000h"}
        found["metadata"] |= {
            "generation": found["metadata"]["generation"] + 1,
            "resourceVersion": str(world.version),
        }
        world.certificates.put(found)

    pauses = []
    for _ in range(40):
        result = await world.look(WEB)
        if (seconds := result.seconds) is None:
            await undo()
        else:
            pauses.append(seconds)
            world.now += seconds
    writes = world.writes.count("apply a-tls")
    assert FREE_WRITES < writes <= FREE_WRITES + 2 + len(pauses)
    assert pauses[0] == pytest.approx(2.0)
    assert max(pauses) == LONGEST_SECONDS
    assert world.reasons.count("CertificateContested") == 1
    # Whatever else the Ingress asks for is done at once.
    world.ingress(WEB, {"a-tls": ["b.test"]}, cluster_issuer="le")
    await world.look(WEB)
    assert world.names("a-tls") == ["b.test"]


@pytest.mark.parametrize("way", ["changed", "deleted"])
async def test_what_is_undone_before_the_answer_to_our_write_has_come_is_not_missed(way: str) -> None:
    class Overtaken(World):
        is_quick = False

        async def apply(self, manifest: Mapping[str, Any], *, uid: str | None) -> dict[str, Any]:
            answer = copy.deepcopy(await super().apply(manifest, uid=uid))
            if not self.is_quick:
                return answer
            self.is_quick = False
            before = self.certificates.get(Key("Certificate", "shop", "a-tls"))
            assert before is not None
            if way == "deleted":
                await self.delete(before.metadata)
                return answer
            found = self.manifests["a-tls"]
            self.version += 1
            found["spec"] = {**found["spec"], "dnsNames": ["other.test"]}
            generation = found["metadata"]["generation"] + 1
            found["metadata"] |= {"generation": generation, "resourceVersion": str(self.version)}
            self.certificates.put(found)
            assert not list(self.shim.wakes(before, self.certificates.get(Key("Certificate", "shop", "a-tls"))))
            return answer

    world = Overtaken()
    world.is_quick = True
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    assert await world.look(WEB) == Result.again_in(TAKEN_SECONDS)
    assert await world.look(WEB) == Result.ON_EVENT
    assert world.names("a-tls") == ["a.test"]


async def test_few_refusals_of_one_object_are_told_at_a_time() -> None:
    world = World()
    world.ingress(WEB, {f"s{number}-tls": ["a_b.test"] for number in range(50)}, cluster_issuer="le")
    await world.look(WEB)
    assert len(world.events) == MAX_REFUSALS + 1
    assert world.events[-1][1].startswith("This object has more problems")


async def test_of_two_with_one_secret_the_second_is_told_of_another_issuer() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    world.ingress(OTHER, {"a-tls": ["a.test"]}, issuer="own")
    await world.look(WEB)
    await world.look(OTHER)
    reason, said = world.events[-1]
    assert reason == "SecretShared"
    assert "is that of the Ingress web too, whose Certificate applies but names another issuer" in said
    assert world.manifests["a-tls"]["spec"]["issuerRef"]["name"] == "le"


async def test_what_an_ingress_changes_of_its_class_or_annotations_is_applied_to_the_certificate_there_is() -> None:
    world = World()
    blocks = [{"secretName": "a-tls", "hosts": ["a.test"]}]
    for class_name, subject in (("nginx", "One"), ("traefik", "Two")):
        asked = {OURS: "le", "certwright.io/subject-organizations": subject, "certwright.io/ip-sans": "192.0.2.1"}
        world.put(WEB, {"tls": blocks, "ingressClassName": class_name}, asked)
        await world.look(WEB)
        spec = world.manifests["a-tls"]["spec"]
        assert spec["http01"]["ingress"]["ingressClassName"] == class_name
        assert spec["subject"] == {"organizations": [subject]}
    assert world.writes == ["apply a-tls", "apply a-tls"]


async def test_two_looks_at_once_write_once() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    await asyncio.gather(world.look(WEB), world.look(WEB))
    assert world.writes == ["apply a-tls"]


async def test_what_is_gone_or_going_is_left_to_the_garbage_collector() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    await world.look(WEB)
    world.objects[WEB]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    await world.look(WEB)
    del world.objects[WEB]
    await world.look(WEB)
    assert world.writes == ["apply a-tls"]


async def test_cert_managers_annotations_are_left_to_it_while_it_runs_and_come_back_with_what_was_there() -> None:
    world = World()
    tls = {"tls": [{"secretName": "a-tls", "hosts": ["a.test"]}]}
    world.put(WEB, tls, {THEIRS: "le"})
    world.cert_manager_runs = True
    assert await world.look(WEB) == Result.again_in(HELD_SECONDS)
    assert world.writes == []
    world.cert_manager_runs = False
    await world.look(WEB)
    assert set(world.manifests) == {"a-tls"}
    await world.look(WEB)
    assert world.asked_for_creation == [True, True, False], "nothing is created where something is there"
    # It runs again: ours stays until cert-manager has one for the Secret.
    world.cert_manager_runs = True
    await world.look(WEB)
    assert set(world.manifests) == {"a-tls"}
    world.claimed = {("shop", "a-tls")}
    await world.look(WEB)
    assert world.manifests == {}
    assert world.events[-1][1].startswith("Deleted the Certificate a-tls: cert-manager is running again and has one")
    # An annotation of ours beside it is not cert-manager's business.
    world.put(WEB, tls, {THEIRS: "le", OURS: "le"})
    await world.look(WEB)
    assert set(world.manifests) == {"a-tls"}


async def test_what_the_migration_has_made_is_not_handed_over() -> None:
    world = World()
    world.put(WEB, {"tls": [{"secretName": "a-tls", "hosts": ["a.test"]}]}, {THEIRS: "le"})
    await world.look(WEB)
    moved = world.manifests["a-tls"]
    world.version += 1
    annotations = {"certwright.io/moved-from-cert-manager": "uid-theirs"}
    moved["metadata"] |= {"annotations": annotations, "resourceVersion": str(world.version)}
    world.certificates.put(moved)
    world.cert_manager_runs, world.claimed = True, {("shop", "a-tls")}
    await world.look(WEB)
    assert set(world.manifests) == {"a-tls"}


async def mark(world: World, name: str, **marks: str) -> None:
    """Put annotations on a Certificate, as the migration does."""
    found = world.manifests[name]
    world.version += 1
    annotations = {f"certwright.io/{key.replace('_', '-')}": value for key, value in marks.items()}
    found["metadata"] |= {"annotations": annotations, "resourceVersion": str(world.version)}
    world.certificates.put(found)


async def test_what_moved_in_a_mixed_cluster_follows_its_ingress_though_cert_manager_runs() -> None:
    world = World()
    world.put(WEB, {"tls": [{"secretName": "a-tls", "hosts": ["a.test"]}]}, {THEIRS: "le"})
    await world.look(WEB)
    await mark(world, "a-tls", moved_from_cert_manager="uid-1", beside_cert_manager="uid-1")
    world.cert_manager_runs, world.claimed = True, {("shop", "a-tls")}
    world.put(WEB, {"tls": [{"secretName": "a-tls", "hosts": ["a.test", "b.test"]}]}, {THEIRS: "le"})
    await world.look(WEB)
    assert world.names("a-tls") == ["a.test", "b.test"]


async def test_beside_a_certificate_of_cert_manager_none_is_made_for_its_annotations() -> None:
    world = World(auto=False)
    world.cert_manager_runs, world.claimed = True, {("shop", "a-tls")}
    blocks = [{"secretName": f"{name}-tls", "hosts": [f"{name}.test"]} for name in "ab"]
    world.put(WEB, {"tls": blocks}, {THEIRS: "le"})
    assert await world.look(WEB) == Result.again_in(HELD_SECONDS)
    assert set(world.manifests) == {"b-tls"}
    world.claimed = set()
    await world.look(WEB)
    assert set(world.manifests) == {"a-tls", "b-tls"}
    # Who asks for ours is told what keeps it.
    world.claimed = {("shop", "c-tls")}
    world.put(OTHER, {"tls": [{"secretName": "c-tls", "hosts": ["c.test"]}]}, {OURS: "le"})
    await world.look(OTHER)
    assert "c-tls" in world.manifests


async def test_the_key_of_a_certificate_on_trial_is_the_migrations_and_all_else_is_followed() -> None:
    world = World()
    tls = {"tls": [{"secretName": "a-tls", "hosts": ["a.test"]}]}
    policy = {"cert-manager.io/private-key-rotation-policy": "Always"}
    world.put(WEB, tls, {THEIRS: "le"})
    await world.look(WEB)
    await mark(world, "a-tls", migration_trial="hash")
    world.put(WEB, tls, {THEIRS: "le", "cert-manager.io/duration": "2000h", **policy})
    await world.look(WEB)
    spec = world.manifests["a-tls"]["spec"]
    assert (spec["duration"], "privateKey" in spec) == ("2000h", False)
    await mark(world, "a-tls")
    await world.look(WEB)
    assert world.manifests["a-tls"]["spec"]["privateKey"] == {"rotationPolicy": "Always"}


async def test_who_made_a_certificate_is_known_by_its_key() -> None:
    world = World()
    world.ingress(WEB, {"a-tls": ["a.test"]}, cluster_issuer="le")
    await world.look(WEB)
    found = world.shim.makers_of([Key("Certificate", "shop", "a-tls"), Key("Certificate", "shop", "none")])
    assert list(found) == [WEB]


def listeners(name: str = "a") -> list[dict[str, Any]]:
    tls = {"certificateRefs": [{"name": f"{name}-tls"}]}
    return [{"name": name, "hostname": f"{name}.test", "protocol": "HTTPS", "port": 443, "tls": tls}]


def listener_set(**parent: Any) -> dict[str, Any]:
    return {"parentRef": {"name": "front", "namespace": "infra", **parent}, "listeners": listeners()}


async def test_a_listener_set_takes_its_gateways_issuer_and_its_own_counts_first() -> None:
    world = World()
    world.put(FRONT, {"listeners": [], **OPEN}, {OURS: "of-gateway", "certwright.io/private-key-size": "384"})
    world.put(SET, listener_set())
    await world.look(SET)
    assert world.manifests["a-tls"]["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": "of-gateway"}
    assert "privateKey" not in world.manifests["a-tls"]["spec"]
    assert list(world.shim.at_gateway(FRONT)) == [SET]
    world.put(SET, listener_set(), {"certwright.io/issuer": "own"})
    await world.look(SET)
    assert world.manifests["a-tls"]["spec"]["issuerRef"] == {"kind": "Issuer", "name": "own"}
    assert list(world.shim.at_gateway(FRONT)) == []


async def test_a_listener_set_follows_its_gateways_annotation_and_waits_for_a_gateway_that_is_away() -> None:
    world = World()
    world.put(FRONT, OPEN, {THEIRS: "one"})
    world.put(SET, listener_set())
    await world.look(SET)
    world.put(FRONT, OPEN, {"cert-manager.io/issuer": "two", "cert-manager.io/issuer-kind": "Issuer"})
    await world.look(SET)
    assert world.manifests["a-tls"]["spec"]["issuerRef"] == {"kind": "Issuer", "name": "two"}
    gateway = world.objects.pop(("Gateway", "infra", "front"))
    await world.look(SET)
    assert set(world.manifests) == {"a-tls"}
    world.objects["Gateway", "infra", "front"] = gateway
    gateway["metadata"]["annotations"] = {}
    await world.look(SET)
    assert world.manifests == {}
    del world.objects["ListenerSet", "shop", "set"]
    await world.look(SET)
    assert list(world.shim.at_gateway(FRONT)) == []


async def test_a_listener_set_takes_nothing_of_a_gateway_that_does_not_take_it() -> None:
    world = World()
    world.put(FRONT, {}, {OURS: "le"})
    world.put(SET, listener_set())
    assert await world.look(SET) == Result.ON_EVENT
    [(reason, said)] = world.events
    assert (reason, world.writes) == ("BadConfig", [])
    assert said.startswith("spec.parentRef 'infra/front' takes no ListenerSets of this namespace")
    # Its controller decides, and has not yet.
    world.put(FRONT, {"allowedListeners": {"namespaces": {"from": "Selector"}}}, {OURS: "le"})
    assert await world.look(SET) == Result.again_in(HELD_SECONDS)
    found = world.objects["ListenerSet", "shop", "set"]
    found["status"] = {"conditions": [{"type": "Accepted", "status": "True"}]}
    assert await world.look(SET) == Result.ON_EVENT
    assert set(world.manifests) == {"a-tls"}
    # What it has stays when that ends, and it may always name an issuer itself.
    world.put(FRONT, {}, {OURS: "other"})
    await world.look(SET)
    assert world.manifests["a-tls"]["spec"]["issuerRef"]["name"] == "le"
    world.put(SET, listener_set(), {OURS: "own"})
    await world.look(SET)
    assert world.manifests["a-tls"]["spec"]["issuerRef"]["name"] == "own"


async def test_a_listener_set_of_something_else_than_a_gateway_takes_nothing() -> None:
    world = World()
    world.put(FRONT, {}, {OURS: "le"})
    for parent in ({"kind": "Service"}, {"group": "example.com"}, {"name": 7}):
        world.put(SET, listener_set(**parent))
        await world.look(SET)
    assert world.writes == []
    assert "Gateway front" not in world.reads


async def test_only_listener_sets_cost_a_second_read() -> None:
    world = World()
    world.put(FRONT, {"listeners": listeners()}, {OURS: "le"})
    world.ingress(WEB, {"b-tls": ["b.test"]}, cluster_issuer="le")
    await world.look(FRONT)
    await world.look(WEB)
    assert world.reads == ["Gateway front", "Ingress web"]
    assert {one.kind for one in (GATEWAYS, INGRESSES, LISTENER_SETS, X_LISTENER_SETS)} == {
        "Gateway",
        "Ingress",
        "ListenerSet",
        "XListenerSet",
    }
