"""Challenge responses: which presenter answers for which name, and which responses are, or may be, in place.

A status lists what was presented, or was about to be, which is all that cleanup needs after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from certwright.challenges.persistent_record import PersistentRecordResponse
from certwright.challenges.presenter import PresentedObject
from certwright.challenges.response import (
    AccountRecordResponse,
    ChallengeResponse,
    FileResponse,
    RecordResponse,
    TlsAlpnResponse,
    vouched,
)
from certwright.concurrency import gather_all
from certwright.failures import IssuanceError
from certwright.http01.server_names import NameUse
from certwright.issuers.solver_choice import fitting_solvers
from certwright.resources import HttpResourceStatus, RecordStatus, SolverObjectStatus
from certwright.runtime.aside import aside_if_slow
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import Sighting
    from certwright.issuers.registry import SolverSource
    from certwright.reasons import Reason
    from certwright.resources import AuthorizationStatus, Certificate, CertificateStatus

T = TypeVar("T")


async def presenters_for(
    observation: Observation,
    tools: Tools,
    names: Iterable[str],
    issuer: SolverSource | None = None,
    *,
    types: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Presenter]:
    """Choose and make the presenter for each name; names with the same solver of the issuer share one.

    Args:
        observation: What is known.
        tools: What makes them.
        names: For which.
        issuer: Whose solvers; None for those of the issuer in use.
        types: For a name the challenge types of which one is wanted: a solver that fits less well is chosen if it
            answers one and the best does not.

    Raises:
        IssuanceError: No solver is for a name, or it lacks something.
        DnsError: A server's address or a key cannot be used.
        KubeError: Credentials cannot be read.
    """
    certificate = observation.certificate
    issuer = issuer or observation.ready_issuer
    made: dict[int, Presenter] = {}
    by_name: dict[str, Presenter] = {}
    for name in names:
        fitting = fitting_solvers(issuer.spec.solvers, name, certificate.metadata.labels)
        wanted = (types or {}).get(name, ())
        chosen = next((solver for solver in fitting if solver.challenge_type in wanted), fitting[0])
        if id(chosen) not in made:
            made[id(chosen)] = await tools.presenters.make(issuer, chosen, certificate)
        by_name[name] = made[id(chosen)]
    return by_name


async def same_presenters(
    observation: Observation, tools: Tools, responses: Mapping[str, ChallengeResponse]
) -> dict[str, Presenter]:
    """Make the presenters for responses that were chosen earlier.

    Raises:
        IssuanceError: The issuer's solver for a name is now of another kind: another order is placed.
    """
    types = {name: (response.challenge_type,) for name, response in responses.items()}
    presenters = await presenters_for(observation, tools, responses, types=types)
    for name, response in responses.items():
        if presenters[name].challenge_type != response.challenge_type:
            raise IssuanceError(
                "SolverChanged",
                f"The issuer's solver for {name} is {presenters[name].challenge_type} now, but the order was started "
                "with another type: placing a new order.",
                abandons_order=True,
            )
    return presenters


async def present_all(responses: Mapping[str, ChallengeResponse], presenters: Mapping[str, Presenter]) -> None:
    """Put all responses in place together, all presenters at the same time."""
    await gather_all(_changing(group, presenter.present) for presenter, group in by_presenter(responses, presenters))


async def clean_up_all(responses: Mapping[str, ChallengeResponse], presenters: Mapping[str, Presenter]) -> None:
    """Remove all responses, all presenters at the same time."""
    await gather_all(_changing(group, presenter.clean_up) for presenter, group in by_presenter(responses, presenters))


async def look_for_all(
    responses: Mapping[str, ChallengeResponse], presenters: Mapping[str, Presenter]
) -> dict[str, Sighting]:
    """Look once for all responses; return what was seen, by authorization name."""
    groups = by_presenter(responses, presenters)
    async with aside_if_slow():
        answers = await gather_all(presenter.check(group) for presenter, group in groups)
    by_response = {
        response: sighting
        for (_, group), sightings in zip(groups, answers, strict=True)
        for response, sighting in zip(group, sightings, strict=True)
    }
    return {name: by_response[response] for name, response in responses.items()}


async def _changing(group: list[ChallengeResponse], act: Callable[[list[ChallengeResponse]], Awaitable[T]]) -> T:
    """Wait for a DNS provider without keeping others from being looked at; all else is in the API server."""
    if not records_of(group):
        return await act(group)
    async with aside_if_slow():
        return await act(group)


def by_presenter(
    responses: Mapping[str, ChallengeResponse], presenters: Mapping[str, Presenter]
) -> list[tuple[Presenter, list[ChallengeResponse]]]:
    """Group responses by the presenter of their name, each presenter once."""
    groups: dict[int, tuple[Presenter, list[ChallengeResponse]]] = {}
    for name, response in responses.items():
        presenter = presenters[name]
        groups.setdefault(id(presenter), (presenter, []))[1].append(response)
    return list(groups.values())


def records_of(responses: Iterable[ChallengeResponse]) -> list[RecordResponse]:
    """Return those that are DNS records: only what holds credentials can remove them."""
    return [response for response in responses if isinstance(response, RecordResponse)]


def files_of(responses: Iterable[ChallengeResponse]) -> list[FileResponse]:
    """Return those that are files: objects in the cluster answer for them, found by their labels."""
    return [response for response in responses if isinstance(response, FileResponse)]


def response_of(entry: AuthorizationStatus) -> ChallengeResponse | None:
    """Return the response that an authorization's entry names, or None if it names none (any more)."""
    if entry.record is not None:
        of_account = entry.challenge is not None and entry.challenge.type == AccountRecordResponse.challenge_type
        kind = AccountRecordResponse if of_account else RecordResponse
        return kind(
            entry.record.name,
            entry.record.value,
            entry.name.removeprefix("*."),
            key_authorization=vouched(entry.record.key_authorization, entry.record.value),
        )
    if entry.resource is None:
        return None
    try:
        url = urlsplit(entry.resource.url)
    except ValueError:  # an address that is none, in brackets: who may write a status may write that
        return None
    if url.scheme == "tls" and url.hostname:
        key_authorization = entry.resource.key_authorization
        return TlsAlpnResponse(url.hostname, key_authorization.partition(".")[0], key_authorization)
    if not url.hostname or not url.path.startswith(WELL_KNOWN_PATH):
        return None
    return FileResponse(url.hostname, url.path.removeprefix(WELL_KNOWN_PATH), entry.resource.key_authorization)


