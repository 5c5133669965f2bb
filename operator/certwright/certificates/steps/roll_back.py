"""Restore an earlier certificate on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.requests.action import Outcome
from certwright.certificates.revisions.kept import KeptRevision, compromised_keys, read_kept, usable
from certwright.certificates.secret.annotations import RolledBack
from certwright.certificates.steps.end_request import with_end
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import replace_certificate
from certwright.runtime.backoff import Backoff
from certwright.text import listed, rfc3339, sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.revisions.secret import Revision
    from certwright.certificates.tools import Tools
    from certwright.resources import RequestStatus


@dataclass(frozen=True)
class RollBack(Act):
    """Write a kept revision to the Secret in one write that also says which request asked for it.

    So a process that dies after the write finds it done, and one that dies before it does the same again.

    Attributes:
        request: What was asked for.
    """

    request: RequestStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Write it, or end the request with the reason why not: the last good certificate stays.

        Raises:
            IssuanceError: The Secret changed at the same moment, or cannot be changed.
            KubeError: A Secret cannot be read or written.
        """
        request, secret = self.request, observation.secret
        present = secret.revision if secret is not None and secret.certificate is not None else None
        kept = await read_kept(observation, tools)
        revision = _chosen(kept, request.revision, present)
        if revision is None:
            yield _refused(observation, tools, request, _nothing(kept, request.revision))
            return
        mark = RolledBack(tools.clock(), request.id, present or 0)
        found = await usable(
            observation,
            tools,
            revision,
            even_if_due=True,
            compromised=compromised_keys(observation, kept),
            rolled_back=mark,
        )
        if isinstance(found, str):
            message = f"Revision {revision.number} cannot be put back: {sentence(found)}"
            yield _refused(observation, tools, request, message)
            return
        observation = observation.remember(unwatched=None)
        yield observation
        observation, _ = await replace_certificate(observation, tools, found.manifest, found.problem)
        # What was issued last must not be written again in its place.
        observation = observation.remember(issued=None, contested=Backoff(), note=None, open_order=None)
        yield observation
        tools.recorder.record(observation.subject, "Normal", "RolledBack", rolled_back_message(observation, found))


def rolled_back_message(observation: Observation, found: KeptRevision) -> str:
    """Return what people are told of a rollback."""
    renews = observation.renew_at
    until = f" It is kept until its renewal at {rfc3339(renews)}." if renews is not None else ""
    return (
        f"Secret {observation.certificate.spec.secret_name} holds revision {found.revision.number} again, valid until "
        f"{rfc3339(found.facts.not_after)}.{until}"
    )


def _chosen(kept: list[Revision], wanted: int | None, present: int | None) -> Revision | None:
    if wanted is not None:
        return next((one for one in kept if one.number == wanted), None)
    return next((one for one in kept if present is None or one.number < present), None)


def _nothing(kept: list[Revision], wanted: int | None) -> str:
    numbers = listed([str(one.number) for one in reversed(kept)], none="none")
    what = f"Revision {wanted} is not kept" if wanted is not None else "No earlier revision is kept"
    return f"{what}; kept are: {numbers}. The Secret stays as it is. spec.revisionHistoryLimit says how many are kept."


def _refused(observation: Observation, tools: Tools, request: RequestStatus, message: str) -> Observation:
    return with_end(observation, tools, request, Outcome("Refused", message))
