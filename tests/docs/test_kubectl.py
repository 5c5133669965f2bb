"""What docs/kubectl.md shows is what the commands print, and its exit codes are theirs."""

from __future__ import annotations

import re
from typing import Final

import pytest
from typer.testing import CliRunner

from certwright.cli.cluster import check, status
from certwright.cli.cluster.app import plugin
from certwright.cli.cluster.checks.result import FROM_HERE, Result
from certwright.cli.cluster.exits import MEANINGS
from harness.documented import blocks
from testbed.locations import PROJECT
from tests.cli.cluster.objects import NOW, certificate, event, issuer, stamp, waiting
from tests.cli.cluster.server import FakeServer, sessions

PAGE: Final = PROJECT / "docs" / "kubectl.md"
SHOWN: Final = {
    block.text.splitlines()[0]: block.text.splitlines()[1:]
    for block in blocks(PAGE)
    if block.language == "console" and not block.text.splitlines()[-1].startswith("$ ")
}
NOTHING: Final = "ns1.example.com (192.0.2.53) has no TXT record"
CHECKED: Final = (
    Result("pass", "API server", "https://192.0.2.1:6443 answers, version v1.37.2"),
    Result("pass", "clock", "agrees with the API server's"),
    Result("pass", "CRD certificates.certwright.io", "exists, with the fields of this version"),
    Result("pass", "operator in certwright", "certwright-7d9c-x2x leads, serves all namespaces"),
    Result("pass", "your rights", "complete in shop"),
    Result("fail", "Issuer shop/letsencrypt", "not Ready (CAUnreachable): The CA does not answer."),
    Result("pass", "CA https://ca.example.com/dir", "answers this machine, through its proxy proxy.example.com:3128"),
    Result("warn", "DNS server ns1.example.com:53", f"does not answer within 10 s, {FROM_HERE}"),
)


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """What the page is about: a Certificate that waits for its record, and some that are well."""
    server = FakeServer()
    record = {"name": "_acme-challenge.shop.example.com", "value": "gfj9Xq-Rg85nM"}
    seen = {
        "record": record,
        "lastSeen": "ns1.example.com (192.0.2.53) has no TXT record",
        "lastLookTime": stamp(seconds=-8),
    }
    message = f"{record['name']} TXT {record['value']} for shop.example.com is not visible: {NOTHING}."
    shop = waiting("WaitingForDNS", message, authorization={"name": "shop.example.com", **seen})
    shop["metadata"]["name"] = "shop"
    shop["spec"] |= {"dnsNames": ["shop.example.com"], "secretName": "shop-tls"}
    old = certificate("old", spec={"paused": True}, notAfter=stamp(days=9), renewalTime=stamp(days=-21))
    server.add("certificates", certificate("web"), certificate("api", renewalTime=stamp(days=12)), shop, old)
    server.add("issuers", issuer())
    warning = {
        **event("Warning", "WaitingForDNS", message, seconds=-90),
        "metadata": {"name": "e", "namespace": "shop"},
    }
    server.add("events", warning)
    for module in (check, status):
        monkeypatch.setattr(module, "session", sessions(server))
    monkeypatch.setattr(status, "present", lambda: NOW)

    async def checked(*_: object) -> list[Result]:
        return list(CHECKED)

    monkeypatch.setattr(check, "all_checks", checked)
    return server


def printed(command: str) -> list[str]:
    return CliRunner().invoke(plugin, command.removeprefix("$ kubectl certwright ").split()).stdout.splitlines()


def test_the_page_shows_the_outputs_that_matter() -> None:
    assert {command.split()[3] for command in SHOWN} == {"status", "explain", "check"}
    assert len(SHOWN) == 5


@pytest.mark.parametrize("command", SHOWN)
def test_the_page_shows_what_the_command_prints(command: str) -> None:
    assert printed(command) == SHOWN[command]


def test_the_exit_codes_are_the_commands_own() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
