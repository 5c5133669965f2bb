"""Whose Secret is it? What Certwright did not write it neither replaces nor removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.order_request import wanted_names
from certwright.certificates.secret_facts import TLS_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.certificates.secret_facts import SecretFacts
    from certwright.resources import Certificate


@dataclass(frozen=True)
class Conflict:
    """Why the Secret is not for this Certificate: a reason of one word and a message for people."""

    reason: str
    message: str


def conflict_over_secret(
    certificate: Certificate, secret: SecretFacts | None, rival_name: str | None
) -> Conflict | None:
    """Tell why the Secret must be left alone, or None if this Certificate may write it.

    Args:
        certificate: The Certificate.
        secret: The Secret it names, or None if there is none.
        rival_name: Another Certificate with the better claim, see `rival`.
    """
    if rival_name is not None:
        return Conflict(
            "SecretClaimed",
            f"Secret {certificate.spec.secret_name} belongs to Certificate {rival_name}, which was there first. Give "
            "this Certificate a secretName of its own, or delete the other one.",
        )
    return _conflict_with_content(certificate, secret)


def _conflict_with_content(certificate: Certificate, secret: SecretFacts | None) -> Conflict | None:
    """Tell why the Secret that is there must be left alone, or None if it may be written.

    It may be written if Certwright wrote it, if it is empty, or if it holds a certificate for exactly the names that
    are wanted (a restored backup, a move from another cluster or tool): such a one is adopted.
    """
    if secret is None:
        return None
    if secret.type != TLS_TYPE:
        return Conflict(
            "SecretNotOurs",
            f"Secret {secret.name} exists with type {secret.type}, which cannot be changed to {TLS_TYPE}. "
            "It was left untouched. Delete it, or choose another secretName.",
        )
    if secret.certificate_name is not None or secret.empty:
        return None
    if secret.certificate is None:
        return Conflict(
            "SecretNotOurs",
            f"Secret {secret.name} holds data that Certwright did not write and cannot use: {secret.problem}. "
            "It was left untouched. Delete it, or choose another secretName.",
        )
    names = wanted_names(certificate)
    if secret.certificate.dns_names == names and not secret.certificate.ip_addresses:
        return None
    return Conflict(
        "SecretNotOurs",
        f"Secret {secret.name} holds a certificate that Certwright did not write, for "
        f"{_listed(secret.certificate.dns_names)} and not for {_listed(names)}. It was left untouched. "
        "Delete it, or choose another secretName.",
    )


def rival(certificate: Certificate, claimants: Iterable[Certificate], secret: SecretFacts | None) -> str | None:
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


def _listed(names: tuple[str, ...], most: int = 3) -> str:
    shown = ", ".join(names[:most]) or "no DNS name"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
