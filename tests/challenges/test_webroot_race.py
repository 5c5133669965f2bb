"""A web root that belongs to a user who means harm, while certificates are issued as root."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from certwright.client import CannotWrite, Webroot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

    from tests.fakes.challenges import MakeProof

NOBODY: Final = 65534
SECONDS: Final = 3.0
KEPT: Final = 64
"""Folders that the attack leaves behind. Removing one for each turn takes minutes on a slow disk."""
KNOWN: Final = Path(".well-known")
FOLDER: Final = KNOWN / "acme-challenge"
TOKEN: Final = FOLDER / "token"


def attack(victim: Path, root: Path, begun: Event) -> None:
    """Change every part of the way all the while, as another user."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.chdir(root)
    for turn in itertools.count():
        for attempt in (
            TOKEN.unlink,
            lambda: TOKEN.symlink_to(victim / "shadow"),
            lambda: FOLDER.rename(KNOWN / f"away{turn}"),  # noqa: B023 - called at once
            lambda: FOLDER.symlink_to(victim),
            FOLDER.unlink,
            lambda: shutil.rmtree(f"away{turn % KEPT}"),  # noqa: B023 - called at once
            lambda: KNOWN.rename(f"away{turn % KEPT}"),  # noqa: B023 - called at once
            KNOWN.mkdir,
            FOLDER.mkdir,
        ):
            with suppress(OSError):
                attempt()
        if turn == 10:
            begun.set()


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that another user can reach, which those of pytest are not."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the race is run as another user against one who may do everything")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_another_user_who_changes_the_web_root_all_the_while_reaches_nothing(proof: MakeProof, base: Path) -> None:
    victim, root, context = base / "etc", base / "www", multiprocessing.get_context("fork")
    victim.mkdir(mode=0o755)
    (victim / "shadow").write_text("secret")
    (victim / "shadow").chmod(0o600)
    root.mkdir()
    os.chown(root, NOBODY, NOBODY)
    begun = context.Event()
    attacker = context.Process(target=attack, args=(victim, root, begun), daemon=True)
    attacker.start()
    try:
        assert begun.wait(60)
        written, end = 0, time.monotonic() + SECONDS
        solver = Webroot(root)
        while time.monotonic() < end:
            for act in (solver.present, solver.clean_up):
                with suppress(CannotWrite):
                    asyncio.run(act([proof()]))
                    written += 1
        assert attacker.is_alive(), "the attack ended by itself"
    finally:
        attacker.kill()
        attacker.join()
    assert written, "the attack only ever prevented the files"
    assert [path.name for path in victim.iterdir()] == ["shadow"]
    assert (victim / "shadow").read_text() == "secret"
    found = (victim / "shadow").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, stat.S_IMODE(victim.stat().st_mode)) == (0o600, 0, 0o755)
