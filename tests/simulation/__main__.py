"""`make simulate`: live a year, tell what came of it, and draw it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.simulation.life import Day, Life, Scenario, live
from tests.simulation.plot import numbers, plot

TOLD_EVERY = 10


def main() -> int:
    """Live; 1 if a certificate expired or was never issued, a limit was exceeded, or too much was ordered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=2000)
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--busy", type=int, default=120)
    parser.add_argument("--falling-back", type=int, default=20)
    parser.add_argument("--plot", type=Path, help="write the plot here, and the numbers beside it")
    options = parser.parse_args()
    lives = [_live(options, seed) for seed in options.seed]
    print(numbers(*lives))  # noqa: T201 - a console program
    for life in lives:
        for trouble in (*life.expired[:10], *life.missing[:10], *life.exceeded[:10]):
            print(f"seed {life.scenario.seed}: {trouble}")  # noqa: T201
    if options.plot:
        options.plot.write_text(plot(lives[0]))
        options.plot.with_suffix(".md").write_text(numbers(*lives))
    return 0 if all(life.is_good for life in lives) else 1


def _live(options: argparse.Namespace, seed: int) -> Life:
    scenario = Scenario(
        certificates=options.certificates,
        days=options.days,
        seed=seed,
        busy=options.busy,
        falling_back=options.falling_back,
    )
    started, used = time.monotonic(), time.process_time()
    life = live(scenario, on_day=_tell)
    seconds, used = time.monotonic() - started, time.process_time() - used
    # At once: the next seed takes minutes, and may be interrupted.
    print(f"seed {seed}: {seconds:.0f} s, {used:.0f} s of CPU\n{numbers(life)}", file=sys.stderr, flush=True)  # noqa: T201
    return life


def _tell(day: Day) -> None:
    if day.number % TOLD_EVERY == 0:
        cpu = time.process_time()
        print(  # noqa: T201 - a console program
            f"day {day.number}: {day.ready} of {day.wanted} Ready, {sum(day.orders)} orders, {cpu:.0f} s of CPU",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
