"""Every parser of what others wrote, with inputs made from real ones: none hangs, grows or raises what it may not.

`make fuzz` goes on for longer, with new seeds; `pytest tests/fuzz --fuzz-seed=N` repeats what a failure has printed.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from typing import Any, Final

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS, Target

MAX_GROWTH_KIB: Final = 200 * 1024
MAX_RESULT: Final = 1024 * 1024
MAX_MESSAGE: Final = 20_000
SHOWN: Final = 1500
LONG_SECONDS: Final = 10.0
"""Who goes on for longer wants to know what was tried."""


class Unchanged(Mutator):
    """Makes of an input the same one."""

    def octets(self) -> bytes:
        return self.corpus[0]

    def document(self, *, typed: bool = False) -> bytes:  # noqa: ARG002 - the interface
        return self.corpus[0]

    def text(self) -> str:
        return self.corpus[0].decode()


@pytest.mark.filterwarnings("ignore")  # cryptography warns of certificates that it will refuse in future
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_others_write_hangs_grows_or_breaks(target: Target, fuzz_seconds: float, fuzz_seed: int) -> None:
    originals = target.corpus()
    for original in originals:
        _try(target, target.make(Unchanged(random.Random(0), [original])), "unchanged")  # noqa: S311 - no secret
    mutator = Mutator(random.Random(f"{fuzz_seed} {target.name}"), originals)  # noqa: S311 - no secret
    before, end, count, slowest = _peak_kib(), time.monotonic() + fuzz_seconds * target.share, 0, 0.0
    while time.monotonic() < end:
        slowest = max(slowest, _try(target, target.make(mutator), f"--fuzz-seed={fuzz_seed}, input {count}"))
        count += 1
    assert _peak_kib() - before < MAX_GROWTH_KIB, f"{target.name}: memory grew (--fuzz-seed={fuzz_seed})"
    if fuzz_seconds >= LONG_SECONDS:
        told = f"{target.name}: {count} inputs, the slowest {slowest * 1000:.0f} ms of CPU, seed {fuzz_seed}"
        print(told, file=sys.__stderr__)


def _try(target: Target, content: Any, which: str) -> float:
    """Have one input read; return what it took."""
    started = time.thread_time()
    try:
        size, limit = len(repr(target.parse(content))), MAX_RESULT
    except target.errors as error:
        size, limit = len(str(error)), MAX_MESSAGE
    except BaseException as error:
        error.add_note(f"{target.name}, {which}: {content!r:.{SHOWN}}")
        raise
    spent = time.thread_time() - started
    shown = f"{target.name}, {which}: {content!r:.{SHOWN}}"
    assert size < limit, f"{size} characters come of it. {shown}"
    assert spent < target.cpu_seconds, f"it took {spent:.2f} s of CPU. {shown}"
    return spent


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
