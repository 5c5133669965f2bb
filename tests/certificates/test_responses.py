from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import dns01_value
from certwright.certificates.order.responses import (
    must_be_held,
    objects_to_make,
    presented_objects,
    presented_responses,
    response_fields,
    response_of,
)
from certwright.challenges.dns01 import Dns01Presenter
from certwright.challenges.holders import Holders
from certwright.challenges.presenter import PresentedObject
from certwright.challenges.response import ChallengeResponse, FileResponse, RecordResponse
from certwright.http01.presenter import Http01Presenter
from certwright.http01.settings import IngressRoute, Owner, PodSettings, Settings
from certwright.resources import AuthorizationStatus, SolverObjectStatus

if TYPE_CHECKING:
    from tests.fakes.operator import Build

RECORD = RecordResponse("_acme-challenge.a.test", "v")
AUTHORIZATION = "token-1.thumbprint"
TOLD = RecordResponse("_acme-challenge.a.test", dns01_value(AUTHORIZATION), "x", key_authorization=AUTHORIZATION)
FILE = FileResponse("b.test", "token-1", "token-1.thumbprint")


def entry(response: ChallengeResponse, *, presented: bool = True) -> AuthorizationStatus:
    return AuthorizationStatus(name="x", state="pending", presented=presented, **response_fields(response))


@pytest.mark.parametrize("response", [RECORD, FILE])
def test_a_response_comes_back_from_the_status_as_it_went_in(response: ChallengeResponse) -> None:
    assert response_of(AuthorizationStatus.model_validate(entry(response).to_json())) == response


def test_the_key_authorization_of_a_record_comes_back_if_the_value_is_its_digest() -> None:
    status = AuthorizationStatus.model_validate(entry(TOLD).to_json())
    found = response_of(status)
    assert isinstance(found, RecordResponse)
    assert (found, found.domain, found.key_authorization) == (TOLD, "x", AUTHORIZATION)
    assert "keyAuthorization" not in entry(RECORD).to_json()["record"]
    assert status.record is not None
    changed = status.replace(record=status.record.replace(key_authorization="token-2.thumbprint"))
    found = response_of(changed)
    assert isinstance(found, RecordResponse)
    assert found.key_authorization is None, "the seal vouches for the value alone"


@pytest.mark.parametrize("url", ["b.test", "http:///x", "http://b.test/elsewhere/token-1"])
def test_a_status_that_someone_changed_names_no_response(url: str) -> None:
    broken = AuthorizationStatus.model_validate(
        {"name": "x", "state": "pending", "resource": {"url": url, "keyAuthorization": "a.b"}}
    )
    assert response_of(broken) is None


def test_only_what_is_presented_is_outside(build: Build) -> None:
    certificate = build.certificate()
    order = build.order_status(
        certificate,
        authorizations=(
            entry(FILE).replace(name="b.test"),
            entry(RECORD, presented=False).replace(name="a.test"),
            AuthorizationStatus(name="c.test", state="valid", presented=True),
        ),
        solver_objects=(SolverObjectStatus(kind="Ingress", name="front", edited=True),),
    )
    status = certificate.status.replace(order=order)
    assert presented_responses(status) == {"b.test": FILE}
    assert presented_objects(status) == (PresentedObject("Ingress", "front", edited=True),)
    assert presented_responses(certificate.status) == {}
    assert presented_objects(certificate.status) == ()


def http01_solver(edit: str | None) -> Http01Presenter:
    owner = Owner("team", "web", "uid-web", {})
    settings = Settings(PodSettings("image"), IngressRoute(edit=edit))
    return Http01Presenter(cast("Any", None), owner, settings, patience=dt.timedelta(minutes=1), answers=Holders())


@pytest.mark.parametrize(
    ("edit", "responses", "kinds", "held"),
    [
        (None, {"b.test": FILE}, ["Pod", "Service", "Ingress"], False),
        ("front", {"b.test": FILE}, ["Pod", "Service", "Ingress"], True),
        (None, {"a.test": RECORD}, [], True),
        (None, {"a.test": RECORD, "b.test": FILE}, ["Pod", "Service", "Ingress"], True),
        (None, {}, [], False),
    ],
)
def test_what_is_made_and_whether_kubernetes_removes_all_of_it(
    edit: str | None, responses: dict[str, ChallengeResponse], kinds: list[str], *, held: bool
) -> None:
    records = Dns01Presenter(
        cast("Any", None), cast("Any", None), destination="ns", follow_cname=False, patience=dt.timedelta(minutes=1)
    )
    made = objects_to_make(responses, {"a.test": records, "b.test": http01_solver(edit)})
    assert [one.kind for one in made] == kinds
    assert must_be_held(responses, made) is held


def test_names_with_one_solver_share_its_objects() -> None:
    solver = http01_solver(None)
    responses: dict[str, ChallengeResponse] = {
        f"{n}.test": FileResponse(f"{n}.test", f"t{n}", f"t{n}.p") for n in range(20)
    }
    assert len(objects_to_make(responses, dict.fromkeys(responses, solver))) == 3
