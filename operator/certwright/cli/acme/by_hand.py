"""Challenges by hand: what is to be done is shown, and either a person says so or the name servers show it."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections import Counter
from typing import TYPE_CHECKING, Final

from certwright.challenges.dns01 import until_seen
from certwright.client import NotVisible
from certwright.dns import TxtRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.acme.output import Output
    from certwright.client import Instruction
    from certwright.dns import DnsView

_MAX_LINE: Final = 4096
#: Where `tcgetattr` has the flags of a terminal that say whether it shows what is typed.
_LOCAL_MODES: Final = 3


class ByHand:
    """Asks the person at the terminal; where there is none, watches the name servers.

    Args:
        output: Where instructions are shown.
        view: Looks whether records are there.
        seconds: How long records are waited for.
    """

    def __init__(self, output: Output, view: DnsView, *, seconds: float) -> None:
        self._output = output
        self._view = view
        self._seconds = seconds
        self._carried_out = False

    async def ask(self, instructions: Sequence[Instruction]) -> None:
        """Show what is to be done, and return when it is.

        Raises:
            NotVisible: Nobody is there to do it, or the name servers did not show the records in time.
        """
        records = [TxtRecord(item.place, item.content) for item in instructions if item.challenge_type != "http-01"]
        if not sys.stdin.isatty() and len(records) < len(instructions):
            raise NotVisible(
                "manual:http-01 needs a person at a terminal; use webroot or standalone where there is none"
            )
        if sys.stdin.isatty():
            self._show(instructions)
            await self._enter()
        elif not all(seen.complete for seen in await self._view.check(records)):
            self._show(instructions)
            self._output.say(f"Waiting up to {self._seconds:g} s until all name servers have the records")
            await until_seen(self._view.check, records, seconds=self._seconds, required=True)
        self._carried_out = True

    async def tidy(self, instructions: Sequence[Instruction]) -> None:
        """Show what can be removed."""
        places = ", ".join(dict.fromkeys(item.place for item in instructions))
        news = "No longer needed, remove it" if self._carried_out else "If you do not go on with it, remove"
        self._output.instruct(f"{news}: {places}")

    def _show(self, instructions: Sequence[Instruction]) -> None:
        places = Counter(item.place for item in instructions)
        several = ["  Records with the same name stand beside each other: add all of them.", ""]
        lines = [*(f"  {item}" for item in instructions), "", *(several if max(places.values()) > 1 else [])]
        self._output.instruct("\n".join(["Do this, exactly:", "", *lines]))

    async def _enter(self) -> None:
        with self._output.paused():
            self._output.instruct("Press Enter when it is done; Ctrl-C stops.")
            if not await _line():
                raise NotVisible("the terminal was closed before it was done")


async def confirm(output: Output, question: str) -> bool:
    """Ask a person for a yes; where there is no terminal nobody said it."""
    if not sys.stdin.isatty():
        return False
    with output.paused():
        output.instruct(f"{question} Type yes:")
        return (await _line()).strip().lower() == "yes"


async def ask_hidden(output: Output, question: str) -> str:
    """Ask a person for a secret, which is not shown; standard input has to be a terminal."""
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    hidden = [*before]
    hidden[_LOCAL_MODES] = before[_LOCAL_MODES] & ~termios.ECHO
    with output.paused():
        try:
            # Before it asks: whoever answers at once is not seen either.
            termios.tcsetattr(handle, termios.TCSADRAIN, hidden)
            output.instruct(question)
            return (await _line()).rstrip("\r\n")
        finally:
            termios.tcsetattr(handle, termios.TCSADRAIN, before)


async def _line() -> str:
    """Return a line of standard input, empty at its end; without a thread, which could not be cancelled."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    handle = sys.stdin.fileno()

    def read() -> None:
        if not answered.done():
            answered.set_result(os.read(handle, _MAX_LINE).decode("utf-8", "replace"))

    loop.add_reader(handle, read)
    try:
        return await answered
    finally:
        loop.remove_reader(handle)
