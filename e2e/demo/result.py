"""What the demo shows at the end: chain, Secret, conditions, timings."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from cryptography import x509
from rich.table import Table

from demo.proof import Proof, describe
from harness.cluster import NotAsExpected, conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def show_result(
    console: Console,
    *,
    proof: Proof,
    certificate: Mapping[str, Any],
    secret: Mapping[str, Any],
    root_pem: bytes,
    timings: Mapping[str, float],
) -> None:
    """Print it all.

    Args:
        console: Where.
        proof: What the ingress controller answered.
        certificate: The Certificate, when it was Ready.
        secret: Its Secret; of the private key only the size is shown.
        root_pem: The CA's root.
        timings: Seconds by scene.

    Raises:
        NotAsExpected: What is served is not what the Secret holds.
    """
    data = {entry: base64.b64decode(content) for entry, content in (secret.get("data") or {}).items()}
    chain = x509.load_pem_x509_certificates(data["tls.crt"])
    if proof.leaf != chain[0]:
        raise NotAsExpected("the ingress controller serves a different certificate than the one in the Secret")
    console.print()
    table = Table(title="The chain, verified", show_header=False, title_justify="left")
    for position, one in enumerate(chain):
        table.add_row("issuer" if position else "leaf", describe(one))
    table.add_row("root", describe(x509.load_pem_x509_certificate(root_pem)))
    table.add_row("served", f"{proof.protocol}, serial {proof.leaf.serial_number:x}: the one in the Secret")
    console.print(table)

    table = Table(title=f"Secret {secret['metadata']['name']} ({secret['type']})", title_justify="left")
    table.add_column("Entry")
    table.add_column("Bytes", justify="right")
    for entry, content in sorted(data.items()):
        table.add_row(entry, str(len(content)))
    console.print(table)

    table = Table(title="Conditions of the Certificate", title_justify="left")
    for column in ("Type", "Status", "Reason", "Message"):
        table.add_column(column)
    for kind, condition in sorted(conditions(certificate).items()):
        table.add_row(kind, condition["status"], condition["reason"], condition["message"])
    console.print(table)

    table = Table(title="Timings", title_justify="left")
    table.add_column("Scene")
    table.add_column("Seconds", justify="right")
    for scene, seconds in timings.items():
        table.add_row(scene, f"{seconds:.1f}")
    console.print(table)
