"""The file that lists what a bed runs, for commands that attach to it, show it or stop it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from .errors import BedError
from .options import BedOptions, PebbleOptions  # noqa: TC001 - pydantic reads the annotations
from .process import ProcessIdentity  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from pathlib import Path

FILE = "state.json"


@dataclass(frozen=True)
class PartState:
    """One part as last seen.

    Attributes:
        ports: by name.
        process: None when it is stopped.
        start_seconds: how long it took to serve; None before it did.
    """

    ports: dict[str, int]
    process: ProcessIdentity | None
    start_seconds: float | None


@dataclass(frozen=True)
class BedState:
    """One bed.

    Attributes:
        options: that it was started with.
        more_pebbles: Pebbles started later, by name.
        parts: by name.
        up: whether all parts were ready.
        up_seconds: how long that took.
    """

    options: BedOptions
    more_pebbles: dict[str, PebbleOptions] = field(default_factory=dict)
    parts: dict[str, PartState] = field(default_factory=dict)
    up: bool = False
    up_seconds: float = 0.0


_ADAPTER = TypeAdapter(BedState)


def read_state(folder: Path) -> BedState | None:
    """Return the state of the bed in a folder, None when there is no bed.

    Raises:
        BedError: the file is damaged.
    """
    path = folder / FILE
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BedError(
            f"{path} is damaged ({error.error_count()} errors)",
            remedy="stop the processes that still run there (search `ps -ef` for its name) and remove the folder",
        ) from error


def write_state(folder: Path, state: BedState) -> None:
    """Replace the state of the bed in a folder, in one step and for its owner only (it holds EAB keys)."""
    unfinished = folder / f"{FILE}.new"
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(_ADAPTER.dump_json(state, indent=2))
    os.replace(unfinished, folder / FILE)  # noqa: PTH105 - says that it replaces
