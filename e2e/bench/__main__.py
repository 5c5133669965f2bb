"""Run with `python -m bench`; `--json` prints the figures for machines, `--write` puts them into the documentation."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.client import measure_library
from bench.figure import compile_first, print_table, write_tables
from bench.ingresses import measure_ingresses
from bench.measure import OperatorBenchmark
from bench.providers import LIMIT_KIB, measure_providers, too_large
from harness import Cluster, OperatorProcess
from testbed.bed import TestBed
from testbed.options import BedOptions, PebbleOptions

if TYPE_CHECKING:
    from bench.figure import Figure

USER = "certwright"
PARTS = ("operator", "library", "ingresses", "providers")


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--many", type=int, default=100, help="Certificates applied at once (default: 100)")
    parser.add_argument("--runs", type=int, default=5, help="runs of the single issuance (default: 5)")
    parser.add_argument("--ingresses", type=int, default=10_000, help="Ingresses without annotations (default: 10000)")
    parser.add_argument("--only", choices=PARTS, help="measure only one of these")
    parser.add_argument("--write", action="store_true", help="put the figures into README.md and docs/")
    arguments = parser.parse_args()
    progress = Console(stderr=True, highlight=False)
    compile_first()
    groups: dict[str, list[Figure]] = {}
    if arguments.only in {None, "operator"}:
        groups["operator"] = _measure(arguments.runs, arguments.many, progress)
    if arguments.only in {None, "library"}:
        groups |= _measure_library(4 * arguments.runs, progress)
    if arguments.only in {None, "ingresses"}:
        groups["ingresses"] = _measure_ingresses(arguments.ingresses, progress)
    if arguments.only in {None, "providers"}:
        progress.print("==> memory of the DNS providers")
        groups["providers"] = measure_providers(arguments.runs)
        if large := too_large(groups["providers"]):
            progress.print(f"more than {LIMIT_KIB} KiB each: {', '.join(large)}")
    if arguments.write:
        write_tables(groups)
    figures = [figure for group in groups.values() for figure in group]
    if arguments.json:
        print(json.dumps({figure.title: figure.value for figure in figures}, indent=2))
    else:
        print_table("Certwright on a test bed of real components (Pebble: retryAfter 1 s)", figures)
    return 0


def _measure(runs: int, many: int, progress: Console) -> list[Figure]:
    options = BedOptions(
        ingress=False, challtestsrv=False, audit=True, pebble=PebbleOptions(retry_after_authz=1, retry_after_order=1)
    )
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="certwright-bench-") as folder,
        TestBed(options) as bed,
        Cluster(bed) as cluster,
    ):
        bed.apply_crds()
        kubeconfig = bed.write_kubeconfig(Path(folder) / "operator.kubeconfig", USER, ("system:masters",))
        with OperatorProcess(kubeconfig, Path(folder) / "operator.log") as operator:
            benchmark = OperatorBenchmark(bed, cluster, operator, user=USER)
            for title, measure in (
                ("memory of the idle operator", benchmark.idle_memory),
                (f"one certificate, {runs} times", lambda: benchmark.one_certificate(runs)),
                ("requests for one certificate", benchmark.requests_of_one),
                (f"{many} Certificates at once", lambda: benchmark.many_certificates(many)),
            ):
                progress.print(f"==> {title}")
                figures += measure()
    return figures


def _measure_ingresses(number: int, progress: Console) -> list[Figure]:
    progress.print(f"==> memory with {number} Ingresses")
    options = BedOptions(acme=False, ingress=False, challtestsrv=False)
    with tempfile.TemporaryDirectory(prefix="certwright-bench-") as folder, TestBed(options) as bed:
        bed.apply_crds()
        return measure_ingresses(bed, Path(folder), number)


def _measure_library(runs: int, progress: Console) -> dict[str, list[Figure]]:
    with TestBed(BedOptions(kubernetes=False, ingress=False, challtestsrv=False)) as bed:
        return measure_library(bed, runs, progress)


if __name__ == "__main__":
    sys.exit(main())
