"""What a CA offers and asks for: what of its directory a status shows, and the terms of service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.resources import CaOffer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import Client, Directory
    from certwright.resources import AcmeIssuerSpec

MAX_WEBSITE: Final = 512
MAX_NAME: Final = 256
MAX_PROFILES: Final = 32
MAX_SHOWN: Final = 16


def offer_of(directory: Directory, *, challenges: Iterable[str] = ()) -> CaOffer:
    """Return what a status shows of a directory.

    Args:
        directory: The CA's.
        challenges: The challenge types that it has offered so far.
    """
    meta = directory.meta
    return CaOffer(
        external_account_required=meta.external_account_required,
        website=meta.website if meta.website is not None and len(meta.website) <= MAX_WEBSITE else None,
        caa_identities=_short(meta.caa_identities, MAX_SHOWN),
        profiles=_short(sorted(meta.profiles), MAX_PROFILES),
        challenges=_short(sorted(set(challenges)), MAX_SHOWN),
    )


def _short(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return what has a place in a status: a CA may list anything."""
    return tuple(dict.fromkeys(text for text in texts if text and len(text) <= MAX_NAME))[:most]


async def terms_of(client: Client, spec: AcmeIssuerSpec, directory: Directory, *, agreed: str | None) -> str | None:
    """Return the terms that an account has agreed to, after agreeing to those that its owner accepts now.

    Args:
        client: The account.
        spec: The issuer's.
        directory: The CA's.
        agreed: What the account agreed to before; None if that is not known.

    Raises:
        AcmeError: The CA did not answer or refused.
    """
    terms = directory.meta.terms_of_service
    if agreed is None or terms is None or terms == agreed:
        return agreed or terms
    if spec.accepted_terms == terms:
        await client.agree_to_terms()
        return terms
    return agreed


def changed_terms(agreed: str | None, terms: str | None) -> str | None:
    """Say that a CA's terms have changed, and what to do; None if they have not."""
    if agreed is None or terms is None or terms == agreed:
        return None
    return (
        f"The CA's terms of service have changed: they are {terms} now, and the account agreed to {agreed}. Read them, "
        "and set spec.acme.acceptedTerms to their URL to agree. The issuer keeps working until the CA requires this."
    )
