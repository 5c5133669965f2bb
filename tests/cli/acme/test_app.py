"""The command line as it is declared: commands, options, exit codes; and what it does not load."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from certwright.acme import Identifier
from certwright.cli.acme.app import acme
from certwright.cli.acme.common import Common
from certwright.cli.acme.exits import MEANINGS, ExitCode
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Session
from certwright.cli.acme.solver_settings import SolverSettings
from certwright.cli.acme.solvers import make_solvers
from certwright.cli.app import app
from certwright.client import SelfChecked

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("register", "account", "issue", "renew", "revoke", "rollover", "deactivate", "discover", "info", "ari")


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(acme, [*arguments, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    return " ".join(result.stdout.split())


def test_help_names_every_command_and_exit_code() -> None:
    text = shown()
    for command in COMMANDS:
        assert f" {command} " in text
    for code, meaning in MEANINGS.items():
        assert re.search(rf"\b{int(code)} {re.escape(meaning)}", text), code
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_common_options(command: str) -> None:
    text = shown(command)
    for option in ("--dir", "--server", "--ca-bundle", "--proxy", "--client-certificate", "--client-key"):
        assert f"{option} " in text
    for option in ("--request-timeout", "--lock-timeout", "--json", "--quiet", "--debug"):
        assert f"{option} " in text


def test_it_is_a_group_of_the_whole_command_line() -> None:
    result = CliRunner().invoke(app, ["acme", "issue", "--help"])
    assert result.exit_code == 0
    assert "--solver" in result.stdout


def test_no_option_takes_a_secret() -> None:
    for command in COMMANDS:
        for option in re.findall(r"--[a-z0-9-]+", shown(command)):
            assert not re.search(r"secret|password(?!-file)|hmac(?!-file)|token", option), option


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["issue", "a.example.test", "--solver", "telepathy"], "--solver 'telepathy' is not one of standalone"),
        (["issue", "a.example.test"], "--solver"),
        (["issue", "--solver", "standalone"], "Give the names for the certificate"),
        (["issue", "a.example.test", "--solver", "dns-01"], "--nameserver"),
        (["issue", "a.example.test", "--solver", "webroot:/no/such"], "The web root /no/such is not a folder"),
        (["issue", "a.example.test", "--solver", "standalone", "--name", "../x"], "is not a valid name"),
        (["issue", "a.example.test", "--solver", "standalone", "--key", "k", "--csr", "r"], "are mutually exclusive"),
        (["issue", "a.example.test", "--solver", "standalone", "--not-after", "soon"], "is not a time"),
        (
            ["issue", "a.example.test", "--solver", "standalone", "--client-key", "k", "--agree-tos"],
            "must be given",
        ),
        (["register", "--server", "nobody"], "neither a directory URL nor one of letsencrypt"),
        (["register", "--eab-hmac-file", "x"], "--eab-kid"),
        (["register", "--key-algorithm", "ES1"], "no account key algorithm 'ES1'"),
        (
            ["register", "--agree-tos", "--email", "you@example.com"],
            "you@example.com is a placeholder: give your own address",
        ),
        (["account", "--email", "mailto:a@b.example.org"], "a@b.example.org is a placeholder"),
        (["account", "--email", "a@example.test", "--no-email"], "are mutually exclusive"),
        (["revoke", "nothing"], "neither a file nor a certificate"),
        (["info", "nothing"], "It is not a CA either"),
        (["renew", "nothing"], "There is no certificate nothing"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said_with_code_2(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = CliRunner().invoke(acme, [*arguments, "--dir", str(tmp_path / "state")], env={"COLUMNS": "500"})
    assert result.exit_code == ExitCode.USAGE, result.output
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_http_answers_are_looked_at_first_if_asked(tmp_path: Path) -> None:
    session = Session(Common(tmp_path), Output(as_json=False, quiet=True))
    texts = ("standalone", f"webroot:{tmp_path}", "manual:http-01", "tls-alpn-01", "manual")
    checked = make_solvers(SolverSettings(texts, http_check=True), session)
    assert callable(checked)
    kinds = [isinstance(solver, SelfChecked) for solver in checked(Identifier.dns("a.example.test"))]
    assert kinds == [True, True, True, False, False]
    unchecked = make_solvers(SolverSettings(texts), session)
    assert callable(unchecked)
    assert not [each for each in unchecked(Identifier.dns("a.example.test")) if isinstance(each, SelfChecked)]


def test_without_an_account_it_says_how_to_make_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(acme, ["account", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == ExitCode.ACTION_NEEDED
    document = json.loads(result.stdout)
    assert (document["command"], document["ok"]) == ("account", False)
    assert "certwright acme register --server letsencrypt-staging --agree-tos" in document["error"]["message"]


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path: Path) -> None:
    account = tmp_path / "accounts" / "ca.example.test"
    certificate = tmp_path / "certificates" / "a.example.test" / "current"
    begun = tmp_path / "certificates" / "b.example.test"
    for folder in (account, certificate, begun):
        folder.mkdir(parents=True)
    (account / "account.json").write_text("{")
    (certificate / "certificate.json").write_text("{")
    (begun / "order.json").write_text("{}")
    result = CliRunner().invoke(acme, ["info", "--dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "ca.example.test: cannot be read" in result.stdout
    assert "a.example.test  cannot be read" in result.stdout
    assert "b.example.test  not issued yet  order pending" in result.stdout
    for damaged in (account / "account.json", certificate / "certificate.json"):
        assert f"Warning: {damaged} is damaged" in result.stderr
    document = json.loads(CliRunner().invoke(acme, ["info", "--dir", str(tmp_path), "--json"]).stdout)
    assert document["certificates"][0]["name"] == "a.example.test"
    assert document["certificates"][0]["error"]["type"] == "CommandError"
    assert document["unfinished"] == ["b.example.test"]


def test_a_flag_does_not_look_as_if_it_took_a_value() -> None:
    assert "--force Issue even if" in shown("issue")
    assert "<bool>" not in shown("renew").replace("--help <bool>", "")
    assert "list[str]" not in shown("account")


def test_an_empty_folder_is_shown_and_renewed(tmp_path: Path) -> None:
    assert "Certificates: none" in CliRunner().invoke(acme, ["info", "--dir", str(tmp_path)]).stdout
    result = CliRunner().invoke(acme, ["renew", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "command": "renew",
        "ok": True,
        "renewed": 0,
        "not_due": 0,
        "failed": 0,
        "certificates": [],
    }


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    result = CliRunner().invoke(acme, ["renew", "--dir", str(tmp_path)])
    assert result.exit_code == ExitCode.FAILED
    assert f"chmod go-w {tmp_path}" in result.stderr


def test_the_folder_is_the_users_data_folder_by_default(tmp_path: Path) -> None:
    runner, environment = CliRunner(), {"XDG_DATA_HOME": str(tmp_path), "CERTWRIGHT_ACME_DIR": ""}
    result = runner.invoke(acme, ["info"], env=environment)
    assert f"Folder: {tmp_path}/certwright/acme" in result.stdout
    result = runner.invoke(acme, ["info"], env=environment | {"CERTWRIGHT_ACME_DIR": str(tmp_path / "own")})
    assert f"Folder: {tmp_path}/own" in result.stdout


def test_an_unforeseen_error_shows_its_kind_and_on_request_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("the secret of the universe")

    monkeypatch.setattr("certwright.cli.acme.lookup.info", broken)
    plain = CliRunner().invoke(acme, ["info", "--dir", str(tmp_path)])
    assert plain.exit_code == ExitCode.FAILED
    assert "ZeroDivisionError" in plain.stderr
    assert "universe" not in plain.stderr
    assert "Traceback" in CliRunner().invoke(acme, ["info", "--dir", str(tmp_path), "--debug"]).stderr


def test_help_loads_nothing_heavy_and_run_nothing_of_this() -> None:
    program = """
import sys
from certwright.cli.main import main
try:
    main({arguments})
except SystemExit:
    print("loaded:", sorted(name for name in sys.modules if name in {heavy}))
"""
    for arguments, heavy in (
        (["acme", "--help"], {"httpx", "cryptography", "dns", "kopf", "kubernetes"}),
        (["run", "--help"], {"typer", "rich", "certwright.cli.acme", "certwright.client"}),
    ):
        done = subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", program.format(arguments=arguments, heavy=heavy)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.splitlines()[-1] == "loaded: []"


def test_the_common_options_have_the_documented_defaults() -> None:
    assert Common() == Common(lock_timeout=30.0, request_timeout=None, as_json=False, quiet=False, debug=False)
