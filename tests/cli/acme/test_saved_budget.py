"""What `issue` and `renew` count against the limits of a CA, across runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from certwright.acme import (
    BudgetExhausted,
    Identifier,
    Limit,
    LimitProfile,
    OrderPurpose,
    Problem,
    RateLimited,
)
from certwright.acme.budget import LATEST
from certwright.cli.acme import saved_budget
from certwright.cli.acme.common import Common
from certwright.cli.acme.exits import ExitCode
from certwright.cli.acme.failures import describe, message
from certwright.cli.acme.files import MAX_BYTES
from certwright.cli.acme.lock import Busy, locked_briefly
from certwright.cli.acme.output import Output
from certwright.cli.acme.saved_budget import SavedBudget
from certwright.cli.acme.session import Session
from certwright.cli.exits import CommandError
from tests.fakes.time import FakeTime

if TYPE_CHECKING:
    from pathlib import Path

CA = "https://ca.example.test/dir"
ACCOUNT = "https://ca.example.test/account/1"
LIMITS = LimitProfile(
    orders_per_account=Limit(10, timedelta(hours=3)),
    certificates_per_registered_domain=Limit(3, timedelta(days=7)),
    failed_validations=Limit(1, timedelta(hours=1)),
)
A, B = Identifier.dns("a.example.com"), Identifier.dns("b.example.com")


class Host:
    """A state folder, its time, and runs that come after each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self.time = FakeTime()

    def run(self, server: str = CA, *, ignored: bool = False, lock_timeout: float = 0.0) -> SavedBudget:
        session = Session(Common(self.folder, lock_timeout=lock_timeout), Output(as_json=False, quiet=True))
        return SavedBudget(session, server, ignored=ignored, clock=self.time.clock())

    def order(self, identifier: Identifier = A, *, ignored: bool = False) -> float:
        return self.run(ignored=ignored).reserve(account=ACCOUNT, identifiers=iter([identifier])).seconds

    def file(self, name: str) -> Path:
        (folder,) = (self.folder / "limits").iterdir()
        return folder / name


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(saved_budget, "limits_of", lambda url: LIMITS if url == CA else LimitProfile())
    return Host(tmp_path)


def test_what_earlier_runs_ordered_counts_and_what_is_over_does_not(host: Host) -> None:
    assert [host.order() for _ in range(3)] == [0.0] * 3
    answer = host.run().reserve(account=ACCOUNT, identifiers=[B])
    assert (answer.limit, answer.used) == ("the number of new certificates for example.com", "3 of 3 in 7 days")
    assert answer.seconds == pytest.approx(7 * 86_400 / 3 + LATEST)
    host.time.elapsed += answer.seconds
    assert host.order(B) == 0
    assert host.order(B) > 0


def test_the_files_are_private_whole_and_split_by_who_is_counted(host: Host) -> None:
    host.order()
    host.run().record_failure(account=ACCOUNT, identifier=A)
    for name, kinds in (("accounts.json", {"orders", "failures"}), ("domains.json", {"domain"})):
        path = host.file(name)
        assert path.stat().st_mode & 0o777 == 0o600
        assert {entry[0] for entry in json.loads(path.read_text())["counters"]} == kinds
    assert host.file(".").stat().st_mode & 0o777 == 0o700
    # Nothing is left beside them.
    assert sorted(path.name for path in host.file(".").iterdir()) == ["accounts.json", "domains.json"]


def test_a_ca_without_limits_has_no_files_until_it_refuses(host: Host) -> None:
    run = host.run("https://other.example.test/dir")
    assert all(run.reserve(account=ACCOUNT, identifiers=[A]).granted for _ in range(20))
    assert not (host.folder / "limits").exists()
    error = RateLimited(Problem(), action="newOrder", url="https://x.test/", status=429, retry_after=7200)
    run.learn(error, account=ACCOUNT, identifiers=[A])
    later = host.run("https://other.example.test/dir")
    assert later.reserve(account=ACCOUNT, identifiers=[A]).seconds == pytest.approx(7200)
    assert later.reserve(account=ACCOUNT, identifiers=[B]).granted
    assert host.order() == 0  # another CA


