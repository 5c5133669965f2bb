"""What a CA offers and requires: the parts of its directory shown in a status, and the terms of service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.acme import AccountStatus, AcmeError, ProblemError
from certwright.resources import CaOffer
from certwright.text import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import AcmeServer, Client, Directory
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


class Terms(NamedTuple):
    """What an account has to do with its CA's terms of service.

    Attributes:
        agreed: Those that it has agreed to; None if the CA has none.
        refusal: Why it could not agree to those that its owner accepts, for people; None if it could, or need not.
    """

    agreed: str | None
    refusal: str | None = None


def is_to_agree(spec: AcmeIssuerSpec, *, agreed: str | None, terms: str | None) -> bool:
    """Whether an account is to agree to a CA's terms: they have changed, and its owner accepts them."""
    return None not in {agreed, terms} and agreed != terms and spec.accepted_terms == terms


async def current_directory(server: AcmeServer, spec: AcmeIssuerSpec) -> Directory:
    """Return the CA's directory, fetched again if its terms are not those that the issuer's owner accepts.

    Raises:
        AcmeError: It cannot be fetched.
    """
    directory = await server.directory()
    if spec.accepted_terms in {None, directory.meta.terms_of_service}:
        return directory
    return await server.directory(refresh=True)


async def terms_of(client: Client, spec: AcmeIssuerSpec, directory: Directory, *, agreed: str | None) -> Terms:
    """Return the terms that an account has agreed to, after agreeing to those that its owner accepts now.

    A CA that refuses that goes on by the former ones, so it stops nobody.

    Args:
        client: The account.
        spec: The issuer's.
        directory: The CA's.
        agreed: What the account agreed to before; None if that is not known.

    Raises:
        AcmeError: The CA refused, and does not let the account do anything else.
    """
    terms = directory.meta.terms_of_service
    if not is_to_agree(spec, agreed=agreed, terms=terms):
        return Terms(agreed or terms)
    try:
        await client.agree_to_terms()
    except ProblemError as error:
        if (await client.fetch_account()).status is not AccountStatus.VALID:
            raise
        return Terms(agreed, str(error))
    except AcmeError as error:
        return Terms(agreed, str(error))
    return Terms(terms)


def changed_terms(agreed: str | None, terms: str | None, refusal: str | None = None) -> str | None:
    """Say that a CA's terms have changed, and what to do; None if they have not.

    Args:
        agreed: What the account agreed to.
        terms: The CA's.
        refusal: Why it could not agree to them, though its owner does.
    """
    if agreed is None or terms is None or terms == agreed:
        return None
    changed = f"The CA's terms of service have changed: they are {terms} now, and the account agreed to {agreed}."
    works = "The issuer keeps working until the CA requires this."
    if refusal is None:
        return f"{changed} Read them, and set spec.acme.acceptedTerms to their URL to agree. {works}"
    return (
        f"{changed} The operator could not agree to them: {sentence(refusal)} It tries again within twelve hours; if "
        f"that does not help, agree on the CA's web site. {works}"
    )
