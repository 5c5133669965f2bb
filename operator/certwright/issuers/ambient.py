"""Which issuers may use ambient credentials, those of the operator's environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AmbientPolicy:
    """Says whose solvers may do without credentials of their own: the cloud knows the operator's pod or its node.

    Attributes:
        issuers: Whether Issuers may. Whoever may create one could then change every zone that the operator can.
        cluster_issuers: Whether ClusterIssuers may.
    """

    issuers: bool = False
    cluster_issuers: bool = True

    def allows(self, kind: str) -> bool:
        """Return whether issuers of a kind may."""
        return self.cluster_issuers if kind == "ClusterIssuer" else self.issuers
