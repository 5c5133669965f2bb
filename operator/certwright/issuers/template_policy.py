"""Which labels and annotations an issuer's templates may set on solver objects; the operator's options decide.

An annotation can make an injector add a container with any image to a pod, or add configuration to an ingress
controller that serves everyone. The author of an Issuer may not have the permission for either.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - named tuples are easier to read with real annotations
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.failures import IssuanceError
from certwright.http01.manifests import POD_ANNOTATIONS
from certwright.resources import TlsAlpn01
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certwright.resources import AcmeIssuerSpec, Http01

UNPREFIXED: Final = "*"
"""Keys without a prefix are private to users; what programs act on has one.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""
POD_LABEL_PATTERNS: Final = (UNPREFIXED, "app.kubernetes.io/*")
POD_ANNOTATION_PATTERNS: Final = (UNPREFIXED, "prometheus.io/*", "karpenter.sh/do-not-disrupt")
INGRESS_ANNOTATION_PATTERNS: Final = (
    UNPREFIXED,
    "alb.ingress.kubernetes.io/healthcheck-*",
    "alb.ingress.kubernetes.io/ip-address-type",
    "alb.ingress.kubernetes.io/listen-ports",
    "alb.ingress.kubernetes.io/scheme",
    "alb.ingress.kubernetes.io/success-codes",
    "alb.ingress.kubernetes.io/target-type",
    "haproxy-ingress.github.io/ssl-redirect",
    "haproxy.org/ssl-redirect",
    "ingress.cilium.io/force-https",
    "ingress.kubernetes.io/ssl-redirect",
    "konghq.com/https-redirect-status-code",
    "konghq.com/protocols",
    "kubernetes.io/ingress.allow-http",
    "nginx.ingress.kubernetes.io/denylist-source-range",
    "nginx.ingress.kubernetes.io/force-ssl-redirect",
    "nginx.ingress.kubernetes.io/ssl-redirect",
    "nginx.ingress.kubernetes.io/whitelist-source-range",
    "nginx.org/redirect-to-https",
    "traefik.ingress.kubernetes.io/router.entrypoints",
    "traefik.ingress.kubernetes.io/router.priority",
    "traefik.ingress.kubernetes.io/router.tls",
)
"""Who reaches the solver, and by HTTP or HTTPS; nothing that holds configuration, or names objects of others."""


class _Refusal(NamedTuple):
    where: str
    why: str


@dataclass(frozen=True)
class TemplatePolicy:
    """Keys that templates may have, as patterns: `*` matches any characters, alone only those of a key without prefix.

    Attributes:
        pod_labels: For `podTemplate.metadata.labels`.
        pod_annotations: For `podTemplate.metadata.annotations`.
        ingress_annotations: For `ingressTemplate.metadata.annotations`.
    """

    pod_labels: tuple[str, ...] = POD_LABEL_PATTERNS
    pod_annotations: tuple[str, ...] = POD_ANNOTATION_PATTERNS
    ingress_annotations: tuple[str, ...] = INGRESS_ANNOTATION_PATTERNS

    def check(self, spec: AcmeIssuerSpec) -> None:
        """Check the templates of an issuer.

        Raises:
            IssuanceError: One has a label or an annotation that is not allowed.
        """
        found = [
            _Refusal(f"spec.acme.solvers[{number}].{solver.field}.{refusal.where}", refusal.why)
            for number, solver in enumerate(spec.solvers)
            if (templated := solver.http01 or solver.tls_alpn01) is not None
            for refusal in self._of(templated)
        ]
        if found:
            raise IssuanceError(
                "TemplateRefused",
                f"{listed(f'{one.where} {one.why}' for one in found)}. Remove it, or ask the operator's "
                "administrator to allow it.",
            )

    def _of(self, solver: Http01 | TlsAlpn01) -> Iterator[_Refusal]:
        where = "" if isinstance(solver, TlsAlpn01) else f"{solver.route_field}."
        pod = solver.pod_template.metadata if solver.pod_template is not None else None
        if pod is not None:
            place = f"{where}podTemplate.metadata"
            # Istio looks at a label of this name before it looks at the annotation.
            labels = _Rule("--allow-pod-label", "podLabels", self.pod_labels, POD_ANNOTATIONS)
            annotations = _Rule("--allow-pod-annotation", "podAnnotations", self.pod_annotations, POD_ANNOTATIONS)
            yield from labels.refused(f"{place}.labels", pod.labels)
            yield from annotations.refused(f"{place}.annotations", pod.annotations)
        ingress = None if isinstance(solver, TlsAlpn01) else solver.ingress
        template = ingress.ingress_template if ingress is not None else None
        if template is not None and template.metadata is not None:
            rule = _Rule("--allow-ingress-annotation", "ingressAnnotations", self.ingress_annotations, {})
            yield from rule.refused("ingress.ingressTemplate.metadata.annotations", template.metadata.annotations)


class _Rule(NamedTuple):
    option: str
    value: str
    patterns: tuple[str, ...]
    ours: Mapping[str, str]

    def refused(self, where: str, given: Mapping[str, str]) -> Iterator[_Refusal]:
        for key, content in sorted(given.items()):
            if key in self.ours:
                if content != self.ours[key]:
                    yield _Refusal(where, f"sets {key}, which can only be {self.ours[key]!r}")
            elif not any(_matches(key, pattern) for pattern in self.patterns):
                setting = f"option {self.option}, chart value http01.templates.{self.value}"
                yield _Refusal(where, f"has {key}, which this operator does not allow ({setting})")


def _matches(key: str, pattern: str) -> bool:
    if pattern == UNPREFIXED:
        return "/" not in key
    return fnmatchcase(key, pattern)
