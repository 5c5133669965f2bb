"""Keep the last revisions of the certificate."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from certwright.certificates.revisions.secret import (
    Revision,
    chosen,
    revision_of,
    revisions_name,
    revisions_secret,
    status_of,
    taken_out,
)
from certwright.certificates.secret.manifest import issued_sources, present_sources
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.kube.errors import Conflict, Invalid, NotFound
from certwright.kube.secrets import EntryTooLarge
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.resources import RevisionStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeepRevisions(Act):
    """Add the present certificate to the kept revisions, and remove those that are too many: in one write."""

    cleans_up: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Keep them.

        Raises:
            IssuanceError: The Secret has just changed.
            KubeError: The API server refused.
        """
        certificate, secret = observation.certificate, observation.secret
        limit, known = certificate.spec.revision_history_limit, observation.status.revisions
        name = revisions_name(certificate)
        present = status_of(secret) if secret is not None else None
        if limit == 1:
            await tools.kube_api.delete_secret(observation.namespace, name)
            kept: tuple[RevisionStatus, ...] = ()
        elif present is not None:
            kept = chosen(known, present, limit)
            kept = await _write(observation, tools, await _present(observation, tools, present.revision), kept)
        else:
            kept = known[-limit:]  # nothing of this Secret is to be kept
        observation = observation.with_status(revisions=kept)
        yield observation.remember(cleaning_up=Backoff())


async def _write(
    observation: Observation, tools: Tools, revision: Revision, kept: tuple[RevisionStatus, ...]
) -> tuple[RevisionStatus, ...]:
    """Write the present revision; return what is kept then. Where all do not fit, only the present one stays."""
    certificate, namespace = observation.certificate, observation.namespace
    name = revisions_name(certificate)
    gone = taken_out(kept, observation.status.revisions, max(one.revision for one in kept))
    change: dict[str, Any] = {"data": {**gone, **revision.entries}}
    try:
        await tools.kube_api.patch_secret(namespace, name, change)
    except NotFound:
        pass
    except Invalid as error:
        logger.warning("%s: the revisions start anew: %s", certificate.display_name, error)
        await tools.kube_api.delete_secret(namespace, name)
    else:
        return kept
    try:
        await tools.kube_api.create_secret(revisions_secret(certificate, revision))
    except Conflict as error:
        raise IssuanceError("SecretChanged", f"{error}. It will be checked again.") from error
    return tuple(one for one in kept if one.revision == revision.number)


async def _present(observation: Observation, tools: Tools, number: int) -> Revision:
    """Return the certificate in the Secret, from memory if it was issued just now."""
    secret, issued = observation.secret, observation.memory.issued
    if issued is not None and issued.annotations and secret is not None and issued.facts.leaf == secret.leaf:
        return revision_of(issued.annotations, number, issued_sources(issued.chain, issued.key_pem))
    name = observation.certificate.spec.secret_name
    found = await tools.kube_api.read_secret(observation.namespace, name)
    if found is None or secret is None or found["metadata"]["resourceVersion"] != secret.resource_version:
        raise IssuanceError("SecretChanged", f"Secret {name} has just changed; it will be checked again.")
    try:
        return revision_of(found["metadata"].get("annotations") or {}, number, present_sources(found))
    except EntryTooLarge as error:
        raise IssuanceError("SecretChanged", f"Secret {name} cannot be read any more: {error}.") from error
