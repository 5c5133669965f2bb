"""The finalizer: keeps a Certificate while it has things outside of the cluster that Kubernetes cannot remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.resources import FINALIZER, Certificate

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


async def hold(observation: Observation, tools: Tools) -> Observation:
    """Keep the Certificate from vanishing before its records are removed."""
    metadata = observation.certificate.metadata
    if FINALIZER in metadata.finalizers:
        return observation
    body = await tools.kube_api.add_finalizer(Certificate.PLURAL, Certificate.KIND, metadata.identity, FINALIZER)
    return written(observation, tools, body)


async def let_go(observation: Observation, tools: Tools) -> Observation:
    """Let the Certificate go, also if another field manager, such as a restored backup, set the finalizer as well."""
    metadata = observation.certificate.metadata
    if FINALIZER not in metadata.finalizers:
        return observation
    body = await tools.kube_api.remove_finalizer(
        Certificate.PLURAL, Certificate.KIND, metadata.identity, FINALIZER, known=metadata.finalizers
    )
    if body is not None:
        return written(observation, tools, body)
    left = tuple(one for one in metadata.finalizers if one != FINALIZER)
    gone = observation.certificate.replace(metadata=metadata.replace(finalizers=left))
    return observation.with_certificate(gone)


def written(observation: Observation, tools: Tools, body: dict[str, Any]) -> Observation:
    """Return the observation with the object that a write returned; the draft of the status stays."""
    if not body.get("spec"):
        return observation
    tools.on_written(body)
    return observation.with_certificate(Certificate.parse(body))
