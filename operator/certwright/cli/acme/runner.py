"""Runs a command, from its options to its exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from certwright.cli.acme.exits import ExitCode
from certwright.cli.acme.failures import describe, exit_code, message
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Outcome, Session
from certwright.cli.exits import CommandError
from certwright.cli.terminal import flush_streams, heed_ctrl_c, open_streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.cli.acme.common import Common


_OF_OTHERS: Final = 0o077


def run(common: Common, command: str, act: Callable[[Session], Awaitable[Outcome]]) -> NoReturn:
    """Run an act with a session, print its result or its error, and exit with its code. See `run_plain`."""

    async def with_session(output: Output) -> Outcome:
        session = Session(common, output)
        try:
            return await act(session)
        finally:
            await session.aclose()

    run_plain(command, with_session, Shown(as_json=common.as_json, quiet=common.quiet, debug=common.debug))


@dataclass(frozen=True)
class Shown:
    """What a command shows.

    Attributes:
        as_json: One JSON document on standard output, and nothing else there.
        quiet: No progress.
        debug: Every request, and the traceback of an error.
    """

    as_json: bool = False
    quiet: bool = False
    debug: bool = False


def run_plain(command: str, act: Callable[[Output], Awaitable[Outcome]], shown: Shown) -> NoReturn:
    """Run an act, print its result or its error, and exit with its code.

    Ctrl-C, SIGTERM and a closed terminal cancel the act, which cleans up its challenge responses before the process
    ends; a second Ctrl-C ends it immediately.
    """
    open_streams()
    heed_ctrl_c()
    # A umask that takes rights from this user too, such as 0177, would make folders that nobody can enter.
    os.umask(os.umask(_OF_OTHERS) & _OF_OTHERS)
    output = Output(as_json=shown.as_json, quiet=shown.quiet)
    _configure_logging(debug=shown.debug)
    ended_by: ExitCode | None = None

    async def main() -> Outcome:
        def end(code: ExitCode) -> None:
            nonlocal ended_by
            ended_by = code
            if task is not None:
                task.cancel()

        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, end, ExitCode.TERMINATED)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it
            loop.add_signal_handler(signal.SIGHUP, end, ExitCode.HUNG_UP)
        with output.live():
            return await act(output)

    try:
        outcome = asyncio.run(main())
    except KeyboardInterrupt:
        _ended(output, command, CommandError("Interrupted; challenge responses are cleaned up", ExitCode.INTERRUPTED))
    except asyncio.CancelledError:
        if ended_by is None:
            raise
        number = "SIGTERM" if ended_by is ExitCode.TERMINATED else "SIGHUP"
        _ended(output, command, CommandError(f"Ended by {number}; challenge responses are cleaned up", ended_by))
    except Exception as error:  # noqa: BLE001 - the top level: every error gets its exit code, and a traceback on request
        if shown.debug:
            traceback.print_exception(error)
        _ended(output, command, error)
    document: dict[str, Any] = {"command": command, "ok": outcome.code is ExitCode.DONE, **outcome.document}
    _finish(output, outcome.lines, document, outcome.code)


def _ended(output: Output, command: str, error: BaseException) -> NoReturn:
    output.error(message(error))
    if output.last_word:
        output.instruct(output.last_word)
    _finish(output, (), {"command": command, "ok": False, "error": describe(error)}, exit_code(error))


def _finish(output: Output, lines: Sequence[str], document: dict[str, Any], code: ExitCode) -> NoReturn:
    try:
        output.result(lines, document)
    except BrokenPipeError:
        pass  # the reader has seen enough (`| head`)
    except OSError as error:
        output.error(f"Cannot write the result: {os.strerror(error.errno or 0).lower()}")
        code = code or ExitCode.FAILED
    flush_streams()
    raise SystemExit(int(code))


def _configure_logging(*, debug: bool) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A failed clean-up is reported as an event; the library's log line would repeat it.
    logging.getLogger("certwright").setLevel(logging.DEBUG if debug else logging.ERROR)
