"""Run with `python -m demo [--node]`; KEEP=1 keeps everything running until Ctrl-C.

With `--node` under `python -m testbed isolated`, as root.
"""

from __future__ import annotations

import os
import signal
import sys

from demo import on_node, show
from testbed.errors import BedError

INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run the demo; return the exit code."""
    if arguments not in ([], ["--node"]):
        print("usage: python -m demo [--node]", file=sys.stderr)
        return 2
    run = on_node.run if arguments else show.run
    # SIGTERM cleans up like Ctrl-C, also if the parent process ignores these signals.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        return run(keep=os.environ.get("KEEP", "") not in {"", "0"})
    except KeyboardInterrupt:
        print("\nInterrupted; everything the demo started has been stopped.")
        return INTERRUPTED
    except BedError as error:
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