def test_what_was_not_issued_is_given_back_to_later_runs(host: Host) -> None:
    run = host.run()
    reservations = [run.reserve(account=ACCOUNT, identifiers=[A]) for _ in range(3)]
    assert host.order() > 0
    run.give_back(reservations[0])
    assert host.order() == 0


def test_failures_hold_up_later_runs(host: Host) -> None:
    host.run().record_failure(account=ACCOUNT, identifier=A)
    answer = host.run().reserve(account=ACCOUNT, identifiers=[A])
    assert (answer.limit, answer.used) == (f"the number of failed validations of {A}", "1 of 1 in 1 hour")
    assert host.order(B) == 0


def test_renewals_are_exempt_as_at_the_ca(host: Host) -> None:
    for _ in range(3):
        host.order()
    run = host.run()
    assert not run.reserve(account=ACCOUNT, identifiers=[A]).granted
    for purpose in (OrderPurpose.SAME_NAMES, OrderPurpose.RENEWAL_INFO):
        assert run.reserve(account=ACCOUNT, identifiers=[A], purpose=purpose).granted


def test_who_knows_better_orders_anyway_and_it_counts(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        host.order()
    assert host.order(ignored=True) == 0
    told = capsys.readouterr().err
    assert "Ordering although the number of new certificates for example.com is used up (3 of 3 in 7 days)" in told
    run = host.run()
    assert not run.reserve(account=ACCOUNT, identifiers=[A]).granted
    claim = run.orders_of(ACCOUNT)
    assert claim is not None
    assert run.used(claim) == 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is not a JSON object"),
        (b'{"counters": [["domain", "exam', "it is not a JSON object"),
        (b"[" * 100_000, "it is not a JSON object"),
        (b"\xff\xfe", "it is not a JSON object"),
        (b" " * (MAX_BYTES + 1), "longer than"),
        (b'{"counters": [["domain", "example.com", "soon"], 1]}', "2 entries cannot be read"),
    ],
)
def test_a_damaged_file_is_told_and_started_anew_and_the_other_one_stays(
    host: Host, capsys: pytest.CaptureFixture[str], content: bytes, told: str
) -> None:
    for _ in range(3):
        host.order()
    path = host.file("domains.json")
    path.write_bytes(content)
    assert host.order() == 0
    warning = capsys.readouterr().err
    assert warning.startswith("Warning: ")
    assert str(path) in warning
    assert told in warning
    assert "forgotten" in warning
    run = host.run()
    assert [run.reserve(account=ACCOUNT, identifiers=[A]).granted for _ in range(3)] == [True, True, False]
    assert capsys.readouterr().err == ""
    claim = run.orders_of(ACCOUNT)
    assert claim is not None
    assert run.used(claim) == 6


def test_a_file_that_others_can_write_is_not_believed(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        host.order()
    host.file("domains.json").chmod(0o666)
    assert host.order() == 0
    assert "forgotten" in capsys.readouterr().err
    assert host.file("domains.json").stat().st_mode & 0o777 == 0o600


def test_the_files_are_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_budget, "MAX_BYTES", 2000)
    run = host.run()
    for number in range(40):
        assert run.reserve(account=f"{ACCOUNT}{number}", identifiers=[Identifier.dns(f"d{number}.com")]).granted
    kept = json.loads(host.file("domains.json").read_text())["counters"]
    assert host.file("domains.json").stat().st_size <= 2000
    assert [entry[1] for entry in kept] == [f"d{number}.com" for number in range(40 - len(kept), 40)]


def test_an_order_that_cannot_be_counted_is_not_sent(host: Host) -> None:
    host.folder.mkdir(mode=0o700)
    # Unlike a missing right, this stops root as well.
    (host.folder / "limits").write_text("")
    with pytest.raises(CommandError, match="Cannot create the folder"):
        host.order()


