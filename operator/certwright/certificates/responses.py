"""Proofs as the status has them: what was put in place, or was about to be, for which name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from certwright.certificates.presenters import by_solver
from certwright.challenges.presenter import PresentedObject
from certwright.challenges.response import ChallengeResponse, FileResponse, RecordResponse
from certwright.http01.responder import PATH
from certwright.resources import HttpResourceStatus, RecordStatus, SolverObjectStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.challenges.presenter import Presenter
    from certwright.resources import AuthorizationStatus, CertificateStatus


def proof_of(entry: AuthorizationStatus) -> ChallengeResponse | None:
    """Return the proof that an authorization's entry names, or None if it names none (any more)."""
    if entry.record is not None:
        return RecordResponse(entry.record.name, entry.record.value)
    if entry.resource is None:
        return None
    url = urlsplit(entry.resource.url)
    if not url.hostname or not url.path.startswith(PATH):
        return None
    return FileResponse(url.hostname, url.path.removeprefix(PATH), entry.resource.key_authorization)


def proof_fields(proof: ChallengeResponse) -> dict[str, Any]:
    """Return the fields of an authorization's entry that name a proof."""
    if isinstance(proof, RecordResponse):
        return {"record": RecordStatus(name=proof.name, value=proof.value)}
    if isinstance(proof, FileResponse):
        return {"resource": HttpResourceStatus(url=proof.url, key_authorization=proof.key_authorization)}
    raise AssertionError(f"a status has no place for {proof.title}")


def presented_proofs(status: CertificateStatus) -> dict[str, ChallengeResponse]:
    """Return the proofs that are, or may be, in place for a Certificate, by authorization name."""
    if status.order is None:
        return {}
    entries = (entry for entry in status.order.authorizations if entry.presented)
    return {entry.name: proof for entry in entries if (proof := proof_of(entry)) is not None}


def solver_objects(status: CertificateStatus) -> tuple[PresentedObject, ...]:
    """Return the objects that are, or may be, in the cluster for a Certificate's order."""
    return as_objects(status.order.solver_objects if status.order is not None else ())


def as_objects(listed: Iterable[SolverObjectStatus]) -> tuple[PresentedObject, ...]:
    """Return the objects that a status lists."""
    return tuple(PresentedObject(one.kind, one.name, edited=one.edited) for one in listed)


def objects_to_make(
    proofs: Mapping[str, ChallengeResponse], solvers: Mapping[str, Presenter]
) -> tuple[SolverObjectStatus, ...]:
    """Return what the presenters will make for these proofs, to be written down before they do."""
    return tuple(
        SolverObjectStatus(kind=one.kind, name=one.name, edited=one.edited)
        for solver, group in by_solver(proofs, solvers)
        for one in solver.objects_for(group)
    )


def must_be_held(proofs: Mapping[str, ChallengeResponse], made: tuple[SolverObjectStatus, ...]) -> bool:
    """Whether something is to be put where Kubernetes does not remove it with the Certificate."""
    return any(isinstance(proof, RecordResponse) for proof in proofs.values()) or any(one.edited for one in made)
