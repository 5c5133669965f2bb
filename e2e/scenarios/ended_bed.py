"""Starts a bed with a node, runs a pod, ends the bed and prints as JSON what was and what is left. Run isolated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness.cluster import Cluster
from scenarios.pods import start_web
from testbed import BedOptions, TestBed
from testbed.parts.ground import mounts_below
from testbed.process import ProcessIdentity

OPTIONS = BedOptions(node=True, ingress=False, acme=False, challtestsrv=False)


def _processes() -> list[str]:
    """Return all processes of this process namespace but the shell that holds it, and us."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    others = [number for number in numbers if number not in {1, os.getpid()} and ProcessIdentity.of(number)]
    return [Path(f"/proc/{number}/comm").read_text().strip() for number in others]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Do it."""
    with TestBed(OPTIONS) as bed, Cluster(bed) as cluster:
        start_web(bed, cluster, "default", "web")
        seen: dict[str, object] = {
            "folder": str(bed.folder),
            "cgroup": bed.node.cgroup,
            "processes while up": len(bed.node.processes()),
            "mounts while up": len(mounts_below(bed.folder)),
        }
    seen |= {
        "processes left": _processes(),
        "mounts left": [str(path) for path in mounts_below(bed.folder)],
        "links left": [link["ifname"] for link in json.loads(_said("ip", "-json", "link", "show"))],
        "rules left": _said("nft", "list", "ruleset").strip(),
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
