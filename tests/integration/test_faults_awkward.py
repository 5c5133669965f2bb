"""CAs whose machines do not agree at once, that leave out what nobody needs, or are in no hurry to be final."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from certwright.acme import OrderFailed
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import AWKWARD
from testbed.faults import FAULTS, FaultProxy

if TYPE_CHECKING:
    from harness import Tenant
    from testbed import TestBed

FAILING = "authorization-fails-in-pending-order"
TOLERATED = sorted(set(AWKWARD) - {FAILING})


@pytest.mark.parametrize("name", TOLERATED)
async def test_the_library_gets_its_certificate_all_the_same(bed: TestBed, name: str) -> None:
    check_outcome(FAULTS[name], await Ordeal(bed.pebble, bed.bind).suffer(FAULTS[name]))


async def test_the_library_is_told_at_once_why_an_authorization_failed(bed: TestBed) -> None:
    check_outcome(FAULTS[FAILING], error := await Ordeal(bed.pebble, bed.bind).suffer(FAULTS[FAILING]))
    assert isinstance(error, OrderFailed)
    assert {problem.detail for problem in error.by_identifier.values()} == {"no TXT record found"}


@pytest.mark.usefixtures("operator")
def test_the_operator_issues_at_all_of_them_and_says_why_one_fails(module_tenant: Tenant) -> None:
    tenant = module_tenant
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(FaultProxy.of(tenant.bed.pebble)) for name in AWKWARD}
        for name, proxy in proxies.items():
            tenant.add_issuer(name, server=proxy.directory_url)
            proxy.misbehave(FAULTS[name])
            domain = f"{name}.{tenant.namespace}.example.test"
            tenant.apply(name, domain, f"*.{domain}", issuerRef={"name": name})
        for name in TOLERATED:
            tenant.ready(name)
            assert proxies[name].struck[name] > 0
        message = tenant.not_ready(FAILING, "ValidationFailed")["message"]
        assert "no TXT record found" in message
