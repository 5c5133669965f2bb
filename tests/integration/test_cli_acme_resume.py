"""`certwright acme` killed in the middle of an issuance: the next run goes on with the order, and makes no other."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from certwright.pki import load_private_key, parse_chain, public_key_matches
from harness.acme_command import AcmeCommand
from testbed.exchanges import Action, Drop, Forward, Request, Response
from testbed.options import PebbleOptions

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble
    from testbed.proxy import RecordingProxy


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int) -> Iterator[Pebble]:
    """A Pebble that refuses no nonces and reuses no authorizations: each request is there for a reason."""
    options = PebbleOptions(http_port=http_port, authz_reuse_percent=0, nonce_reject_percent=0)
    started = bed.start_pebble("pebble-cli-resume", options)
    yield started
    bed.end_pebble(started)


@pytest.fixture(scope="module")
def acme(ca: Pebble, module_proxy: RecordingProxy, tmp_path_factory: pytest.TempPathFactory) -> AcmeCommand:
    command = AcmeCommand(tmp_path_factory.mktemp("cli") / "state", module_proxy.directory_url, ca.ca_bundle)
    command.ok("register", "--agree-tos")
    return command


def orders(proxy: RecordingProxy) -> int:
    """How many orders were asked for."""
    return sum("order-plz" in request.path for request in proxy.requests)


def kill_at(
    proxy: RecordingProxy, path: str, process: Callable[[], subprocess.Popen[str]], *, answered: bool = False
) -> None:
    """Kill the command at its request for a path, before the CA hears of it or after it has acted on it."""

    def kill() -> Action:
        os.kill(process().pid, signal.SIGKILL)
        return Drop()

    def on_request(request: Request) -> Action:
        return kill() if path in request.path and not answered else Forward()

    def on_response(request: Request, _answer: Response) -> Action:
        return kill() if path in request.path and answered else Forward()

    proxy.on_request, proxy.on_response = on_request, on_response


def pending_file(acme: AcmeCommand, name: str) -> Path:
    return acme.certificate(name) / "order.json"


def killed(acme: AcmeCommand, proxy: RecordingProxy, path: str, *arguments: str, answered: bool = False) -> None:
    """Run a command until it is killed at a request."""
    running: list[subprocess.Popen[str]] = []
    kill_at(proxy, path, lambda: running[0], answered=answered)
    running.append(acme.start(*arguments))
    _, err = running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL, err
    proxy.on_request, proxy.on_response = (lambda _: Forward()), (lambda _, __: Forward())


@pytest.mark.parametrize(
    ("path", "answered", "state"),
    [
        ("/authZ/", False, "pending"),
        ("/chalZ/", False, "pending"),
        ("/finalize-order/", False, "ready"),
        ("/finalize-order/", True, "processing|valid"),
        ("/certZ/", False, "valid"),
    ],
)
def test_the_order_is_gone_on_with_from_where_it_was(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str], path: str, *, answered: bool, state: str
) -> None:
    killed(acme, proxy, path, "issue", name, *standalone, answered=answered)
    assert pending_file(acme, name).stat().st_mode & 0o777 == 0o600
    kept = json.loads(pending_file(acme, name).read_text())
    assert not (acme.certificate(name) / "current").exists()
    ended = acme.run("issue", name, *standalone, "--json")
    assert ended.code == 0, ended.err
    assert orders(proxy) == 1
    (said,) = [line for line in ended.err.splitlines() if "Continuing the earlier order" in line]
    assert kept["order_url"] in said
    assert any(f"which is {each}" in said for each in state.split("|"))
    assert ended.document["certificate"]["order_url"] == kept["order_url"]
    folder = acme.certificate(name)
    chain = parse_chain((folder / "fullchain.pem").read_bytes())
    assert (folder / "privkey.pem").read_text() == kept["private_key"]
    assert public_key_matches(chain.leaf, load_private_key(kept["private_key"].encode()))
    assert not pending_file(acme, name).exists()


def test_a_renewal_is_gone_on_with_and_not_counted_twice(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    before = acme.ok("issue", name, *standalone)["certificate"]["serial"]
    proxy.reset()
    killed(acme, proxy, "/finalize-order/", "renew", name, "--force", "--reuse-key", answered=True)
    # The key is where it was: no second copy of it is kept.
    kept = json.loads(pending_file(acme, name).read_text())
    assert kept["private_key"] is None
    ended = acme.run("renew", name, "--force", "--reuse-key", "--json")
    assert ended.code == 0, ended.err
    assert orders(proxy) == 1
    after = ended.document["certificates"][0]["certificate"]
    assert after["serial"] != before
    assert after["order_url"] == kept["order_url"]
    assert not pending_file(acme, name).exists()


def test_for_something_else_a_new_order_is_made(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    killed(acme, proxy, "/authZ/", "issue", name, *standalone)
    first = json.loads(pending_file(acme, name).read_text())
    killed(acme, proxy, "/authZ/", "issue", name, f"www.{name}", "--name", name, *standalone)
    assert orders(proxy) == 2
    second = json.loads(pending_file(acme, name).read_text())
    assert second["private_key"] != first["private_key"]
    ended = acme.run("issue", name, f"www.{name}", "--name", name, *standalone, "--key-type", "ec384")
    assert ended.code == 0, ended.err
    assert "The saved order is for something else" in ended.err
    assert orders(proxy) == 3


def test_what_the_ca_gave_up_is_ordered_afresh_and_said_so(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str], tmp_path: Path
) -> None:
    killed(acme, proxy, "/authZ/", "issue", name, *standalone)
    kept = json.loads(pending_file(acme, name).read_text())
    gone = {**kept, "order_url": f"{kept['order_url']}-that-was"}
    pending_file(acme, name).write_text(json.dumps(gone))
    # The CA cannot validate: the order fails, and is not continued.
    failed = acme.run("issue", name, "--solver", f"webroot:{tmp_path}")
    assert failed.code == 4
    assert "Cannot resume the earlier order; placing a new one" in failed.err
    assert orders(proxy) == 2
    assert not pending_file(acme, name).exists()
    acme.ok("issue", name, *standalone)
    assert orders(proxy) == 3


def test_what_is_damaged_or_done_with_is_not_gone_on_with(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    killed(acme, proxy, "/authZ/", "issue", name, *standalone)
    pending_file(acme, name).write_text("{")
    damaged = acme.run("issue", name, *standalone)
    assert (damaged.code, "order.json is damaged" in damaged.err) == (0, True)
    assert orders(proxy) == 2
    # As if it had been killed after the certificate was kept, and before the order was forgotten.
    metadata = json.loads((acme.certificate(name) / "certificate.json").read_text())
    left = {
        "names": [name],
        "server": metadata["settings"]["server"],
        "account_url": metadata["account_url"],
        "made_at": metadata["issued_at"],
        "order_url": metadata["order_url"],
        "key_type": "ec256",
        "private_key": (acme.certificate(name) / "privkey.pem").read_text(),
    }
    pending_file(acme, name).write_text(json.dumps(left))
    again = acme.ok("issue", name, *standalone, "--force")["certificate"]
    assert again["serial"] != metadata["serial"]
    assert orders(proxy) == 3


def test_another_chain_needs_no_other_order(
    acme: AcmeCommand, proxy: RecordingProxy, name: str, standalone: list[str]
) -> None:
    refused = acme.run("issue", name, *standalone, "--preferred-chain", "Nobody")
    assert refused.code == 3
    assert acme.ok("issue", name, *standalone)["issued"] is True
    assert orders(proxy) == 1


def test_ctrl_c_keeps_the_order_and_the_same_record_is_asked_for(
    acme: AcmeCommand, proxy: RecordingProxy, bind: Bind, name: str
) -> None:
    seen = []
    for _ in range(2):
        terminal = acme.on_terminal("issue", name, "--solver", "manual", "--dns-resolver", bind.address)
        terminal.wait_for("Press Enter when it is done")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "The order is saved; run the same command again to continue it" in terminal.shown
        seen.append([line for line in terminal.shown.splitlines() if "IN TXT" in line])
    assert seen[0] == seen[1] != []
    assert orders(proxy) == 1
