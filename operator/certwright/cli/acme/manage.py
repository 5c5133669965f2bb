"""`list`, `delete`, `reconfigure`: manage the certificates in the folder without reissuing them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from certwright.acme import Identifier
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, message
from certwright.cli.acme.install import installation
from certwright.cli.acme.issuance import check_contents, document_of, key_spec, lines_of
from certwright.cli.acme.issue import is_same
from certwright.cli.acme.output import confirm
from certwright.cli.acme.renew import RenewOptions, renew
from certwright.cli.acme.renewal_decision import decide
from certwright.cli.acme.session import Outcome, server_name
from certwright.cli.acme.solvers import make_solvers
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.settings import IssuanceSettings


async def list_certificates(session: Session, *, only_names: bool) -> Outcome:
    """List the certificates in the folder; one that cannot be read is listed with the reason."""
    now = datetime.now(UTC)
    documents = [_document(folder, now) for folder in session.certificates.all()]
    documents += [{"name": name, "state": "pending"} for name in session.certificates.unfinished()]
    document = {"folder": str(session.folder), "certificates": documents}
    if only_names:
        return Outcome(document, [one["name"] for one in documents])
    if not documents:
        return Outcome(document, [f"There are no certificates in {session.folder}"])
    rows = [("NAME", "STATE", "EXPIRES", "RENEWS", "CA", "NAMES"), *map(_row, documents)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    return Outcome(document, lines)


def _document(folder: CertificateFolder, now: datetime) -> dict[str, Any]:
    try:
        metadata = folder.metadata()
        state = folder.renewal(metadata.serial)
        due = decide(metadata, state, now)
        document = document_of(folder, metadata, due.at)
    except CommandError as error:
        return {"name": folder.name, "state": "unreadable", "error": describe(error), "message": message(error)}
    if state.revoked_at is not None:
        word = "revoked"
    elif metadata.not_after <= now:
        word = "expired"
    else:
        word = "due" if due.now or due.waits else "valid"
    return {**document, "state": word}


def _row(document: Mapping[str, Any]) -> tuple[str, ...]:
    if "names" not in document:
        return (document["name"], document["state"], "-", "-", "-", document.get("message", "not issued yet"))
    times = (f"{document[name]:%Y-%m-%d}" for name in ("not_after", "renew_at"))
    return (document["name"], document["state"], *times, server_name(document["server"]), ", ".join(document["names"]))


async def delete(session: Session, names: Sequence[str], *, yes: bool) -> Outcome:
    """Delete certificates with their keys and settings from the folder. Nothing is revoked."""
    session.certificates.finish_deletions()
    folders = list({one.name: one for one in map(session.certificates.named, names)}.values())
    pending = set(session.certificates.unfinished())
    for folder in folders:
        if not folder.exists() and folder.name not in pending:
            raise UsageError(
                f"There is no certificate {folder.name} in {session.folder}, which has: {session.known_names()}"
            )
    question = (
        f"This deletes {', '.join(folder.name for folder in folders)} with the private keys, and nothing renews them"
        " any more. They are not revoked; copies that servers use stay."
    )
    if not yes and not await confirm(session.output, question):
        raise UsageError("Nothing was deleted. To delete without confirmation, give --yes")
    for folder in folders:
        async with session.certificate_lock(folder):
            folder.delete()
    deleted = [folder.name for folder in folders]
    return Outcome({"deleted": deleted}, [f"Deleted {name}" for name in deleted])


@dataclass(frozen=True)
class Changes:
    """What `reconfigure` is to change.

    Attributes:
        add: Names to add.
        remove: Names to remove.
        settings: Fields of the settings.
        solver: Fields of the validation settings.
        later: Leave a change of the certificate itself to the next renewal.
        ignore_limits: Order even if a rate limit of the CA is used up.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    solver: Mapping[str, Any] = field(default_factory=dict)
    later: bool = False
    ignore_limits: bool = False


async def reconfigure(session: Session, name: str, changes: Changes) -> Outcome:
    """Change saved settings. If they make it another certificate, it is issued at once, in the place of this one."""
    folder = session.certificates.named(name)
    if not folder.exists():
        raise UsageError(
            f"There is no certificate {folder.name} in {session.folder}, which has: {session.known_names()}"
        )
    before = folder.metadata()
    wanted = _changed(before.settings, changes)
    if wanted == before.settings:
        raise UsageError("Nothing is to be changed: give options with new settings, --add or --remove")
    _check(session, wanted)
    if is_same(before.settings, wanted) or changes.later:
        async with session.certificate_lock(folder):
            folder.save_settings(before, wanted)
        metadata = folder.metadata()
        due = decide(metadata, folder.renewal(metadata.serial), datetime.now(UTC))
        news = "Saved; the next renewal goes by these settings"
        document = {"issued": False, "certificate": document_of(folder, metadata, due.at)}
        return Outcome(document, [news, *lines_of(folder, metadata, due.at)])
    # The settings are saved with the certificate that they lead to: if that fails, nothing has changed.
    options = RenewOptions(names=(folder.name,), force=True, settings=wanted, ignore_limits=changes.ignore_limits)
    outcome = await renew(session, options)
    (document,) = outcome.document["certificates"]
    if outcome.code in {ExitCode.DONE, ExitCode.HOOK_FAILED}:
        return Outcome({"issued": True, **document}, outcome.lines, outcome.code)
    return Outcome({"issued": False, **document}, [*outcome.lines, "The settings are as before"], outcome.code)


def _changed(before: IssuanceSettings, changes: Changes) -> IssuanceSettings:
    add, remove = ({Identifier.parse(one).value for one in some} for some in (changes.add, changes.remove))
    if (add or remove) and before.from_request:
        raise UsageError("The names of this certificate are in its CSR: issue one with another CSR")
    if unknown := sorted(remove - set(before.names)):
        raise UsageError(f"The certificate has no name {', '.join(unknown)}: it has {', '.join(before.names)}")
    names = tuple(dict.fromkeys((*(one for one in before.names if one not in remove), *sorted(add - remove))))
    if not names:
        raise UsageError("A certificate needs at least one name: delete it instead")
    return replace(before, names=names, solver=replace(before.solver, **changes.solver), **changes.settings)


def _check(session: Session, settings: IssuanceSettings) -> None:
    """Check settings before they are saved: a mistake shows now, and not at a renewal at night."""
    make_solvers(settings.solver, session)
    check_contents(settings)
    key_spec(settings.key_type)
    if settings.pkcs12 is not None and settings.from_request:
        raise UsageError("--pkcs12 needs the private key, which --csr leaves elsewhere")
    if settings.install_to is not None:
        installation(settings.install_to, settings.install_owner, settings.install_mode)
