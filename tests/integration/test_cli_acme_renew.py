"""`certwright acme renew` against a strict Pebble: when, with which key, and what happens when something is wrong."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from certwright.acme import Limit, LimitProfile
from certwright.pki import load_private_key, parse_chain, public_key_matches
from harness.acme_command import SECONDS, AcmeCommand, read_until
from testbed.exchanges import Action, Forward, Request, Respond
from testbed.options import PebbleOptions
from testbed.ports import allocator
from testbed.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble
    from testbed.proxy import RecordingProxy


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int) -> Iterator[Pebble]:
    """A Pebble that validates at the port of the standalone server."""
    options = PebbleOptions(http_port=http_port, authz_reuse_percent=100, retry_after_authz=0, retry_after_order=0)
    started = bed.start_pebble("pebble-cli-renew", options)
    yield started
    bed.end_pebble(started)


@pytest.fixture(scope="module")
def base(
    ca: Pebble, bed: TestBed, module_proxy: RecordingProxy, http_port: int, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A folder with an account and two certificates, and the name of the second; the first has an a- before it."""
    folder = tmp_path_factory.mktemp("base") / "state"
    command = AcmeCommand(folder, module_proxy.directory_url, ca.ca_bundle)
    name = f"{secrets.token_hex(6)}.{bed.bind.zones[0]}"
    for each in (f"a-{name}", name):
        command.ok("issue", each, "--agree-tos", "--solver", "standalone", "--http-port", str(http_port))
    return folder, name


@pytest.fixture
def acme(ca: Pebble, proxy: RecordingProxy, base: tuple[Path, str], tmp_path: Path) -> AcmeCommand:
    """The command in a copy of that folder, so that no test has to begin with an issuance."""
    shutil.copytree(base[0], tmp_path / "state", symlinks=True)
    return AcmeCommand(tmp_path / "state", proxy.directory_url, ca.ca_bundle)


@pytest.fixture
def issued(base: tuple[Path, str]) -> str:
    """The name of a certificate that is there."""
    return base[1]


def leaf(acme: AcmeCommand, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((acme.certificate(name) / "cert.pem").read_bytes())


def forget_what_the_ca_said(acme: AcmeCommand, name: str) -> None:
    """As if the time of the next look had come."""
    path = acme.certificate(name) / "renewal.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ask_again": None}))


def window(start: datetime, *, days: int) -> str:
    said = {"start": start.isoformat(), "end": (start + timedelta(days=days)).isoformat()}
    return json.dumps({"suggestedWindow": said, "explanationURL": "https://ca.example.test/why"})


def order_requests(proxy: RecordingProxy) -> list[Request]:
    return [request for request in proxy.requests if "order-plz" in request.path]


