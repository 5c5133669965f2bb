"""An account at a CA that believes every proof, without the protocol."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509

from certwright import acme
from certwright.acme.transport import UrlPolicy

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
        self.life: dict[str, Any] = {}
        self.not_ready = 0
        self.undecided = False
        self.account_status = acme.AccountStatus.VALID
        self.chain = b""
        self.begins = dt.timedelta(hours=-1)
        self.changed: Callable[[bytes], bytes] = lambda chain: chain
        self.server = FakeRenewalInfo(clock)
        self.replaced: list[str | None] = []
        self.refuses_replaces: acme.AcmeError | None = None

    async def new_replacement_order(
        self,
        identifiers: Sequence[acme.Identifier],
        *,
        replaces: str,
        on_refusal: Callable[[acme.AcmeError], None],
        **_: Any,
    ) -> acme.Order:
        if self.refuses_replaces is not None:
            on_refusal(self.refuses_replaces)
            return await self.new_order(identifiers)
        order = await self.new_order(identifiers)
        self.replaced[-1] = replaces
        return order

    async def new_order(self, identifiers: Sequence[acme.Identifier], **_: Any) -> acme.Order:
        self.replaced.append(None)
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
        names = [identifier.value for identifier in order.identifiers]
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


class FakeRenewalInfo:
    """Where a CA says when to renew, as far as it does; the library asks it, and parses the answers.

    Attributes:
        answers: For each certificate, by its identifier, what it says; `window` for all others.
        asked: Which certificates were asked about.
    """

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self.clock = SimpleNamespace(now=clock)
        self.urls = UrlPolicy()
        self.window: Callable[[dt.datetime], tuple[dt.datetime, dt.datetime]] | None = None
        self.answers: dict[str, Any] = {}
        self.explanation: str | None = None
        self.retry_after: str | None = "21600"
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def directory(self) -> acme.Directory:
        offered = f"{PLACE}/renewal-info" if self.window or self.answers or self.error else None
        return acme.Directory(f"{PLACE}/directory", "", "", "", renewal_info=offered)

    async def get(self, action: str, url: str, *, patient: bool) -> acme.Response:
        assert (action, patient) == ("renewalInfo", False)
        certificate = url.rpartition("/")[2]
        self.asked.append(certificate)
        if self.error is not None:
            raise self.error
        document: Any = self.answers.get(certificate)
        if document is None and self.window is not None:
            start, end = self.window(self.clock.now())
            document = {"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}}
            if self.explanation is not None:
                document["explanationURL"] = self.explanation
        headers = {"Content-Type": "application/json"}
        if self.retry_after is not None:
            headers["Retry-After"] = self.retry_after
        return acme.Response(200, acme.Headers(headers), json.dumps(document).encode(), url)


def unauthorized(action: str) -> acme.Unauthorized:
    """What a CA says to an account that it closed, whatever it asks for."""
    problem = acme.Problem(type="urn:ietf:params:acme:error:unauthorized", detail="account is deactivated")
    return acme.Unauthorized(problem, action=action, url=f"{PLACE}/{action}", status=403)
