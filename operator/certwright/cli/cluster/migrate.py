"""`migrate`: migration from cert-manager. It first assesses each object, and changes nothing unless asked to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - dataclasses are easier to read with real annotations
from typing import TYPE_CHECKING, Any, Final

import yaml

from certwright.cert_manager import Verdict
from certwright.cli.cluster.checks.operator import check_operator
from certwright.cli.cluster.connection import session
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.human import table
from certwright.cli.cluster.rows import as_text
from certwright.cli.cluster.runner import complain, confirm, say, tell
from certwright.cli.exits import CommandError
from certwright.migration.alone import MigrationBusy, alone
from certwright.migration.apply import apply
from certwright.migration.assessment import assess
from certwright.migration.back import go_back
from certwright.migration.cluster import Cluster
from certwright.migration.finish import finish, remove_crds, remove_finalizers
from certwright.migration.inventory import of_manifests, read_inventory
from certwright.migration.progress import Progress
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.cli.cluster.connection import Session, Target
    from certwright.migration.assessment import Assessed, Assessment
    from certwright.migration.inventory import Inventory

MAX_FILE: Final = 64 * 1024 * 1024
"""Of one file: `kubectl get --output yaml` of a large cluster."""
LONGEST: Final = 1000
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
WAYS: Final = {
    "ca": "an ACME CA in the cluster, such as step-ca, can issue from the same root",
    "selfSigned": "roots of a private PKI are made once: keep cert-manager for them, or keep the root in a Secret",
    "vault": "Vault 1.14 and later has an ACME server of its own (pki/acme)",
    "venafi": "ask the vendor for its ACME server",
}
"""What can take the place of issuers without ACME."""


@dataclass(frozen=True)
class How:
    """What is to be done.

    Attributes:
        files: Where the objects are read; empty for the cluster.
        step: None for the verdicts alone.
        operator_namespace: Where our operator runs; None to look for it.
        with_crds: Whether cert-manager's CRDs go at the end.
        timeout: Seconds that one wait may take.
        yes: Do not ask for confirmation.
        form: How verdicts are printed.
    """

    files: Sequence[Path] = ()
    step: str | None = None
    operator_namespace: str | None = None
    with_crds: bool = False
    timeout: float = 600.0
    yes: bool = False
    form: str = "table"


async def migrate(target: Target, how: How) -> ExitCode:
    """Show what would become of cert-manager's objects, or take a step."""
    if how.files:
        assessment = assess(of_manifests(read_files(how.files)))
        _show(assessment, how.form)
        return ExitCode.DONE
    async with session(target) as connected:
        cluster = Cluster(connected.client)
        inventory = await read_inventory(cluster)
        assessment = assess(inventory)
        if how.step is None:
            _show(assessment, how.form)
            return ExitCode.DONE
        progress = Progress(lambda line: tell(printable(line, LONGEST)), how.timeout)
        namespace = await _operators_namespace(connected, how)
        if how.step == "apply":
            _show(assessment, "table")
        await confirm(_question(how.step, assessment), yes=how.yes)
        try:
            step = _take(cluster, progress, how, namespace)
            return await alone(connected.client, namespace, step, tell=progress.tell)
        except asyncio.CancelledError:
            complain("Interrupted. What was done stays as it is: take the same step again to go on, or --back.")
            raise
        except MigrationBusy as error:
            raise CommandError(str(error), ExitCode.FAILED) from error


