from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from testbed import TestBed
from testbed.errors import BedError
from testbed.options import BedOptions, PebbleOptions, Profile
from testbed.process import ProcessIdentity
from testbed.state import FILE, BedState, PartState, read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

STATE = BedState(
    options=BedOptions(pebble=PebbleOptions(nonce_reject_percent=30, profiles={"short": Profile("six days", 518_400)})),
    more_pebbles={"pebble-2": PebbleOptions(eab_keys={"kid": "a2V5"})},
    parts={"bind": PartState({"main": 25_353}, ProcessIdentity(17, 4711), 0.25), "pebble": PartState({}, None, None)},
    up=True,
    up_seconds=4.5,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE


def test_others_cannot_read_it(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_no_file_is_no_bed(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BedError, match=r"state\.json is damaged[\s\S]*What to do: stop the processes that still run"):
        read_state(tmp_path)


def test_secrets_do_not_show_in_the_representation() -> None:
    assert "a2V5" not in repr(STATE)


def test_a_bed_with_a_node_is_left_to_the_command_that_started_it(tmp_path: Path) -> None:
    write_state(tmp_path, BedState(options=BedOptions(node=True)))
    with pytest.raises(BedError, match=r"has a node[\s\S]*What to do: look inside with the nsenter"):
        TestBed.attach(tmp_path)
