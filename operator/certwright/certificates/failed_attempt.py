"""Remembers what a failed attempt requested, because a different request may succeed and need not wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.order_request import digest
from certwright.issuers.solver_choice import selected_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.resources import AcmeIssuerSpec, Certificate


@dataclass(frozen=True)
class Tried:
    """What a person may change so that the next attempt goes better.

    Attributes:
        digest: Of the spec, and of the labels that count.
        labels: The names of these labels: those that the issuer's solvers select by. Others are for other programs,
            some of which change them all the time.
    """

    digest: str
    labels: frozenset[str]

    @classmethod
    def of(cls, certificate: Certificate, issuer: AcmeIssuerSpec | None) -> Tried:
        """Return what an attempt at an issuer was made for; None for an issuer that is not there."""
        labels = frozenset(selected_labels(issuer) if issuer is not None else ())
        return cls(_digest(certificate, labels), labels)

    def is_asked_for_by(self, certificate: Certificate) -> bool:
        """Whether a Certificate asks for the same again."""
        return self.digest == _digest(certificate, self.labels)


def _digest(certificate: Certificate, names: Iterable[str]) -> str:
    # A request is made and taken out, and a Certificate paused, without changing what is asked for.
    spec, labels = certificate.spec.replace(request=None, paused=False), certificate.metadata.labels
    return digest([spec.to_json(), {name: labels[name] for name in sorted(names) if name in labels}])
