from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Leave logging as it was: a command sets it for its whole process, and later tests read what is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {one: one.level for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)}
    ours = logging.getLogger("certwright")
    levels.setdefault(ours, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for one in logging.Logger.manager.loggerDict.values():
        if isinstance(one, logging.Logger):
            one.setLevel(levels.get(one, logging.NOTSET))
