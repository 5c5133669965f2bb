"""Chooses the solver of an issuer for a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.failures import IssuanceError
from certwright.names import is_address
from certwright.resources import DNS_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.resources import AcmeIssuerSpec, IssuerSolver


def selected_labels(spec: AcmeIssuerSpec) -> set[str]:
    """Return the names of the labels that an issuer's solvers select Certificates by."""
    selectors = (solver.selector for solver in spec.solvers)
    return {name for selector in selectors if selector is not None for name in selector.match_labels}


def choose_solver(solvers: Sequence[IssuerSolver], name: str, labels: Mapping[str, str]) -> IssuerSolver:
    """Return the solver that fits a name best.

    Args:
        solvers: In the issuer's order.
        name: The name, with ``*.`` for a wildcard; or an IP address.
        labels: Of the Certificate.

    Raises:
        IssuanceError: No solver fits, or the only ones that do cannot serve this name.
    """
    return fitting_solvers(solvers, name, labels)[0]


def fitting_solvers(solvers: Sequence[IssuerSolver], name: str, labels: Mapping[str, str]) -> list[IssuerSolver]:
    """Return the solvers that fit a name and can serve it, the best first.

    An exact ``dnsNames`` entry beats any zone, a longer zone a shorter, more labels fewer, an earlier solver a later. A
    selector with several kinds of entries fits only if each kind does.

    Raises:
        IssuanceError: No solver fits, or the only ones that do cannot serve this name.
    """
    fitting = sorted(
        (
            (rank, -position)
            for position, solver in enumerate(solvers)
            if (rank := _rank(solver, name, labels)) is not None
        ),
        reverse=True,
    )
    if not fitting:
        raise IssuanceError(
            "NoSolver",
            f"No solver of the issuer matches {name}: their selectors are for other domains, zones or labels. "
            "Add a solver for it, or remove a selector.",
        )
    found = [solvers[-position] for _, position in fitting]
    if is_address(name):
        return _for_address(found, name)
    if name.startswith("*."):
        usable = [solver for solver in found if solver.challenge_type in DNS_TYPES]
        if not usable:
            raise IssuanceError(
                "WildcardNeedsDNS01",
                f"{name} is a wildcard, which requires dns-01 (RFC 8555 section 7.1.3), but the issuer's solver for "
                f"it is {found[0].field}. Add a dns01 solver, or remove the wildcard.",
            )
        return usable
    return found


def possible_solvers(solvers: Sequence[IssuerSolver], name: str, challenge_type: str) -> list[IssuerSolver]:
    """Return the solvers with a DNS provider that a name may have had, whatever labels its Certificate had.

    Args:
        solvers: In the issuer's order.
        name: The name, with ``*.`` for a wildcard.
        challenge_type: The type of the challenges that they answer.
    """
    return [
        solver
        for solver in solvers
        if solver.dns01 is not None
        and solver.challenge_type == challenge_type
        and solver.dns01.has_provider
        and _rank(solver, name, solver.selector.match_labels if solver.selector is not None else {}) is not None
    ]


def _for_address(fitting: Sequence[IssuerSolver], address: str) -> list[IssuerSolver]:
    usable = [solver for solver in fitting if solver.challenge_type not in DNS_TYPES]
    if not usable:
        raise IssuanceError(
            "AddressNeedsHTTP01",
            f"{address} is an IP address, which no CA validates by DNS (RFC 8738 section 7), and the issuer has "
            "only such solvers for it. Add an http01 or tlsAlpn01 solver to the issuer, or remove the address.",
        )
    return usable


def _rank(solver: IssuerSolver, name: str, labels: Mapping[str, str]) -> tuple[bool, int, int] | None:
    selector = solver.selector
    if selector is None:
        return (False, 0, 0)
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return None
    exact = name in selector.dns_names
    zone = max((len(zone) for zone in selector.dns_zones if _in_zone(name, zone)), default=0)
    if (selector.dns_names and not exact) or (selector.dns_zones and not zone):
        return None
    return (exact, zone, len(selector.match_labels))


def _in_zone(name: str, zone: str) -> bool:
    bare = name.removeprefix("*.")
    return bare == zone or bare.endswith(f".{zone}")
