"""An account at a CA that believes every proof, without the protocol."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509

from certwright import acme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.fakes.operator import Build, OrderState

PLACE = "https://ca.example.test"
NOT_SEEN = acme.Problem(type="urn:ietf:params:acme:error:dns", detail="no TXT record")


class FakeAcmeClient:
    """An account's view of a CA that believes every proof, unless `verdict` says otherwise."""

    def __init__(self, build: Build, clock: Callable[[], dt.datetime]) -> None:
        self.build = build
        self.clock = clock
        self.key = acme.AccountKey.generate()
        self.orders: dict[str, acme.Order] = {}
        self.proved: set[str] = set()
        self.verdict: OrderState = "ready"
        self.extra_names: list[str] = []
        self.life: dict[str, Any] = {}
        self.not_ready = 0
        self.undecided = False
        self.account_status = acme.AccountStatus.VALID
        self.chain = b""
        self.begins = dt.timedelta(hours=-1)
        self.changed: Callable[[bytes], bytes] = lambda chain: chain

    async def new_order(self, identifiers: Sequence[acme.Identifier], **_: Any) -> acme.Order:
        names = [identifier.value for identifier in identifiers]
        self.proved.clear()
        url = f"{PLACE}/order/{len(self.orders) + 1}"
        self.orders[url] = replace(self.build.order("pending", names), url=url)
        return self.orders[url]

    async def fetch_account(self) -> acme.Account:
        if self.account_status != "valid":
            raise unauthorized("account")
        return acme.Account(f"{PLACE}/account/1", self.account_status)

    async def fetch_order(self, url: str, *, known: acme.Order | None = None) -> acme.Order:
        assert known is None or known.url == url
        return self.orders[url]

    async def fetch_authorizations(self, order: acme.Order) -> tuple[acme.Authorization, ...]:
        return tuple(self._authorization(identifier.value) for identifier in order.identifiers)

    async def fetch_readable_authorizations(self, order: acme.Order) -> tuple[acme.Authorization, ...]:
        return await self.fetch_authorizations(order)

    async def order_failure(self, order: acme.Order) -> acme.OrderFailed:
        return acme.OrderFailed(order, {order.identifiers[0].value: NOT_SEEN})

    async def answer_challenge(self, challenge: acme.Challenge) -> acme.Challenge:
        self.proved.add(challenge.url)
        for url, order in self.orders.items():
            if order.status == "pending" and not self.undecided:
                self.orders[url] = replace(order, status=acme.OrderStatus(self.verdict))
        return challenge

    async def finalize(self, order: acme.Order, csr: bytes) -> acme.Order:
        if self.not_ready:
            self.not_ready -= 1
            problem = acme.Problem(type="urn:ietf:params:acme:error:orderNotReady", detail="not yet")
            raise acme.OrderNotReady(problem, action="finalize", url=order.finalize_url, status=403)
        key = x509.load_der_x509_csr(csr).public_key()
        names = [*(identifier.value for identifier in order.identifiers), *self.extra_names]
        keyed = SimpleNamespace(public_key=lambda: key)
        begin = self.clock() + self.begins
        chain = self.build.ca.chain(names, key=cast("Any", keyed), not_before=begin, **self.life).pem
        self.chain = self.changed(chain)
        self.orders[order.url] = replace(order, status=acme.OrderStatus.VALID, certificate_url=f"{order.url}/cert")
        return self.orders[order.url]

    async def download_certificate(self, order: acme.Order) -> Any:
        assert order.status == "valid"
        return SimpleNamespace(pem=self.chain)

    def _authorization(self, name: str) -> acme.Authorization:
        last = name.replace("*", "any")
        url, token = f"{PLACE}/challenge/{last}", last.replace(".", "-")
        answered = url in self.proved
        state = acme.ChallengeStatus.PROCESSING if answered and self.undecided else acme.ChallengeStatus.PENDING
        challenge = acme.Challenge("dns-01", url, state, token)
        status = "valid" if answered and not self.undecided else "pending"
        bare = acme.Identifier.dns(name.removeprefix("*."))
        return acme.Authorization(
            f"{PLACE}/authorization/{last}",
            acme.AuthorizationStatus(status),
            bare,
            name.startswith("*."),
            (challenge,),
        )


def unauthorized(action: str) -> acme.Unauthorized:
    """What a CA says to an account that it closed, whatever it asks for."""
    problem = acme.Problem(type="urn:ietf:params:acme:error:unauthorized", detail="account is deactivated")
    return acme.Unauthorized(problem, action=action, url=f"{PLACE}/{action}", status=403)
