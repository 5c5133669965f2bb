"""Writing down where a Certificate stands: its status, and the finalizer while records of it are outside."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.status import report
from certwright.failures import IssuanceError
from certwright.resources import FINALIZER, Certificate

if TYPE_CHECKING:
    from certwright.certificates.observation import Case
    from certwright.certificates.tools import Tools
    from certwright.resources import CertificateStatus

QUIET: Final = dt.timedelta(seconds=5)
"""While an order is under way its small steps are written no oftener than this: most orders are done by then."""


async def save(case: Case, tools: Tools) -> None:
    """Write the status, whole, if it says anything new.

    Raises:
        KubeError: It could not be written; `NotFound` and `Conflict` mean that the Certificate is gone.
    """
    now = tools.clock()
    case.status = report(case.observed(), case.memory.note, now)
    if _material(case.status) == _material(case.certificate.status):
        return
    body = await tools.kube_api.apply_status(
        Certificate.PLURAL, Certificate.KIND, case.identity(), case.status.to_json()
    )
    case.memory.saved_at = now
    _take_over(case, tools, body)


async def save_unless_quiet(case: Case, tools: Tools) -> None:
    """Like `save`, but leave out what will be said better in a moment: the small steps of a young order."""
    note, saved_at = case.memory.note, case.memory.saved_at
    young = saved_at is not None and tools.clock() - saved_at < QUIET
    if case.memory.flight is not None and note is not None and note.under_way and young:
        return
    await save(case, tools)


async def hold(case: Case, tools: Tools) -> None:
    """Keep the Certificate from vanishing before its records are removed."""
    await _finalizers(case, tools, (FINALIZER,))


async def release(case: Case, tools: Tools) -> None:
    """Let the Certificate go.

    Raises:
        IssuanceError: The finalizer is still there, because somebody else wrote it as well.
    """
    await _finalizers(case, tools, ())
    if FINALIZER in case.certificate.metadata.finalizers:
        raise IssuanceError(
            "FinalizerHeld",
            f"The finalizer {FINALIZER} cannot be taken off, because another field manager (a backup, a kubectl apply) "
            "wrote it too. Nothing is left to clean up: remove it by hand.",
        )


async def _finalizers(case: Case, tools: Tools, finalizers: tuple[str, ...]) -> None:
    if (FINALIZER in case.certificate.metadata.finalizers) == bool(finalizers):
        return
    body = await tools.kube_api.apply_finalizers(Certificate.PLURAL, Certificate.KIND, case.identity(), finalizers)
    _take_over(case, tools, body)


def _take_over(case: Case, tools: Tools, body: dict[str, Any]) -> None:
    """Make the answer the object at hand; the draft of the status stays."""
    if body.get("spec"):
        case.certificate = Certificate.parse(body)
        tools.on_written(body)


def _material(status: CertificateStatus) -> dict[str, Any]:
    """What is worth a write: everything but the times of looks."""
    content = status.to_json()
    order = content.get("order")
    if order:
        order.pop("nextLookTime", None)
        for entry in order.get("authorizations", ()):
            entry.pop("lastLookTime", None)
    return content
