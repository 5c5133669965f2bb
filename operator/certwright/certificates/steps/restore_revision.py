"""Restore a kept revision to a Secret that is missing or damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.revisions.kept import KeptRevision, compromised_keys, read_kept, usable
from certwright.certificates.steps.restore_secret import changed_by, check_it_is_wanted
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import replace_certificate
from certwright.runtime.backoff import Backoff
from certwright.text import sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class RestoreRevision(Act):
    """The Secret is lost: write the revision that it held again, else the latest that is of use. Nothing is ordered.

    Attributes:
        message: What is wrong with the Secret, for people.
    """

    cleans_up: ClassVar[bool] = True

    message: str

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Write it. If none is of use, that is remembered, and one is ordered.

        Raises:
            NotFound: The Certificate is gone too, or goes.
            IssuanceError: The Secret changed at the same moment, or cannot be changed.
        """
        if observation.secret is None:
            await check_it_is_wanted(observation, tools)
        serial = observation.certificate.status.serial_number
        found = None
        kept = await read_kept(observation, tools, first=serial)
        compromised = compromised_keys(observation, kept)
        for revision in kept:
            candidate = await usable(observation, tools, revision, even_if_due=False, compromised=compromised)
            if isinstance(candidate, KeptRevision):
                found = candidate
                break
        if found is None:
            yield observation.remember(unkept=True)
            return
        by = changed_by(observation)
        observation = observation.remember(unwatched=None)
        yield observation
        observation, _ = await replace_certificate(observation, tools, found.manifest, found.problem)
        yield observation.remember(cleaning_up=Backoff())
        message = (
            f"{sentence(self.message)}{by} Revision {found.revision.number}, which was kept, was written to it again; "
            "no certificate was ordered. To have a new one issued, request a renewal."
        )
        tools.recorder.record(observation.subject, "Warning", "SecretRestored", message)
