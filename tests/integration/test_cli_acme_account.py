"""Accounts by `certwright acme` against a strict Pebble: made, bound, restored, rolled over through kills, closed."""

from __future__ import annotations

import json
import os
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from certwright.acme import AccountCredentials, AccountKey, base64url
from harness.acme_command import SECONDS, AcmeCommand
from testbed.exchanges import Action, Drop, Forward, Request, Respond, Response
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.parts.pebble import Pebble


@pytest.fixture
def acme(pebble: Pebble, tmp_path: Path) -> AcmeCommand:
    return AcmeCommand(tmp_path / "state", pebble.directory_url, pebble.ca_bundle)


@pytest.fixture
def proxy(pebble: Pebble) -> Iterator[RecordingProxy]:
    with RecordingProxy.for_pebble(pebble) as running:
        yield running


def account_file(acme: AcmeCommand, name: str = "account.json") -> Path:
    (folder,) = (acme.folder / "accounts").iterdir()
    return folder / name


def test_the_terms_have_to_be_agreed_to(acme: AcmeCommand) -> None:
    ended = acme.run("register", "--json")
    assert ended.code == 10
    error = ended.document["error"]
    assert (ended.document["command"], ended.document["ok"]) == ("register", False)
    assert (error["type"], error["exit_code"]) == ("CommandError", 10)
    assert "Do%20what%20thou%20wilt" in error["message"]
    assert "--agree-tos" in error["message"]
    needed = acme.run("issue", "a.example.test", "--solver", "standalone")
    assert needed.code == 10


def test_an_account_is_made_once_and_its_contacts_change(acme: AcmeCommand) -> None:
    made = acme.ok("register", "--agree-tos", "--email", "a@example.test", "--key-algorithm", "ES384")["account"]
    assert set(made) == {
        *("url", "status", "contact", "server", "orders_url", "key_algorithm", "key_thumbprint", "folder")
    }
    assert (made["status"], made["key_algorithm"]) == ("valid", "ES384")
    assert made["contact"] == ["mailto:a@example.test"]
    assert acme.ok("register")["account"] == made
    again = acme.run("register", "--email", "other@example.test")
    assert (again.code, "`account --email` changes them" in again.err) == (0, True)
    changed = acme.ok("account", "--email", "b@example.test", "--email", "mailto:c@example.test")["account"]
    assert changed["contact"] == ["mailto:b@example.test", "mailto:c@example.test"]
    assert acme.ok("account", "--no-email")["account"]["contact"] == []


def test_how_the_ca_is_reached_is_said_once(acme: AcmeCommand, pebble: Pebble, tmp_path: Path) -> None:
    plain = {"SSL_CERT_FILE": ""}
    untrusting = acme.run("register", "--agree-tos", "--json", environment=plain)
    assert (untrusting.code, untrusting.document["error"]["type"]) == (6, "UntrustedServer")
    acme.ok("register", "--agree-tos", "--ca-bundle", pebble.ca_bundle, environment=plain)
    assert acme.ok("account", environment=plain)["account"]["status"] == "valid"
    nowhere = acme.run("account", "--proxy", "http://127.0.0.1:9", "--json")
    assert (nowhere.code, nowhere.document["error"]["type"]) == (6, "ConnectionFailed")
    (tmp_path / "client.pem").write_text("no certificate")
    client = ["--client-certificate", str(tmp_path / "client.pem"), "--client-key", str(tmp_path / "client.pem")]
    wrong = acme.run("account", *client, "--json")
    assert (wrong.code, wrong.document["error"]["type"]) == (1, "InvalidTrustBundle")
    # What was said for one command is not kept.
    assert acme.ok("account", environment=plain)["account"]["status"] == "valid"


def test_an_account_is_saved_and_restored_elsewhere(acme: AcmeCommand, pebble: Pebble, tmp_path: Path) -> None:
    made = acme.ok("register", "--agree-tos")["account"]
    acme.ok("account", "--export", tmp_path / "saved.json")
    assert (tmp_path / "saved.json").stat().st_mode & 0o777 == 0o600
    credentials = AccountCredentials.from_json((tmp_path / "saved.json").read_text())
    (tmp_path / "key.pem").write_bytes(credentials.key.to_pem())
    for number, source in enumerate(("saved.json", "key.pem")):
        elsewhere = AcmeCommand(tmp_path / f"elsewhere-{number}", pebble.directory_url, pebble.ca_bundle)
        assert elsewhere.ok("register", "--import", tmp_path / source)["account"]["url"] == made["url"]
        assert elsewhere.ok("account")["account"]["key_thumbprint"] == made["key_thumbprint"]
    (tmp_path / "other.pem").write_bytes(AccountKey.generate().to_pem())
    unknown = AcmeCommand(tmp_path / "unknown", pebble.directory_url, pebble.ca_bundle)
    ended = unknown.run("register", "--import", tmp_path / "other.pem", "--json")
    assert (ended.code, ended.document["error"]["type"]) == (10, "AccountDoesNotExist")


