"""The namespaces that a bed with a node runs in: one command enters them, and they end with it.

Network, mounts and process ids are the bed's own in there: every port is free, kube-proxy's rules, bridges and mounts
are invisible elsewhere, and no process outlives the command. All that stays outside is what the command writes below
its own folders, and the cgroups, which are removed afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .cgroups import CgroupTree
from .errors import BedError
from .locations import PACKAGE
from .process import POLL, heed_interrupts, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .progress import Reporter

# Set inside: the name that the cgroups begin with, and (by isolation.sh) the identity of the network namespace.
CGROUP = "CERTWRIGHT_TESTBED_CGROUP"
NETWORK = "CERTWRIGHT_TESTBED_NETWORK"
CGROUP_PREFIX = "certwright-testbed-"
STOP_SECONDS = 60.0
CHILD_SECONDS = 10.0
SETUP = PACKAGE / "isolation.sh"


def run_isolated(command: Sequence[str], reporter: Reporter) -> int:
    """Run a command in fresh namespaces and return its exit status.

    Args:
        command: program and arguments.
        reporter: is told how to look inside from another terminal.

    Raises:
        BedError: we are not root, or the machine does not allow namespaces.
    """
    check_possible()
    heed_interrupts()
    cgroup = f"{CGROUP_PREFIX}{secrets.token_hex(4)}"
    unshare = ["unshare", "--net", "--mount", "--propagation=private", "--pid", "--mount-proc", "--kill-child"]
    whole = [*unshare, "sh", str(SETUP), *command]
    if setpriv := shutil.which("setpriv"):
        whole = [setpriv, "--pdeathsig", "KILL", "--", *whole]
    with subprocess.Popen(whole, env={**os.environ, CGROUP: cgroup}) as process:
        shell = _first_child(process.pid)
        reporter.say(f"To look inside from another terminal: nsenter --target {shell} --net --mount --pid")
        earlier = signal.signal(signal.SIGTERM, lambda *_: _interrupt(shell))
        try:
            return _await(process)
        finally:
            signal.signal(signal.SIGTERM, earlier)
            wait_until(lambda: not any(tree.in_use() for tree in CgroupTree.find_all(cgroup)), timeout=STOP_SECONDS)
            remove_cgroups(cgroup)


def bed_cgroup() -> str:
    """Return the name for the cgroup of a bed with a node in the namespaces that we are in.

    Raises:
        BedError: we are not in namespaces made for that.
    """
    if os.environ.get(NETWORK) != str(Path("/proc/self/ns/net").readlink()):
        raise BedError(
            "A test bed with a node must run in its own network, mount and process namespaces; this process does not",
            remedy="run the command as root under `python -m testbed isolated -- COMMAND`, or use `make e2e`",
        )
    return f"{os.environ[CGROUP]}-{secrets.token_hex(2)}"


def remove_cgroups(prefix: str = CGROUP_PREFIX) -> None:
    """Remove the cgroups of beds that have ended, by the prefix of their names, except those in use."""
    for tree in CgroupTree.find_all(prefix):
        if not tree.in_use():
            tree.remove()


def check_possible() -> None:
    """Check that namespaces are available, before anything is built for a bed in them.

    Raises:
        BedError: we are not root, or the machine does not allow namespaces.
    """
    if os.geteuid() != 0:
        raise BedError(
            "A test bed with a node requires root, to create network and mount namespaces and run containers in them",
            remedy="run it as root, for example `sudo make e2e`, or in a privileged container; "
            "all other targets work without",
        )
    probe = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--kill-child", "true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if probe.returncode != 0:
        raise BedError(
            "A test bed with a node needs its own namespaces, and this machine does not allow creating them",
            remedy="run it with CAP_SYS_ADMIN and CAP_NET_ADMIN, for example in a privileged container",
            details=probe.stderr.strip(),
        )


def _first_child(parent: int) -> int | None:
    """Return the process id, as seen from here, of the first child of a process that is just starting it."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < deadline:
        try:
            if found := children.read_text().split():
                return int(found[0])
        except OSError:
            return None
        time.sleep(POLL)
    return None


def _interrupt(shell: int | None) -> NoReturn:
    """Act as on Ctrl-C, which the command below the shell would have received itself."""
    command = _first_child(shell) if shell else None
    if command:
        os.kill(command, signal.SIGINT)
    raise KeyboardInterrupt


def _await(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command; on Ctrl-C, which reaches it as well, give it time to stop its bed."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            return process.wait(STOP_SECONDS)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            return process.wait()
