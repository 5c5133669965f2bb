"""The contract of DNS providers from other packages, as tests that their authors can run.

    class TestExample(DnsProviderContract, unittest.IsolatedAsyncioTestCase):
        async def start(self):
            self.api = FakeApi(zone="example.com")
            return PluginSettings("example", {"url": self.api.url}, {"token": Credential("secret")})

        factory = ExampleProvider
        zone = "example.com"

        async def values(self, name):
            return self.api.values(name)

        async def put(self, name, value):
            self.api.put(name, value)

They run with unittest and pytest, and call the plugin as the operator does, in a separate thread.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from certwright.dns.connections import Connections
from certwright.dns.errors import DnsError
from certwright.dns.providers.plugin import PluginProvider
from certwright.dns.records import TxtRecord
from certwright.dns.view import DnsView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from certwright.dns.plugin import PluginFactory, PluginSettings
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Transport

FOREIGN = "a value of somebody else"


class DnsProviderContract:
    """The tests; inherit from it and from `unittest.IsolatedAsyncioTestCase`.

    Attributes:
        factory: What the entry point names: a class or a function.
        zone: A zone in which the tests may create records; nothing else is in it.
        missing_zone: A zone that the provider cannot change.
    """

    factory: PluginFactory
    zone: str
    missing_zone: str = "certwright-contract.invalid"

    _connections: Connections

    async def start(self) -> PluginSettings:
        """Start the API, or a double of it, with an empty zone; return the settings for it. Called before each test."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop what `start` started."""

    async def values(self, name: str) -> Collection[str]:
        """Return the values that the API has at a name."""
        raise NotImplementedError

    async def put(self, name: str, value: str) -> None:
        """Create a value, as somebody else does."""
        raise NotImplementedError

    def transport(self) -> Transport | None:
        """Return what sends the requests of `ProviderContext.request`; None for real connections."""
        return None

    def make_context(self) -> ProviderContext:
        """Return the context that the provider gets."""
        return self._connections.context(DnsView())

    def make_provider(self) -> PluginProvider:
        """Return a new provider, as the operator has one after a restart."""
        factory: Any = type(self).__dict__.get("factory") or type(self).factory
        if isinstance(factory, staticmethod):
            factory = factory.__func__
        return PluginProvider(self._settings.name, self._settings, self.make_context(), factory)

    async def asyncSetUp(self) -> None:
        """Start the API."""
        self._connections = Connections(self.transport())
        self._settings = await self.start()
        self._name = f"_acme-challenge.{self.zone}"

    async def asyncTearDown(self) -> None:
        """Stop the API."""
        await self._connections.aclose()
        await self.stop()

    async def test_wildcard_and_apex_stand_together_and_go_one_by_one(self) -> None:
        """Two values at one name: the second must not replace the first."""
        provider, one, two = self.make_provider(), self._record("one"), self._record("two")
        await provider.present([one, two])
        await self._expect("one", "two")
        await provider.clean_up([one])
        await self._expect("two")
        await provider.clean_up([two])
        await self._expect()

    async def test_values_of_two_certificates_come_at_the_same_time(self) -> None:
        """Concurrent calls must not lose each other's values."""
        provider = self.make_provider()
        records = [self._record(f"value-{number}") for number in range(5)]
        await asyncio.gather(*(provider.present([record]) for record in records))
        await self._expect(*(record.value for record in records))
        await asyncio.gather(*(provider.clean_up([record]) for record in records[1:]))
        await self._expect(records[0].value)

    async def test_a_value_of_somebody_else_stays(self) -> None:
        """Only our values are removed."""
        await self.put(self._name, FOREIGN)
        provider = self.make_provider()
        await provider.present([self._record("one")])
        await self._expect("one", FOREIGN)
        await provider.clean_up([self._record("one")])
        await self._expect(FOREIGN)

    async def test_present_and_clean_up_can_be_repeated(self) -> None:
        """A record that is there, or one that is not, is no error."""
        provider = self.make_provider()
        for _ in range(2):
            await provider.present([self._record("one")])
            await self._expect("one")
        for _ in range(2):
            await provider.clean_up([self._record("one")])
            await self._expect()

    async def test_another_process_removes_what_a_crash_left(self) -> None:
        """Nothing that is needed for the clean-up is in memory alone."""
        await self.make_provider().present([self._record("one")])
        await self.make_provider().clean_up([self._record("one")])
        await self._expect()

    async def test_many_names_at_once(self) -> None:
        """A certificate has up to 100 names."""
        provider = self.make_provider()
        records = [TxtRecord(f"_acme-challenge.w{number}.{self.zone}", f"value-{number}") for number in range(20)]
        await provider.present(records)
        for record in records:
            await self._expect(record.value, name=record.name)
        await provider.clean_up(records)
        for record in records:
            await self._expect(name=record.name)

    async def test_a_zone_that_is_not_there_is_a_dns_error_and_the_others_are_changed(self) -> None:
        """The error is a `DnsError`, shows no secret, and keeps nobody else from their record."""
        missing = TxtRecord(f"_acme-challenge.{self.missing_zone}", "value")
        error = await self._error_of(self.make_provider().present([self._record("one"), missing]))
        self._check("it raised" not in str(error), f"a DnsError is expected, not what made this: {error}")
        self._check(missing.name in error.names, f"names of the error have {missing.name}: {error.names}")
        await self._expect("one")

    async def test_no_message_shows_a_secret(self) -> None:
        """Conditions and Events are read by more people than Secrets."""
        missing = TxtRecord(f"_acme-challenge.{self.missing_zone}", "value")
        error = await self._error_of(self.make_provider().present([missing]))
        for name, secret in self._settings.secrets.items():
            self._check(secret.value.strip() not in str(error), f"the message shows the secret {name}")

    def _record(self, value: str) -> TxtRecord:
        return TxtRecord(self._name, value, domain=self.zone)

    async def _expect(self, *values: str, name: str | None = None) -> None:
        at = name or self._name
        found = sorted(await self.values(at))
        self._check(found == sorted(values), f"{at} should have the values {sorted(values)}, and has {found}")

    async def _error_of(self, work: Awaitable[None]) -> DnsError:
        try:
            await work
        except DnsError as error:
            return error
        raise AssertionError("a zone that is not there should be an error")

    @staticmethod
    def _check(holds: bool, message: str) -> None:  # noqa: FBT001 - as `assert` has it
        if not holds:
            raise AssertionError(message)