def test_an_account_is_bound_to_a_customer(make_pebble: Callable[..., Pebble], tmp_path: Path) -> None:
    secret = base64url.encode(secrets.token_bytes(32))
    bound = make_pebble(eab_required=True, eab_keys={"customer-1": secret})
    (tmp_path / "mac").write_text(f"{secret}\n")
    acme = AcmeCommand(tmp_path / "state", bound.directory_url, bound.ca_bundle)
    assert acme.ok("info", bound.directory_url)["directory"]["external_account_required"] is True
    without = acme.run("register", "--agree-tos")
    assert (without.code, "--eab-kid" in without.err) == (10, True)
    half = acme.run("register", "--agree-tos", "--eab-kid", "customer-1")
    assert (half.code, "CERTWRIGHT_EAB_HMAC_KEY" in half.err) == (2, True)
    wrong = acme.run(
        *("register", "--agree-tos", "--eab-kid", "customer-2", "--eab-hmac-file", tmp_path / "mac"),
    )
    assert wrong.code in {3, 10}
    assert secret not in wrong.err + half.err
    acme.ok("register", "--agree-tos", "--eab-kid", "customer-1", "--eab-hmac-file", tmp_path / "mac")
    other = AcmeCommand(tmp_path / "other", bound.directory_url, bound.ca_bundle)
    environment = {"CERTWRIGHT_EAB_HMAC_KEY": secret}
    other.ok("register", "--agree-tos", "--eab-kid", "customer-1", environment=environment)


def test_a_key_is_rolled_over_and_kept(acme: AcmeCommand) -> None:
    before = acme.ok("register", "--agree-tos")["account"]
    after = acme.ok("rollover", "--key-algorithm", "RS256")["account"]
    assert (after["url"], after["key_algorithm"]) == (before["url"], "RS256")
    assert after["key_thumbprint"] != before["key_thumbprint"]
    assert acme.ok("account")["account"]["key_thumbprint"] == after["key_thumbprint"]
    assert not account_file(acme, "account.next.json").exists()


@pytest.mark.parametrize("told", [False, True], ids=["before the CA hears of it", "after the CA has done it"])
def test_a_kill_during_a_rollover_loses_no_account(
    pebble: Pebble, proxy: RecordingProxy, tmp_path: Path, *, told: bool
) -> None:
    acme = AcmeCommand(tmp_path / "state", proxy.directory_url, pebble.ca_bundle)
    before = acme.ok("register", "--agree-tos")["account"]
    running: list[subprocess.Popen[str]] = []

    def kill() -> Action:
        os.kill(running[0].pid, signal.SIGKILL)
        return Drop()

    def on_request(request: Request) -> Action:
        return kill() if "rollover" in request.path and not told else Forward()

    def on_response(request: Request, _answer: Response) -> Action:
        return kill() if "rollover" in request.path and told and _answer.status == 200 else Forward()

    proxy.on_request, proxy.on_response = on_request, on_response
    running.append(acme.start("rollover"))
    running[0].communicate(timeout=SECONDS)
    assert running[0].returncode == -signal.SIGKILL
    proxy.reset()
    following = AccountCredentials.from_json(account_file(acme, "account.next.json").read_text())
    found = acme.run("account", "--json")
    assert found.code == 0, found.err
    account = found.document["account"]
    assert account["url"] == before["url"]
    assert account["key_thumbprint"] == (following.key.thumbprint if told else before["key_thumbprint"])
    assert "interrupted" in found.err
    assert not account_file(acme, "account.next.json").exists()
    assert acme.ok("rollover")["account"]["key_thumbprint"] != account["key_thumbprint"]


