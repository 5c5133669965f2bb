"""Prepares the validation of each name: what is known before the order, and what follows from the CA's tokens.

New orders and those of an earlier process are treated alike. A response is derived only from the issuer's solver, the
CA's token and the account key; the responses in a status are only compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from certwright.acme import AcmeError, OrderFailed, key_authorization
from certwright.acme.validation import Review
from certwright.certificates.order.authorizations import find_challenge, offered_types, pending
from certwright.certificates.order.responses import presenters_for
from certwright.challenges.persistent_record import DnsPersist01Presenter
from certwright.concurrency import gather_all
from certwright.failures import IssuanceError
from certwright.issuers.solver_choice import choose_solver
from certwright.runtime.aside import aside_if_slow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from certwright.acme import AccountKey, Authorization
    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import ChallengeResponse


@dataclass(frozen=True)
class Preparation:
    """For each name of the spec its presenter, and where the response will have to be."""

    presenters: Mapping[str, Presenter]
    places: Mapping[str, str]

    def response(self, authorization: Authorization, key: AccountKey) -> ChallengeResponse:
        """Return the response to an authorization's challenge.

        Raises:
            IssuanceError: It is for no name of the spec, or the CA offers no challenge that the solver answers.
        """
        name = authorization.name
        if name not in self.places:
            raise IssuanceError(
                "ForeignAuthorization",
                f"The CA requires validation of {name}, which is not a domain of the certificate. CAs that validate "
                "the parent domain are not supported.",
                costly=True,
                answered=True,
            )
        presenter = self.presenters[name]
        challenge = find_challenge(authorization, presenter.challenge_type)
        authorized = key_authorization(challenge.token, key.thumbprint) if challenge.token is not None else ""
        return presenter.respond(name, self.places[name], challenge, authorized)


async def prepare(observation: Observation, tools: Tools, names: Collection[str]) -> Preparation:
    """Choose the solver of each name, and find out where its response will have to be.

    What can fail without the CA (selectors, credentials, CNAMEs, lengths) fails here: a mistake costs no order.

    Raises:
        IssuanceError: No solver is for a name, or it lacks something.
        DnsError: The place of a record cannot be found, or is not allowed.
        SolverError: The Ingress that is to be edited does not exist.
        PersistentRecordMissing: A permanent record is to be published first.
        KubeError: The API server cannot be asked.
    """
    async with aside_if_slow():
        presenters = await presenters_for(
            observation, tools, names, types=_instead_of_lasting(observation, tools, names)
        )
        found = await gather_all(presenters[name].place(name) for name in names)
        await _expect({name: presenters[name] for name in names})
    return Preparation(presenters, dict(zip(names, found, strict=True)))


def _instead_of_lasting(observation: Observation, tools: Tools, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the types to choose from for names whose best solver waits for records that the CA does not look at.

    Permanent records have to be there before an order, and only an order shows what the CA offers. Where no order was
    placed yet, nothing is known, and the best solver is chosen.
    """
    issuer, labels = observation.ready_issuer, observation.certificate.metadata.labels
    known = tools.registry.challenges(issuer.key)
    if not known or DnsPersist01Presenter.challenge_type in known:
        return {}
    return {name: known for name in names if choose_solver(issuer.spec.solvers, name, labels).persistent is not None}


async def _expect(presenters: Mapping[str, Presenter]) -> None:
    """Check what has to be there already, for all names of a presenter together."""
    groups: dict[int, tuple[Presenter, list[str]]] = {}
    for name, presenter in presenters.items():
        groups.setdefault(id(presenter), (presenter, []))[1].append(name)
    await gather_all(presenter.expect(group) for presenter, group in groups.values())


async def adapted(
    prepared: Preparation, observation: Observation, tools: Tools, authorizations: Collection[Authorization]
) -> Preparation:
    """Return the preparation with another solver for each name whose challenge the CA does not offer.

    Where no solver of the issuer answers what is offered, it stays as it is, and the response says so.

    Raises:
        IssuanceError: The other solver lacks something.
        DnsError: The place of a record cannot be found, or is not allowed.
        SolverError: The Ingress that is to be edited does not exist.
        PersistentRecordMissing: A permanent record is to be published first.
        KubeError: The API server cannot be asked.
    """
    tools.registry.learn_challenges(observation.ready_issuer.key, offered_types(authorizations))
    missing = {
        one.name: types
        for one in pending(authorizations)
        if one.name in prepared.places
        and prepared.presenters[one.name].challenge_type not in (types := offered_types([one]))
    }
    if not missing:
        return prepared
    async with aside_if_slow():
        found = await presenters_for(observation, tools, missing, types=missing)
        other = {name: one for name, one in found.items() if one.challenge_type in missing[name]}
        places = await gather_all(presenter.place(name) for name, presenter in other.items())
        await _expect(other)
    return Preparation({**prepared.presenters, **other}, {**prepared.places, **dict(zip(other, places, strict=True))})


def with_responses(
    open_order: OpenOrder,
    authorizations: Iterable[Authorization],
    prepared: Preparation,
    key: AccountKey,
    *,
    kept: Collection[ChallengeResponse] = (),
) -> OpenOrder:
    """Return the order with the response to each authorization that is not valid yet, and what is to be answered.

    Args:
        open_order: The order.
        authorizations: Its authorizations.
        prepared: How names are answered for.
        key: The account's key, which each response names.
        kept: Files that are served already. If one of them is validated it stays with the others: what serves fewer
            would be other objects.

    Raises:
        OrderFailed: An authorization has failed, so the order will not become ready, whatever its state.
    """
    listed = list(authorizations)
    if failed := Review.of(listed, ()).failed:
        raise OrderFailed(open_order.order, dict(failed))
    waiting = pending(listed)
    responses = {one.name: prepared.response(one, key) for one in waiting}
    challenges = {}
    for one in waiting:
        challenge = find_challenge(one, prepared.presenters[one.name].challenge_type)
        # The CA may still ask for an answered one, and what answered may have gone with an earlier process.
        if challenge.status == "pending":
            challenges[one.name] = challenge
    if waiting and kept:
        found = {one.name: _served(one, prepared, key) for one in listed}
        responses |= {name: one for name, one in found.items() if one is not None and one in kept}
    return replace(open_order, challenges=challenges, responses=responses, account_key=key.thumbprint)


def _served(authorization: Authorization, prepared: Preparation, key: AccountKey) -> ChallengeResponse | None:
    try:
        return prepared.response(authorization, key)
    except (IssuanceError, AcmeError):
        return None  # a CA need not list the challenge any more, or may list it without what nobody needs now
