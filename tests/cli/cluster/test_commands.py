"""The commands against an API server of a few lines: what is selected, written, printed, and the exit code."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from certwright.cli.cluster import connection, status
from certwright.cli.cluster.app import plugin
from certwright.cli.cluster.exits import ExitCode
from certwright.kube.errors import Forbidden, Unreachable
from certwright.resources import Certificate

from .objects import certificate, event, issuer

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from .objects import Body
    from .server import FakeServer

BRANCH = """
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.runner import run, say
async def command():
    say(["\u251c\u2500 branch"])
    return ExitCode.DONE
raise SystemExit(run(command()))
"""
THE_OTHERS = [("api", "shop"), ("web", "shop"), ("mail", "post")]


@pytest.fixture(autouse=True)
def certificates(server: FakeServer) -> None:
    server.add("certificates", certificate("web"), certificate("api"), certificate("mail", namespace="post"))
    server.certificate("web")["metadata"]["labels"] = {"team": "a"}
    server.certificate("api")["spec"]["issuerRef"] = {"kind": "ClusterIssuer", "name": "letsencrypt"}
    server.add("issuers", issuer())


def run(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(plugin, list(words), input=answer)


def request_of(server: FakeServer, name: str = "web", namespace: str = "shop") -> Body | None:
    found: Body | None = server.certificate(name, namespace)["spec"].get("request")
    return found


def operator(server: FakeServer, state: str = "Succeeded", message: str = "It is there.") -> None:
    """From now on requests are carried out at once, as the operator does it."""

    def carry_out(body: Body) -> None:
        request = body["spec"].get("request")
        if request is not None:
            Certificate.parse(body)
            entry = {"id": request["id"], "action": request["action"], "state": state, "message": message}
            body["status"]["requests"] = [*body["status"].get("requests", ()), entry]

    server.on_change = carry_out


# status


def test_status_shows_the_namespace_and_with_a_all(server: FakeServer) -> None:
    assert [line.split()[0] for line in run("status").stdout.splitlines()] == ["NAME", "api", "web"]
    assert "post        mail" in run("status", "-A").stdout
    assert [line.split()[0] for line in run("status", "-n", "post").stdout.splitlines()] == ["NAME", "mail"]
    assert [line.split()[0] for line in run("status", "-l", "team=a").stdout.splitlines()] == ["NAME", "web"]
    assert [line.split()[0] for line in run("status", "--issuer", "letsencrypt").stdout.splitlines()] == ["NAME", "api"]
    assert run("status", "-n", "empty").stdout == "No Certificates in empty.\n"
    assert run("status", "-l", "team=z").stdout == "No Certificate matches.\n"
    assert not any("secrets" in one for one in server.asked), "a Secret was read"


def test_status_of_one_is_a_tree_with_its_events(server: FakeServer) -> None:
    server.add(
        "events",
        {**event("Normal", "Issued", "It is there.", minutes=-1), "metadata": {"name": "e", "namespace": "shop"}},
    )
    shown = run("status", "web").stdout
    assert shown.startswith("Certificate shop/web: Ready=True (Ready)\n")
    assert "Normal  Issued: It is there." in shown
    server.denied = {"list events", "get issuers"}
    without = run("status", "web")
    assert without.exit_code == 0
    assert "you may not read them" in without.stdout


def test_output_for_scripts(server: FakeServer) -> None:
    assert run("status", "-o", "name", "-A").stdout.splitlines() == [
        "certificate.certwright.io/mail",
        "certificate.certwright.io/api",
        "certificate.certwright.io/web",
    ]
    assert [one["name"] for one in json.loads(run("status", "-o", "json").stdout)["certificates"]] == ["api", "web"]
    assert json.loads(run("status", "--calendar", "-o", "json").stdout)["dueNow"]
    explained = json.loads(run("explain", "web", "issuer/pebble", "-o", "json").stdout)["explanations"]
    assert [one["subject"] for one in explained] == ["Certificate shop/web", "Issuer shop/pebble"]
    assert server.asked


def test_large_clusters_are_read_in_pages(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("certificates", *(certificate(f"c-{n}", namespace="many") for n in range(700)))
    server.most = 100
    assert len(run("status", "-n", "many").stdout.splitlines()) == 701
    defaults = connection.Session.list_all.__kwdefaults__ or {}
    monkeypatch.setattr(connection.Session.list_all, "__kwdefaults__", {**defaults, "most": 300})
    cut = run("status", "-n", "many")
    assert len(cut.stdout.splitlines()) == 301
    assert "the first 300 are shown" in cut.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("status", "nope"), ExitCode.NOT_FOUND, "There is no Certificate nope in the namespace shop"),
        (("explain", "issuer/nope"), ExitCode.NOT_FOUND, "There is no Issuer nope in shop"),
        (("explain", "secret/web"), ExitCode.USAGE, "certificate/NAME, issuer/NAME"),
        (("explain", "shop/web"), ExitCode.USAGE, "the namespace with -n"),
        (("renew", "--issuer", "secret/x"), ExitCode.USAGE, "--issuer secret/x: write NAME"),
        (("pause", "--issuer", "issuer/"), ExitCode.USAGE, "write NAME"),
        (("status", "web", "-A"), ExitCode.USAGE, "Names exclude"),
        (("status", "--watch", "-o", "json"), ExitCode.USAGE, "--watch excludes"),
        (("renew",), ExitCode.USAGE, "Which Certificates?"),
        (("renew", "--all", "-l", "a=b"), ExitCode.USAGE, "--all excludes"),
        (("renew", "web", "--rate", "often"), ExitCode.USAGE, "such as 10/h"),
        (("renew", "web", "--timeout", "soon"), ExitCode.USAGE, "such as 90s"),
        (("renew", "-l", "team=z"), ExitCode.NOT_FOUND, "No Certificate matches"),
        (("status", ".."), ExitCode.USAGE, "cannot be the name"),
        (("renwe",), ExitCode.USAGE, "renwe"),
    ],
)
def test_mistakes_are_told_in_a_line_with_their_exit_code(words: tuple[str, ...], code: ExitCode, said: str) -> None:
    result = run(*words)
    assert (result.exit_code, said in result.stderr.replace("\n", " ")) == (code, True), result.stderr
    assert "Traceback" not in result.output


def test_what_the_api_server_refuses_is_told(server: FakeServer) -> None:
    server.denied = {"list certificates"}
    result = run("status")
    assert result.exit_code == ExitCode.REFUSED
    assert "certificates is forbidden" in result.stderr
    assert "kubectl certwright check" in result.stderr


@pytest.mark.parametrize("words", [("status",), ("explain", "web"), ("renew", "web"), ("pause", "web"), ("check",)])
def test_credentials_that_have_expired_are_told_with_what_to_do(server: FakeServer, words: tuple[str, ...]) -> None:
    server.failing = Forbidden("list certificates", status=401, reason="Unauthorized", message="Unauthorized")
    result = run(*words)
    assert (result.exit_code, result.stdout) == (ExitCode.UNREACHABLE, "")
    assert "expired. Log in again" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_kubeconfig_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "session", connection.session)
    result = run("status", "--kubeconfig", "/nowhere/config")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "/nowhere/config" in result.stderr


def test_an_unexpected_error_is_no_traceback(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("with something secret")

    monkeypatch.setattr(server, "request", broken)
    result = run("status")
    assert (result.exit_code, result.stdout) == (ExitCode.FAILED, "")
    assert "RuntimeError" in result.stderr
    assert "secret" not in result.stderr
    monkeypatch.setenv("CERTWRIGHT_DEBUG", "1")
    assert isinstance(run("status").exception, RuntimeError)


def test_watching_without_a_terminal_prints_a_line_for_each_change(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            server.certificate("web")["status"]["conditions"][0] |= {"status": "False", "reason": "Expired"}
        if looks == 3:
            del server.objects["certificates", "shop", "api"]
        if looks == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "sleep", sleep)
    result = run("status", "--watch")
    assert result.exit_code == ExitCode.INTERRUPTED
    lines = [line.partition("  ")[2] for line in result.stdout.splitlines()]
    assert [line.partition(": ")[0] for line in lines] == ["api", "web", "web", "api"]
    assert lines[2].startswith("web: Ready=False Expired")
    assert lines[3] == "api: gone"


def test_watching_outlives_a_restart_of_the_api_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        down = Unreachable("list certificates", message="connection refused")
        server.failing = down if looks in {1, 2} else None
        if looks == 3:
            server.certificate("web")["status"]["conditions"][0] |= {"status": "False", "reason": "Expired"}
        if looks == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "sleep", sleep)
    result = run("status", "--watch", "-l", "team=a")
    assert result.exit_code == ExitCode.INTERRUPTED
    said = [line.partition("  ")[2] for line in result.stdout.splitlines()]
    assert [line.partition(";")[0].partition(":")[0] for line in said] == [
        "web",
        "The API server does not answer",
        "web",
    ]
    assert "connection refused" in said[1]


def test_an_api_server_that_is_not_there_at_first_is_not_watched(server: FakeServer) -> None:
    server.failing = Unreachable("list certificates", message="connection refused")
    result = run("status", "--watch")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "connection refused" in result.stderr


# renew


def test_renew_writes_a_request_that_the_model_takes(server: FakeServer) -> None:
    result = run("renew", "web")
    request = request_of(server)
    assert request is not None
    assert (result.exit_code, request["id"] in result.stdout) == (0, True)
    assert {key: request[key] for key in request if key != "id"} == {"action": "Renew", "requestedBy": "alice"}
    Certificate.parse(server.certificate("web"))
    assert request_of(server, "api") is None


def test_an_earlier_request_leaves_nothing_behind_in_a_new_one(server: FakeServer) -> None:
    server.certificate("web")["spec"]["request"] = {
        "id": "old",
        "action": "Revoke",
        "reason": "superseded",
        "requestedBy": "bob",
    }
    server.user = None
    assert run("renew", "web").exit_code == 0
    request = request_of(server)
    assert request is not None
    assert request.keys() == {"id", "action"}


def test_a_renewal_that_runs_already_is_joined(server: FakeServer) -> None:
    server.certificate("web")["spec"]["request"] = {"id": "r-1", "action": "Renew"}
    server.certificate("web")["status"]["requests"] = [{"id": "r-1", "action": "Renew", "state": "Running"}]
    result = run("renew", "web")
    assert "request r-1 for the same is open already" in result.stdout
    assert request_of(server) == {"id": "r-1", "action": "Renew"}


@pytest.mark.parametrize(
    ("words", "not_before", "is_joined"),
    [
        (("renew", "web"), None, True),
        (("renew", "web"), dt.timedelta(hours=-1), True),
        (("renew", "web"), dt.timedelta(hours=1), False),  # now is sooner than then
        (("revoke", "web", "--yes"), None, False),
        (("rollback", "web"), None, False),
    ],
)
def test_who_asks_twice_in_a_hurry_joins_the_request_that_has_not_begun(
    server: FakeServer, words: tuple[str, ...], not_before: dt.timedelta | None, *, is_joined: bool
) -> None:
    first: Body = {"id": "r-1", "action": "Renew"}
    if not_before is not None:
        first["notBefore"] = (dt.datetime.now(dt.UTC) + not_before).isoformat()
    server.certificate("web")["spec"]["request"] = dict(first)
    result = run(*words)
    assert result.exit_code == ExitCode.DONE
    assert (request_of(server) == first) is is_joined
    assert ("request r-1 for the same is open already" in result.stdout) is is_joined


def test_a_request_that_has_ended_and_is_still_there_is_not_joined(server: FakeServer) -> None:
    server.certificate("web")["spec"]["request"] = {"id": "r-1", "action": "Renew"}
    server.certificate("web")["status"]["requests"] = [{"id": "r-1", "action": "Renew", "state": "Failed"}]
    assert run("renew", "web").exit_code == ExitCode.DONE
    assert (request_of(server) or {})["id"] != "r-1"


def test_a_certificate_that_is_being_deleted_is_not_asked_for(server: FakeServer) -> None:
    server.certificate("web")["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    result = run("renew", "web")
    assert (result.exit_code, request_of(server)) == (ExitCode.FAILED, None)
    assert "is being deleted, so no request was sent" in result.stderr


def test_a_revocation_for_another_reason_takes_the_place_of_one_that_runs(server: FakeServer) -> None:
    body = server.certificate("web")
    body["spec"]["request"] = {"id": "r-1", "action": "Revoke", "reason": "superseded"}
    body["status"]["requests"] = [{"id": "r-1", "action": "Revoke", "reason": "superseded", "state": "Running"}]
    assert "is open already" in run("revoke", "web", "--reason", "superseded", "--yes").stdout
    assert run("revoke", "web", "--reason", "keyCompromise", "--yes").exit_code == 0
    request = request_of(server)
    assert request is not None
    assert (request["id"] != "r-1", request["reason"]) == (True, "keyCompromise")


def test_a_revocation_without_a_reason_is_joined(server: FakeServer) -> None:
    body = server.certificate("web")
    body["spec"]["request"] = {"id": "r-1", "action": "Revoke"}
    body["status"]["requests"] = [{"id": "r-1", "action": "Revoke", "state": "Running"}]
    assert "is open already" in run("revoke", "web", "--yes").stdout


def test_what_was_asked_for_before_the_api_server_went_is_told(server: FakeServer) -> None:
    server.fails_after = "PATCH /apis/certwright.io/v1/namespaces/shop/certificates/api"
    result = run("renew", "--all", "--yes", "-o", "json")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert [one["name"] for one in json.loads(result.stdout)["requests"]] == ["api"]
    assert "Only 1 of 2 Certificates have been asked for" in result.stderr


def test_waiting_outlives_a_restart_of_the_api_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    operator(server)
    server.fails_after = "PATCH /apis/certwright.io/v1/namespaces/shop/certificates/web"
    pauses = 0

    async def sleep(_: float) -> None:
        nonlocal pauses
        pauses += 1
        server.failing = None

    monkeypatch.setattr(asyncio, "sleep", sleep)
    result = run("renew", "web", "--wait")
    assert (result.exit_code, pauses) == (ExitCode.DONE, 1), result.output
    assert "does not answer; trying again" in result.stdout


def test_several_are_asked_for_only_after_a_yes(server: FakeServer) -> None:
    result = run("renew", "--all", "-A")
    assert (result.exit_code, request_of(server)) == (ExitCode.USAGE, None)
    assert "Renew 3 Certificates" in result.stderr
    assert "--yes" in result.stderr
    assert run("renew", "--all", "-A", "--yes").exit_code == 0
    assert all(request_of(server, *one) is not None for one in THE_OTHERS)


def test_a_rate_spreads_the_requests_and_does_not_wait(server: FakeServer) -> None:
    result = run("renew", "--all", "-A", "--yes", "--rate", "10/h")
    times = [
        (request_of(server, *one) or {}).get("notBefore")
        for one in [("mail", "post"), ("api", "shop"), ("web", "shop")]
    ]
    assert times[0] is None
    first, second = (dt.datetime.fromisoformat(time) for time in times[1:] if time)
    assert second - first == dt.timedelta(minutes=6)
    assert "begins in" in result.stdout
    for one in THE_OTHERS:
        Certificate.parse(server.certificate(*one))
    refused = run("renew", "--all", "-A", "--yes", "--rate", "1/h", "--wait")
    assert (refused.exit_code, "after --timeout" in refused.stderr) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("state", "code"), [("Succeeded", ExitCode.DONE), ("Failed", ExitCode.FAILED), ("Refused", ExitCode.FAILED)]
)
def test_waiting_ends_with_what_came_of_it(server: FakeServer, state: str, code: ExitCode) -> None:
    operator(server, state, "That is why.")
    result = run("renew", "web", "--wait")
    assert result.exit_code == code
    assert f"shop/web: {state}: That is why." in result.stdout


def test_waiting_for_json_prints_nothing_else_to_standard_output(server: FakeServer) -> None:
    operator(server)
    result = run("renew", "web", "--wait", "-o", "json")
    assert json.loads(result.stdout)["requests"][0]["state"] == "Succeeded"


def test_waiting_ends_in_time_and_says_that_the_operator_goes_on() -> None:
    result = run("renew", "web", "--wait", "--timeout", "1s")
    assert result.exit_code == ExitCode.TIMED_OUT
    assert "the operator continues" in result.stderr


def test_waiting_notices_that_another_request_took_its_place(server: FakeServer) -> None:
    def replaced(body: Body) -> None:
        body["spec"]["request"] = {"id": "other", "action": "Renew"}

    server.on_change = replaced
    result = run("renew", "web", "--wait")
    assert result.exit_code == ExitCode.FAILED
    assert "replaced by request other" in result.stdout


def test_a_write_that_comes_second_is_tried_again_on_what_is_there_now(server: FakeServer) -> None:
    server.conflicts = 2
    assert run("renew", "web").exit_code == 0
    assert request_of(server) is not None
    server.conflicts = 100
    result = run("renew", "api")
    assert (result.exit_code, "it has changed" in result.stderr) == (ExitCode.FAILED, True)


def test_a_paused_certificate_is_not_asked_for(server: FakeServer) -> None:
    server.certificate("web")["spec"]["paused"] = True
    result = run("renew", "web")
    assert (result.exit_code, request_of(server)) == (ExitCode.FAILED, None)
    assert "is paused" in result.stderr


# revoke, rollback, pause, resume


def test_revoke_warns_and_asks_even_for_one(server: FakeServer) -> None:
    result = run("revoke", "web", "--reason", "superseded")
    assert (result.exit_code, request_of(server)) == (ExitCode.USAGE, None)
    assert "cannot be undone" in result.stderr
    assert run("revoke", "web", "--reason", "superseded", "--yes").exit_code == 0
    request = request_of(server)
    assert request is not None
    assert (request["action"], request["reason"]) == ("Revoke", "superseded")
    Certificate.parse(server.certificate("web"))
    assert run("revoke", "web", "--reason", "boredom", "--yes").exit_code == ExitCode.USAGE


def test_rollback_names_the_revision(server: FakeServer) -> None:
    assert run("rollback", "web", "--to-revision", "2").exit_code == 0
    request = request_of(server)
    assert request is not None
    assert (request["action"], request["revision"]) == ("Rollback", 2)
    Certificate.parse(server.certificate("web"))


def test_pause_and_resume_change_one_field(server: FakeServer) -> None:
    assert run("pause", "web").stdout == "Certificate shop/web paused\n"
    assert server.certificate("web")["spec"]["paused"] is True
    assert run("pause", "web").stdout == "Certificate shop/web is already paused\n"
    assert (
        run("resume", "--all", "--yes").stdout == "Certificate shop/api is not paused\nCertificate shop/web resumed\n"
    )
    assert "paused" not in server.certificate("web")["spec"]
    assert run("pause", "--all").exit_code == ExitCode.USAGE


def test_the_event_loop_is_left_in_order() -> None:
    run("status")
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_the_version_is_printed_without_an_api_server(server: FakeServer) -> None:
    assert run("version").stdout.strip()
    assert server.asked == []


def test_a_terminal_that_lacks_characters_shows_others_in_their_place(tmp_path: Path) -> None:
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", BRANCH], capture_output=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stdout == b"?? branch\n"


@pytest.mark.parametrize(
    "words",
    [["status"], ["status", "web"], ["explain", "web"], ["explain", "issuer/ca"], ["renew", "web"], ["pause", "web"]],
    ids=" ".join,
)
def test_without_the_crds_every_command_says_that_they_are_missing_and_what_to_do(
    server: FakeServer, words: list[str]
) -> None:
    server.unknown = {"certificates", "issuers", "clusterissuers"}
    result = run(*words)
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "does not know Certwright's kinds: install its CRDs, or run kubectl certwright check" in result.stderr