def test_a_rollover_whose_answer_is_lost_ends_well(pebble: Pebble, proxy: RecordingProxy, tmp_path: Path) -> None:
    acme = AcmeCommand(tmp_path / "state", proxy.directory_url, pebble.ca_bundle)
    before = acme.ok("register", "--agree-tos")["account"]

    def lose(request: Request, answer: Response) -> Action:
        return Drop() if "rollover" in request.path and answer.status == 200 else Forward()

    proxy.on_response = lose
    assert acme.ok("rollover")["account"]["key_thumbprint"] != before["key_thumbprint"]


def test_a_kill_while_registering_leaves_no_account_without_its_key(
    pebble: Pebble, proxy: RecordingProxy, tmp_path: Path
) -> None:
    acme = AcmeCommand(tmp_path / "state", proxy.directory_url, pebble.ca_bundle)
    running: list[subprocess.Popen[str]] = []
    made: list[str] = []

    def kill(request: Request, answer: Response) -> Action:
        if answer.status == 201 and "sign-me-up" in request.path:
            made.append(answer.headers["Location"])
            os.kill(running[0].pid, signal.SIGKILL)
            return Drop()
        return Forward()

    proxy.on_response = kill
    running.append(acme.start("register", "--agree-tos"))
    running[0].communicate(timeout=SECONDS)
    proxy.reset()
    assert "account" not in json.loads(account_file(acme).read_text())
    assert acme.ok("register", "--agree-tos")["account"]["url"] == made[0]


def test_an_account_is_closed_only_when_it_is_meant(acme: AcmeCommand) -> None:
    acme.ok("register", "--agree-tos")
    assert acme.run("deactivate").code == 2
    assert acme.ok("account")["account"]["status"] == "valid"
    terminal = acme.on_terminal("deactivate")
    terminal.wait_for("Type yes:")
    terminal.type("no\n")
    assert terminal.end() == 2
    assert acme.ok("deactivate", "--yes")["account"]["status"] == "deactivated"
    assert not account_file(acme).exists()
    assert acme.run("account").code == 10
    assert acme.ok("register", "--agree-tos")["account"]["status"] == "valid"


@pytest.mark.parametrize("rollover", [False, True], ids=["", "in the middle of a rollover"])
def test_an_account_that_the_ca_has_lost_is_registered_again_with_its_key(
    make_pebble: Callable[..., Pebble], tmp_path: Path, *, rollover: bool
) -> None:
    pebble = make_pebble()
    acme = AcmeCommand(tmp_path / "state", pebble.directory_url, pebble.ca_bundle)
    before = acme.ok("register", "--agree-tos")["account"]
    if rollover:
        credentials = AccountCredentials.from_json(account_file(acme).read_text())
        following = AccountCredentials(credentials.directory_url, credentials.account_url, AccountKey.generate())
        account_file(acme, "account.next.json").write_text(following.to_json())
        account_file(acme, "account.next.json").chmod(0o600)
    pebble.stop()
    pebble.start()
    lost = acme.run("account", "--json")
    assert lost.code == 10
    assert "register --agree-tos" in lost.document["error"]["message"]
    assert acme.run("register").code == 10, "the terms have to be agreed to again"
    again = acme.ok("register", "--agree-tos")["account"]
    assert again["key_thumbprint"] == before["key_thumbprint"]
    assert acme.ok("account")["account"]["url"] == again["url"]
    assert not account_file(acme, "account.next.json").exists()


def test_a_rollover_that_the_ca_refuses_is_reported_as_that(
    pebble: Pebble, proxy: RecordingProxy, tmp_path: Path
) -> None:
    acme = AcmeCommand(tmp_path / "state", proxy.directory_url, pebble.ca_bundle)
    before = acme.ok("register", "--agree-tos")["account"]
    body = json.dumps({"type": "urn:ietf:params:acme:error:badPublicKey", "detail": "too new"}).encode()

    def refuse(request: Request) -> Action:
        problem = Respond(400, body, {"Content-Type": "application/problem+json"})
        return problem if "rollover" in request.path else Forward()

    proxy.on_request = refuse
    refused = acme.run("rollover", "--json")
    assert (refused.code, refused.document["error"]["type"]) == (3, "BadPublicKey")
    assert "The CA refused the new key" in refused.err
    assert "interrupted" not in refused.err
    assert acme.ok("account")["account"]["key_thumbprint"] == before["key_thumbprint"]
    assert not account_file(acme, "account.next.json").exists()
