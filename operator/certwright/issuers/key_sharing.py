"""Issuers that share the Secret with the account key: a rotation must not lose their keys, nor count as theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.http.url import same_origin
from certwright.issuers.registry import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from certwright.resources import ClusterIssuer, Issuer
    from certwright.runtime.key import Key


@dataclass(frozen=True)
class KeySharing:
    """What other issuers have to do with the Secret of an account key.

    Attributes:
        refusal: Why the key must not be replaced, for people; None if nothing speaks against it.
        requests: The rotations that others ask for, of the same key.
        rotates: Whether others may replace it, by request or by age.
    """

    refusal: str | None = None
    requests: frozenset[str] = frozenset()
    rotates: bool = False


def key_sharing(
    issuer: Issuer | ClusterIssuer,
    account_url: str,
    issuers: Iterable[Issuer | ClusterIssuer],
    namespace_of: Callable[[Key], str],
) -> KeySharing:
    """Look for other issuers that name the same Secret.

    Args:
        issuer: The one whose key may be replaced.
        account_url: Its account.
        issuers: All that are known, itself included.
        namespace_of: Where the Secrets of an issuer are.
    """
    mine, me = issuer.spec.acme, _key(issuer)
    refusal: str | None = None
    requests: set[str] = set()
    rotates = False
    for other in issuers:
        theirs, them, account = other.spec.acme, _key(other), other.status.acme
        reference = theirs.private_key_secret_ref
        if (reference.name, namespace_of(them)) != (mine.private_key_secret_ref.name, namespace_of(me)):
            continue
        place = f"Secret {namespace_of(them)}/{reference.name}"
        if reference.key != mine.private_key_secret_ref.key:
            # What the Secret says of the last rotation would be said of both keys.
            refusal = f"{them} has its account key in the entry {reference.key} of {place}, which is for one key"
            continue
        url = account.uri if account is not None else None
        # One host may have several CAs; that a directory has moved the account tells.
        elsewhere = theirs.server != mine.server and (url is None or not same_origin(theirs.server, mine.server))
        if elsewhere or url not in {None, account_url}:
            refusal = f"{them} uses {place} for an account at another CA, which would not know the new key"
        if them != me and theirs.account_key_rotation is not None:
            rotates = True
            if theirs.account_key_rotation.request is not None:
                requests.add(theirs.account_key_rotation.request)
    return KeySharing(refusal, frozenset(requests), rotates)


def _key(issuer: Issuer | ClusterIssuer) -> Key:
    return key_of(issuer.KIND, issuer.metadata.name, issuer.metadata.namespace or "")
