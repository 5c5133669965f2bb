"""The directory: the URLs of a server's resources and its metadata (RFC 8555 section 7.1.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from certwright.acme.errors import NotOffered
from certwright.acme.fields import Fields
from certwright.http.url import host_of, page_url
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response


_TERMS_SCHEMES: Final = frozenset({"https", "http", "data"})
"""Pebble has its terms in a data URL."""


@dataclass(frozen=True)
class DirectoryMeta:
    """What the server says about itself. All texts are printable and cut to 500 characters.

    Attributes:
        terms_of_service: URL of the current terms, or None; never a `javascript:` or `file:` URL.
        website: URL of the CA's web site, https or http, or None.
        caa_identities: The names by which CAA records mean this CA.
        external_account_required: Whether new accounts need an external account binding.
        profiles: Descriptions of the certificate profiles by their names; empty if the server has none.
        account_hash_prefix: What hashed account URIs in dns-persist-01 records begin with
            (draft-ietf-acme-dns-persist-02 section 4.1), or None for a server of an earlier draft.
    """

    terms_of_service: str | None = None
    website: str | None = None
    caa_identities: tuple[str, ...] = ()
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)
    account_hash_prefix: str | None = None


@dataclass(frozen=True)
class Directory:
    """The URLs of a server's resources; None for what it does not offer.

    Attributes:
        url: Where the directory itself is.
        new_nonce: Issues nonces (section 7.2).
        new_account: Creates and finds accounts (section 7.3).
        new_order: Creates orders (section 7.4).
        new_authz: Authorizes a domain before any order (section 7.4.1).
        revoke_cert: Revokes certificates (section 7.6).
        key_change: Replaces an account's key (section 7.3.5).
        renewal_info: Says when to renew (RFC 9773).
        meta: What the server says about itself.
    """

    url: str
    new_nonce: str
    new_account: str
    new_order: str
    new_authz: str | None = None
    revoke_cert: str | None = None
    key_change: str | None = None
    renewal_info: str | None = None
    meta: DirectoryMeta = field(default_factory=DirectoryMeta)

    @classmethod
    def parse(cls, response: Response, urls: UrlPolicy) -> Directory:
        """Parse a directory.

        Raises:
            MalformedResponse: The body is not a directory.
            UnsafeUrl: One of the URLs that every issuance needs must not be requested. The others are checked when
                they are requested.
        """
        fields = Fields.of(response, "the directory", urls)
        meta = fields.any_child("meta")
        return cls(
            url=response.url,
            new_nonce=fields.url("newNonce"),
            new_account=fields.url("newAccount"),
            new_order=fields.url("newOrder"),
            new_authz=fields.readable_url("newAuthz"),
            revoke_cert=fields.readable_url("revokeCert"),
            key_change=fields.readable_url("keyChange"),
            renewal_info=fields.readable_url("renewalInfo"),
            meta=DirectoryMeta() if meta is None else _parse_meta(meta),
        )


def _parse_meta(fields: Fields) -> DirectoryMeta:
    # Only shown and never requested, so they need not be safe to request, only to be shown as a link.
    return DirectoryMeta(
        terms_of_service=_terms(fields.shown("termsOfService")),
        website=page_url(fields.shown("website")),
        caa_identities=fields.shown_list("caaIdentities"),
        external_account_required=fields.flag("externalAccountRequired"),
        profiles=MappingProxyType(_profiles(fields)),
        account_hash_prefix=fields.shown("accountHashPrefix"),
    )


def _terms(text: str | None) -> str | None:
    """Return what names the terms, unless it is a link that does something else than showing them."""
    scheme, colon, _ = (text or "").partition(":")
    return None if colon and scheme.strip().lower() not in _TERMS_SCHEMES else text


def _profiles(fields: Fields) -> dict[str, str]:
    described = fields.any_child("profiles")
    if described is None:
        return dict.fromkeys(fields.shown_list("profiles"), "")
    return {printable(name): described.shown(name) or "" for name in described.document}


def offered(url: str | None, resource: str, directory: Directory) -> str:
    """Return the URL of an optional resource.

    Raises:
        NotOffered: The server does not have it.
    """
    if url is None:
        raise NotOffered(
            f"{host_of(directory.url)} does not offer {resource}: its directory has no such resource",
            resource=resource,
        )
    return url
