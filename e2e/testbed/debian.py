"""BIND, the one part that comes from the distribution."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BinaryUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .progress import Reporter

PACKAGE = "bind9"
INSTALL = f"apt-get update && apt-get install -y --no-install-recommends {PACKAGE}"
SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")
# Without a daemon started: what a maintainer script's policy layer takes for "not allowed".
DENY_ALL = "#!/bin/sh\nexit 101\n"
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


def find_or_install_named(reporter: Reporter) -> Path:
    """Return BIND's `named`; where it is missing and we are root, install the package first and say so.

    Raises:
        BinaryUnavailable: it is missing and cannot be installed from here.
    """
    if found := _find():
        return found
    if shutil.which("apt-get") is None:
        raise BinaryUnavailable(
            "BIND's named is not on PATH, and there is no apt-get to install it with",
            remedy="install BIND 9.16 or later with the package manager of this system",
        )
    if os.geteuid() != 0:
        raise BinaryUnavailable(
            f"BIND's named is missing (package {PACKAGE}), and installing it takes root",
            remedy=f"run, or ask an administrator to run: sudo sh -c '{INSTALL}'"
            " (its system service is not needed: sudo systemctl disable --now named)",
        )
    reporter.say(f"Installing the package {PACKAGE}: {INSTALL}")
    with reporter.task(f"installing {PACKAGE}"), _no_daemons():
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", PACKAGE)
    _keep_service_off()
    if found := _find():
        return found
    raise BinaryUnavailable(
        f"The package {PACKAGE} is installed, and has no named", remedy=f"look at dpkg -L {PACKAGE}"
    )


def _find() -> Path | None:
    path = shutil.which("named", path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    return Path(path) if path else None


def _apt(*arguments: str) -> None:
    answer = subprocess.run(
        ["apt-get", "-q", *arguments],
        env={**os.environ, **APT_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=900,
    )
    if answer.returncode != 0:
        raise BinaryUnavailable(
            f"apt-get {' '.join(arguments)} failed",
            remedy=f"repair what it complains of, then run: {INSTALL}",
            details="\n".join(answer.stdout.splitlines()[-20:]),
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid that the installation starts a name server; a policy of the machine's own is left alone."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(DENY_ALL)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()


def _keep_service_off() -> None:
    """Keep systemd from starting the name server at the next boot."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", "named"], check=False, capture_output=True, timeout=60)
