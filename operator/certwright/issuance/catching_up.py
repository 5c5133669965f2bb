"""Looking twice before the first act: another leader may have written what the watch has not brought yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from certwright.issuance.plan import plan
from certwright.issuance.secret_facts import SecretFacts
from certwright.issuance.steps import Resting
from certwright.kube.errors import NotFound
from certwright.resources import Certificate

if TYPE_CHECKING:
    from certwright.issuance.case import Case
    from certwright.issuance.tools import Tools


def may_lag(case: Case, tools: Tools) -> bool:
    """Whether a Certificate must be read before anything is done about it.

    Resting on old news does no harm. Acting on them may cost a second order: the leader before may have ordered a tenth
    of a second ago. One that runs alone began with a list, and nobody else writes.
    """
    if case.memory.caught_up or not tools.leadership.is_limited:
        return False
    return not isinstance(plan(case.observed(), tools.clock()), Resting)


async def catch_up(case: Case, tools: Tools) -> None:
    """Read a Certificate, and its Secret if that is watched, into the stores; once for each Certificate.

    Raises:
        NotFound: The Certificate is gone.
        KubeError: It cannot be read.
    """
    metadata = case.certificate.metadata
    namespace = metadata.namespace or ""
    found = await tools.gateway.read_custom(Certificate.PLURAL, namespace, metadata.name)
    if found is None:
        raise NotFound(f"read {case.certificate.display_name}", status=404)
    tools.on_written(found)
    if case.secret is not None and case.memory.unwatched is None:
        secret = await tools.gateway.read_secret(namespace, case.certificate.spec.secret_name)
        if secret is not None:
            tools.on_secret_written(await asyncio.to_thread(SecretFacts.of, secret))
    case.memory.caught_up = True
