"""The example of a plugin: it passes the contract, and is found as an installed package is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certwright.dns import TxtRecord
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import plugin as module
from certwright.dns.providers.plugin import PluginConfig
from certwright.http.message import Headers, Response

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "dns-plugin"

BROKEN = """
import unittest
import test_certwright_dns_example as tests

class Forgetful(tests.ExampleProvider):
    async def clean_up(self, records):
        for record in records:
            await self._send("PUT", f"/txt/{record.name}", {"values": [], "version": 1, "ttl": 60})

class TestForgetful(tests.TestExample):
    factory = Forgetful

class Leaking(tests.ExampleProvider):
    async def _check_zone(self, name):
        if not name.endswith("example.com"):
            raise tests.ProviderRefused(f"not with {self._headers}")

class TestLeaking(tests.TestExample):
    factory = Leaking

class Raw(tests.ExampleProvider):
    async def _check_zone(self, name):
        if not name.endswith("example.com"):
            raise KeyError(name)

class TestRaw(tests.TestExample):
    factory = Raw

tests.ProviderRefused = __import__("certwright.dns").dns.ProviderRefused
unittest.main(verbosity=2)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(EXAMPLE), str(ROOT / "operator")])
    return subprocess.run(  # noqa: S603 - this Python, and text from here
        [sys.executable, *arguments],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_example_passes_the_contract_without_pytest() -> None:
    done = run("-W", "error", "-m", "unittest", "test_certwright_dns_example")
    assert done.returncode == 0, done.stderr
    assert "Ran 8 tests" in done.stderr
    imported = run("-c", "import sys, certwright.testing.dns_provider; print('pytest' in sys.modules)")
    assert imported.stdout == "False\n", imported.stderr


def test_the_contract_tells_what_a_wrong_provider_does() -> None:
    done = run("-c", BROKEN)
    assert done.returncode == 1
    failed = set()
    for line in done.stderr.splitlines():
        if line.startswith(("FAIL:", "ERROR:")):
            _, test, (*_, case) = line.split()[0], line.split()[1], line.split()[2].strip("()").split(".")
            failed.add((test, case if case.startswith("Test") else line.split("Test")[1].split(".")[0]))
    names = {test for test, _ in failed}
    assert "test_a_value_of_somebody_else_stays" in names
    assert "test_no_message_shows_a_secret" in names
    assert "test_a_zone_that_is_not_there_is_a_dns_error_and_the_others_are_changed" in names
    assert "the message shows the secret token" in done.stderr
    assert "a DnsError is expected" in done.stderr


class Api:
    async def request(self, method: str, url: str, **_: Any) -> Response:
        body = b'["example.com"]' if url.endswith("/zones") else b'{"values": [], "version": 0}'
        self.last = (method, url)
        return Response(200, Headers({}), body, url)

    async def aclose(self) -> None: ...


async def _no_zone(name: str) -> Any:
    raise AssertionError(name)


async def test_it_is_found_by_the_entry_point_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "certwright_dns_example-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: certwright-dns-example\nVersion: 1.0.0\n")
    project = (EXAMPLE / "pyproject.toml").read_text()
    _, _, points = project.partition('[project.entry-points."certwright.dns_providers"]\n')
    line = points.partition("\n")[0].replace('"', "")
    (info / "entry_points.txt").write_text(f"[certwright.dns_providers]\n{line}\n")
    (tmp_path / "certwright_dns_example.py").write_text((EXAMPLE / "certwright_dns_example.py").read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "_FACTORIES", {})
    api = Api()
    config = PluginConfig("example", {"url": "https://dns.example.net"}, {"token": "t0ken"})
    await config.build(ProviderContext(_no_zone, lambda: api)).present([TxtRecord("_acme-challenge.example.com", "v")])
    assert api.last == ("PUT", "https://dns.example.net/txt/_acme-challenge.example.com")
    monkeypatch.delitem(sys.modules, "certwright_dns_example")
