"""Watch a Certificate and print each change of its status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from harness.cluster import NotAsExpected, conditions
from harness.solver_objects import solver_objects

if TYPE_CHECKING:
    from rich.console import Console

    from harness import Cluster

SECONDS: Final = 60.0


def watch_until_ready(cluster: Cluster, namespace: str, name: str, console: Console) -> dict[str, Any]:
    """Print each change until the Certificate is Ready, and return it.

    Raises:
        NotAsExpected: It was not Ready within a minute.
    """
    began = time.monotonic()
    shown: set[str] = set()
    while True:
        found = cluster.get("Certificate", namespace, name) or {}
        for line in (*_lines(found), *_solver_pods(cluster, namespace)):
            if line not in shown:
                shown.add(line)
                console.print(_row(time.monotonic() - began, line))
        if conditions(found).get("Ready", {}).get("status") == "True":
            return found
        if time.monotonic() - began > SECONDS:
            raise NotAsExpected(f"Certificate {name} was not Ready within {SECONDS:g} s: {found.get('status')}")
        time.sleep(0.03)


def _row(seconds: float, line: str) -> Table:
    """Wrap a line with its continuation indented, on terminals and in files."""
    row = Table.grid(padding=(0, 2))
    row.add_column(justify="right", width=len("    12.34 s"), no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(f"[dim]{seconds:.2f} s[/]", Text(line))
    return row


def _lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for authorization in (found.get("status", {}).get("order") or {}).get("authorizations", ()):
        record = authorization.get("record")
        if record:
            lines.append(f"record  {record['name']} TXT {record['value']}")
        file = authorization.get("resource")
        if file:
            lines.append(f"file    {file['url']}")
    for kind, condition in sorted(conditions(found).items()):
        lines.append(f"{kind:7} {condition['status']:5} {condition['reason']}: {condition['message']}")
    return lines


def _solver_pods(cluster: Cluster, namespace: str) -> list[str]:
    """Describe the pods that answer the CA, if there are any."""
    lines = []
    for pod in solver_objects(cluster, namespace, ["Pod"]):
        ready = conditions(pod).get("Ready", {}).get("status") == "True"
        state = "Ready" if ready else pod.get("status", {}).get("phase", "Pending")
        lines.append(f"pod     {pod['metadata']['name']} {state}")
    return lines
