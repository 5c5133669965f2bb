"""The steps of the migration: in a cluster in memory, killed after each write, there and back."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, cast

import pytest

from certwright.cert_manager.api import BESIDE, MOVED, TRIAL
from certwright.kube.errors import Conflict, Forbidden, NotFound
from certwright.migration.apply import Moved, apply
from certwright.migration.assessment import assess
from certwright.migration.back import go_back
from certwright.migration.certificates import digest_of, encoding_of
from certwright.migration.cluster import (
    CRDS,
    DEPLOYMENTS,
    LEASES,
    OUR_CERTIFICATES,
    OUR_CLUSTER_ISSUERS,
    OUR_ISSUERS,
    SECRETS,
    THEIR_CERTIFICATES,
    THEIR_CHALLENGES,
    THEIR_CLUSTER_ISSUERS,
    THEIR_ISSUERS,
    THEIR_ORDERS,
    THEIR_REQUESTS,
    Cluster,
    Kind,
)
from certwright.migration.controller import without_controllers
from certwright.migration.finish import finish, remove_crds, remove_finalizers
from certwright.migration.inventory import read_inventory
from certwright.migration.marks import REPLICAS
from certwright.migration.progress import Outcome, Progress
from tests.fakes.killing import Killed

ACCOUNT: Final = "https://ca.test/account/1"
READY: Final = {"type": "Ready", "status": "True"}
MUST_STAY: Final = {"issuerRef": {"name": "self"}, "secretName": "root", "isCA": True, "commonName": "root.test"}


WITHOUT_ACME: Final = "-certificaterequests-issuer-acme,-orders,-challenges"
WITHOUT_SHIMS: Final = "-ingress-shim,-gateway-shim"
INGRESS: Final = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "name": "web",
    "uid": "u",
    "controller": True,
    "blockOwnerDeletion": True,
}


class World(Cluster):
    """A cluster in memory, with an operator that makes whatever is ours ready, and counts the orders it would place."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str | None, str], dict[str, Any]] = {}
        self.writes = 0
        self.killed_after: int | None = None
        self.orders = 0
        self._uid = 0

    def put(self, kind: Kind, name: str, namespace: str | None = None, **fields: Any) -> dict[str, Any]:
        metadata = {"name": name, **fields.pop("metadata", {})}
        if namespace is not None:
            metadata["namespace"] = namespace
        version = kind.root.removeprefix("/apis/").removeprefix("/api/")
        body = {"apiVersion": version, "kind": kind.kind, "metadata": metadata, **fields}
        self._store(kind, body)
        return body

    async def list(self, kind: Kind, namespace: str | None = None) -> list[dict[str, Any]]:
        return [
            copy.deepcopy(body)
            for (of, place, _), body in self.objects.items()
            if of == kind and namespace in {None, place}
        ]

    async def read(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.objects.get((kind, namespace, name)))

    async def apply(self, kind: Kind, manifest: Mapping[str, Any], *, trial: bool = False) -> dict[str, Any]:
        if trial:
            return dict(manifest)
        metadata = manifest["metadata"]
        before = self.objects.get((kind, metadata.get("namespace"), metadata["name"]))
        body = copy.deepcopy(dict(manifest))
        if before is not None:
            body["metadata"]["uid"] = before["metadata"]["uid"]
        self._store(kind, body)
        self._operate(kind, body)
        self._written()
        return copy.deepcopy(body)

    async def change(self, kind: Kind, found: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        metadata = found["metadata"]
        body = self.objects[kind, metadata.get("namespace"), metadata["name"]]
        if body["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise Conflict("change it")
        _merge(body, change)
        self._store(kind, body)
        self._written()
        return copy.deepcopy(body)

    async def delete(self, kind: Kind, found: Mapping[str, Any]) -> None:
        metadata = found["metadata"]
        self.objects.pop((kind, metadata.get("namespace"), metadata["name"]), None)
        self._written()

    def _store(self, kind: Kind, body: dict[str, Any]) -> None:
        self._uid += 1
        body["metadata"].setdefault("uid", f"uid-{self._uid}")
        body["metadata"]["resourceVersion"] = str(self._uid)
        self.objects[kind, body["metadata"].get("namespace"), body["metadata"]["name"]] = body

    def _operate(self, kind: Kind, body: dict[str, Any]) -> None:
        if kind in {OUR_ISSUERS, OUR_CLUSTER_ISSUERS}:
            body["status"] = {"conditions": [READY], "acme": {"uri": ACCOUNT}}
        elif kind == OUR_CERTIFICATES:
            secret = self.objects.get((SECRETS, body["metadata"]["namespace"], body["spec"]["secretName"]))
            if secret is None:
                self.orders += 1
                self.put(SECRETS, body["spec"]["secretName"], body["metadata"]["namespace"], data={"tls.crt": "bmV3"})
            body["status"] = {"conditions": [READY]}

    def _written(self) -> None:
        self.writes += 1
        if self.killed_after is not None and self.writes > self.killed_after:
            raise Killed


def _merge(body: dict[str, Any], change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if value is None:
            body.pop(name, None)
        elif isinstance(value, dict):
            _merge(body.setdefault(name, {}), value)
        elif name != "resourceVersion":
            body[name] = value


@pytest.fixture
def world() -> World:
    made = World()
    populate(made)
    return made


def populate(made: World) -> None:
    acme = {
        "server": "https://ca.test/d",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": {"cloudflare": {"apiTokenSecretRef": {"name": "token", "key": "t"}}}}],
    }
    status = {"conditions": [READY], "acme": {"uri": ACCOUNT}}
    made.put(THEIR_CLUSTER_ISSUERS, "le", spec={"acme": acme}, status=status)
    made.put(THEIR_ISSUERS, "le", "shop", spec={"acme": acme}, status=status)
    for name in ("account", "token"):
        made.put(SECRETS, name, "cert-manager", data={name: "YQ=="}, type="Opaque")
    for name in ("web", "api"):
        made.put(SECRETS, f"{name}-tls", "shop", data={"tls.crt": "b2xk", "tls.key": "a2V5"})
        certificate(made, name, issuerRef={"name": "le", "kind": "ClusterIssuer"})
    arguments = ["--v=2", "--controllers=*", "--cluster-resource-namespace=$(POD_NAMESPACE)"]
    container = {"name": "cert-manager-controller", "args": arguments}
    made.put(
        DEPLOYMENTS,
        "cert-manager",
        "cert-manager",
        spec={"replicas": 2, "template": {"spec": {"containers": [container]}}},
    )


def certificate(made: World, name: str, **spec: Any) -> dict[str, Any]:
    metadata = spec.pop("metadata", {})
    status = spec.pop("status", {"conditions": [READY]})
    body = {"dnsNames": [f"{name}.test"], "secretName": f"{name}-tls", **spec}
    return made.put(THEIR_CERTIFICATES, name, "shop", spec=body, status=status, metadata=metadata)


def progress(told: list[str] | None = None) -> Progress:
    return Progress((told if told is not None else []).append, timeout=0.05, interval=0.001)


async def move(world: World, told: list[str] | None = None) -> Moved:
    inventory = await read_inventory(world)
    return await apply(world, inventory, assess(inventory), progress(told), operator_namespace="certwright")


async def end(world: World) -> Outcome:
    inventory = await read_inventory(world)
    outcome = await finish(world, assess(inventory), progress())
    await remove_finalizers(world, inventory, progress())
    return outcome


async def back(world: World) -> Outcome:
    return await go_back(world, await read_inventory(world), progress(), secrets_in="certwright")


def of(world: World, kind: Kind) -> dict[str, dict[str, Any]]:
    return {name: body for (found, _, name), body in world.objects.items() if found == kind}


def seen(world: World) -> str:
    """Everything that people have written, without versions and times."""
    found = copy.deepcopy(world.objects)
    for body in found.values():
        body["metadata"].pop("resourceVersion", None)
        body["metadata"].pop("uid", None)
        if not body["metadata"].get("annotations", True):
            del body["metadata"]["annotations"]
    return json.dumps(sorted((kind.title, place, name, body) for (kind, place, name), body in found.items()))


async def test_everything_moves_with_its_bytes_and_without_an_order(world: World) -> None:
    told: list[str] = []
    before = {name: body["data"]["tls.crt"] for name, body in of(world, SECRETS).items() if "tls.crt" in body["data"]}
    moved = await move(world, told)
    assert (moved.problems, moved.stopped_at, moved.certificates.done) == ({}, "", 2)
    assert world.orders == 0
    assert {name: of(world, SECRETS)[name]["data"]["tls.crt"] for name in before} == before
    ours = of(world, OUR_CERTIFICATES)
    assert {name: body["spec"]["privateKey"] for name, body in ours.items()} == {
        "web": {"rotationPolicy": "Never"},
        "api": {"rotationPolicy": "Never"},
    }
    assert ours["web"]["metadata"]["annotations"][TRIAL] == digest_of({"data": {"tls.crt": "b2xk"}})
    assert world.objects[SECRETS, "certwright", "account"]["data"] == {"account": "YQ=="}
    assert world.objects[SECRETS, "certwright", "token"]["data"] == {"token": "YQ=="}
    deployment = of(world, DEPLOYMENTS)["cert-manager"]
    assert (deployment["spec"]["replicas"], deployment["metadata"]["annotations"][REPLICAS]) == (0, "2")
    assert [line for line in told if line.startswith("Step")] == [
        "Step 1 of 4: issuers with the same accounts",
        "Step 2 of 4: wait until cert-manager renews none of them",
        "Step 3 of 4: cert-manager's controller",
        "Step 4 of 4: Certificates, with what their Secrets hold",
    ]


async def test_the_end_restores_the_policies_and_deletes_what_has_moved(world: World) -> None:
    mine = certificate(world, "mail", issuerRef={"name": "le"}, privateKey={"algorithm": "ECDSA"})
    owners = [{"uid": mine["metadata"]["uid"], "kind": "Certificate", "name": "mail"}, {"uid": "x", "kind": "Other"}]
    world.put(SECRETS, "mail-tls", "shop", data={"tls.crt": "b2xk"}, metadata={"ownerReferences": owners})
    world.put(THEIR_CHALLENGES, "old", "shop", metadata={"finalizers": ["acme.cert-manager.io/finalizer", "mine"]})
    await move(world)
    outcome = await end(world)
    assert (outcome.done, outcome.problems) == (3, {})
    ours = of(world, OUR_CERTIFICATES)
    assert ours["web"]["spec"]["privateKey"]["rotationPolicy"] == "Always"
    assert ours["mail"]["spec"]["privateKey"]["algorithm"] == "ECDSA"
    assert not any(TRIAL in body["metadata"]["annotations"] for body in ours.values())
    assert [of(world, kind) for kind in (THEIR_CERTIFICATES, THEIR_ISSUERS, THEIR_CLUSTER_ISSUERS)] == [{}, {}, {}]
    assert [one["uid"] for one in of(world, SECRETS)["mail-tls"]["metadata"]["ownerReferences"]] == ["x"]
    assert of(world, THEIR_CHALLENGES)["old"]["metadata"]["finalizers"] == ["mine"]
    assert world.orders == 0
    # What was finished stays so, whatever is asked for then.
    assert (await move(world)).problems == {}
    assert not any(TRIAL in body["metadata"]["annotations"] for body in of(world, OUR_CERTIFICATES).values())


async def test_the_way_back_leaves_everything_as_it_was(world: World) -> None:
    before = seen(world)
    await move(world)
    outcome = await back(world)
    assert (outcome.done, outcome.problems) == (2, {})
    assert seen(world) == before


Step = Callable[[World], Coroutine[Any, Any, Any]]


async def kills(step: Step, prepare: Step | None = None) -> Iterator[World]:
    """Return worlds in which a step was killed after its first, second, ... write, and one in which it was not."""
    found = []
    for after in range(1, 60):
        made = World()
        populate(made)
        if prepare is not None:
            await prepare(made)
        made.writes, made.killed_after = 0, after - 1
        try:
            await step(made)
        except Killed:
            found.append(made)
        else:
            assert after > 3
            for one in [*found, made]:
                one.killed_after = None
            return iter([*found, made])
    raise AssertionError("it has no end")


async def test_killed_after_any_write_it_is_taken_up_again(world: World) -> None:
    await move(world)
    for made in await kills(move):
        assert (await move(made)).problems == {}
        assert made.orders == 0
        assert seen(made) == seen(world)


async def test_killed_after_any_write_the_end_is_taken_up_again(world: World) -> None:
    await move(world)
    await end(world)
    for made in await kills(end, move):
        await end(made)
        assert made.orders == 0
        assert seen(made) == seen(world)


async def test_killed_after_any_write_there_is_a_way_back(world: World) -> None:
    before = seen(world)
    for made in await kills(move):
        await back(made)
        assert seen(made) == before
    for made in await kills(back, move):
        await back(made)
        assert seen(made) == before


async def test_in_a_mixed_cluster_its_controller_runs_on_without_acme(world: World) -> None:
    world.put(THEIR_ISSUERS, "self", "shop", spec={"selfSigned": {}})
    certificate(world, "root", **MUST_STAY)
    deployment = of(world, DEPLOYMENTS)["cert-manager"]
    deployment["metadata"]["generation"] = 1
    deployment["status"] = {
        "observedGeneration": 1,
        **dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2),
    }
    before = seen(world)
    moved = await move(world)
    assert (moved.problems, moved.stopped_at, moved.certificates.done) == ({}, "", 2)
    spec = of(world, DEPLOYMENTS)["cert-manager"]["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["args"]) == (
        2,
        ["--v=2", "--cluster-resource-namespace=$(POD_NAMESPACE)", f"--controllers=*,{WITHOUT_ACME},{WITHOUT_SHIMS}"],
    )
    assert set(of(world, OUR_CERTIFICATES)) == {"web", "api"}
    # The guard beside a controller that runs lets them pass, now and until cert-manager's are gone.
    theirs = {name: {BESIDE: one["metadata"]["uid"]} for name, one in of(world, THEIR_CERTIFICATES).items()}
    for name, one in of(world, OUR_CERTIFICATES).items():
        assert theirs[name].items() <= one["metadata"]["annotations"].items()
    await back(world)
    assert seen(world) == before
    await move(world)
    await end(world)
    for name, one in of(world, OUR_CERTIFICATES).items():
        assert theirs[name].items() <= one["metadata"]["annotations"].items()
    assert (set(of(world, THEIR_CERTIFICATES)), set(of(world, THEIR_ISSUERS))) == ({"root"}, {"self"})


async def test_a_renewal_in_flight_is_waited_for_and_nothing_is_stopped(world: World) -> None:
    web = of(world, THEIR_CERTIFICATES)["web"]["metadata"]["uid"]
    request = world.put(THEIR_REQUESTS, "web-1", "shop", metadata={"ownerReferences": [{"uid": web}]})
    world.put(
        THEIR_ORDERS,
        "web-1-1",
        "shop",
        metadata={"ownerReferences": [{"uid": request["metadata"]["uid"]}]},
        status={"state": "pending"},
    )
    moved = await move(world)
    assert "Certificate shop/web has an order in the state pending" in moved.stopped_at
    assert of(world, DEPLOYMENTS)["cert-manager"]["spec"]["replicas"] == 2
    assert of(world, OUR_CERTIFICATES) == {}
    of(world, THEIR_ORDERS)["web-1-1"]["status"]["state"] = "valid"
    assert (await move(world)).stopped_at == ""


async def test_one_that_never_worked_holds_up_nobody_and_is_issued_anew(world: World) -> None:
    conditions = [{"type": "Issuing", "status": "True"}, {"type": "Ready", "status": "False"}]
    certificate(world, "new", issuerRef={"name": "le"}, status={"conditions": conditions})
    moved = await move(world)
    assert (moved.problems, moved.certificates.done, world.orders) == ({}, 3, 1)
    assert of(world, OUR_CERTIFICATES)["new"]["metadata"]["annotations"][TRIAL] == "new"


async def test_a_live_lease_stops_it_before_any_certificate() -> None:
    class Renewing(World):
        async def read(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
            if kind == LEASES:
                self._uid += 1
                spec = {"holderIdentity": "other", "renewTime": str(self._uid), "leaseDurationSeconds": 60}
                return {"metadata": {"name": name}, "spec": spec}
            return await super().read(kind, namespace, name)

    held = Renewing()
    populate(held)
    moved = await move(held)
    assert "somebody still holds the Lease kube-system/cert-manager-controller" in moved.stopped_at
    assert of(held, OUR_CERTIFICATES) == {}


async def test_what_is_there_already_is_left_as_it_is(world: World) -> None:
    world.put(
        OUR_CLUSTER_ISSUERS,
        "le",
        spec={"acme": {"mine": True}},
        status={"conditions": [READY], "acme": {"uri": ACCOUNT}},
    )
    world.put(OUR_CERTIFICATES, "web", "shop", spec={"mine": True})
    world.put(SECRETS, "account", "certwright", data={"account": "YQ=="})
    moved = await move(world)
    assert list(moved.problems) == ["Certificate shop/web"]
    assert of(world, OUR_CLUSTER_ISSUERS)["le"]["spec"] == {"acme": {"mine": True}}
    await back(world)
    assert (set(of(world, OUR_CLUSTER_ISSUERS)), set(of(world, OUR_CERTIFICATES))) == ({"le"}, {"web"})
    assert (SECRETS, "certwright", "account") in world.objects


async def test_the_end_deletes_nothing_whose_secret_nobody_looks_after(world: World) -> None:
    """A Certificate of this name that somebody made for another Secret says nothing of this one."""
    world.put(OUR_CERTIFICATES, "web", "shop", spec={"secretName": "other"}, status={"conditions": [READY]})
    await move(world)
    outcome = await end(world)
    assert "for another Secret" in outcome.problems["Certificate shop/web"]
    assert (set(of(world, THEIR_CERTIFICATES)), outcome.done) == ({"web"}, 1)
    assert "le" in of(world, THEIR_CLUSTER_ISSUERS)


@pytest.mark.parametrize("trouble", ["other account", "other secret", "no secret"])
async def test_an_issuer_in_trouble_keeps_its_certificates_where_they_are(world: World, trouble: str) -> None:
    if trouble == "other account":
        of(world, THEIR_CLUSTER_ISSUERS)["le"]["status"]["acme"]["uri"] = "https://ca.test/account/2"
        words = "cert-manager has used https://ca.test/account/2"
    elif trouble == "other secret":
        world.put(SECRETS, "account", "certwright", data={"account": "Yg=="})
        words = "has other content than cert-manager/account"
    else:
        del world.objects[SECRETS, "cert-manager", "token"]
        words = "there is no Secret cert-manager/token"
    moved = await move(world)
    assert words in moved.problems["ClusterIssuer le"]
    assert moved.problems["Certificate shop/web"].startswith("its issuer, ClusterIssuer le,")
    assert of(world, OUR_CERTIFICATES) == {}


async def test_a_certificate_that_was_replaced_is_told() -> None:
    class Impatient(World):
        def _operate(self, kind: Kind, body: dict[str, Any]) -> None:
            super()._operate(kind, body)
            if kind == OUR_CERTIFICATES:
                of(self, SECRETS)[body["spec"]["secretName"]]["data"]["tls.crt"] = "b3RoZXI="

    made = Impatient()
    populate(made)
    problems = (await move(made)).problems
    assert all("has another certificate than before" in why for why in problems.values())
    assert len(problems) == 2


TERMINATED: Final = "unable to create new content in namespace going because it is being terminated"


@pytest.mark.parametrize(
    ("error", "going"),
    [
        (Forbidden("write it", status=403, reason="Forbidden", message=TERMINATED), True),
        (NotFound("write it", status=404, reason="NotFound", message='namespaces "going" not found'), True),
        (Forbidden("write it", status=403, reason="Forbidden", message="no such right"), False),
        (NotFound("write it", status=404, message="the server could not find the requested resource"), False),
    ],
    ids=["its namespace is being deleted", "its namespace is gone", "it may not be written", "its kind is unknown"],
)
async def test_what_is_in_a_namespace_that_is_being_deleted_keeps_nothing_from_moving(
    error: Forbidden | NotFound, *, going: bool
) -> None:
    class Going(World):
        async def apply(self, kind: Kind, manifest: Mapping[str, Any], *, trial: bool = False) -> dict[str, Any]:
            if manifest["metadata"].get("namespace") == "going":
                raise error
            return await super().apply(kind, manifest, trial=trial)

    made, told = Going(), list[str]()
    populate(made)
    issuer = of(made, THEIR_ISSUERS)["le"]
    made.put(THEIR_ISSUERS, "old", "going", spec=issuer["spec"], status=issuer["status"])
    spec = {"dnsNames": ["old.test"], "secretName": "old-tls", "issuerRef": {"name": "old"}}
    made.put(THEIR_CERTIFICATES, "old", "going", spec=spec, status={"conditions": [READY]})
    if not going:
        with pytest.raises(type(error), match=r"no such right|could not find"):
            await move(made, told)
        return
    moved = await move(made, told)
    assert (moved.problems, moved.certificates.done) == ({}, 2)
    assert set(of(made, OUR_CERTIFICATES)) == {"web", "api"}
    for left in ("Issuer going/old", "Certificate going/old"):
        assert f"{left} is left out: its namespace is being deleted" in told


def annotated(world: World, name: str = "web", **spec: Any) -> None:
    """Let an Ingress have made a Certificate of cert-manager."""
    asked = {"issuerRef": {"name": "le", "kind": "ClusterIssuer"}, **spec}
    certificate(world, name, metadata={"ownerReferences": [INGRESS]}, **asked)


async def test_what_would_be_refused_is_told_before_anything_is_stopped() -> None:
    class Refusing(World):
        async def apply(self, kind: Kind, manifest: Mapping[str, Any], *, trial: bool = False) -> dict[str, Any]:
            if manifest["metadata"]["name"] == "web":
                raise Forbidden("write it", status=403, reason="Forbidden", message="exceeded quota: certificates")
            return await super().apply(kind, manifest, trial=trial)

    made = Refusing()
    populate(made)
    moved = await move(made)
    assert moved.stopped_at.startswith("Certificates would be refused")
    assert "exceeded quota" in moved.problems["Certificate shop/web"]
    assert of(made, OUR_CERTIFICATES) == {}
    assert of(made, DEPLOYMENTS)["cert-manager"]["spec"]["replicas"] == 2


async def test_an_issuer_that_a_person_has_changed_since_is_used_as_it_is() -> None:
    class Changed(World):
        async def apply(self, kind: Kind, manifest: Mapping[str, Any], *, trial: bool = False) -> dict[str, Any]:
            if kind == OUR_CLUSTER_ISSUERS and (kind, None, "le") in self.objects:
                raise Conflict("write it", status=409, reason="Conflict", message="conflict with kubectl-edit")
            return await super().apply(kind, manifest, trial=trial)

    made, told = Changed(), list[str]()
    populate(made)
    await move(made)
    assert (await move(made, told)).problems == {}
    assert "ClusterIssuer le was changed since it was moved, and is used as it is" in told


async def test_what_an_ingress_made_stays_the_ingresss(world: World) -> None:
    annotated(world)
    await move(world)
    await end(world)
    assert of(world, OUR_CERTIFICATES)["web"]["metadata"]["ownerReferences"] == [INGRESS]


async def test_what_our_shim_made_for_the_same_ingress_in_the_meantime_is_put_on_trial(world: World) -> None:
    annotated(world)
    spec = {"secretName": "web-tls", "dnsNames": ["web.test"], "privateKey": {"algorithm": "ECDSA"}}
    status = {"conditions": [READY]}
    world.put(OUR_CERTIFICATES, "web", "shop", spec=spec, status=status, metadata={"ownerReferences": [INGRESS]})
    moved = await move(world)
    assert (moved.problems, moved.certificates.done) == ({}, 2)
    ours = of(world, OUR_CERTIFICATES)["web"]
    key = {name: value for name, value in ours["spec"]["privateKey"].items() if value is not None}
    assert key == {"rotationPolicy": "Never"}
    assert MOVED in ours["metadata"]["annotations"]
    assert TRIAL in ours["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("owners", "secret"), [([], "web-tls"), ([{**INGRESS, "uid": "another"}], "web-tls"), ([INGRESS], "other-tls")]
)
async def test_what_a_person_made_under_the_same_name_is_left_as_it_is(
    world: World, owners: list[dict[str, Any]], secret: str
) -> None:
    annotated(world)
    world.put(OUR_CERTIFICATES, "web", "shop", spec={"secretName": secret}, metadata={"ownerReferences": owners})
    moved = await move(world)
    assert "already exists" in moved.problems["Certificate shop/web"]
    assert of(world, OUR_CERTIFICATES)["web"]["spec"] == {"secretName": secret}


async def test_what_was_changed_in_the_trial_stays_as_it_was_changed(world: World) -> None:
    annotated(world)
    await move(world)
    ours = of(world, OUR_CERTIFICATES)["web"]
    ours["spec"]["dnsNames"] = ["web.test", "new.test"]
    await end(world)
    spec = of(world, OUR_CERTIFICATES)["web"]["spec"]
    assert spec["dnsNames"] == ["web.test", "new.test"]
    assert spec["privateKey"] == {"algorithm": "RSA", "size": 2048, "encoding": "PKCS1", "rotationPolicy": "Always"}
    assert of(world, THEIR_CERTIFICATES) == {}


class Renewed(World):
    """One in which cert-manager's controller renews its Lease for as long as its Deployment says."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self.comes_up = True

    async def read(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        if kind == LEASES:
            if not of(self, DEPLOYMENTS)["cert-manager"]["spec"]["replicas"] or not self.comes_up:
                return {"metadata": {"name": name}, "spec": {}}
            self._uid += 1
            spec = {"holderIdentity": "pod", "renewTime": str(self._uid), "leaseDurationSeconds": 60}
            return {"metadata": {"name": name}, "spec": spec}
        return await super().read(kind, namespace, name)

    async def change(self, kind: Kind, found: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        self.order.append(f"change {kind.kind}")
        return await super().change(kind, found, change)

    async def delete(self, kind: Kind, found: Mapping[str, Any]) -> None:
        self.order.append(f"delete {kind.kind} {found['metadata']['name']}")
        await super().delete(kind, found)


async def test_what_annotations_made_goes_back_after_the_controller_and_the_rest_before_it() -> None:
    world = Renewed()
    populate(world)
    annotated(world)
    before = seen(world)
    await move(world)
    world.order.clear()
    outcome = await back(world)
    assert (outcome.problems, outcome.done) == ({}, 2)
    assert world.order[:3] == ["delete Certificate api", "change Deployment", "delete Certificate web"]
    assert seen(world) == before


async def test_what_annotations_made_stays_while_cert_managers_controller_does_not_come_back() -> None:
    world = Renewed()
    populate(world)
    annotated(world)
    await move(world)
    world.comes_up = False
    outcome = await back(world)
    assert outcome.problems == {
        "Certificate shop/web": "stays for now: cert-manager's controller has not come up; run it again"
    }
    assert set(of(world, OUR_CERTIFICATES)) == {"web"}
    assert set(of(world, OUR_CLUSTER_ISSUERS)) == {"le"}
    world.comes_up = True
    assert (await back(world)).problems == {}
    assert of(world, OUR_CERTIFICATES) == {}


async def test_the_way_back_tells_which_secrets_have_a_certificate_of_either(world: World) -> None:
    await move(world)
    made = {"dnsNames": ["web.test"], "secretName": "web-tls", "issuerRef": {"name": "le"}}
    world.put(OUR_CERTIFICATES, "mine", "shop", spec=made)
    outcome = await back(world)
    assert outcome.done == 2
    assert outcome.problems == {
        "Certificate shop/mine": "names the Secret web-tls, as cert-manager's Certificate web does: delete one of "
        "them; the Secret stays"
    }


async def test_what_our_shim_made_meanwhile_is_waited_for_until_it_is_handed_over() -> None:
    class HandsOver(World):
        looks = 0

        async def list(self, kind: Kind, namespace: str | None = None) -> list[dict[str, Any]]:
            self.looks += kind == OUR_CERTIFICATES
            if self.looks == 6:
                self.objects.pop((OUR_CERTIFICATES, "shop", "new"), None)
            return await super().list(kind, namespace)

    world = HandsOver()
    populate(world)
    await move(world)
    spec = {"dnsNames": ["web.test"], "secretName": "web-tls", "issuerRef": {"name": "le"}}
    world.put(OUR_CERTIFICATES, "new", "shop", spec=spec, metadata={"ownerReferences": [INGRESS]})
    world.looks = 0
    told: list[str] = []
    outcome = await go_back(world, await read_inventory(world), progress(told), secrets_in="certwright")
    assert outcome.problems == {}
    assert "waiting until Certwright leaves 1 Secrets to cert-manager's Certificates" in told


@pytest.mark.parametrize(
    ("arguments", "off", "expected"),
    [
        (["--v=2"], ("orders",), ["--v=2", "--controllers=*,-orders"]),
        (["--controllers=*,-orders"], ("orders",), ["--controllers=*,-orders"]),
        (["--controllers", "*,-x", "--v=2"], ("orders",), ["--v=2", "--controllers=*,-x,-orders"]),
        (["--controllers=issuers,orders"], ("orders",), ["--controllers=issuers,-orders"]),
        (["--controllers=orders"], ("orders",), ["--controllers=*,-orders"]),
        (["--controllers=a", "--controllers=b"], ("orders",), ["--controllers=a,b,-orders"]),
        (
            ["--enable-gateway-api-listenerset"],
            ("ingress-shim",),
            ["--enable-gateway-api-listenerset=false", "--controllers=*,-ingress-shim"],
        ),
        (["--enable-gateway-api-listenerset"], ("x",), ["--enable-gateway-api-listenerset", "--controllers=*,-x"]),
        (["--controllers"], ("orders",), ["--controllers=*,-orders"]),
    ],
)
def test_controllers_are_off_beside_what_was_chosen_before(
    arguments: list[str], off: tuple[str, ...], expected: list[str]
) -> None:
    assert without_controllers(arguments, off) == expected
    assert without_controllers(expected, off) == expected


def rolled_out(world: World) -> dict[str, Any]:
    """Let the Deployment be rolled out, whatever is changed in it, and return it."""
    deployment = of(world, DEPLOYMENTS)["cert-manager"]
    deployment["metadata"]["generation"] = 1
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2)
    deployment["status"] = {"observedGeneration": 1, **counts}
    return deployment


async def test_what_a_tenant_named_reaches_no_terminal_as_it_is(world: World) -> None:
    world.put(THEIR_ISSUERS, "self", "shop", spec={"selfSigned": {}})
    forged = {**INGRESS, "name": "\x1b]0;owned\x07" + "x" * 5000}
    certificate(world, "inside", issuerRef={"name": "self"}, metadata={"ownerReferences": [forged]})
    certificate(world, "lost", issuerRef={"name": "\x1b[2J"})
    annotated(world)
    warnings = assess(await read_inventory(world)).warnings
    assert len(warnings) == 2
    assert all(one.isprintable() and len(one) < 2000 for one in warnings)


@pytest.mark.parametrize("moving", [True, False], ids=["one moves", "none moves"])
async def test_its_shims_run_on_only_where_nothing_that_annotations_made_moves(world: World, *, moving: bool) -> None:
    deployment = rolled_out(world)
    world.put(THEIR_ISSUERS, "self", "shop", spec={"selfSigned": {}})
    annotated(world, "inside", issuerRef={"name": "self"})
    if moving:
        annotated(world, "web")
    assessment = assess(await read_inventory(world))
    assert assessment.keeps_shims is not moving
    told = "Annotations name issuers that stay with cert-manager at Ingress shop/web."
    assert any(one.startswith(told) for one in assessment.warnings) is moving
    await move(world)
    [controllers] = [
        one for one in deployment["spec"]["template"]["spec"]["containers"][0]["args"] if "--controllers" in one
    ]
    assert controllers == f"--controllers=*,{WITHOUT_ACME}" + (f",{WITHOUT_SHIMS}" if moving else "")


async def test_crds_go_last_and_only_if_nothing_is_left(world: World) -> None:
    for group in ("cert-manager.io", "acme.cert-manager.io", "other.test"):
        world.put(CRDS, f"things.{group}", spec={"group": group})
    assert "2 certificates.cert-manager.io are left" in await remove_crds(world, progress())
    await move(world)
    await end(world)
    assert await remove_crds(world, progress()) == ""
    assert set(of(world, CRDS)) == {"things.other.test"}
    assert all(MOVED in body["metadata"]["annotations"] for body in of(world, OUR_CERTIFICATES).values())


async def test_only_the_object_that_was_read_is_changed(world: World) -> None:
    read = cast("dict[str, Any]", await world.read(DEPLOYMENTS, "cert-manager", "cert-manager"))
    await world.change(DEPLOYMENTS, read, {"spec": {"replicas": 3}})
    with pytest.raises(Conflict):
        await world.change(DEPLOYMENTS, read, {"spec": {"replicas": 4}})


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("-----BEGIN PRIVATE KEY-----", "PKCS8"),
        ("-----BEGIN RSA PRIVATE KEY-----", "PKCS1"),
        ("-----BEGIN EC PRIVATE KEY-----", "PKCS1"),
        ("-----BEGIN CERTIFICATE-----", None),
        ("", None),
    ],
)
def test_the_key_keeps_its_form_for_the_trial(line: str, encoding: str | None) -> None:
    pem = f"{line}\n{'A' * 64}\n" * 20
    assert encoding_of({"data": {"tls.key": base64.b64encode(pem.encode()).decode()}}) == encoding


@pytest.mark.parametrize("secret", [None, {}, {"data": None}, {"data": {"tls.key": 7}}, {"data": {"tls.key": "?" * 9}}])
def test_what_is_no_key_has_no_form(secret: Any) -> None:
    assert encoding_of(secret) is None


async def test_a_trial_says_how_the_key_is_written(world: World) -> None:
    pem = base64.b64encode(b"-----BEGIN RSA PRIVATE KEY-----\n").decode()
    of(world, SECRETS)["web-tls"]["data"]["tls.key"] = pem
    await move(world)
    assert of(world, OUR_CERTIFICATES)["web"]["spec"]["privateKey"] == {"rotationPolicy": "Never", "encoding": "PKCS1"}
