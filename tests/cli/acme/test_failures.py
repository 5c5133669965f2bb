from __future__ import annotations

from datetime import UTC, datetime

import pytest

from certwright.acme import (
    AcmeError,
    ConnectionFailed,
    InvalidIdentifier,
    NoSuchChain,
    NotRegistered,
    Problem,
    ProblemError,
    RateLimited,
    ServiceUnavailable,
    UntrustedServer,
    UserActionRequired,
)
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, exit_code, message
from certwright.cli.exits import CommandError
from certwright.client import IssuanceTimedOut, NoSolver, SolverFailed
from certwright.dns import InvalidServer

URL = "https://ca.example.test/order"
PROBLEM = Problem(type="urn:ietf:params:acme:error:rateLimited", detail="too many")
LIMITED = RateLimited(PROBLEM, action="newOrder", url=URL, status=429, retry_at=datetime(2026, 1, 2, tzinfo=UTC))
TERMS = UserActionRequired(PROBLEM, action="newOrder", url=URL, status=403, terms_of_service="https://ca.test/tos")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (CommandError("x", ExitCode.LOCKED), ExitCode.LOCKED),
        (LIMITED, ExitCode.RATE_LIMITED),
        (TERMS, ExitCode.ACTION_NEEDED),
        (NotRegistered("x"), ExitCode.ACTION_NEEDED),
        (SolverFailed("present", challenge_type="dns-01", names=["a"], reason="x"), ExitCode.NOT_VALIDATED),
        (NoSolver({"a": ()}, ()), ExitCode.NOT_VALIDATED),
        (ConnectionFailed("x", host="h", request_sent=False), ExitCode.UNREACHABLE),
        (ServiceUnavailable("x", url=URL, status=503), ExitCode.UNREACHABLE),
        (IssuanceTimedOut("x", order_url=None), ExitCode.UNREACHABLE),
        (ProblemError(PROBLEM, action="newOrder", url=URL, status=400), ExitCode.REFUSED),
        (NoSuchChain(wanted="a", offered=("b",)), ExitCode.REFUSED),
        (InvalidIdentifier("x"), ExitCode.USAGE),
        (InvalidServer("x"), ExitCode.USAGE),
        (AcmeError("x"), ExitCode.FAILED),
        (ZeroDivisionError("x"), ExitCode.FAILED),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) is code
    said = describe(error)
    assert (said["type"], said["exit_code"]) == (type(error).__name__, int(code))


def test_machines_are_told_what_can_be_acted_on() -> None:
    assert describe(LIMITED)["retry_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert describe(LIMITED)["temporary"] is True
    assert describe(TERMS)["action_url"] == "https://ca.test/tos"
    assert describe(NoSuchChain(wanted="a", offered=("b",)))["offered"] == ["b"]


def test_people_are_told_what_to_do() -> None:
    assert "2026-01-02T00:00:00Z" in message(LIMITED)
    assert message(TERMS).endswith("certwright acme account --agree-tos")
    assert message(NotRegistered("No account.")).startswith("No account. Register with")


def test_an_unforeseen_error_is_not_quoted() -> None:
    assert "secret" not in message(ZeroDivisionError("the secret"))
    assert "--debug" in message(ZeroDivisionError("the secret"))


def test_a_file_of_this_host_is_named_with_what_is_wrong_with_it() -> None:
    error = PermissionError(13, "Permission denied", "/srv/state/accounts")
    assert message(error) == "Cannot use /srv/state/accounts: permission denied."
    assert describe(error)["exit_code"] == 1
    # Without a file it may be about anything.
    assert "--debug" in message(OSError(5, "Input/output error"))
    assert "--debug" in message(OSError("something"))


def test_what_to_do_about_a_server_that_cannot_be_reached() -> None:
    assert message(UntrustedServer("Not trusted.", host="ca.test", reason="x")).endswith("Use --ca-bundle")
    assert "--server" in message(ConnectionFailed("Cannot connect.", host="ca.test", request_sent=False))
    assert message(ConnectionFailed("It hung up.", host="ca.test", request_sent=True)) == "It hung up."
    late = IssuanceTimedOut("Too late.", order_url="https://ca.test/order/1")
    assert "--timeout" in message(late)
