"""Checks CAA records (RFC 8659) before the CA does. A forecast: it warns, and never stops an issuance."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from certwright.acme import AcmeError
from certwright.concurrency import gather_all
from certwright.dns import DnsError, check_caa
from certwright.issuers.solver_choice import fitting_solvers
from certwright.names import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.dns import DnsView
    from certwright.issuers.registry import ReadyIssuer
    from certwright.resources import IssuerSolver

logger = logging.getLogger(__name__)

FORECAST_SECONDS: Final = 2.0
"""For all records of an order: what cannot be had in this time is left to the CA."""
MAX_VIEWS: Final = 64
"""Sets of resolvers whose views are kept, each with what it has cached; beyond it the one used least recently goes."""


class CaaForecast:
    """Looks up CAA records through the resolvers that an issuer's solver names.

    Args:
        view: Makes a view through resolvers; through the operator's own for an empty tuple.
    """

    def __init__(self, view: Callable[[tuple[str, ...]], DnsView]) -> None:
        self._make_view = view
        self._views: dict[tuple[str, ...], DnsView] = {}

    async def objections(
        self, issuer: ReadyIssuer, methods: Mapping[str, str], labels: Mapping[str, str]
    ) -> dict[str, str]:
        """Return for each domain that the CA will probably refuse why, in words; never an error.

        A directory that does not say by which name CAA records mean its CA says nothing about any domain.

        Args:
            issuer: Whose CA and account it is.
            methods: The type of challenge of each name, a wildcard with ``*.``; addresses have no CAA records.
            labels: Of the Certificate; they choose the solver, and so the resolvers.
        """
        try:
            async with asyncio.timeout(FORECAST_SECONDS):
                identities = (await issuer.client.server.directory()).meta.caa_identities
                names = [name for name in methods if identities and not is_address(name)]
                found = await gather_all(
                    self._objection(issuer, identities, name, methods[name], labels) for name in names
                )
        except (AcmeError, TimeoutError) as error:
            logger.debug("%s: no forecast of CAA records: %s", issuer.key, error)
            return {}
        return {name: objection for name, objection in zip(names, found, strict=True) if objection}

    async def _objection(
        self, issuer: ReadyIssuer, identities: tuple[str, ...], name: str, method: str, labels: Mapping[str, str]
    ) -> str:
        fitting = fitting_solvers(issuer.spec.solvers, name, labels)
        # The best one may have been passed over, as the CA does not offer its type of challenge.
        solver = next((one for one in fitting if one.challenge_type == method), fitting[0])
        try:
            verdict = await check_caa(
                self._view(_nameservers(solver)),
                name,
                identities=identities,
                account_url=issuer.account_url,
                methods=[method],
            )
        except DnsError as error:
            logger.debug("%s: no forecast of the CAA records of %s: %s", issuer.key, name, error)
            return ""
        if verdict.allowed or verdict.found is None:
            return ""
        if verdict.unknown_tags:
            return f"{verdict.reason}: only without it does a CA issue"
        tag = (
            "issuewild"
            if name.startswith("*.") and any(one.tag == "issuewild" for one in verdict.found.records)
            else "issue"
        )
        return f'{verdict.reason}; a record that would allow it: {verdict.found.name}. CAA 0 {tag} "{identities[0]}"'

    def _view(self, nameservers: tuple[str, ...]) -> DnsView:
        view = self._views.pop(nameservers, None) or self._make_view(nameservers)
        self._views[nameservers] = view  # at the end: the first is the one that was used least recently
        while len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        return view


def _nameservers(solver: IssuerSolver) -> tuple[str, ...]:
    settings = solver.dns01 or solver.http01 or solver.tls_alpn01
    return settings.nameservers if settings is not None else ()
