"""The operator at CAs that misbehave: what happened is named, the last good certificate stays, the others go on."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.mistakes import shown, wait_event
from harness.ordeal import KEY_START
from harness.outcomes import OUTCOMES
from testbed.faults import FAULTS, MARKER, FaultProxy
from testbed.faults.refusals import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Tenant

pytestmark = pytest.mark.usefixtures("operator")

WORDS = {
    "endless-body": ("sent more than 262144 bytes",),
    "private-key-in-chain": ("contains a block of type EC PRIVATE KEY",),
    "leaf-for-another-key": ("another private key", "The last good one is kept"),
    "expired-leaf": ("the certificate expired at", "The last good one is kept"),
    "leaf-of-a-clock-ahead": ("valid only from", "any current one stays"),
    "authorization-for-other-name": ("this authorization for other.example.test",),
    "processing-beyond-its-end": ("is still processing, but it expired at 2020-01-01T00:00:00Z",),
    "no-challenges": ("offers no dns-01 challenge",),
    "rate-limited-until-date": ("too many new orders", "accepts requests again at"),
    "hang-before-answer": ("did not answer in time",),
}
"""What the conditions say, by fault."""
NOT_SOON = (
    "leaf-for-another-key",
    "expired-leaf",
    "leaf-of-a-clock-ahead",
    "processing-beyond-its-end",
    "no-challenges",
    "rate-limited-until-date",
    "hang-before-answer",
)
"""Those whose recovery is not waited for: the CA is left alone for a minute at least, or holds a second request."""
PATIENCE = {"hang-before-answer": {"timeouts": {"read": "10s"}}}
"""Settings of the issuer, by fault: by default a CA that does not answer is given up on after 30 s, twice."""
SOON = tuple(fault for fault in WORDS if fault not in NOT_SOON)
SECOND = dt.timedelta(seconds=1)
MOST_MEGABYTES = 25.0


@dataclass(frozen=True)
class Struck:
    """The state just before the CAs began to misbehave."""

    began: dt.datetime
    proxies: dict[str, FaultProxy]
    secrets: dict[str, dict[str, bytes]]
    megabytes: float


def names(tenant: Tenant, fault: str, *more: str) -> list[str]:
    return [f"{label}.{tenant.namespace}.example.test" for label in (fault, *more)]


@pytest.fixture(scope="module")
def struck(module_tenant: Tenant) -> Iterator[Struck]:
    """Certificates that were fine, and want another name now; a CA each, which does something else wrong."""
    tenant = module_tenant
    with ExitStack() as stack:
        proxies = {fault: stack.enter_context(FaultProxy.of(tenant.bed.pebble)) for fault in WORDS}
        for fault, proxy in proxies.items():
            tenant.add_issuer(fault, server=proxy.directory_url, **PATIENCE.get(fault, {}))
            tenant.apply(fault, *names(tenant, fault), issuerRef={"name": fault})
        for fault in proxies:
            tenant.ready(fault)
        secrets = {fault: tenant.cluster.secret_data(tenant.namespace, f"{fault}-tls") for fault in proxies}
        megabytes = tenant.operator.resident_megabytes()
        began = dt.datetime.now(dt.UTC)
        for fault, proxy in proxies.items():
            proxy.misbehave(FAULTS[fault])
            tenant.apply(fault, *names(tenant, fault, f"more-{fault}"), issuerRef={"name": fault})
        yield Struck(began, proxies, secrets, megabytes)


@pytest.mark.usefixtures("struck")
def test_a_certificate_at_a_healthy_ca_is_issued_meanwhile(module_tenant: Tenant) -> None:
    module_tenant.apply("healthy", *names(module_tenant, "healthy"))
    module_tenant.ready("healthy")


def check_told(tenant: Tenant, struck: Struck, fault: str) -> None:
    """What the CA does is named in a condition and an Event, and the last good certificate stays."""
    reason = OUTCOMES[fault].reason
    message = tenant.not_ready(fault, reason)["message"]
    assert [word for word in WORDS[fault] if word not in message] == [], message
    assert wait_event(tenant.cluster, tenant.namespace, fault, reason)["type"] == "Warning"
    assert tenant.cluster.secret_data(tenant.namespace, f"{fault}-tls") == struck.secrets[fault]
    assert struck.proxies[fault].struck[fault] > 0


@pytest.mark.parametrize("fault", SOON)
def test_what_the_ca_does_is_named_and_the_last_good_certificate_stays(
    module_tenant: Tenant, struck: Struck, fault: str
) -> None:
    check_told(module_tenant, struck, fault)


def test_memory_is_bounded_and_nothing_is_given_away(module_tenant: Tenant, struck: Struck, operator_log: Path) -> None:
    module_tenant.not_ready("endless-body", "CAMalformedResponse")
    assert module_tenant.operator.resident_megabytes() - struck.megabytes < MOST_MEGABYTES
    seen = shown(module_tenant, operator_log)
    assert "sent more than 262144 bytes" in seen
    assert not [text for text in (MARKER, KEY_START) if text in seen]


def test_what_behaves_again_is_used_again(module_tenant: Tenant, struck: Struck) -> None:
    for fault in SOON:
        module_tenant.not_ready(fault, OUTCOMES[fault].reason)
        struck.proxies[fault].misbehave()
    for fault in SOON:
        module_tenant.ready(fault)
        leaf = module_tenant.cluster.secret_data(module_tenant.namespace, f"{fault}-tls")["tls.crt"]
        assert leaf != struck.secrets[fault]["tls.crt"]


@pytest.mark.parametrize("fault", NOT_SOON)
def test_what_is_not_tried_again_for_a_while_is_named_as_well(
    module_tenant: Tenant, struck: Struck, fault: str
) -> None:
    """Last of them the CA that does not answer, which is given up on after the issuer's own time-out."""
    check_told(module_tenant, struck, fault)


def test_a_rate_limit_is_waited_for(module_tenant: Tenant, struck: Struck) -> None:
    message = module_tenant.not_ready("rate-limited-until-date", "RateLimited")["message"]
    said = message.partition("accepts requests again at ")[2].split()[0].rstrip(".")
    until = dt.datetime.fromisoformat(said)
    # The header says when, from the instant of the refusal; that was after the CAs began to misbehave.
    assert struck.began + WAIT - SECOND <= until <= dt.datetime.now(dt.UTC) + WAIT
    assert struck.proxies["rate-limited-until-date"].struck.total() == 1
