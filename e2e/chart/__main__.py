"""`python -m chart write | check`."""

from __future__ import annotations

import difflib
import sys
from typing import Final

from chart.derived import derived
from chart.helm import Helm
from testbed.errors import BedError
from testbed.locations import PROJECT
from testbed.progress import reporter

_MOST_LINES_SHOWN: Final = 20


def main(arguments: list[str]) -> int:
    """Write what is generated from the chart, or lint the chart and report what is out of date."""
    if arguments not in (["write"], ["check"]):
        print("usage: python -m chart write | check", file=sys.stderr)
        return 2
    try:
        helm = Helm.find(reporter())
        if arguments == ["write"]:
            return write(helm)
        helm.lint()
        return check(helm)
    except BedError as error:
        print(error, file=sys.stderr)
        return 1


def write(helm: Helm) -> int:
    """Write every derived file that differs."""
    for path, text in derived(helm).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(PROJECT)}")
    return 0


def check(helm: Helm) -> int:
    """Compare every derived file with what it should be."""
    code = 0
    for path, text in derived(helm).items():
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        if found != text:
            code = 1
            print(f"{path.relative_to(PROJECT)} is not up to date; run 'make chart':", file=sys.stderr)
            lines = difflib.unified_diff(found.splitlines(), text.splitlines(), "found", "wanted", lineterm="", n=0)
            print(*list(lines)[:_MOST_LINES_SHOWN], sep="\n", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