def test_a_failure_that_cannot_be_counted_is_told_and_hides_nothing(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.folder.mkdir(mode=0o700)
    (host.folder / "limits").write_text("")
    host.run().record_failure(account=ACCOUNT, identifier=A)
    assert "Warning: What the CA counts against its rate limits cannot be saved" in capsys.readouterr().err


def test_who_holds_the_files_too_long_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.cli.acme.session._LIMITS_SECONDS", 0.05)
    host.order()
    (lock,) = (host.folder / "locks").glob("limits-*")
    with locked_briefly(lock, "it", seconds=0), pytest.raises(Busy, match="the rate limits of https://ca"):
        host.order()
    assert host.order() == 0


RUN = """
import sys
from datetime import timedelta
from pathlib import Path
from certwright.acme import Identifier, Limit, LimitProfile
from certwright.cli.acme import saved_budget
from certwright.cli.acme.common import Common
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Session
saved_budget.limits_of = lambda _: LimitProfile(orders_per_account=Limit(25, timedelta(days=7)))
session = Session(Common(Path(sys.argv[1])), Output(as_json=False, quiet=True))
budget = saved_budget.SavedBudget(session, "https://ca.example.test/dir")
print(sum(budget.reserve(account="a", identifiers=[Identifier.dns("a.example.com")]).granted for _ in range(20)))
"""


KILLED = (
    RUN.replace("print(", "(")
    + """
import os, signal
from certwright.cli.acme import files
files.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
budget.record_failure(account="a", identifier=Identifier.dns("a.example.com"))
budget.reserve(account="b", identifiers=[Identifier.dns("a.example.com")])
"""
)


def test_a_run_that_is_killed_leaves_its_orders_counted_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=120, check=False)  # noqa: S603 - our own lines
    assert killed.returncode == -signal.SIGKILL
    (limits,) = (folder / "limits").iterdir()
    assert [path.name for path in limits.iterdir() if path.name.startswith(".")] != []
    after = subprocess.run([sys.executable, "-c", RUN, str(folder)], timeout=120, check=True, capture_output=True)  # noqa: S603
    assert int(after.stdout) == 5
    assert [path.name for path in limits.iterdir()] == ["accounts.json"]


def test_a_clock_that_was_set_back_since_holds_nothing_up_for_longer(host: Host) -> None:
    host.time.start += timedelta(days=20)
    run = host.run("https://other.example.test/dir")
    error = RateLimited(Problem(), action="newOrder", url="https://x.test/", status=429, retry_after=7200)
    run.learn(error, account=ACCOUNT, identifiers=[A])
    host.time.start -= timedelta(days=20)
    later = host.run("https://other.example.test/dir")
    assert later.reserve(account=ACCOUNT, identifiers=[A]).seconds == pytest.approx(7200)


def test_runs_at_the_same_time_never_get_the_same_last_place(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path / "state")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]  # noqa: S603 - our own lines
    granted = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(granted) == 25, granted


def test_the_error_says_which_limit_how_much_until_when_and_what_helps(host: Host) -> None:
    for _ in range(3):
        host.order()
    error = BudgetExhausted(host.run().reserve(account=ACCOUNT, identifiers=[A]))
    assert message(error) == (
        "The CA would refuse this order: the number of new certificates for example.com is used up (3 of 3 in 7 days)."
        " The next order is possible at 2026-03-03T20:00:05Z. Nothing was sent to the CA; --ignore-rate-limits orders"
        " anyway"
    )
    document = describe(error)
    assert (document["type"], document["exit_code"], document["temporary"]) == (
        "BudgetExhausted",
        ExitCode.RATE_LIMITED,
        True,
    )
    assert (document["limit"], document["used"]) == (error.limit, "3 of 3 in 7 days")
    assert document["retry_at"] == error.retry_at
    assert document["retry_after"] == pytest.approx(201_600 + LATEST)
