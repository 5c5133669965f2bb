"""The finalizer: the Certificate is held while something of it is where Kubernetes does not remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.resources import FINALIZER, Certificate

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


async def hold(observation: Observation, tools: Tools) -> Observation:
    """Keep the Certificate from vanishing before its records are removed."""
    return await _write(observation, tools, (FINALIZER,))


async def let_go(observation: Observation, tools: Tools) -> Observation:
    """Let the Certificate go; another field manager may still hold it by the same finalizer."""
    return await _write(observation, tools, ())


def written(observation: Observation, tools: Tools, body: dict[str, Any]) -> Observation:
    """Return the observation with the object that a write returned; the draft of the status stays."""
    if not body.get("spec"):
        return observation
    tools.on_written(body)
    return observation.with_certificate(Certificate.parse(body))


async def _write(observation: Observation, tools: Tools, finalizers: tuple[str, ...]) -> Observation:
    metadata = observation.certificate.metadata
    if (FINALIZER in metadata.finalizers) == bool(finalizers):
        return observation
    body = await tools.kube_api.apply_finalizers(Certificate.PLURAL, Certificate.KIND, metadata.identity, finalizers)
    return written(observation, tools, body)
