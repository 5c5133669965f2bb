"""`python -m image`: build the image and print its path and size."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib

from testbed.errors import BedError
from testbed.images import certwright_image
from testbed.locations import PROJECT
from testbed.progress import reporter

from .engines import build_with_buildah, build_with_engine, find_engine, has_base

PUBLIC_BASE = re.findall(r"^ARG BASE=(.+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)[0]
"""What the Dockerfile names, pinned by its digest."""


def main() -> int:
    """Build the image; return the exit code."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    # The Makefile passes BASE on, which is usually empty.
    parser.add_argument("--base", default=os.environ.get("BASE", ""), help=f"base image (default {PUBLIC_BASE})")
    parser.add_argument("--testbed", action="store_true", help="build for the test bed's node, into its cache")
    given = parser.parse_args()
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    name = f"localhost/certwright:{version}"
    archive = PROJECT / "dist" / f"certwright-{version}.image.tar"
    archive.parent.mkdir(exist_ok=True)
    arguments, timestamp = _provenance(version)
    try:
        if given.testbed:
            certwright_image(reporter())
            return 0
        engine, base = find_engine(), given.base or PUBLIC_BASE
        if engine and has_base(engine, base):
            build_with_engine(engine, name, archive, {**arguments, "BASE": base})
        else:
            if engine:
                reporter().say(f"{engine} does not have the base image {base} and cannot pull it; trying buildah")
            build_with_buildah(
                name, archive, arguments, reporter(), timestamp=timestamp, base=given.base, public_base=PUBLIC_BASE
            )
    except BedError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{name} is in {archive.relative_to(PROJECT)}")
    print(f"{archive.stat().st_size / 1e6:.1f} MB; to import it on a node: ctr -n k8s.io images import FILE")
    return 0


def _provenance(version: str) -> tuple[dict[str, str], int]:
    """Return the build arguments that say what the image is made from, and the time of that: the last commit's."""
    answer = subprocess.run(
        ["git", "-C", str(PROJECT), "log", "-1", "--format=%H %ct %cI"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        return {"VERSION": version}, 0
    revision, seconds, created = answer.stdout.split()
    changed = subprocess.run(
        ["git", "-C", str(PROJECT), "status", "--porcelain"], capture_output=True, text=True, check=False
    )
    if changed.stdout.strip():
        revision += "-dirty"
    return {"VERSION": version, "REVISION": revision, "CREATED": created}, int(seconds)


if __name__ == "__main__":
    sys.exit(main())
