"""Programs from the distribution; installed, with a message, if they are missing and we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BinaryUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .progress import Reporter


@dataclass(frozen=True)
class Tool:
    """A program of the distribution.

    Attributes:
        program: the executable.
        package: Debian's package that holds it.
        wants: what to install without apt-get.
        service: a system service that the package would start and the bed does not need.
        also: packages without which the program is of no use here.
    """

    program: str
    package: str
    wants: str
    service: str | None = None
    also: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Return its path; the folders of system programs and CNI plugins are searched as well as PATH."""
        path = shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:{MORE_FOLDERS}")
        return Path(path) if path else None


TOOLS = {
    tool.program: tool
    for tool in (
        Tool("named", "bind9", "BIND 9.16 or later", service="named"),
        Tool("pdns_server", "pdns-server", "PowerDNS 4.7 or later", service="pdns", also=("pdns-backend-sqlite3",)),
        Tool("knotd", "knot", "Knot DNS 3.2 or later", service="knot"),
        Tool("runc", "runc", "runc 1.1 or later"),
        # One of the CNI plugins stands for all; `bridge` would be iproute2's program of that name.
        Tool("host-local", "containernetworking-plugins", "the CNI plugins 1.0 or later"),
        Tool("buildah", "buildah", "buildah 1.28 or later"),
        Tool("debootstrap", "debootstrap", "debootstrap"),
        Tool("nft", "nftables", "nftables 1.0.1 or later"),
        Tool("conntrack", "conntrack", "conntrack"),
        Tool("ip", "iproute2", "iproute2"),
        Tool("iptables", "iptables", "iptables"),
        Tool("ipset", "ipset", "ipset"),
    )
}
# All that a bed without a node needs.
PLAIN_TOOLS = ("named",)
NODE_TOOLS = ("runc", "host-local", "buildah", "nft", "conntrack", "ip")
NETWORK_POLICY_TOOLS = ("iptables", "ipset")
MORE_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin:/usr/lib/cni:/opt/cni/bin"
POLICY = Path("/usr/sbin/policy-rc.d")
# The exit status that tells a maintainer script that it may not start a daemon.
DENY_ALL = "#!/bin/sh\nexit 101\n"
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


def find_or_install(programs: Iterable[str], reporter: Reporter) -> dict[str, Path]:
    """Return the paths of programs by name; if some are missing and we are root, install them and say so.

    Args:
        programs: keys of TOOLS.
        reporter: shows what is being installed.

    Raises:
        BinaryUnavailable: one is missing and cannot be installed from here.
    """
    tools = [TOOLS[name] for name in programs]
    if missing := [tool for tool in tools if tool.find() is None]:
        _install(missing, reporter)
    found: dict[str, Path] = {}
    for tool in tools:
        path = tool.find()
        if path is None:
            raise BinaryUnavailable(
                f"The package {tool.package} is installed, but has no {tool.program}",
                remedy=f"look at dpkg -L {tool.package}",
            )
        found[tool.program] = path
    return found


def _install(missing: list[Tool], reporter: Reporter) -> None:
    programs = ", ".join(tool.program for tool in missing)
    packages = [package for tool in missing for package in (tool.package, *tool.also)]
    services = [tool.service for tool in missing if tool.service]
    command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise BinaryUnavailable(
            f"Not on PATH: {programs}. apt-get, which could install it, is missing too",
            remedy=f"install {', '.join(tool.wants for tool in missing)} with this system's package manager",
        )
    if os.geteuid() != 0:
        unneeded = "".join(
            f" (its system service is not needed: sudo systemctl disable --now {service})" for service in services
        )
        raise BinaryUnavailable(
            f"Missing: {programs} (package {', '.join(packages)}); installing it requires root",
            remedy=f"run, or ask an administrator to run: sudo sh -c '{command}'{unneeded}",
        )
    names = " ".join(packages)
    reporter.say(f"Installing {'the package' if len(packages) == 1 else 'the packages'} {names}: {command}")
    with reporter.task(f"installing {names}"), _no_daemons():
        _apt(command, "update")
        _apt(command, "install", "-y", "--no-install-recommends", *packages)
    _keep_services_off(services)


def _apt(whole: str, *arguments: str) -> None:
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
            remedy=f"fix the problem that it reports, then run: {whole}",
            details="\n".join(answer.stdout.splitlines()[-20:]),
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Keep the installation from starting a name server; leave the machine's own policy alone."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(DENY_ALL)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()


def _keep_services_off(services: list[str]) -> None:
    """Keep systemd from starting the services at the next boot."""
    if services and Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", *services], check=False, capture_output=True, timeout=60)
