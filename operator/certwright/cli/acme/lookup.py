"""`discover`, `info`, `ari`: show the challenges a CA offers, a CA, a certificate, the folder, renewal information."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from certwright.acme import KNOWN_AUTHORITIES, certificate_identifier, renewal_by_lifetime
from certwright.cli.acme.connection import open_account, open_client
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.failures import describe, message
from certwright.cli.acme.issuance import document_of
from certwright.cli.acme.renewal_decision import decide
from certwright.cli.acme.session import Outcome, server_name, server_url
from certwright.cli.exits import CommandError
from certwright.client import discover as discover_challenges
from certwright.client import leaf_der
from certwright.pki import CertificateFacts

if TYPE_CHECKING:
    from certwright.acme import Directory
    from certwright.cli.acme.session import Session


async def discover(session: Session, names: tuple[str, ...], profile: str | None) -> Outcome:
    """Show which challenges a CA offers for names; it places an order to find out."""
    url = session.server()
    async with open_account(session, url) as client:
        offers = await discover_challenges(client, names, profile=profile)
    document = {
        "server": url,
        "names": [
            {"name": offer.name, "status": offer.status.value, "challenges": list(offer.challenge_types)}
            for offer in offers
        ],
        "order_url": offers[0].order_url if offers else None,
    }
    width = max((len(offer.name) for offer in offers), default=0)
    lines = [
        f"{offer.name:<{width}}  "
        + ("already validated" if offer.status == "valid" else ", ".join(offer.challenge_types))
        for offer in offers
    ]
    return Outcome(document, lines)


async def renewal_info(session: Session, text: str) -> Outcome:
    """Ask when a CA wants a certificate renewed (RFC 9773)."""
    target = session.find(text)
    url = target.server(session)
    async with open_client(session, url) as client:
        info = await client.fetch_renewal_info(leaf_der(target.chain.pem))
    chosen = None
    if target.folder is not None and target.metadata is not None:
        state = target.folder.renewal(target.metadata.serial)
        if (state.window_start, state.window_end) == (info.start, info.end):
            chosen = state.at
    document = {
        "server": url,
        "certificate_identifier": certificate_identifier(leaf_der(target.chain.pem)),
        "window": {"start": info.start, "end": info.end},
        "chosen": chosen,
        "explanation_url": info.explanation_url,
        "retry_after": info.retry_after,
    }
    due = " Due now." if info.start <= datetime.now(UTC) else ""
    lines = [
        f"Window:       {info.start:%Y-%m-%d %H:%M} to {info.end:%Y-%m-%d %H:%M} UTC.{due}",
        *([f"Chosen:       {chosen:%Y-%m-%d %H:%M} UTC"] if chosen else []),
        *([f"Explanation:  {info.explanation_url}"] if info.explanation_url else []),
        f"Ask again in: {info.retry_after:.0f} s",
    ]
    return Outcome(document, lines)


async def info(session: Session, text: str | None) -> Outcome:
    """Show a CA, a certificate, or the folder."""
    if text is None:
        return _folder(session)
    if "://" in text or (text.lower() in KNOWN_AUTHORITIES):
        return await _authority(session, server_url(text))
    try:
        return _certificate(session, text)
    except UsageError as error:
        raise UsageError(
            f"{error}. It is not a CA either: {', '.join(KNOWN_AUTHORITIES)}, or a directory URL"
        ) from None


async def _authority(session: Session, url: str) -> Outcome:
    async with open_client(session, url) as client:
        directory = await client.server.directory()
    meta = directory.meta
    extensions = _extensions(directory)
    document = {
        "directory": {
            "url": url,
            "name": server_name(url),
            "terms_of_service": meta.terms_of_service,
            "website": meta.website,
            "caa_identities": list(meta.caa_identities),
            "external_account_required": meta.external_account_required,
            "profiles": dict(meta.profiles),
            "extensions": extensions,
        }
    }
    known = KNOWN_AUTHORITIES.get(server_name(url))
    lines = [
        f"CA:            {known.title if known else url}",
        f"Directory:     {url}",
        f"Terms:         {meta.terms_of_service or 'none'}",
        f"Web site:      {meta.website or 'not given'}",
        f"CAA names:     {', '.join(meta.caa_identities) or 'not given'}",
        f"Binding (EAB): {'required' if meta.external_account_required else 'not required'}",
        f"Supports:      {', '.join(name for name, there in extensions.items() if there) or 'RFC 8555 only'}",
        f"Lacks:         {', '.join(name for name, there in extensions.items() if not there) or '-'}",
        "Profiles:      " + ("" if meta.profiles else "none"),
        *(f"  {name}: {text}" for name, text in meta.profiles.items()),
    ]
    return Outcome(document, lines)


def _extensions(directory: Directory) -> dict[str, bool]:
    return {
        "renewal information": directory.renewal_info is not None,
        "profiles": bool(directory.meta.profiles),
        "key change": directory.key_change is not None,
        "revocation": directory.revoke_cert is not None,
        "pre-authorization": directory.new_authz is not None,
        "hashed accounts in dns-persist-01": directory.meta.account_hash_prefix is not None,
    }


def _certificate(session: Session, text: str) -> Outcome:
    target = session.find(text)
    facts = CertificateFacts.of(target.chain.leaf)
    now = datetime.now(UTC)
    left = facts.not_after - now
    document: dict[str, Any] = {
        "certificate": {
            "names": [*facts.dns_names, *facts.ip_addresses],
            "serial": facts.serial,
            "issuer": facts.issuer_name,
            "not_before": facts.not_before,
            "not_after": facts.not_after,
            "expired": left.total_seconds() <= 0,
            "renew_at": renewal_by_lifetime(facts.not_before, facts.not_after),
            "fingerprint_sha256": facts.fingerprint_sha256,
            "chain": [certificate.subject.rfc4514_string() for certificate in target.chain.issuers],
        }
    }
    if target.folder is not None and target.metadata is not None:
        state = target.folder.renewal(target.metadata.serial)
        document["certificate"] |= document_of(target.folder, target.metadata, decide(target.metadata, state, now).at)
        document["certificate"]["revoked_at"] = state.revoked_at
    shown = document["certificate"]
    remaining = "expired" if left.total_seconds() <= 0 else f"{left.days} days left"
    lines = [
        f"Names:       {', '.join([*facts.dns_names, *facts.ip_addresses])}",
        f"Issuer:      {facts.issuer_name}",
        f"Chain:       {' <- '.join(shown['chain']) or 'the certificate only'}",
        f"Serial:      {facts.serial}",
        f"Valid:       {facts.not_before:%Y-%m-%d %H:%M} to {facts.not_after:%Y-%m-%d %H:%M} UTC, {remaining}",
        f"Renew at:    {shown['renew_at']:%Y-%m-%d %H:%M} UTC",
        f"SHA-256:     {facts.fingerprint_sha256}",
        *([f"Revoked at:  {shown['revoked_at']:%Y-%m-%d %H:%M} UTC"] if shown.get("revoked_at") else []),
    ]
    return Outcome(document, lines)


def _folder(session: Session) -> Outcome:
    accounts, account_lines = _accounts(session)
    certificates, rows = _certificates(session)
    unfinished = list(session.certificates.unfinished())
    rows += [(name, "not issued yet", "order pending", "") for name in unfinished]
    document = {
        "folder": str(session.folder),
        "accounts": accounts,
        "certificates": certificates,
        "unfinished": unfinished,
    }
    lines = [
        f"Folder: {session.folder}",
        *_or_none(["", "Accounts:", *account_lines]),
        *_or_none(["", "Certificates:", *(f"  {row}" for row in _table(rows))]),
    ]
    return Outcome(document, lines)


def _accounts(session: Session) -> tuple[list[dict[str, Any]], list[str]]:
    """Return all accounts as documents and as lines, with an error for one that cannot be read."""
    documents: list[dict[str, Any]] = []
    lines = []
    for folder in session.accounts.folders():
        try:
            account = folder.load()
        except (CommandError, OSError) as error:
            session.output.warn(message(error))
            documents.append({"error": describe(error)})
            lines.append(f"  {folder.path.name}: cannot be read")
            continue
        if account is not None:
            documents.append({"server": account.directory_url, "url": account.account_url})
            lines.append(f"  {server_name(account.directory_url)}: {account.account_url or 'not registered yet'}")
    return documents, lines


def _certificates(session: Session) -> tuple[list[dict[str, Any]], list[tuple[str, ...]]]:
    """Return all certificates as documents and as rows of a table, with an error for one that cannot be read."""
    now = datetime.now(UTC)
    documents: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    for folder in session.certificates.all():
        try:
            metadata = folder.metadata()
            state = folder.renewal(metadata.serial)
        except (CommandError, OSError) as error:
            session.output.warn(message(error))
            documents.append({"name": folder.name, "error": describe(error)})
            rows.append((folder.name, "cannot be read", "", ""))
            continue
        due = decide(metadata, state, now)
        documents.append({**document_of(folder, metadata, due.at), "revoked_at": state.revoked_at})
        end = "expired" if metadata.not_after <= now else f"until {metadata.not_after:%Y-%m-%d}"
        when = "revoked" if state.revoked_at else "due now" if due.now else f"renews {due.at:%Y-%m-%d}"
        rows.append((folder.name, end, when, server_name(metadata.settings.server)))
    return documents, rows


def _or_none(lines: list[str]) -> list[str]:
    """Return the lines, with "none" after a heading that has no lines below it."""
    return lines if len(lines) > 2 else [*lines[:-1], f"{lines[-1]} none"]  # noqa: PLR2004 - an empty line and the heading


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
