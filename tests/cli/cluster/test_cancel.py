"""`cancel`: which requests are taken back, what is told of them, and the exit code."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from certwright.cli.cluster.app import plugin
from certwright.cli.cluster.exits import ExitCode
from certwright.kube.errors import Forbidden
from certwright.resources import Certificate

from .objects import certificate

if TYPE_CHECKING:
    from typer.testing import Result

    from .objects import Body
    from .server import FakeServer

PATCH = "PATCH /apis/certwright.io/v1/namespaces/shop/certificates"
ORDER = {"url": "https://ca.example.test/order/1", "state": "pending"}


@pytest.fixture(autouse=True)
def certificates(server: FakeServer) -> None:
    server.add("certificates", *(certificate(name) for name in ("api", "idle", "old", "web")))
    server.add("certificates", certificate("mail", namespace="post"))
    server.certificate("web")["metadata"]["labels"] = {"team": "a"}
    asked(server, "web", "r-web", by="alice")
    asked(server, "api", "r-api", state="Running", by="bob")
    asked(server, "old", "r-old", state="Succeeded", by="bob")
    asked(server, "mail", "r-mail", namespace="post", by="alice", action="Revoke")


def asked(
    server: FakeServer,
    name: str,
    request_id: str,
    *,
    namespace: str = "shop",
    state: str | None = None,
    by: str = "alice",
    action: str = "Renew",
    **more: Any,
) -> Body:
    """Have a request in an object, begun or not."""
    body = server.certificate(name, namespace)
    body["spec"]["request"] = {"id": request_id, "action": action, "requestedBy": by, **more}
    if state is not None:
        entry = {"id": request_id, "action": action, "state": state, "message": "so it is"}
        body["status"]["requests"] = [entry]
    Certificate.parse(body)
    return body


def run(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(plugin, ["cancel", *words], input=answer)


def left(server: FakeServer) -> list[str]:
    """The names of those that still have a request."""
    kept = [name for (_, _, name), body in server.objects.items() if body.get("spec", {}).get("request")]
    return sorted(kept)


def requests(result: Result) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(result.stdout)["requests"]}


def test_what_is_open_is_cancelled_and_what_has_ended_is_left_to_the_operator(server: FakeServer) -> None:
    result = run("--all", "--yes")
    assert result.exit_code == ExitCode.DONE, result.output
    assert left(server) == ["mail", "old"], "neither another namespace nor what has ended"
    lines = result.stdout.splitlines()
    assert lines[0] == "Certificate shop/web: request r-web (Renew) cancelled: it had not begun"
    assert "r-api (Renew) cancelled: it had begun" in lines[1]
    assert lines[2] == "2 of 2 open requests cancelled; 1 of them had begun."


@pytest.mark.parametrize(
    ("words", "cancelled"),
    [
        (("web",), ["web"]),
        (("-l", "team=a"), ["web"]),
        (("--issuer", "pebble"), ["api", "web"]),
        (("--all", "-A"), ["api", "mail", "web"]),
        (("--all", "-A", "--action", "revoke"), ["mail"]),
        (("--all", "-A", "--requested-by", "alice"), ["mail", "web"]),
        (("--all", "-A", "--requested-by", "alice", "--action", "renew"), ["web"]),
        (("idle",), []),
        (("old",), []),
    ],
)
def test_they_are_selected_as_for_renew_and_by_action_and_by_who_asked(
    server: FakeServer, words: tuple[str, ...], cancelled: list[str]
) -> None:
    result = run(*words, "--yes", "-o", "json")
    assert result.exit_code == ExitCode.DONE, result.output
    assert sorted(requests(result)) == cancelled
    assert left(server) == sorted({"api", "mail", "old", "web"} - set(cancelled))


def test_nothing_to_cancel_is_told_and_no_error(server: FakeServer) -> None:
    result = run("idle")
    assert (result.exit_code, result.stdout) == (
        ExitCode.DONE,
        "Nothing to cancel: 1 Certificate selected, none with such a request that is open.\n",
    )
    assert not any("PATCH" in one for one in server.asked)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), ExitCode.USAGE, "Which Certificates?"),
        (("web", "--all"), ExitCode.USAGE, "Names exclude"),
        (("nope",), ExitCode.NOT_FOUND, "There is no Certificate nope"),
        (("--all",), ExitCode.USAGE, "Cancel 2 requests, 1 of them already begun? There is no terminal to ask at"),
    ],
)
def test_mistakes_cancel_nothing(server: FakeServer, words: tuple[str, ...], code: ExitCode, said: str) -> None:
    result = run(*words)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert left(server) == ["api", "mail", "old", "web"]


def test_a_dry_run_says_who_asked_and_how_far_each_is_and_changes_nothing(server: FakeServer) -> None:
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=2, minutes=1)).isoformat()
    asked(server, "idle", "r-idle", notBefore=later)
    server.certificate("api")["status"]["order"] = ORDER
    result = run("--all", "--dry-run")
    assert result.exit_code == ExitCode.DONE
    assert left(server) == ["api", "idle", "mail", "old", "web"]
    assert "r-idle (Renew) of alice would be cancelled: begins in 2h" in result.stdout
    assert "r-web (Renew) of alice would be cancelled: has not begun" in result.stdout
    assert "r-api (Renew) of bob would be cancelled: running; an order is placed (pending)" in result.stdout
    assert "3 of 3 open requests would be cancelled; 1 of them had begun." in result.stdout
    document = json.loads(run("--all", "--dry-run", "-o", "json").stdout)
    assert document["dryRun"] is True
    assert {one["state"] for one in document["requests"]} == {"Open"}


def test_what_the_ca_was_asked_for_is_told(server: FakeServer) -> None:
    revocation: Body = {"requestID": "r-api", "serialNumber": "ab", "fingerprint": "0" * 64, "reason": "keyCompromise"}
    asked(server, "api", "r-api", state="Running", action="Revoke", reason="keyCompromise")
    status = server.certificate("api")["status"]
    status["revocations"] = [{**revocation, "state": "Pending"}, {**revocation, "requestID": "r-0", "state": "Revoked"}]
    assert requests(run("api", "--dry-run", "-o", "json"))["api"]["atCA"] == (
        "the key stays on record as compromised, and is replaced"
    )
    status["revocations"] = [{**revocation, "state": "Revoked"}]
    assert requests(run("api", "--dry-run", "-o", "json"))["api"]["atCA"] == "the CA has revoked certificate ab"
    del status["revocations"]
    asked(server, "api", "r-api", state="Running")
    for state, said in (("ready", "it counts for rate limits"), ("valid", "may be issued, and is not stored")):
        status["order"] = {**ORDER, "state": state}
        assert said in requests(run("api", "--dry-run", "-o", "json"))["api"]["atCA"]
    status["order"] = {**ORDER, "state": "invalid"}
    assert requests(run("api", "--dry-run", "-o", "json"))["api"]["atCA"] is None


def test_one_that_has_not_begun_is_cancelled_before_one_that_runs(server: FakeServer) -> None:
    run("--all", "--yes")
    assert [one for one in server.asked if one.startswith("PATCH")] == [f"{PATCH}/web", f"{PATCH}/api"]


def test_a_request_that_has_ended_or_was_replaced_meanwhile_is_not_cancelled(server: FakeServer) -> None:
    """Between what the command has read and what it writes, the operator and other people go on."""

    def meanwhile(body: Body) -> None:
        if body["metadata"]["name"] == "api":
            body["status"]["requests"] = [{"id": "r-api", "action": "Renew", "state": "Succeeded", "message": "done"}]
            body["spec"].pop("request", None)
        else:
            body["spec"]["request"] = {"id": "r-new", "action": "Revoke", "requestedBy": "carol"}

    server.before_patch = meanwhile
    result = run("--all", "--yes", "-o", "json")
    found = requests(result)
    assert result.exit_code == ExitCode.FAILED
    assert (found["api"]["state"], found["web"]["state"]) == ("Ended", "Replaced")
    assert "it had ended before (Succeeded: done)" in found["api"]["message"]
    assert "request r-new (Revoke) has taken its place" in found["web"]["message"]
    assert server.certificate("web")["spec"]["request"]["id"] == "r-new", "what somebody else wants stays"


def test_two_people_who_cancel_at_once_both_succeed(server: FakeServer) -> None:
    server.before_patch = lambda body: body["spec"].pop("request", None)
    result = run("web", "-o", "json")
    assert (result.exit_code, requests(result)["web"]["state"]) == (ExitCode.DONE, "Cancelled")
    assert requests(result)["web"]["message"] == "it is removed already"


def test_a_certificate_that_was_deleted_or_created_again_meanwhile_is_left_alone(server: FakeServer) -> None:
    def created_again(body: Body) -> None:
        body["metadata"]["uid"] = "another"

    server.before_patch = created_again
    result = run("web", "-o", "json")
    assert (result.exit_code, requests(result)["web"]["state"]) == (ExitCode.DONE, "Gone")
    assert server.certificate("web")["spec"]["request"]["id"] == "r-web"


def test_what_one_may_not_change_is_told_and_the_rest_is_cancelled(
    server: FakeServer,
) -> None:
    def refuse(body: Body) -> None:
        if body["metadata"]["name"] == "api":
            raise Forbidden("change", status=403, reason="Forbidden", message="api is forbidden")

    server.before_patch = refuse
    result = run("--all", "--yes")
    assert result.exit_code == ExitCode.REFUSED
    assert "api is forbidden" in result.output
    assert left(server) == ["api", "mail", "old"]
    assert "1 of 2 open requests cancelled" in result.stdout


def test_what_was_cancelled_before_the_api_server_went_is_told(server: FakeServer) -> None:
    server.fails_after = f"{PATCH}/web"
    result = run("--all", "--yes", "-o", "json")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert requests(result)["web"]["state"] == "Cancelled"
    assert requests(result)["api"]["state"] == "Open"
    assert "Only 1 of 2 requests have been cancelled" in result.stderr
    assert "Run the command again for the rest" in result.stderr


@pytest.mark.parametrize(
    ("ends", "state", "code"),
    [("Failed", "Cancelled", ExitCode.DONE), ("Succeeded", "Ended", ExitCode.FAILED)],
)
def test_waiting_shows_what_the_operator_says_of_those_that_ran(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, ends: str, state: str, code: ExitCode
) -> None:
    pauses = 0

    async def sleep(_: float) -> None:
        nonlocal pauses
        pauses += 1
        server.certificate("api")["status"]["requests"][0] |= {"state": ends, "message": "Withdrawn, perhaps."}

    monkeypatch.setattr(asyncio, "sleep", sleep)
    result = run("--all", "--yes", "--wait", "-o", "json")
    assert (result.exit_code, pauses) == (code, 1)
    assert requests(result)["api"]["state"] == state
    assert requests(result)["api"]["message"] == f"{ends}: Withdrawn, perhaps."
    assert requests(result)["web"]["message"] == "it had not begun", "nothing is to be waited for"


def test_waiting_outlives_a_restart_of_the_api_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fails_after = f"{PATCH}/api"
    pauses = 0

    async def sleep(_: float) -> None:
        nonlocal pauses
        pauses += 1
        server.failing = None
        server.certificate("api")["status"]["requests"][0] |= {"state": "Failed", "message": "Withdrawn."}

    monkeypatch.setattr(asyncio, "sleep", sleep)
    result = run("api", "--wait")
    assert (result.exit_code, pauses) == (ExitCode.DONE, 1), result.output
    assert "does not answer; trying again" in result.stdout
    assert "request r-api (Renew) cancelled: Failed: Withdrawn." in result.stdout


def test_waiting_for_an_operator_that_is_not_there_ends_in_time(server: FakeServer) -> None:
    result = run("api", "--wait", "--timeout", "1s")
    assert result.exit_code == ExitCode.TIMED_OUT
    assert "removed all the same" in result.stderr
    assert "api" not in left(server)


def test_two_thousand_are_cancelled_with_one_request_each(server: FakeServer) -> None:
    server.objects.clear()
    server.add("certificates", *(certificate(f"c-{number}", namespace="many") for number in range(2000)))
    for number in range(2000):
        asked(server, f"c-{number}", f"r-{number}", namespace="many", state="Running" if number % 10 == 0 else None)
    result = run("-n", "many", "--all", "--yes")
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.splitlines()[-1] == "2000 of 2000 open requests cancelled; 200 of them had begun."
    assert sum(one.startswith("PATCH") for one in server.asked) == 2000
    assert left(server) == []
