"""Two hundred Certificates in some zones of one DNS provider, whose API may not answer for one of them.

They are in one namespace, and their issuers share one credential: nothing keeps workers or places for them.
"""

from __future__ import annotations

import asyncio
import base64
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from unittest import mock

from certwright.dns import Propagation
from certwright.handlers import controller as controller_module
from certwright.http.errors import TimedOut
from certwright.issuers import dns_providers
from certwright.issuers.presenters import PresenterFactory
from certwright.resources import API_VERSION, Certificate, ClusterIssuer
from tests.dns.providers.conformance.double import SECRET
from tests.simulation.life import Scenario, Simulation
from tests.simulation.loop import VirtualLoop
from tests.simulation.operator import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.dns import TxtRecord
    from certwright.http.message import Response
    from tests.dns.providers.conformance.double import Double

MINUTE: Final = 60.0
APPLIED, LOOKED_AT, HEALED, END = 60.0, 80.0, 60.0 + 3 * MINUTE, 60.0 + 15 * MINUTE
EACH: Final = 40
ZONES: Final = [f"zone{number}.example" for number in range(4)]
HANGING: Final = "hanging.example"
SECONDS_EACH: Final = 0.25
"""How long a request to the API takes,"""
TIMEOUT: Final = 30.0
"""and when the transport gives up on one that is not answered."""


F = TypeVar("F", bound="FiveZones")


class Api:
    """The transport to the API of a double, with the time that requests take."""

    def __init__(self, double: Double, **_: Any) -> None:
        self._double = double

    async def request(self, method: str, url: str, **options: Any) -> Response:
        await asyncio.sleep(SECONDS_EACH)
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._double.request(method, url, **options)
        except TimeoutError:
            raise TimedOut("no answer in time", host="the API") from None

    async def aclose(self) -> None:
        """Close nothing."""


class EverythingIsVisible:
    """A view of a DNS in which whatever the provider took is there at once."""

    def __init__(self, **_: Any) -> None: ...

    async def find_zone(self, name: str) -> Any:
        raise AssertionError(f"{name}: the provider knows its own zones")

    async def follow_cname(self, name: str) -> str:
        return name

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        return tuple(Propagation(record, complete=True) for record in records)


class FiveZones(Simulation):
    """Certificates of one namespace in several zones, at issuers with one credential.

    Args:
        loop: Whose time passes.
        zones: Those that Certificates are in.
        issuers: How many issuers there are; the Certificates of each zone take turns with them.
    """

    def __init__(self, loop: VirtualLoop, zones: Sequence[str], issuers: int) -> None:
        super().__init__(Scenario(days=1, faults=0), loop)
        self.ca = self.cas[2]
        self.ca.refuses_validation = 0.0
        self.api = double()
        for zone in (*ZONES, HANGING):
            self.api.add_zone(zone)
        self.ready_after: dict[str, float] = {}
        self.aside = 0
        self._zones, self._issuers = zones, issuers

    @property
    def all_cas(self) -> Sequence[Any]:
        """Every CA that an issuer of this life has."""
        return self.cas

    def _write_issuers(self) -> None:
        token = base64.b64encode(SECRET.encode()).decode()
        self.cluster.put(
            "secrets", {"metadata": {"namespace": "certwright", "name": "token"}, "data": {"token": token}}
        )
        for number in range(self._issuers):
            acme = {
                "server": self.ca.directory_url,
                "privateKeySecretRef": {"name": f"account-{number}"},
                "solvers": [{"dns01": {"digitalocean": {"tokenSecretRef": {"name": "token", "key": "token"}}}}],
            }
            self.cluster.put(
                ClusterIssuer.PLURAL,
                {
                    "apiVersion": API_VERSION,
                    "kind": "ClusterIssuer",
                    "metadata": {"name": f"issuer-{number}", "generation": 1},
                    "spec": {"acme": acme},
                },
            )

    def _happenings(self) -> list[tuple[float, Callable[[], Any]]]:
        numbers = range(EACH * len(self._zones))
        hang = (APPLIED - 1, lambda: self.api.held.update({HANGING: asyncio.Event()}))
        written = [(APPLIED, partial(self._write, number)) for number in numbers]
        return [hang, *written, (LOOKED_AT, self._look), (HEALED, self._heal)]

    async def _write(self, number: int) -> None:
        zone = self._zones[number % len(self._zones)]
        spec = {
            "dnsNames": [f"n{number}.{zone}"],
            "secretName": f"c{number}-tls",
            "issuerRef": {"name": f"issuer-{number // len(self._zones) % self._issuers}", "kind": "ClusterIssuer"},
        }
        metadata = {"name": f"c{number}", "namespace": "shop", "generation": 1}
        body = {"apiVersion": API_VERSION, "kind": "Certificate", "metadata": metadata, "spec": spec}
        written = self.cluster.put(Certificate.PLURAL, body)
        self._applied.append(written)
        assert self._operator is not None
        await self._operator.tell(Certificate.PLURAL, written, "ADDED")

    def _look(self) -> None:
        assert self._operator is not None
        self.aside = self._operator.controller.manager.queue.aside

    def _heal(self) -> None:
        self.api.held[HANGING].set()

    async def _count_days(self) -> None:
        await asyncio.sleep(END)

    def _written(self, secret: dict[str, Any]) -> None:
        super()._written(secret)
        if "tls.crt" in secret.get("data", {}):
            name = secret["metadata"]["name"].removesuffix("-tls")
            zone = self._zones[int(name[1:]) % len(self._zones)]
            self.ready_after[f"{zone}/{name}"] = self.world.loop.time() - APPLIED

    def last(self, zones: Sequence[str]) -> float:
        """Return after how many seconds the last Certificate in some zones had its certificate."""
        found = [seconds for place, seconds in self.ready_after.items() if place.partition("/")[0] in zones]
        assert len(found) == EACH * len(zones), f"{len(found)} of {EACH * len(zones)} are ready"
        return max(found)


def double() -> Double:
    """Return an API that takes a record in a request, four at a time: as many hang."""
    from tests.dns.providers.test_digitalocean import DigitalOceanDouble  # noqa: PLC0415 - imports a client of the API

    return DigitalOceanDouble()


def lived(made: Callable[[VirtualLoop], F], view: type = EverythingIsVisible, api: type = Api) -> F:
    """Have something lived through, and return it.

    Args:
        made: Makes it.
        view: What looks at the DNS.
        api: The transport to providers.
    """
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    found = made(loop)

    class Presenters(PresenterFactory):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, monotonic=loop.time)
            self.caa = None  # type: ignore[assignment]  # there are no CAA records

    patches = (
        mock.patch.object(controller_module, "PresenterFactory", Presenters),
        mock.patch.object(dns_providers, "HttpxTransport", partial(api, found.api)),
        mock.patch.object(dns_providers, "DnsView", view),
    )
    try:
        with simulated(found.world, found.cluster, found.all_cas), patches[0], patches[1], patches[2]:
            loop.run_until_complete(found.run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return found
