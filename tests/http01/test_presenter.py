from __future__ import annotations

import asyncio
import datetime as dt
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from certwright.acme import Challenge, ChallengeStatus
from certwright.challenges.presenter import PresentedObject
from certwright.challenges.response import RecordResponse
from certwright.http01.errors import SolverError
from certwright.http01.presenter import (
    FIRST_DIAGNOSIS_SECONDS,
    RESTORE_SECONDS,
    SETTLING_SECONDS,
    Http01Presenter,
    shared_look_up,
)
from certwright.http01.removal import remove, remove_superseded
from certwright.http01.self_check import HttpSighting
from certwright.http01.settings import GatewayRoute, IngressRoute, PodSettings, Settings, SharedSettings
from tests.fakes.http01 import file

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.challenges.holders import Holders
    from certwright.challenges.response import FileResponse
    from certwright.http01.settings import Owner
    from tests.fakes.http01 import FakeObjects

FILES = [file("a.example.test", "t1"), file("b.example.test", "t2")]
POD, SHARED = PodSettings("image"), SharedSettings("192.0.2.1", 8089)
FRONT = {"host": "a.example.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {}}]}}


class Look:
    """A self-check whose answers are as `status` says."""

    def __init__(self) -> None:
        self.status: int | None = 200

    async def look(self, files: list[FileResponse]) -> list[HttpSighting]:
        good = self.status == 200
        return [HttpSighting(one, complete=good, seen=f"HTTP {self.status}", status=self.status) for one in files]


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def look() -> Look:
    return Look()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(
    objects: FakeObjects, owner: Owner, answers: Holders[FileResponse], look: Look, time: Time
) -> Callable[..., Http01Presenter]:
    def made(
        responder: PodSettings | SharedSettings = POD,
        route: IngressRoute | GatewayRoute | None = None,
        self_check: Literal["required", "advisory", "off"] = "required",
        patience: dt.timedelta = dt.timedelta(minutes=1),
    ) -> Http01Presenter:
        return Http01Presenter(
            objects,
            owner,
            Settings(responder, route or IngressRoute("nginx"), self_check=self_check),
            patience=patience,
            answers=answers,
            self_check=look,  # type: ignore[arg-type]  # a stand-in
            monotonic=time,
        )

    return made


@pytest.mark.parametrize(
    ("responder", "route", "kinds"),
    [
        (POD, IngressRoute("nginx"), ["Pod", "Service", "Ingress"]),
        (SHARED, IngressRoute("nginx"), ["EndpointSlice", "Service", "Ingress"]),
        (POD, GatewayRoute(({"name": "gateway"},)), ["Pod", "Service", "HTTPRoute"]),
    ],
)
async def test_one_of_each_serves_all_names_and_nothing_is_left(
    make: Callable[..., Http01Presenter],
    objects: FakeObjects,
    responder: Any,
    route: Any,
    kinds: list[str],
) -> None:
    solver = make(responder, route)
    promised = solver.objects_for(FILES)
    assert [one.kind for one in promised] == kinds
    await solver.present(FILES)
    assert {(one.kind, one.name) for one in promised} == set(objects.held)
    await solver.present(FILES)
    assert len(objects.held) == 3
    await solver.clean_up(FILES)
    assert objects.held == {}


async def test_many_names_on_a_gateway_need_more_than_one_route(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    files = [file(f"n{number}.test", f"t{number}") for number in range(40)]
    solver = make(POD, GatewayRoute(({"name": "gateway"},)))
    await solver.present(files)
    kinds = sorted(kind for kind, _ in objects.held)
    assert kinds == ["HTTPRoute", "HTTPRoute", "HTTPRoute", "Pod", "Service"]
    assert {(one.kind, one.name) for one in solver.objects_for(files)} == set(objects.held)


async def test_the_shared_responder_answers_while_the_files_are_needed(
    make: Callable[..., Http01Presenter], answers: Holders[FileResponse]
) -> None:
    solver = make(SHARED)
    await solver.present(FILES)
    look_up = shared_look_up(answers)
    assert [look_up("a.example.test", "t1"), look_up("b.example.test", "t2")] == ["t1.thumbprint", "t2.thumbprint"]
    assert [look_up("a.example.test", "t2"), look_up("c.example.test", "t1")] == [None, None]
    assert set(answers) == set(FILES)
    await solver.clean_up(FILES)
    assert look_up("a.example.test", "t1") is None
    assert not list(answers)


async def test_an_edited_ingress_is_as_it_was_afterwards(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    solver = make(POD, IngressRoute(edit="front"))
    assert await solver.place("a.example.test") == "a.example.test"
    assert PresentedObject("Ingress", "front", edited=True) in solver.objects_for(FILES)
    objects.conflicts = 2
    await solver.present(FILES)
    paths = objects.held["Ingress", "front"]["spec"]["rules"][0]["http"]["paths"]
    assert [path["path"] for path in paths] == [FILES[0].path, "/"]
    objects.conflicts = 2
    await solver.clean_up(FILES)
    assert objects.held == {("Ingress", "front"): objects.held["Ingress", "front"]}
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]
    assert "managedFields" not in objects.held["Ingress", "front"]["metadata"]


async def test_an_ingress_to_edit_that_is_not_there_costs_no_order(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    solver = make(POD, IngressRoute(edit="front"))
    with pytest.raises(SolverError, match="The Ingress shop/front, which the issuer's http01 solver") as told:
        await solver.place("a.example.test")
    assert told.value.reason == "IngressNotFound"
    objects.put("Ingress", "front", spec={})
    for name in ("a.example.test", "b.example.test"):
        await solver.place(name)
    assert objects.calls.count("read Ingress") == 2, "one look is enough for all names"


async def test_all_names_of_an_order_look_once_for_the_ingress_to_edit(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    objects.put("Ingress", "front", spec={})
    solver = make(POD, IngressRoute(edit="front"))
    await asyncio.gather(*(solver.place(f"n{number}.test") for number in range(20)))
    assert objects.calls == ["read Ingress"]


async def test_orders_that_edit_one_ingress_at_once_wait_for_each_other(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    solver = make(POD, IngressRoute(edit="front"))
    files = [file(f"n{number}.test", f"t{number}") for number in range(20)]
    await asyncio.gather(*(solver.present([one]) for one in files))
    assert len(objects.held["Ingress", "front"]["spec"]["rules"]) == 21
    assert objects.calls.count("edit Ingress") == 20, "nobody was in anybody's way"
    assert "managedFields" in objects.held["Ingress", "front"]["metadata"]
    await asyncio.gather(*(solver.clean_up([one]) for one in files))
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]
    assert objects.calls.count("disown Ingress") == 1, "the last one gives the fields back"


async def test_an_edited_ingress_whose_owner_puts_his_rules_back_gets_ours_again_and_he_is_named(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    solver = make(POD, IngressRoute(edit="front"))
    await solver.present(FILES)
    ours = deepcopy(objects.held["Ingress", "front"]["spec"]["rules"])
    look.status = 404
    await solver.check(FILES)
    rules: dict[str, Any] = {"f:spec": {"f:rules": {}}}
    metadata = objects.held["Ingress", "front"]["metadata"]
    objects.held["Ingress", "front"]["spec"]["rules"] = [FRONT]
    metadata["managedFields"] = [
        {"manager": "certwright", "time": "2026-01-03T00:00:00Z", "fieldsV1": rules},
        {"manager": "helm", "time": "2026-01-01T00:00:00Z", "fieldsV1": rules},
        {"manager": "argocd-controller", "time": "2026-01-02T00:00:00Z", "fieldsV1": rules},
        {"manager": "traefik", "time": "2026-01-04T00:00:00Z", "fieldsV1": {"f:status": {}}},
    ]
    time.now += RESTORE_SECONDS
    [first, _] = await solver.check(FILES)
    assert objects.held["Ingress", "front"]["spec"]["rules"] == ours
    assert (
        "the field manager argocd-controller wrote the rules of the Ingress shop/front without those for the "
        "challenge; they were added again"
    ) in first.describe()
    objects.calls.clear()
    look.status = 200
    await solver.check(FILES)
    assert objects.calls == []


async def test_an_edited_ingress_that_has_our_rules_is_not_written(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    solver = make(POD, IngressRoute(edit="front"))
    await solver.present(FILES)
    look.status = 404
    objects.calls.clear()
    for _ in range(10):
        time.now += RESTORE_SECONDS / 10
        await solver.check(FILES)
    assert objects.calls == ["read Ingress"]


async def test_an_ingress_of_hosts_without_paths_has_them_afterwards(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    """Without a default backend the API server takes none that has no rules."""
    objects.put("Ingress", "front", spec={"rules": [{"host": "a.example.test"}, {"host": "b.example.test"}]})
    before = deepcopy(objects.held["Ingress", "front"]["spec"])
    solver = make(POD, IngressRoute(edit="front"))
    await solver.present(FILES)
    assert objects.held["Ingress", "front"]["spec"] != before
    await solver.clean_up(FILES)
    assert objects.held["Ingress", "front"]["spec"] == before


async def test_an_ingress_that_others_change_all_the_time_is_given_up(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    objects.put("Ingress", "front", spec={})
    objects.conflicts = 100
    with pytest.raises(SolverError, match="changed by other clients during each of 5 attempts") as told:
        await make(POD, IngressRoute(edit="front")).present(FILES)
    assert told.value.reason == "IngressBusy"


async def test_rules_of_an_ingress_that_is_gone_are_gone_with_it(
    objects: FakeObjects, owner: Owner, answers: Holders[FileResponse]
) -> None:
    made = [PresentedObject("Ingress", "front", edited=True), PresentedObject("Pod", "whatever")]
    await remove(objects, answers, owner, made, FILES)
    assert "delete each Pod" in objects.calls
    assert "delete each Ingress" not in objects.calls


async def test_what_an_issuer_of_earlier_asked_for_is_removed_and_what_the_present_one_asks_for_stays(
    make: Callable[..., Http01Presenter], objects: FakeObjects, owner: Owner
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    before, after = make(POD, IngressRoute(edit="front")), make(SHARED)
    await before.present(FILES)
    await after.present(FILES)
    known = [*before.objects_for(FILES), *after.objects_for(FILES)]
    await remove_superseded(objects, owner, known, after.objects_for(FILES), FILES)
    kept = {(one.kind, one.name) for one in after.objects_for(FILES)}
    assert set(objects.held) == {("Ingress", "front"), *kept}
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]
    objects.calls.clear()
    await remove_superseded(objects, owner, after.objects_for(FILES), after.objects_for(FILES), FILES)
    assert objects.calls == []
    await remove_superseded(objects, owner, after.objects_for(FILES), (), FILES)
    assert set(objects.held) == {("Ingress", "front")}


async def test_rules_that_lead_to_a_pod_of_earlier_go_although_the_ingress_is_the_same(
    make: Callable[..., Http01Presenter], objects: FakeObjects, owner: Owner
) -> None:
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    before = make(POD, IngressRoute(edit="front"))
    after = make(PodSettings("image", template={"spec": {"priorityClassName": "high"}}), IngressRoute(edit="front"))
    await before.present(FILES)
    known, wanted = before.objects_for(FILES), after.objects_for(FILES)
    await remove_superseded(objects, owner, [*known, *wanted], wanted, FILES)
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]
    await after.present(FILES)
    [ours, _] = objects.held["Ingress", "front"]["spec"]["rules"][0]["http"]["paths"]
    assert ours["backend"]["service"]["name"] == wanted[1].name


async def test_a_name_in_a_status_removes_nothing_of_others(
    objects: FakeObjects, owner: Owner, answers: Holders[FileResponse]
) -> None:
    objects.put("Pod", "database", metadata={"labels": {"app": "db"}})
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    made = [PresentedObject("Pod", "database"), PresentedObject("Ingress", "front", edited=True)]
    await remove(objects, answers, owner, made, FILES)
    assert ("Pod", "database") in objects.held
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]


async def test_paths_to_services_that_are_not_this_certificates_stay_whatever_a_status_names(
    objects: FakeObjects, owner: Owner, answers: Holders[FileResponse]
) -> None:
    theirs = replace(owner, name="other", uid="uid-other")
    other = Http01Presenter(
        objects, theirs, Settings(POD, IngressRoute(edit="front")), patience=dt.timedelta(minutes=1), answers=answers
    )
    objects.put("Ingress", "front", spec={"rules": [FRONT]})
    await other.present(FILES)
    before = deepcopy(objects.held["Ingress", "front"]["spec"])
    await remove(objects, answers, owner, other.objects_for(FILES), FILES)
    assert objects.held["Ingress", "front"]["spec"] == before
    await remove(objects, answers, theirs, other.objects_for(FILES), FILES)
    assert objects.held["Ingress", "front"]["spec"]["rules"] == [FRONT]


async def test_when_all_is_well_the_api_server_is_asked_for_nothing(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look
) -> None:
    solver = make()
    await solver.present(FILES)
    objects.calls.clear()
    look.status = 404
    assert not any(sighting.complete for sighting in await solver.check(FILES))
    look.status = 200
    assert all(sighting.complete for sighting in await solver.check(FILES))
    assert objects.calls == []


async def test_after_a_while_the_cause_is_looked_for_and_said_a_little_at_a_time(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    solver = make()
    await solver.present(FILES)
    [pod] = [body for (kind, _), body in objects.held.items() if kind == "Pod"]
    pod["status"] = {"phase": "Running"}
    objects.missing.add("nginx")
    look.status = 404
    time.now += FIRST_DIAGNOSIS_SECONDS
    objects.calls.clear()
    seen = await solver.check(FILES)
    assert seen[0].describe().startswith("HTTP 404; there is no IngressClass nginx in the cluster")
    assert objects.calls == ["read Pod", "read Ingress", "look for IngressClass"]
    await solver.check(FILES)
    assert len(objects.calls) == 3
    time.now += FIRST_DIAGNOSIS_SECONDS
    objects.missing.clear()
    objects.policies = [{"metadata": {"name": "deny"}, "spec": {"podSelector": {}}}]
    look.status = 502
    assert "the NetworkPolicy deny" in (await solver.check(FILES))[1].describe()


async def test_the_cause_is_known_before_a_short_patience_is_over(
    make: Callable[..., Http01Presenter], look: Look, time: Time
) -> None:
    solver = make(patience=dt.timedelta(seconds=2))
    await solver.present(FILES)
    look.status = 404
    time.now += 1
    assert "the solver pod cw-web-" in (await solver.check(FILES))[0].describe()


async def test_a_pod_that_is_over_is_made_again(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    solver = make()
    await solver.present(FILES)
    [key] = [key for key in objects.held if key[0] == "Pod"]
    objects.held[key]["status"] = {"phase": "Failed", "reason": "Evicted"}
    look.status = 502
    time.now += 10
    objects.calls.clear()
    assert "has failed (Evicted)" in (await solver.check(FILES))[0].describe()
    assert objects.calls == ["read Pod", "delete Pod", "create Pod"]
    del objects.held[key]
    time.now += 10
    assert "the solver pod no longer exists; the operator creates it again" in (await solver.check(FILES))[0].describe()
    assert key in objects.held


@pytest.mark.parametrize(
    ("kind", "route", "said"),
    [
        ("Service", IngressRoute("nginx"), "of the solver was gone; the operator has created it again"),
        ("Ingress", IngressRoute("nginx"), "of the solver is gone; the operator creates it again"),
        ("HTTPRoute", GatewayRoute(({"name": "gateway"},)), "HTTPRoute is gone; the operator creates it again"),
        ("EndpointSlice", IngressRoute("nginx"), ""),
    ],
)
async def test_what_somebody_deletes_is_made_again_at_once(
    make: Callable[..., Http01Presenter],
    objects: FakeObjects,
    look: Look,
    time: Time,
    *,
    kind: str,
    route: IngressRoute | GatewayRoute,
    said: str,
) -> None:
    """And not when the patience is over, which may be hours."""
    solver = make(SHARED, route)
    await solver.present(FILES)
    [key] = [key for key in objects.held if key[0] == kind]
    for served in (one for one in objects.held.values() if one["kind"] == "HTTPRoute"):
        served["status"] = {"parents": [{"conditions": []}]}
    del objects.held[key]
    look.status = 503
    time.now += FIRST_DIAGNOSIS_SECONDS
    assert said in (await solver.check(FILES))[0].describe()
    assert key in objects.held
    time.now += FIRST_DIAGNOSIS_SECONDS * 2
    assert "gone" not in (await solver.check(FILES))[0].describe(), "it is told once"


async def test_a_pod_that_admission_changed_stays_as_it_is(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    await make().present(FILES)
    [key] = [key for key in objects.held if key[0] == "Pod"]
    objects.held[key]["spec"]["containers"][0]["resources"] = "changed"
    await make().present(FILES)
    assert objects.held[key]["spec"]["containers"][0]["resources"] == "changed"


async def test_the_cause_is_looked_for_less_often_the_longer_it_takes(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    solver = make()
    await solver.present(FILES)
    look.status = 404
    objects.calls.clear()
    for _ in range(60):
        time.now += 1
        await solver.check(FILES)
    assert 6 <= objects.calls.count("read Pod") <= 8


async def test_without_self_check_a_pod_has_to_run_all_the_same(
    make: Callable[..., Http01Presenter], objects: FakeObjects, look: Look, time: Time
) -> None:
    solver = make(self_check="off")
    await solver.present(FILES)
    look.status = None
    time.now += SETTLING_SECONDS
    assert not (await solver.check(FILES))[0].complete
    [pod] = [body for (kind, _), body in objects.held.items() if kind == "Pod"]
    pod["status"] = {"phase": "Running"}
    assert "waiting 5 s for the ingress controller to pick up the route" in (await solver.check(FILES))[0].describe()
    objects.calls.clear()
    assert not (await solver.check(FILES))[0].complete
    time.now += SETTLING_SECONDS
    assert (await solver.check(FILES))[0].complete
    assert objects.calls == []


async def test_without_self_check_the_shared_responder_is_there_as_soon_as_its_route(
    make: Callable[..., Http01Presenter], time: Time
) -> None:
    solver = make(SHARED, self_check="off")
    assert solver.patience == dt.timedelta(seconds=60 + SETTLING_SECONDS)
    await solver.present(FILES)
    assert not any(sighting.complete for sighting in await solver.check(FILES))
    time.now += SETTLING_SECONDS
    assert all(sighting.complete for sighting in await solver.check(FILES))


async def test_a_refusal_is_told_when_the_rest_is_done(
    make: Callable[..., Http01Presenter], objects: FakeObjects
) -> None:
    objects.broken = RuntimeError("no")
    with pytest.raises(RuntimeError):
        await make().present(FILES)
    assert sorted(objects.calls) == ["apply Ingress", "apply Service", "create Pod"]


def test_a_proof_is_a_file(make: Callable[..., Http01Presenter]) -> None:
    solver = make()
    challenge = Challenge("http-01", "https://ca.example.test/1", ChallengeStatus.PENDING, "t1")
    assert solver.respond("a.example.test", "a.example.test", challenge, "t1.thumbprint") == FILES[0]
    assert FILES[0].url == "http://a.example.test/.well-known/acme-challenge/t1"
    with pytest.raises(AssertionError):
        solver.objects_for([RecordResponse("a.test", "v")])


async def test_two_certificates_may_need_the_same_answer(answers: Holders[FileResponse]) -> None:
    await answers.hold("one", FILES)
    await answers.hold("two", FILES[:1])
    answers.forget("one")
    assert list(answers) == FILES[:1]
    await answers.hold("two", FILES[1:])
    assert list(answers) == FILES, "another solver of the same order"
    answers.forget("two")
    answers.forget("three")
    assert not list(answers)