def test_what_is_not_due_is_left_alone_and_asks_nothing(acme: AcmeCommand, proxy: RecordingProxy, issued: str) -> None:
    before = leaf(acme, issued)
    document = acme.ok("renew")
    assert (document["renewed"], document["not_due"], document["failed"]) == (0, 2, 0)
    assert {certificate["state"] for certificate in document["certificates"]} == {"not due"}
    assert leaf(acme, issued) == before
    # The CA said at the issuance when to ask again.
    assert proxy.requests == []
    # cron would send by mail what is printed.
    quiet = acme.run("renew", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert "not due" in acme.run("renew", "--quiet", issued).out


def test_what_the_ca_wants_renewed_is_renewed_and_says_what_it_replaces(
    acme: AcmeCommand, ca: Pebble, name: str, standalone: list[str]
) -> None:
    acme.ok("issue", name, *standalone)
    before = leaf(acme, name)
    pem = (acme.certificate(name) / "cert.pem").read_text()
    ca.set_renewal_info(pem, window(datetime.now(UTC) + timedelta(days=30), days=1))
    forget_what_the_ca_said(acme, name)
    assert acme.ok("renew", name)["not_due"] == 1
    ca.set_renewal_info(pem, window(datetime.now(UTC) - timedelta(days=3), days=2))
    forget_what_the_ca_said(acme, name)
    told = acme.ok("ari", name)
    assert told["explanation_url"] == "https://ca.example.test/why"
    document = acme.ok("renew", name)
    assert document["renewed"] == 1
    assert leaf(acme, name) != before
    assert leaf(acme, name).public_key() != before.public_key()
    # Serials that begin with 00 in DER are refused by Pebble, one in 270: then it is ordered without.
    if before.serial_number.bit_length() % 8:
        assert document["certificates"][0]["certificate"]["replaced"] is True
    assert len(list((acme.certificate(name) / "versions").iterdir())) == 2


def test_the_key_is_kept_or_made_anew_as_asked(acme: AcmeCommand, issued: str) -> None:
    first = leaf(acme, issued)
    acme.ok("renew", issued, "--force", "--reuse-key")
    same = leaf(acme, issued)
    assert (same != first, same.public_key() == first.public_key()) == (True, True)
    metadata = acme.certificate(issued) / "certificate.json"
    assert json.loads(metadata.read_text())["settings"]["reuse_key"] is True
    acme.ok("renew", issued, "--force", "--new-key")
    assert leaf(acme, issued).public_key() != first.public_key()
    assert json.loads(metadata.read_text())["settings"]["reuse_key"] is False


def change_settings(acme: AcmeCommand, name: str, **changes: object) -> None:
    path = acme.certificate(name) / "certificate.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps(metadata | {"settings": metadata["settings"] | changes}))


def test_a_chain_that_the_ca_no_longer_has_does_not_stop_a_renewal(acme: AcmeCommand, issued: str) -> None:
    before = leaf(acme, issued)
    change_settings(acme, issued, preferred_chain="A Root That Was")
    ended = acme.run("renew", issued, "--force")
    assert ended.code == 0, ended.err
    assert "Warning: " in ended.err
    assert "A Root That Was" in ended.err
    assert leaf(acme, issued) != before


def test_one_that_fails_does_not_stop_the_others(acme: AcmeCommand, issued: str) -> None:
    bad = f"a-{issued}"
    change_settings(acme, bad, profile="one that was")
    before = {each: leaf(acme, each) for each in (bad, issued)}
    ended = acme.run("renew", "--force", "--json")
    assert ended.code == 7
    document = ended.document
    assert (document["ok"], document["renewed"], document["failed"]) == (False, 1, 1)
    states = {certificate["name"]: certificate for certificate in document["certificates"]}
    assert states[bad]["error"]["type"] == "InvalidProfile"
    assert states[bad]["error"]["exit_code"] == 3
    assert leaf(acme, bad) == before[bad]
    assert leaf(acme, issued) != before[issued]
    shown = acme.run("renew", "-q", issued)
    assert (shown.code, "1 certificate: 0 renewed, 1 not due, 0 failed" in shown.out) == (0, True)


def test_a_limit_is_told_with_its_end_and_waited_for(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, issued: str, standalone: list[str]
) -> None:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates", "status": 429}

    def refuse(request: Request) -> Action:
        if "order-plz" not in request.path:
            return Forward()
        headers = {"Content-Type": "application/problem+json", "Retry-After": "7200"}
        return Respond(429, json.dumps(problem).encode(), headers)

    proxy.on_request = refuse
    refused = acme.run("issue", name, *standalone, "--json")
    assert refused.code == 5
    error = refused.document["error"]
    until = datetime.fromisoformat(error["retry_at"])
    assert timedelta(hours=1, minutes=55) < until - datetime.now(UTC) < timedelta(hours=2, minutes=1)
    assert error["temporary"] is True
    assert f"{until:%Y-%m-%dT%H:%M}" in refused.err
    # `renew` keeps the time, and does not ask before it. Due since yesterday, as far as it knows:
    path = acme.certificate(issued) / "renewal.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"at": "2026-01-01T00:00:00Z"}))
    assert acme.run("renew", issued).code == 7
    proxy.reset()
    waits = acme.ok("renew", issued)["certificates"][0]
    assert waits["state"] == "waits"
    assert order_requests(proxy) == []


def test_what_the_published_limits_forbid_is_told_and_not_sent(
    acme: AcmeCommand, ca: Pebble, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    limits = LimitProfile(orders_per_account=Limit(1, timedelta(hours=2)))
    limited = AcmeCommand(acme.folder, proxy.directory_url, ca.ca_bundle, limits)
    limited.ok("issue", name, *standalone)
    other = f"other-{name}"
    proxy.reset()
    refused = limited.run("issue", other, *standalone, "--json")
    assert refused.code == 5
    assert order_requests(proxy) == []
    error = refused.document["error"]
    assert (error["type"], error["temporary"], error["used"]) == ("BudgetExhausted", True, "1 of 1 in 2 hours")
    assert error["limit"] == "the number of new orders of this account"
    until = datetime.fromisoformat(error["retry_at"])
    # A few seconds more than the limit: an order may reach the CA faster than the one whose room it takes.
    assert timedelta(hours=1, minutes=55) < until - datetime.now(UTC) <= timedelta(hours=2, seconds=10)
    assert "1 of 1 in 2 hours" in refused.err
    assert f"{until:%Y-%m-%dT%H:%M}" in refused.err
    assert "--ignore-rate-limits" in refused.err
    # A renewal is exempt, as it is at the CA.
    assert limited.ok("renew", name, "--force")["renewed"] == 1
    told = limited.run("issue", other, *standalone, "--ignore-rate-limits")
    assert told.code == 0, told.err
    assert "Warning: Ordering although the number of new orders" in told.err


def test_a_short_wait_for_a_published_limit_is_told_and_waited_for(
    acme: AcmeCommand, ca: Pebble, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    limits = LimitProfile(orders_per_account=Limit(1, timedelta(seconds=8)))
    limited = AcmeCommand(acme.folder, proxy.directory_url, ca.ca_bundle, limits)
    limited.ok("issue", name, *standalone)
    told = limited.run("issue", f"other-{name}", *standalone)
    assert told.code == 0, told.err
    assert "for room in a rate limit of the CA: the number of new orders of this account (1 of 1 in 8 s" in told.err


def test_a_dry_run_counts_at_the_staging_ca(
    acme: AcmeCommand, ca: Pebble, proxy: RecordingProxy, issued: str, standalone: list[str]
) -> None:
    limits = LimitProfile(certificates_per_exact_set=Limit(1, timedelta(hours=2)))
    limited = AcmeCommand(acme.folder, proxy.directory_url, ca.ca_bundle, limits)
    dry = ("renew", issued, "--dry-run", "--staging-server", ca.directory_url, "--json")
    assert limited.run(*dry).code == 0
    refused = limited.run(*dry)
    assert refused.code == 7
    (certificate,) = refused.document["certificates"]
    assert (certificate["error"]["type"], certificate["error"]["exit_code"]) == ("BudgetExhausted", 5)
    # Only there.
    limited.ok("issue", issued, *standalone, "--force")


def test_a_refusal_is_remembered_by_later_runs_until_it_ends_or_is_ignored(
    acme: AcmeCommand, proxy: RecordingProxy, issued: str, standalone: list[str]
) -> None:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates", "status": 429}
    headers = {"Content-Type": "application/problem+json", "Retry-After": "7200"}

    def refuse(request: Request) -> Action:
        return Respond(429, json.dumps(problem).encode(), headers) if "order-plz" in request.path else Forward()

    proxy.on_request = refuse
    assert acme.run("issue", issued, *standalone, "--force").code == 5
    proxy.reset()
    refused = acme.run("renew", issued, "--force", "--json")
    assert refused.code == 7
    assert refused.document["certificates"][0]["error"]["limit"] == "what the CA allows for these names"
    # Kept beside the certificate, so that cron waits in silence. Due since January, as far as it knows:
    path = acme.certificate(issued) / "renewal.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"at": "2026-01-01T00:00:00Z"}))
    assert acme.ok("renew", issued)["certificates"][0]["state"] == "waits"
    assert order_requests(proxy) == []
    assert acme.ok("renew", issued, "--ignore-rate-limits")["renewed"] == 1


def test_two_runs_at_one_certificate_come_after_each_other(
    acme: AcmeCommand, name: str, standalone: list[str], tmp_path: Path
) -> None:
    held = tmp_path / "held"
    first = acme.start(
        "issue", name, *standalone, "--deploy-hook", f"touch {held}; while [ -e {held} ]; do sleep 0.1; done"
    )
    assert wait_until(held.exists, timeout=SECONDS)
    refused = acme.run("issue", name, *standalone, "--lock-timeout", "0", "--json")
    assert refused.code == 9
    assert f"(process {first.pid}) is using the certificate {name}" in refused.document["error"]["message"]
    second = acme.start("renew", name, "--json")
    assert second.stderr is not None
    assert f"Waiting for another certwright acme (process {first.pid})" in second.stderr.readline()
    held.unlink()
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    # What the first one has just issued is looked at, not what was there before.
    assert json.loads(out)["certificates"][0]["state"] == "not due"
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_one_that_waits_for_a_person_holds_up_no_other_and_is_left_alone(
    acme: AcmeCommand, bind: Bind, issued: str, name: str
) -> None:
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    waiting = acme.start("issue", name, "--name", f"a-{issued}", "--solver", "manual", *where)
    try:
        read_until(waiting, "Waiting up to")
        before = leaf(acme, issued)
        ended = acme.run("renew", "--force", "--lock-timeout", "0", "--json")
        assert ended.code == 0, ended.err
        states = {each["name"]: each for each in ended.document["certificates"]}
        assert states[issued]["state"] == "renewed"
        assert leaf(acme, issued) != before
        assert states[f"a-{issued}"]["state"] == "busy"
        assert f"(process {waiting.pid})" in states[f"a-{issued}"]["message"]
        # Who asks for just that one is told by the exit code.
        assert acme.run("renew", f"a-{issued}", "--lock-timeout", "0").code == 9
        # Both use the account; to change it one has to be alone.
        assert acme.ok("account", "--email", "other@example.test")["account"]["status"] == "valid"
        changing = acme.run("rollover", "--lock-timeout", "0", "--json")
        assert changing.code == 9
        assert "is using the account at" in changing.document["error"]["message"]
    finally:
        waiting.terminate()
        waiting.communicate(timeout=60)


def test_two_first_runs_make_one_account_and_take_turns_at_the_port(
    ca: Pebble, proxy: RecordingProxy, bind: Bind, standalone: list[str], tmp_path: Path
) -> None:
    acme = AcmeCommand(tmp_path / "fresh", proxy.directory_url, ca.ca_bundle)
    names = [f"{secrets.token_hex(6)}.{bind.zones[0]}" for _ in range(2)]
    running = [acme.start("issue", each, "--agree-tos", *standalone, "--lock-timeout", "50") for each in names]
    for process in running:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    kept = [json.loads((acme.certificate(each) / "certificate.json").read_text()) for each in names]
    assert len({each["account_url"] for each in kept}) == 1
    assert len({each["serial"] for each in kept}) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_cleaned_up_and_with_the_old_certificate(
    acme: AcmeCommand, bind: Bind, name: str, number: signal.Signals, code: int
) -> None:
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    before = signal.signal(number, signal.SIG_DFL)  # with nohup SIGHUP is ignored by all that is started
    try:
        process = acme.start("issue", name, "--solver", "manual", *where, "--json")
    finally:
        signal.signal(number, before)
    shown = read_until(process, "Waiting up to")
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert json.loads(out)["error"]["exit_code"] == code
    assert "Unless you plan to continue, please remove" in err
    assert "Traceback" not in shown + err
    assert not (acme.certificate(name) / "current").exists()


def test_a_kill_at_any_moment_leaves_the_old_certificate_or_the_new_one(acme: AcmeCommand, issued: str) -> None:
    folder = acme.certificate(issued)
    for delay in (0.5, 1.0, 1.5):
        process = acme.start("renew", issued, "--force")
        time.sleep(delay)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=SECONDS)
        chain = parse_chain((folder / "fullchain.pem").read_bytes())
        assert public_key_matches(chain.leaf, load_private_key((folder / "privkey.pem").read_bytes()))
        metadata = json.loads((folder / "certificate.json").read_text())
        assert int(metadata["serial"], 16) == chain.leaf.serial_number
    assert acme.ok("renew", issued, "--force")["renewed"] == 1
    assert not list(folder.glob("versions/.new-*"))


def test_a_dry_run_renews_nothing(acme: AcmeCommand, ca: Pebble, issued: str) -> None:
    before = leaf(acme, issued)
    document = acme.ok("renew", issued, "--dry-run", "--staging-server", ca.directory_url)
    assert document["certificates"][0]["state"] == "dry run"
    assert leaf(acme, issued) == before


def test_each_kind_of_failure_has_its_code(acme: AcmeCommand, name: str, standalone: list[str]) -> None:
    def code(*arguments: str) -> tuple[int, str]:
        ended = acme.run(*arguments, "--json")
        assert "Traceback" not in ended.err
        assert ended.err.count("Error: ") == 1
        return ended.code, ended.document["error"]["type"]

    assert code("issue", "x.blocked.example.test", *standalone) == (3, "RejectedIdentifier")
    assert code("issue", name, *standalone, "--profile", "none", "--force") == (3, "InvalidProfile")
    assert code("issue", name, "--solver", "webroot:/", "--http-port", "1") == (4, "OrderFailed")
    assert code("issue", f"*.{name}", *standalone) == (4, "NoSolver")
    assert code("issue", "not a name", *standalone) == (2, "InvalidIdentifier")
    assert code("issue", name) == (2, "UsageError")
    dead = f"https://127.0.0.1:{allocator.take()}/dir"
    assert code("info", dead) == (6, "ConnectionFailed")
    assert code("renew", "nobody") == (2, "UsageError")
    assert acme.run("issue", "--no-such-option").code == 2
