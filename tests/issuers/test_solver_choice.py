"""Which solver is for which name: the outcomes are those of cert-manager's resolution."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.failures import IssuanceError
from certwright.issuers.solver_choice import choose_solver
from certwright.resources import IssuerSolver


def solver(number: int, *, http: bool = False, **selector: Any) -> IssuerSolver:
    how: dict[str, Any] = (
        {"http01": {"ingress": {}}} if http else {"dns01": {"rfc2136": {"nameserver": f"ns{number}.test"}}}
    )
    return IssuerSolver.model_validate({**how, **({"selector": selector} if selector else {})})


ANY, OTHER_ANY = solver(0), solver(1)
ZONE = solver(2, dnsZones=["example.test"])
SUBZONE = solver(3, dnsZones=["b.example.test", "example.test"])
NAME = solver(4, dnsNames=["a.b.example.test"])
WILDCARD = solver(5, dnsNames=["*.b.example.test"])
TEAM = solver(6, matchLabels={"team": "a"})
TEAM_STAGE = solver(7, matchLabels={"team": "a", "stage": "test"})
TEAM_ZONE = solver(8, matchLabels={"team": "a"}, dnsZones=["example.test"])
NAME_IN_OTHER_ZONE = solver(9, dnsNames=["a.b.example.test"], dnsZones=["other.test"])
EMPTY = IssuerSolver.model_validate({"dns01": {"rfc2136": {"nameserver": "ns"}}, "selector": {}})
OF_ACCOUNT = IssuerSolver.model_validate(
    {"dns01": {"challengeType": "dns-account-01", "rfc2136": {"nameserver": "ns"}}}
)
TLS = IssuerSolver.model_validate({"tlsAlpn01": {"gatewayTLSRoute": {"parentRefs": [{"name": "front"}]}}})
HTTP, HTTP_NAME = solver(10, http=True), solver(11, http=True, dnsNames=["*.b.example.test", "a.b.example.test"])


@pytest.mark.parametrize(
    ("solvers", "name", "labels", "chosen"),
    [
        ([ANY], "a.test", {}, ANY),
        ([ANY, OTHER_ANY], "a.test", {}, ANY),
        ([EMPTY, ANY], "a.test", {}, EMPTY),
        ([ANY, ZONE], "a.b.example.test", {}, ZONE),
        ([ANY, ZONE], "example.test", {}, ZONE),
        ([ANY, ZONE], "*.example.test", {}, ZONE),
        ([ANY, ZONE], "notexample.test", {}, ANY),
        ([ZONE, SUBZONE], "a.b.example.test", {}, SUBZONE),
        ([ZONE, SUBZONE], "c.example.test", {}, ZONE),
        ([SUBZONE, NAME], "a.b.example.test", {}, NAME),
        ([SUBZONE, NAME], "b.b.example.test", {}, SUBZONE),
        ([NAME, WILDCARD, ANY], "*.b.example.test", {}, WILDCARD),
        ([WILDCARD, ANY], "b.example.test", {}, ANY),
        ([WILDCARD, ANY], "a.b.example.test", {}, ANY),
        ([ANY, TEAM], "a.test", {"team": "a"}, TEAM),
        ([ANY, TEAM], "a.test", {"team": "b"}, ANY),
        ([TEAM, TEAM_STAGE], "a.test", {"team": "a", "stage": "test", "more": "x"}, TEAM_STAGE),
        ([TEAM_STAGE, ZONE], "a.example.test", {"team": "a", "stage": "test"}, ZONE),
        ([ZONE, TEAM_ZONE], "a.example.test", {"team": "a"}, TEAM_ZONE),
        ([ZONE, TEAM_ZONE], "a.example.test", {}, ZONE),
        ([NAME_IN_OTHER_ZONE, ANY], "a.b.example.test", {}, ANY),
        ([HTTP, ANY], "a.test", {}, HTTP),
        ([HTTP, ANY], "*.a.test", {}, ANY),
        ([TLS, ANY], "*.a.test", {}, ANY),
        ([ANY, TLS], "192.0.2.1", {}, TLS),
        ([ANY, TLS], "2001:db8::1", {}, TLS),
        ([HTTP, OF_ACCOUNT], "*.a.test", {}, OF_ACCOUNT),
        ([HTTP_NAME, ZONE, ANY], "*.b.example.test", {}, ZONE),
        ([HTTP_NAME, ZONE, ANY], "a.b.example.test", {}, HTTP_NAME),
    ],
)
def test_the_best_fit_is_chosen(
    solvers: list[IssuerSolver], name: str, labels: dict[str, str], chosen: IssuerSolver
) -> None:
    assert choose_solver(solvers, name, labels) is chosen


@pytest.mark.parametrize(
    ("solvers", "name", "reason"),
    [
        ([], "a.test", "NoSolver"),
        ([ZONE, NAME, TEAM], "a.test", "NoSolver"),
        ([HTTP], "*.a.test", "WildcardNeedsDNS01"),
        ([HTTP_NAME, TEAM], "*.b.example.test", "WildcardNeedsDNS01"),
        ([TLS], "*.a.test", "WildcardNeedsDNS01"),
        ([ANY], "192.0.2.1", "AddressNeedsHTTP01"),
        ([ANY, HTTP_NAME], "2001:db8::1", "AddressNeedsHTTP01"),
        ([ZONE], "192.0.2.1", "NoSolver"),
    ],
)
def test_none_fits(solvers: list[IssuerSolver], name: str, reason: str) -> None:
    with pytest.raises(IssuanceError) as caught:
        choose_solver(solvers, name, {})
    assert caught.value.reason == reason
    assert name in caught.value.message
    assert not caught.value.costly