def response_fields(response: ChallengeResponse) -> dict[str, Any]:
    """Return the fields of an authorization's entry that name a response; none if no order puts it in place."""
    if isinstance(response, RecordResponse):
        record = RecordStatus(name=response.name, value=response.value, key_authorization=response.key_authorization)
        return {"record": record}
    if isinstance(response, PersistentRecordResponse):
        return {}  # it is not the order's, and nothing of it is to be removed
    if isinstance(response, FileResponse):
        return {"resource": HttpResourceStatus(url=response.url, key_authorization=response.key_authorization)}
    raise AssertionError(f"a status has no place for {response.title}")


def presented_responses(status: CertificateStatus) -> dict[str, ChallengeResponse]:
    """Return the responses that are, or may be, in place for a Certificate, by authorization name."""
    if status.order is None:
        return {}
    entries = (entry for entry in status.order.authorizations if entry.presented)
    return {entry.name: response for entry in entries if (response := response_of(entry)) is not None}


def routed_names(certificates: Iterable[Certificate]) -> Iterator[NameUse]:
    """Yield the names of tls-alpn-01 that statuses name as in place, whoever wrote them."""
    for certificate in certificates:
        metadata, order = certificate.metadata, certificate.status.order
        for entry in order.authorizations if order is not None else ():
            # All Certificates are gone through at once: most have nothing of the kind.
            if entry.presented and entry.resource is not None and entry.resource.url.startswith("tls:"):
                response = response_of(entry)
                if isinstance(response, TlsAlpnResponse):
                    yield NameUse.of(response, uid=metadata.uid, namespace=metadata.namespace or "")


def presented_objects(status: CertificateStatus) -> tuple[PresentedObject, ...]:
    """Return the objects that are, or may be, in the cluster for a Certificate's order."""
    return as_objects(status.order.solver_objects if status.order is not None else ())


def as_objects(listed: Iterable[SolverObjectStatus]) -> tuple[PresentedObject, ...]:
    """Return the objects that a status lists."""
    return tuple(PresentedObject(one.kind, one.name, edited=one.edited) for one in listed)


def objects_to_make(
    responses: Mapping[str, ChallengeResponse], presenters: Mapping[str, Presenter]
) -> tuple[SolverObjectStatus, ...]:
    """Return what the presenters will make for these responses, to be written down before they do."""
    return tuple(
        SolverObjectStatus(kind=one.kind, name=one.name, edited=one.edited)
        for presenter, group in by_presenter(responses, presenters)
        for one in presenter.objects_for(group)
    )


def must_be_held(responses: Mapping[str, ChallengeResponse], made: tuple[SolverObjectStatus, ...]) -> bool:
    """Whether something is to be put where Kubernetes does not remove it with the Certificate."""
    return bool(records_of(responses.values())) or any(one.edited for one in made)


def waiting_reason(responses: Mapping[str, ChallengeResponse]) -> Reason:
    """Return the reason of a note that says that these are waited for."""
    return min(response.waiting_reason for response in responses.values())
