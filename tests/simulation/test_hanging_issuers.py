"""Issuers that wait for somebody outside hold up neither Certificates nor other issuers, in whatever namespaces."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from certwright.dns import Propagation, ServerView
from certwright.http.errors import TimedOut
from certwright.resources import API_VERSION, Issuer
from tests.dns.providers.conformance.double import SECRET
from tests.simulation.zones import APPLIED, ZONES, Api, EverythingIsVisible, FiveZones, lived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.dns import TxtRecord
    from certwright.http.message import Response
    from tests.simulation.loop import VirtualLoop

ISSUERS: Final = 60
END: Final = APPLIED + 150.0
SILENT: Final = "silent.test"
"""Whoever is below takes requests and answers none."""
SECONDS: Final = 60.0
"""When a request to one of them is given up."""

Trouble = Literal["zone", "ca"]


class View(EverythingIsVisible):
    """A DNS that has everything but the permanent records of one zone."""

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        missing = (ServerView("ns1", ()),)
        return tuple(
            Propagation(one, complete=False, seen=missing)
            if one.name.startswith("_validation-persist.")
            else Propagation(one, complete=True)
            for one in records
        )


class SilentCa:
    """A CA, and the way to it, that takes requests and answers none."""

    def __init__(self, number: int) -> None:
        self.directory_url = f"https://ca-{number}.{SILENT}/directory"

    def transport(self, _process: int) -> SilentCa:
        return self

    async def request(self, *_: Any, **__: Any) -> Response:
        await asyncio.sleep(SECONDS)
        raise TimedOut("no answer in time", host="the CA")


class SilentApi(Api):
    """The transport to the API of a provider, and to servers of another one that are silent."""

    async def request(self, method: str, url: str, **options: Any) -> Response:
        if SILENT not in url:
            return await super().request(method, url, **options)
        await asyncio.sleep(SECONDS)
        raise TimedOut("no answer in time", host="the API")


class Beside(FiveZones):
    """Certificates of one namespace and an issuer that is applied with them, beside issuers that wait for long.

    Args:
        loop: Whose time passes.
        trouble: What those wait for: the provider of their permanent records, or their CAs; None for no such issuers.
        spread: Whether each is in a namespace of its own; otherwise all are in that of the Certificates.
    """

    def __init__(self, loop: VirtualLoop, trouble: Trouble | None, *, spread: bool) -> None:
        super().__init__(loop, ZONES, 1)
        self._trouble, self._spread = trouble, spread
        self.silent = [SilentCa(number) for number in range(ISSUERS)]

    @property
    def all_cas(self) -> Sequence[Any]:
        return [*self.cas, *self.silent]

    def _write_issuers(self) -> None:
        super()._write_issuers()
        for number in range(ISSUERS if self._trouble is not None else 0):
            self._write_issuer(f"tenant-{number}" if self._spread else "shop", f"slow-{number}", self._waiting(number))

    def _waiting(self, number: int) -> dict[str, Any]:
        if self._trouble == "ca":
            return {"server": self.silent[number].directory_url}
        return {
            "solvers": [
                {
                    "selector": {"dnsNames": [f"n{number}.example.net"]},
                    "dns01": {
                        "challengeType": "dns-persist-01",
                        "persist": {"issuerDomainName": "ca.example"},
                        "powerdns": {
                            "url": f"https://dns-{number}.{SILENT}",
                            "apiKeySecretRef": {"name": "token", "key": "token"},
                        },
                    },
                }
            ]
        }

    def _write_issuer(self, namespace: str, name: str, acme: dict[str, Any]) -> dict[str, Any]:
        token = base64.b64encode(SECRET.encode()).decode()
        self.cluster.put("secrets", {"metadata": {"namespace": namespace, "name": "token"}, "data": {"token": token}})
        spec = {
            "server": self.ca.directory_url,
            "privateKeySecretRef": {"name": f"account-of-{name}"},
            "solvers": [{"dns01": {"digitalocean": {"tokenSecretRef": {"name": "token", "key": "token"}}}}],
            **acme,
        }
        return self.cluster.put(
            Issuer.PLURAL,
            {
                "apiVersion": API_VERSION,
                "kind": "Issuer",
                "metadata": {"name": name, "namespace": namespace, "generation": 1},
                "spec": {"acme": spec},
            },
        )

    def _happenings(self) -> list[tuple[float, Callable[[], Any]]]:
        return [*super()._happenings()[1:-1], (APPLIED, self._add_neighbour)]

    async def _count_days(self) -> None:
        await asyncio.sleep(END)

    async def _add_neighbour(self) -> None:
        self._added = self.world.true_now
        written = self._write_issuer("neighbour", "late", {})
        assert self._operator is not None
        await self._operator.tell(Issuer.PLURAL, written, "ADDED")

    @property
    def neighbour_ready_after(self) -> float:
        """Seconds until the issuer of another namespace that was applied with the Certificates was ready."""
        conditions = self.cluster.objects[Issuer.PLURAL, "neighbour", "late"]["status"]["conditions"]
        [ready] = [one for one in conditions if one["type"] == "Ready"]
        assert ready["status"] == "True"
        return (dt.datetime.fromisoformat(ready["lastTransitionTime"]) - self._added).total_seconds()


@pytest.fixture(scope="module")
def alone() -> Beside:
    """The same without issuers that wait."""
    return lived(partial(Beside, trouble=None, spread=False), View, SilentApi)


@pytest.mark.parametrize("spread", [False, True], ids=["one namespace", "a namespace each"])
@pytest.mark.parametrize("trouble", ["zone", "ca"])
def test_issuers_that_wait_for_a_provider_or_a_ca_hold_up_nobody(
    alone: Beside, trouble: Trouble, *, spread: bool
) -> None:
    found = lived(partial(Beside, trouble=trouble, spread=spread), View, SilentApi)
    # Each holds a worker for two seconds, again and again.
    assert found.last(ZONES) < alone.last(ZONES) * 3 / 2
    assert found.neighbour_ready_after < alone.neighbour_ready_after + 10
    assert found.aside >= ISSUERS // 2, "those who wait hold no workers"
