"""`certwright dns`: what people see of the providers, and of a check of credentials."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from certwright.cli.acme.output import Output
from certwright.cli.dns import check as module
from certwright.cli.dns.app import dns
from certwright.cli.dns.check import CheckOptions, check
from certwright.dns import Propagation, TxtRecord
from certwright.dns.providers import PROVIDERS
from certwright.dns.providers.cloudflare import CloudflareConfig
from certwright.http import transport as transports
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.test_cloudflare import CloudflareDouble

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def ran(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(dns, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_every_provider_is_listed_with_its_fields() -> None:
    code, out, _ = ran("list")
    assert code == 0
    assert "cloudflare" in out
    assert "nameserver*" in out
    assert len([line for line in out.splitlines() if line and line[0] not in "P*"]) == len(PROVIDERS)
    code, out, _ = ran("list", "--json")
    found = {one["name"]: one for one in json.loads(out)["providers"]}
    assert len(found) == len(PROVIDERS)
    token = next(one for one in found["cloudflare"]["fields"] if one["name"] == "apiToken")
    assert (token["issuer"], token["secret"], token["required"]) == ("apiTokenSecretRef", True, False)


def test_one_provider_is_explained() -> None:
    code, out, _ = ran("list", "CLOUDFLARE")
    assert code == 0
    assert "Or apiTokenFile, with the path" in " ".join(out.split())
    assert "CERTWRIGHT_DNS_API_TOKEN" in out
    code, out, err = ran("list", "nobody", "--json")
    assert (code, json.loads(out)["error"]["type"]) == (2, "UsageError")
    assert "no DNS provider 'nobody'" in err


@dataclass
class World:
    """A zone at the double, and name servers that show what is in it, unless they are late."""

    double: CloudflareDouble
    late: bool = False
    zone: str | None = None
    looks: list[TxtRecord] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow_cname(self, name: str) -> str:
        return name

    async def find_zone(self, name: str) -> Any:
        raise AssertionError(name)

    async def check(self, records: Sequence[TxtRecord]) -> list[Propagation]:
        self.looks += records
        self.looked.set()
        return [
            Propagation(one, complete=not self.late and one.value in self.double.values(one.name, self.zone))
            for one in records
        ]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    double = CloudflareDouble()
    double.add_zone("example.test")
    world = World(double)
    monkeypatch.setattr(transports, "HttpxTransport", lambda **_: double)
    monkeypatch.setattr(module, "DnsView", lambda **_: world)
    return world


@pytest.fixture
def options(tmp_path: Path) -> CheckOptions:
    path = tmp_path / "cf.yaml"
    path.touch(mode=0o600)
    path.write_text(f"apiToken: {SECRET}\n")
    return CheckOptions("cloudflare", "*.www.example.test", path, seconds=0)


def said(outcome: Any) -> list[tuple[str, bool]]:
    return [(one["step"], one["ok"]) for one in outcome.document["steps"]]


async def test_credentials_that_work_leave_nothing_behind_and_each_step_is_told(
    world: World, options: CheckOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    world.double.put("_acme-challenge.www.example.test", "foreign")
    outcome = await check(Output(as_json=False, quiet=False), options)
    steps = ["credentials", "name", "zone", "create", "look", "remove"]
    assert said(outcome) == [(step, True) for step in steps]
    assert (outcome.code, list(outcome.lines)) == (0, ["cloudflare works for *.www.example.test"])
    assert world.double.values("_acme-challenge.www.example.test") == ["foreign"]
    assert {len(one.value) for one in world.looks} == {43}
    shown = capsys.readouterr().err
    assert all(f"{step}: " in shown for step in steps)
    assert SECRET not in shown


async def test_the_step_that_fails_is_told_and_what_was_created_is_removed(
    world: World, options: CheckOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    world.late = True
    outcome = await check(Output(as_json=False, quiet=True), options)
    assert said(outcome)[-2:] == [("look", False), ("remove", True)]
    assert (outcome.code, outcome.document["error"]["type"]) == (1, "NotVisible")
    assert world.double.values("_acme-challenge.www.example.test") == []
    assert "Warning: look: after 0 s not all name servers have the TXT records" in capsys.readouterr().err


async def test_a_missing_right_and_a_missing_zone_are_told(world: World, options: CheckOptions) -> None:
    outcome = await check(Output(as_json=False, quiet=True), CheckOptions("cloudflare", "other.test", options.file))
    assert (said(outcome)[-1], outcome.document["error"]["type"]) == (("zone", False), "ZoneNotFound")
    world.double.denied = True
    outcome = await check(Output(as_json=False, quiet=True), options)
    assert outcome.document["error"]["type"] == "ProviderRefused"
    assert "Zone / DNS / Edit" in outcome.document["error"]["message"]
    assert SECRET not in json.dumps(outcome.document)


async def test_what_is_cancelled_is_cleaned_up(world: World, options: CheckOptions) -> None:
    world.late = True
    patient = CheckOptions(options.provider, options.name, options.file, seconds=600)
    task = asyncio.create_task(check(Output(as_json=False, quiet=True), patient))
    async with asyncio.timeout(30):
        await world.looked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.double.values("_acme-challenge.www.example.test") == []


async def test_the_record_is_created_in_the_zone_and_with_the_ttl_that_are_asked_for(
    world: World, options: CheckOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.double.add_zone("www.example.test")
    world.zone = "example.test"
    seen: list[int] = []
    create = world.double._create

    def noted(zone: str, body: dict[str, Any]) -> Any:
        seen.append(body["ttl"])
        return create(zone, body)

    monkeypatch.setattr(world.double, "_create", noted)
    outcome = await check(Output(as_json=False, quiet=True), replace(options, zone="Example.TEST.", ttl="300"))
    zone = next(one["message"] for one in outcome.document["steps"] if one["step"] == "zone")
    assert (outcome.code, zone, seen) == (0, "the provider has example.test", [300])
    for zone, message in (
        ("other.test", "_acme-challenge.www.example.test is not in the zone other.test"),
        ("a.example.test", "is not in the zone a.example.test"),
        ("_acme-challenge.www.example.test", "the account has no public zone _acme-challenge.www.example.test"),
    ):
        outcome = await check(Output(as_json=False, quiet=True), replace(options, zone=zone))
        assert said(outcome)[-1] == ("zone", False)
        assert message in outcome.document["error"]["message"]


@pytest.mark.usefixtures("world")
async def test_the_record_is_looked_for_as_long_as_the_provider_usually_takes_unless_asked_otherwise(
    options: CheckOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def until_seen(_look: Any, _records: Any, *, seconds: float, required: bool) -> None:
        assert required
        waits.append(seconds)

    monkeypatch.setattr(module, "until_seen", until_seen)
    asked = (None, 30.0)
    for seconds in asked:
        await check(Output(as_json=False, quiet=True), replace(options, seconds=seconds))
    monkeypatch.setattr(CloudflareConfig, "patience", timedelta(minutes=20), raising=False)
    for seconds in asked:
        await check(Output(as_json=False, quiet=True), replace(options, seconds=seconds))
    assert waits == [300.0, 30.0, 1200.0, 30.0]


def test_an_address_and_a_file_with_a_mistake_are_told_with_code_2(tmp_path: Path) -> None:
    (tmp_path / "cf.yaml").write_text(f"token: {SECRET}")
    given = ("--dns-credentials", str(tmp_path / "cf.yaml"))
    code, out, err = ran("check", "cloudflare", "example.test", *given, "--json")
    assert (code, json.loads(out)["ok"]) == (2, False)
    assert "token: is not a field" in err
    assert SECRET not in out + err
    code, _, err = ran("check", "cloudflare", "192.0.2.1")
    assert (code, "is an address" in err) == (2, True)
    code, _, err = ran("check", "cloudflare", "example.test", "--dns-ttl", "0", "--dns-zone", "example.test")
    assert (code, "--dns-ttl '0' is not a number of seconds" in err) == (2, True)
