"""`revoke`: with the account that issued a certificate, or with its own key."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from certwright.acme import RevocationReason
from certwright.cli.acme.certificate_store import KEY
from certwright.cli.acme.connection import open_account, open_client
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.session import Outcome, server_name
from certwright.client import revoke as revoke_certificate
from certwright.pki import CertificateFacts

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.cli.acme.session import Session


async def revoke(session: Session, text: str, *, reason: str | None, key_file: Path | None, own_key: bool) -> Outcome:
    """Revoke a certificate; one in the folder stays there, but is no longer renewed."""
    target = session.find(text)
    why = None if reason is None else _reason(reason)
    if own_key and key_file is None and (target.folder is None or not target.folder.has(KEY)):
        raise UsageError(f"The key of {text} is not in the folder: give it with --key")
    key = None
    if key_file is not None:
        key = session.read_secret(key_file, what="the key")
    elif own_key and target.folder is not None:
        key = target.folder.read(KEY)
    server = target.server(session)
    async with nullcontext() if target.folder is None else session.certificate_lock(target.folder):
        opened = open_account(session, server) if key is None else open_client(session, server)
        async with opened as client:
            now_revoked = await revoke_certificate(client, target.chain.pem, key=key, reason=why)
        serial = CertificateFacts.of(target.chain.leaf).serial
        if target.folder is not None and target.metadata is not None and target.metadata.serial == serial:
            state = target.folder.renewal(serial)
            target.folder.save_renewal(replace(state, revoked_at=state.revoked_at or datetime.now(UTC)))
    document = {
        "revoked": now_revoked,
        "already_revoked": not now_revoked,
        "serial": serial,
        "server": server,
        "reason": None if why is None else _written(why),
        "by": "account" if key is None else "certificate key",
    }
    news = "is now revoked" if now_revoked else "was already revoked"
    lines = [f"The certificate {text} (serial {serial}) {news} at {server_name(server)}"]
    if target.folder is not None:
        lines.append("It will not be renewed; replace it on servers that use it")
    return Outcome(document, lines)


def _reason(text: str) -> RevocationReason:
    for reason in RevocationReason:
        if text.lower() in (_written(reason).lower(), reason.name.lower(), str(int(reason))):
            return reason
    raise UsageError(f"--reason {text[:50]!r} is not one of {', '.join(map(_written, RevocationReason))}")


def _written(reason: RevocationReason) -> str:
    """Return the reason as written in RFC 5280: keyCompromise."""
    first, *rest = reason.name.lower().split("_")
    return {"ca": "cA", "aa": "aA"}.get(first, first) + "".join(
        "CRL" if word == "crl" else word.capitalize() for word in rest
    )
