"""Runs a command's act from its options to its exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from certwright.cli.acme.exits import CommandError, ExitCode
from certwright.cli.acme.failures import describe, exit_code, message
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Outcome, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.cli.acme.common import Common


def run(common: Common, command: str, act: Callable[[Session], Awaitable[Outcome]]) -> NoReturn:
    """Run an act, print its result or its error, and end the process with its exit code.

    Ctrl-C and SIGTERM cancel the act, which cleans up what it presented before the process ends; a second Ctrl-C
    ends it at once.
    """
    output = Output(as_json=common.as_json, quiet=common.quiet)
    session = Session(common, output)
    _configure_logging(debug=common.debug)
    terminated = False

    async def main() -> Outcome:
        def terminate() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        with output.live():
            return await act(session)

    try:
        outcome = asyncio.run(main())
    except KeyboardInterrupt:
        _ended(output, command, CommandError(f"Interrupted; {_left(session)}", ExitCode.INTERRUPTED))
    except asyncio.CancelledError:
        if not terminated:
            raise
        _ended(output, command, CommandError(f"Ended by SIGTERM; {_left(session)}", ExitCode.TERMINATED))
    except Exception as error:  # noqa: BLE001 - the top: whatever it is, it gets its exit code, and a traceback on request
        if common.debug:
            traceback.print_exception(error)
        _ended(output, command, error)
    document: dict[str, Any] = {"command": command, "ok": outcome.code is ExitCode.DONE, **outcome.document}
    output.result(outcome.lines, document)
    raise SystemExit(int(outcome.code))


def _left(session: Session) -> str:
    """Say what is left of a command that was ended."""
    cleaned = "what was presented is cleaned up"
    return f"{cleaned}. The order is kept, and the same command goes on with it" if session.order_kept else cleaned


def _ended(output: Output, command: str, error: BaseException) -> NoReturn:
    output.error(message(error))
    output.result((), {"command": command, "ok": False, "error": describe(error)})
    raise SystemExit(int(exit_code(error)))


def _configure_logging(*, debug: bool) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # What a solver could not clean up is told as an event; the library's line would be the second.
    logging.getLogger("certwright").setLevel(logging.DEBUG if debug else logging.ERROR)
