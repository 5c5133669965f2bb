"""Advice for writes that a quota, a limit or an admission policy refused, chosen by the text of the refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from certwright.kube.errors import KubeError

_LABELS: Final = (
    "For labels or annotations that every object must have, set the chart values objectLabels and objectAnnotations "
    "(--object-label, --object-annotation)"
)
_RESOURCES: Final = (
    "Set the resources of solver pods: the chart value http01.solver.resources (--solver-resources), or "
    "podTemplate.spec.resources in the issuer"
)
_SECURITY: Final = "Set podTemplate.spec.securityContext in the issuer, or use responder: shared, which needs no pod"
_ADVICE: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"exceeded quota: .*\bpods="), "Raise that quota, or use responder: shared, which needs no pod"),
    (re.compile(r"exceeded quota: "), "Raise that quota, or remove what uses it up"),
    (re.compile(r"failed quota: .*must specify"), _RESOURCES),
    (
        re.compile(r"(minimum|maximum) \S+ usage per|max limit to request ratio per|No (limit|request) is specified"),
        _RESOURCES,
    ),
    (re.compile(r"violates PodSecurity|security context constraint"), _SECURITY),
    (
        re.compile(r"pathType|invalid paths?\b|path type", re.IGNORECASE),
        "Leave pathType of the issuer's http01.ingress at ImplementationSpecific, its default",
    ),
    (re.compile(r'cannot \w+ resource "tlsroutes"'), "Set the chart value tlsAlpn01.enabled, which grants the right"),
    (re.compile(r"\bValidatingAdmissionPolicy '[^']+'|admission webhook \"[^\"]+\" denied"), _LABELS),
)
"""In this order: the first that fits is given."""
_REFUSED: Final = frozenset({400, 403, 409, 422})


def advice(error: KubeError) -> str:
    """Return what to do about a refusal, as a sentence without its full stop; an empty text if it is of no known kind.

    The API server's own message, which the error has, names the quota or policy.
    """
    if error.status not in _REFUSED:
        return ""
    return next((text for pattern, text in _ADVICE if pattern.search(error.message)), "")
