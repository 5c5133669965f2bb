"""The group of commands, which keeps `--json` where the command line itself is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from typer.core import TyperGroup

from certwright.cli.acme.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class AcmeGroup(TyperGroup):
    """Prints the document that `--json` promises, also for an option that does not exist."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what comes before the command."""
        self._as_json = "--json" in args
        self._command = next((word for word in args if word in self.commands), None)
        return self._explained(lambda: super(AcmeGroup, self).parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Read what comes after the command, and run it."""
        return self._explained(lambda: super(AcmeGroup, self).invoke(ctx))

    def _explained(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except Exception as error:
            # By what it can do: of which module the class is depends on the version of typer.
            text = getattr(error, "format_message", None)
            if self._as_json and text is not None:
                said = {
                    "type": "UsageError",
                    "message": f"{text()}",
                    "exit_code": int(ExitCode.USAGE),
                    "temporary": False,
                }
                print(json.dumps({"command": self._command, "ok": False, "error": said}, indent=2, ensure_ascii=False))
            raise