def read_files(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the objects in files and folders.

    Raises:
        CommandError: A file cannot be read, or is no YAML.
    """
    found = []
    for path in paths:
        files = sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES) if path.is_dir() else [path]
        for file in files:
            found += _documents(file)
    return found


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise CommandError(f"{file} is larger than {MAX_FILE // 2**20} MiB: split it.", ExitCode.USAGE)
        documents = list(yaml.load_all(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise CommandError(
            f"{file} is not YAML. A template of Helm has to be rendered first: helm template.", ExitCode.USAGE
        ) from None
    return [one for one in documents if isinstance(one, dict)]


def _question(step: str, assessment: Assessment) -> str:
    if step == "finish":
        return "End the trial, and delete cert-manager's objects that have moved? This cannot be undone."
    if step == "back":
        return "Give everything that is on trial back to cert-manager?"
    moving = sum(one.moves for one in assessment.certificates)
    what = "keeps running without its ACME controllers" if assessment.is_mixed else "is scaled to 0"
    return (
        f"Move {moving} Certificates to Certwright, on trial? cert-manager's controller {what}; nothing of it is "
        "deleted, and certwright migrate --back undoes it."
    )


async def _take(cluster: Cluster, progress: Progress, how: How, namespace: str) -> ExitCode:
    """Take the step, with everything as it is now: somebody else may have taken one while a question was open."""
    inventory = await read_inventory(cluster)
    assessment = assess(inventory)
    if how.step == "apply":
        return await _apply(cluster, inventory, assessment, progress, namespace)
    if how.step == "finish":
        return await _finish(cluster, inventory, assessment, progress, how)
    outcome = await go_back(cluster, inventory, progress, secrets_in=namespace)
    tell(f"{outcome.done} Certificates are cert-manager's again. Nothing was issued for it.")
    return _ended(outcome.problems)


async def _apply(
    cluster: Cluster, inventory: Inventory, assessment: Assessment, progress: Progress, namespace: str
) -> ExitCode:
    moving = sum(one.moves for one in assessment.certificates)
    moved = await apply(cluster, inventory, assessment, progress, operator_namespace=namespace)
    if moved.stopped_at:
        complain(f"Error: {printable(moved.stopped_at, LONGEST)}")
        _ended(moved.problems)
        return ExitCode.FAILED
    tell(
        f"{moved.certificates.done} of {moving} Certificates are Certwright's now, with what their Secrets held.",
        "They are on trial: keys are kept, and cert-manager's objects are as they were. When you have seen enough:",
        "  certwright migrate --finish   ends the trial and deletes cert-manager's moved objects",
        "  certwright migrate --back     gives everything back to cert-manager",
    )
    if assessment.is_mixed and not assessment.keeps_shims:
        tell(
            "cert-manager no longer creates Certificates for annotated Ingresses and Gateways. For new ones use",
            'Certwright\'s annotations, or set the chart value shim.certManagerAnnotations to "true".',
        )
    return _ended(moved.problems)


async def _finish(
    cluster: Cluster, inventory: Inventory, assessment: Assessment, progress: Progress, how: How
) -> ExitCode:
    outcome = await finish(cluster, assessment, progress)
    if not assessment.is_mixed and not outcome.problems:
        await remove_finalizers(cluster, inventory, progress)
    tell(f"{outcome.done} Certificates are Certwright's for good.")
    if how.with_crds and (in_the_way := await remove_crds(cluster, progress)):
        outcome.problems["CRDs of cert-manager"] = in_the_way
    if assessment.is_mixed:
        tell(
            "cert-manager keeps running for the objects that stay; keep the controllers disabled that --apply disabled."
        )
    elif not outcome.problems:
        tell("cert-manager is no longer in use: uninstall it the way you installed it.")
    return _ended(outcome.problems)


def _ended(problems: Mapping[str, str]) -> ExitCode:
    for name, why in problems.items():
        complain(printable(f"{name}: {why}", LONGEST))
    return ExitCode.FAILED if problems else ExitCode.DONE


async def _operators_namespace(connected: Session, how: How) -> str:
    if how.operator_namespace is not None:
        return how.operator_namespace
    results, operator = await check_operator(connected, None)
    if (failed := next((one for one in results if one.level == "fail"), None)) is not None:
        raise CommandError(
            f"Certwright is not ready to take over: {failed.message}. Install it first, or name its namespace with "
            "--operator-namespace.",
            ExitCode.FAILED,
        )
    return operator.namespace


def _show(assessment: Assessment, form: str) -> None:
    if form == "manifests":
        ours = [one.translation.manifest for one in (*assessment.issuers, *assessment.certificates)]
        say([yaml.safe_dump_all([one for one in ours if one is not None], sort_keys=False).rstrip()])
        return
    if form in {"json", "yaml"}:
        say([as_text(_document(assessment), form)])  # type: ignore[arg-type]  # the two forms of it
        return
    say(list(_lines(assessment)))


def _document(assessment: Assessment) -> dict[str, Any]:
    return {
        "objects": [_as_json(one) for one in (*assessment.issuers, *assessment.certificates)],
        "holders": assessment.holders,
        "warnings": list(assessment.warnings),
    }


def _as_json(one: Assessed) -> dict[str, Any]:
    found = one.translation
    return {
        "kind": found.kind,
        "namespace": found.namespace,
        "name": found.name,
        "verdict": str(found.verdict),
        "changes": [{"field": at.field, "now": at.now, "then": at.then} for at in found.changes],
        "refusals": [{"field": at.field, "why": at.why, "remedy": at.remedy} for at in found.refusals],
        "manifest": found.manifest,
    }


def _lines(assessment: Assessment) -> Iterable[str]:
    objects = (*assessment.issuers, *assessment.certificates)
    if not objects:
        yield "Nothing of cert-manager was found."
        return
    yield from table(
        ["VERDICT", "KIND", "NAMESPACE", "NAME"],
        [
            [
                str(one.translation.verdict).upper(),
                one.translation.kind,
                printable(one.translation.namespace or "-", 63),
                printable(one.translation.name or "-", 253),
            ]
            for one in objects
        ],
    )
    for one in objects:
        yield from _notes(one)
    yield ""
    counts = ", ".join(f"{assessment.count(verdict)} {verdict}" for verdict in Verdict)
    yield f"{len(objects)} objects: {counts}"
    for held, number in assessment.holders.items():
        yield f"cert-manager stays for {number} issuers of type {held}: {WAYS[held]}"
    yield from assessment.warnings


def _notes(one: Assessed) -> Iterable[str]:
    found = one.translation
    if not found.changes and not found.refusals:
        return
    place = f"{found.namespace}/" if found.namespace else ""
    yield ""
    yield printable(f"{found.kind} {place}{found.name}", LONGEST)
    for refusal in found.refusals:
        yield f"  stays    {printable(str(refusal), LONGEST)}"
    for change in found.changes:
        yield f"  changes  {printable(str(change), LONGEST)}"
