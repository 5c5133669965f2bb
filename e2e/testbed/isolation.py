"""The namespaces that a bed with a node runs in: entered by one command, gone with it.

Network, mounts and process ids are the bed's own in there: every port is free, kube-proxy's rules, bridges and mounts
are seen by nobody else, and no process outlives the command. Outside of it stay only what the command writes below its
own folders, and the cgroups, which are removed afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .cgroups import CgroupTree
from .errors import BedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .progress import Reporter

# Set inside: the name that the cgroups begin with, and the identity of the network namespace.
CGROUP = "CERTWRIGHT_TESTBED_CGROUP"
NETWORK = "CERTWRIGHT_TESTBED_NETWORK"
CGROUP_PREFIX = "certwright-testbed-"
STOP_SECONDS = 60.0
# What the kubelet wants of the kernel, and would otherwise set for the whole machine. It is shown files that say so.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
# /run, /var/log and /var/lib are where the container runtime, the kubelet and the CNI plugins leave traces that no
# option moves elsewhere. The command is no `exec`: this shell stays, as process 1, and reaps orphans.
SETUP = (
    "set -eu\n"
    "ip link set lo up\n"
    "mount -t tmpfs -o mode=755 testbed /run\n"
    "mount -t tmpfs -o mode=755 testbed /var/log\n"
    "mkdir -p /run/lock /run/testbed/upper /run/testbed/work /run/testbed/kernel\n"
    "mount -t overlay -o lowerdir=/var/lib,upperdir=/run/testbed/upper,workdir=/run/testbed/work testbed /var/lib\n"
    + "".join(
        f"echo {value} > /run/testbed/kernel/{name.replace('/', '.')}\n"
        f"mount --bind /run/testbed/kernel/{name.replace('/', '.')} /proc/sys/{name}\n"
        for name, value in KERNEL_SETTINGS.items()
    )
    + f"{NETWORK}=$(readlink /proc/self/ns/net)\n"
    f"export {NETWORK}\n"
    '"$@" || exit $?\n'
    "exit 0\n"
)


def run_isolated(command: Sequence[str], reporter: Reporter) -> int:
    """Run a command in fresh namespaces and return its exit status.

    Args:
        command: program and arguments.
        reporter: is told how to look inside from another terminal.

    Raises:
        BedError: we are not root, or the machine does not allow namespaces.
    """
    _check()
    cgroup = f"{CGROUP_PREFIX}{secrets.token_hex(4)}"
    unshare = ["unshare", "--net", "--mount", "--propagation=private", "--pid", "--mount-proc", "--kill-child"]
    whole = [*unshare, "sh", "-c", SETUP, "sh", *command]
    if setpriv := shutil.which("setpriv"):
        whole = [setpriv, "--pdeathsig", "KILL", "--", *whole]
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with subprocess.Popen(whole, env={**os.environ, CGROUP: cgroup}) as process:
            if inside := _first_inside(process):
                reporter.say(f"To look inside from another terminal: nsenter --target {inside} --net --mount --pid")
            return _await(process)
    finally:
        signal.signal(signal.SIGTERM, earlier)
        remove_cgroups(cgroup)


def bed_cgroup() -> str:
    """Return the name for the cgroup of a bed with a node in the namespaces that we are in.

    Raises:
        BedError: we are not in namespaces made for that.
    """
    if os.environ.get(NETWORK) != str(Path("/proc/self/ns/net").readlink()):
        raise BedError(
            "A bed with a node runs in network, mount and process namespaces of its own, and this is none",
            remedy="run the command as root under `python -m testbed isolated -- COMMAND`, or use `make e2e`",
        )
    return f"{os.environ[CGROUP]}-{secrets.token_hex(2)}"


def remove_cgroups(prefix: str = CGROUP_PREFIX) -> None:
    """Remove the cgroups of beds that have ended, by the beginning of their names; those in use are left."""
    for tree in CgroupTree.find_all(prefix):
        if not tree.processes():
            tree.remove()


def _check() -> None:
    if os.geteuid() != 0:
        raise BedError(
            "A bed with a node takes root: it makes network and mount namespaces and runs containers in them",
            remedy="run it as root, for instance `sudo make e2e`, or in a privileged container; "
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
            "A bed with a node needs namespaces of its own, and this machine does not allow them",
            remedy="run it with CAP_SYS_ADMIN and CAP_NET_ADMIN, for instance in a privileged container",
            details=probe.stderr.strip(),
        )


def _first_inside(process: subprocess.Popen[bytes]) -> int | None:
    """Return the process id, as seen from outside, of the shell that is process 1 inside."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(100):
        try:
            if found := children.read_text().split():
                return int(found[0])
        except OSError:
            return None
        time.sleep(0.02)
    return None


def _await(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command; Ctrl-C reaches it as well, and gives it time to end its bed."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            return process.wait(STOP_SECONDS)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            return process.wait()
