"""`make bench-node`: HTTP-01 on a node, with the operator installed by its chart. Run as root, isolated.

`--json` prints the figures for machines, `--write` puts them into the README, `--runs N` and `--many N` change the
numbers.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from bench.figure import Figure, print_table, write_tables
from bench.http01 import Http01Bench
from harness import Cluster
from scenarios.installed import Release
from testbed.bed import TestBed
from testbed.errors import BedError
from testbed.options import BedOptions

OPTIONS = BedOptions(node=True, gateway=True, challtestsrv=False, audit=True)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.node", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--many", type=int, default=20, help="Certificates applied at once (default: 20)")
    parser.add_argument("--runs", type=int, default=5, help="runs of the single issuance (default: 5)")
    parser.add_argument("--write", action="store_true", help="put the figures into the README")
    arguments = parser.parse_args()
    try:
        figures = _measure(arguments.runs, arguments.many, Console(stderr=True, highlight=False))
    except BedError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.write:
        write_tables({"node": figures})
    if arguments.json:
        print(json.dumps({figure.title: figure.value for figure in figures}, indent=2))
    else:
        print_table("Certwright on a node (Traefik, Pebble: retryAfter 1 s, 5 % of nonces refused)", figures)
    return 0


def _measure(runs: int, many: int, progress: Console) -> list[Figure]:
    figures: list[Figure] = []
    with TestBed(OPTIONS) as bed, Cluster(bed) as cluster:
        bed.apply_crds()
        progress.print("==> the operator is installed")
        release = Release(bed)
        release.install()
        bench = Http01Bench(bed, cluster, release)
        for title, measure in (
            ("memory of the idle operator", bench.idle_memory),
            (f"one certificate with a pod, {runs} times", lambda: bench.one_certificate(runs, "pod")),
            (f"one certificate with the shared responder, {runs} times", lambda: bench.one_certificate(runs, "shared")),
            ("requests for one certificate with a pod", lambda: bench.requests_of_one("pod")),
            ("requests for one certificate with the shared responder", lambda: bench.requests_of_one("shared")),
            ("a solver pod", bench.solver_pod),
            (f"{many} Certificates at once, with pods", lambda: bench.many_certificates(many, "pod")),
            (f"{many} Certificates at once, shared", lambda: bench.many_certificates(many, "shared")),
        ):
            progress.print(f"==> {title}")
            for figure in measure():
                progress.print(f"    {figure.title}: {figure.text} ({figure.how})")
                figures.append(figure)
    return figures


if __name__ == "__main__":
    sys.exit(main())
