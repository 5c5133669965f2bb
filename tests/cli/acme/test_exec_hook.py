from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from certwright.cli.acme import exec_hook, process_group
from certwright.cli.acme.exec_hook import HookFailed, HookProgram, checked_program
from certwright.cli.acme.solver_settings import anchored, parse_solver

REQUEST: dict[str, Any] = {
    "challenge": "dns-01",
    "domain": "*.a.example",
    "identifier": {"type": "dns", "value": "a.example"},
    "record": {"name": "_acme-challenge.a.example", "type": "TXT", "value": "v"},
}


def hook(path: Path, text: str, seconds: float = 30.0) -> HookProgram:
    program = path / "hook"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)
    return HookProgram(str(program), seconds, lambda _said: None)


async def test_a_hook_gets_everything_twice_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTWRIGHT_TSIG_SECRET", "hunter2")
    await hook(tmp_path, f"cat > {tmp_path}/in; env > {tmp_path}/env; echo $1 > {tmp_path}/action").run_all(
        "present", [REQUEST]
    )
    assert json.loads((tmp_path / "in").read_text()) == {"version": 1, "action": "present", **REQUEST}
    environment = (tmp_path / "env").read_text().splitlines()
    assert {
        "CERTWRIGHT_ACTION=present",
        "CERTWRIGHT_CHALLENGE=dns-01",
        "CERTWRIGHT_DOMAIN=*.a.example",
        "CERTWRIGHT_RECORD_NAME=_acme-challenge.a.example",
        "CERTWRIGHT_RECORD_VALUE=v",
    } <= set(environment)
    assert not [line for line in environment if "hunter2" in line]
    assert (tmp_path / "action").read_text() == "present\n"


async def test_a_hook_need_not_read_its_input(tmp_path: Path) -> None:
    await hook(tmp_path, "exit 0").run_all("present", [REQUEST] * 3)


async def test_what_a_failed_hook_printed_is_shown_up_to_a_bound(tmp_path: Path) -> None:
    with pytest.raises(HookFailed, match=r"failed with exit code 7: .*last words") as caught:
        await hook(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last words; exit 7").run_all(
            "present", [REQUEST]
        )
    assert len(str(caught.value)) < 1000


async def test_a_hook_that_asks_for_another_try_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_hook, "PAUSE_SECONDS", 0.0)
    program = hook(tmp_path, f"echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3 || exit 75")
    await program.run_all("present", [REQUEST])
    assert (tmp_path / "tries").read_text().count("x") == 3
    with pytest.raises(HookFailed, match="exit code 75"):
        await hook(tmp_path, f"echo y >> {tmp_path}/tries; exit 75").run_all("present", [REQUEST])
    assert (tmp_path / "tries").read_text().count("y") == 3


async def test_a_hook_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    program = hook(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/child; wait", seconds=0.5)
    before = time.monotonic()
    with pytest.raises(HookFailed, match=r"still running after 0\.5 s"):
        await program.run_all("present", [REQUEST])
    assert time.monotonic() - before < 20
    child = int((tmp_path / "child").read_text())
    async with asyncio.timeout(20):
        while _runs(child):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def test_what_a_hook_started_is_ended_although_it_ignores_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_group, "KILL_SECONDS", 0.3)
    stubborn = f"(trap '' TERM; while :; do sleep 0.1; done) & echo $! > {tmp_path}/child; wait"
    with pytest.raises(HookFailed, match="still running"):
        await hook(tmp_path, stubborn, seconds=0.5).run_all("present", [REQUEST])
    child = int((tmp_path / "child").read_text())
    async with asyncio.timeout(20):
        while _runs(child):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_a_hook_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    before = time.monotonic()
    await hook(tmp_path, "sleep 20 & exit 0").run_all("present", [REQUEST])
    assert time.monotonic() - before < 15


async def test_all_runs_end_before_a_failure_is_raised(tmp_path: Path) -> None:
    program = hook(tmp_path, f'[ "$CERTWRIGHT_DOMAIN" = bad ] && exit 1; sleep 0.3; echo x >> {tmp_path}/done')
    with pytest.raises(HookFailed, match="for bad failed"):
        await program.run_all("present", [{**REQUEST, "domain": "bad"}, *[REQUEST] * 3])
    assert (tmp_path / "done").read_text().count("x") == 3


async def test_few_run_at_a_time(tmp_path: Path) -> None:
    program = hook(
        tmp_path,
        f"touch {tmp_path}/run.$$; ls {tmp_path} | grep -c run. >> {tmp_path}/count; sleep 0.1; rm {tmp_path}/run.$$",
    )
    await program.run_all("present", [REQUEST] * 12)
    assert max(map(int, (tmp_path / "count").read_text().split())) <= exec_hook.MAX_CONCURRENT


async def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    program = tmp_path / "hook"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o700)
    with pytest.raises(HookFailed, match="cannot be run: no such file"):
        await HookProgram(str(program), 5.0, lambda _said: None).run_all("present", [REQUEST])


def test_a_program_is_checked_before_anything_is_ordered(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file"):
        checked_program(str(tmp_path / "nothing"))
    (tmp_path / "plain").write_text("")
    (tmp_path / "plain").chmod(0o600)
    if os.geteuid():
        with pytest.raises(ValueError, match="not executable"):
            checked_program(str(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("text", "challenge", "program", "zone"),
    [
        ("exec:/etc/hook", "dns-01", "/etc/hook", ""),
        ("exec:http-01:/etc/hook", "http-01", "/etc/hook", ""),
        ("example.com=exec:dns-account-01:/a:b=c", "dns-account-01", "/a:b=c", "example.com"),
    ],
)
def test_how_a_hook_is_named(text: str, challenge: str, program: str, zone: str) -> None:
    spec = parse_solver(text)
    assert (spec.kind, spec.exec_type, spec.program, spec.zone) == ("exec", challenge, program, zone)
    assert anchored(text) == text


def test_the_path_of_a_hook_is_kept_absolute() -> None:
    assert anchored("exec:http-01:./hook").endswith("/hook")
    assert anchored("exec:http-01:./hook").startswith("exec:http-01:/")
