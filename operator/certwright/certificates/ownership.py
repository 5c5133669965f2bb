"""Who owns a Secret: Certwright neither replaces nor removes a Secret that it did not write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.order_request import certified_identifiers, shown_names
from certwright.certificates.secret.beside import PENDING_PREFIX, REVISIONS_PREFIX
from certwright.certificates.secret.manifest import TLS_TYPE
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import Identifier
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.reasons import SpecReason
    from certwright.resources import Certificate


@dataclass(frozen=True)
class OwnershipProblem:
    """Why the Secret is not for this Certificate: a reason of one word and a message for people."""

    reason: SpecReason
    message: str


def ownership_problem(observation: Observation) -> OwnershipProblem | None:
    """Tell why the Secret must be left alone, or return None if this Certificate may write it."""
    rival = observation.rival
    if rival is not None:
        return OwnershipProblem(
            "ClaimedByCertManager",
            f"cert-manager's Certificate {rival.name} names Secret {observation.certificate.spec.secret_name} too, "
            f"and its controller is running: it holds the Lease {rival.lease}. Certwright changes nothing until one "
            "of the two ends. Delete one of the two Certificates, or move it: kubectl certwright migrate.",
        )
    if observation.other_owner is not None:
        return OwnershipProblem(
            "SecretClaimed",
            f"Secret {observation.certificate.spec.secret_name} belongs to Certificate {observation.other_owner}, "
            "which claimed it first. Choose another secretName for this Certificate, or delete the other one.",
        )
    return (
        _name_problem(observation.certificate, observation.secret)
        or _controller_problem(observation.certificate, observation.secret)
        or _content_problem(observation.secret, observation.identifiers)
    )


def _name_problem(certificate: Certificate, secret: SecretFacts | None) -> OwnershipProblem | None:
    """Tell why the name is of something else of Certwright's: what it is for must be neither replaced nor deleted."""
    name = certificate.spec.secret_name
    if secret is not None and secret.holds is not None:
        message = f"Secret {name} holds {secret.holds}. It was left untouched. Choose another secretName."
        return OwnershipProblem("SecretNotOurs", message)
    if name.startswith(PENDING_PREFIX):
        message = (
            f"Names that start with {PENDING_PREFIX} are reserved for the keys of open orders. Choose another "
            "secretName."
        )
        return OwnershipProblem("SecretNotOurs", message)
    if name.startswith(REVISIONS_PREFIX):
        message = (
            f"Names that start with {REVISIONS_PREFIX} are reserved for kept revisions. Choose another secretName."
        )
        return OwnershipProblem("SecretNotOurs", message)
    return None


def _controller_problem(certificate: Certificate, secret: SecretFacts | None) -> OwnershipProblem | None:
    """Tell which object controls the Secret if the Certificate is to do so: the API server would refuse the write."""
    controller = secret.controller if secret is not None else None
    if controller is None or not certificate.spec.secret_owner_reference or controller[2] == certificate.metadata.uid:
        return None
    return OwnershipProblem(
        "SecretNotOurs",
        f"Secret {certificate.spec.secret_name} is controlled by {controller[0]} {controller[1]}, and only one "
        "object can control it. It was left untouched. Unset secretOwnerReference, or choose another secretName.",
    )


def _content_problem(secret: SecretFacts | None, requested: tuple[Identifier, ...]) -> OwnershipProblem | None:
    """Tell why the Secret that is there must be left alone, or None if it may be written.

    It may be written if Certwright wrote it, if it is empty, or if it holds a certificate for exactly the requested
    identifiers (a restored backup, a move from another cluster or tool): such a one is adopted.
    """
    if secret is None:
        return None
    if secret.type != TLS_TYPE:
        return OwnershipProblem(
            "SecretNotOurs",
            f"Secret {secret.name} exists with type {secret.type}, which cannot be changed to {TLS_TYPE}. "
            "It was left untouched. Delete it, or choose another secretName.",
        )
    if secret.certificate_name is not None or secret.empty:
        return None
    if secret.certificate is None:
        return OwnershipProblem(
            "SecretNotOurs",
            f"Secret {secret.name} holds data that Certwright did not write and cannot use: {secret.problem}. "
            "It was left untouched. Delete it, or choose another secretName.",
        )
    certified = certified_identifiers(secret.certificate)
    if certified == requested:
        return None
    return OwnershipProblem(
        "SecretNotOurs",
        f"Secret {secret.name} holds a certificate that Certwright did not write, for "
        f"{listed(shown_names(certified), none='no DNS name')} and not for {listed(shown_names(requested))}. "
        "It was left untouched. Delete it, or choose another secretName.",
    )


def find_other_owner(
    certificate: Certificate, claimants: Iterable[Certificate], secret: SecretFacts | None
) -> str | None:
    """Name the Certificate whose claim to the same Secret comes first, or None if it is this one's.

    First comes the one that wrote the Secret, then the older one, then the one whose name sorts first.

    Args:
        certificate: The one in question.
        claimants: All Certificates of its namespace that name the same Secret and are not being deleted.
        secret: The Secret, if it exists.
    """
    ranked = sorted(
        {claimant.metadata.name: claimant for claimant in [*claimants, certificate]}.values(),
        key=lambda claimant: (
            secret is None or secret.certificate_name != claimant.metadata.name,
            str(claimant.metadata.creation_timestamp or ""),
            claimant.metadata.name,
        ),
    )
    first = ranked[0].metadata.name
    return None if first == certificate.metadata.name else first
