"""The Secret with an issuer's account key and, during a rotation, the next and the former key."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import AccountKey, AcmeError
from certwright.failures import IssuanceError
from certwright.kube.errors import Conflict, NotFound
from certwright.kube.secrets import EntryTooLarge, encoded, entry_of
from certwright.resources import ACCOUNT_KEY_COMPONENT, COMPONENT_LABEL
from certwright.resources.group import GROUP
from certwright.runtime.labour import in_thread
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.api import KubeApi
    from certwright.resources import AccountKeyRef, AcmeIssuerSpec

UPCOMING: Final = ".next"
"""Follows the name of the key's entry: a key that may be the account's already, if a rotation was interrupted."""
FORMER: Final = ".previous"
"""The same for the key that was replaced last: it has sealed the orders that were open then."""
DISPLACED: Final = ".displaced"
"""The same for a key that somebody put in the account's place while a rotation was under way."""
CREATED_ANNOTATION: Final = f"{GROUP}/account-key-created-at"
"""When the key was made, if that was after the Secret."""
REQUEST_ANNOTATION: Final = f"{GROUP}/account-key-request"
"""The `accountKeyRotation.request` that was carried out last. It is written with the key, in one write."""
FORMER_REQUESTS_ANNOTATION: Final = f"{GROUP}/account-key-former-requests"
"""The requests before it, the last first: of issuers that share a key each may have asked for one."""
UPCOMING_ANNOTATION: Final = f"{GROUP}/account-key-next-request"
"""The request for which there is a next key."""
UPCOMING_CREATED_ANNOTATION: Final = f"{GROUP}/account-key-next-created-at"
"""When the next key was made: a request with it may be on its way to the CA."""
MAX_FORMER_REQUESTS: Final = 16
MAX_REQUEST: Final = 64
"""Characters of a request; see `AccountKeyRotation.request`."""
MAX_TRIES: Final = 5
"""How often a confirmed key is written while others change the Secret."""


@dataclass(frozen=True)
class AccountKeySecret:
    """The keys of an account, as its Secret has them.

    Attributes:
        key: The account's key.
        upcoming: What it may have been replaced by: only the CA knows. None if no rotation is under way.
        former: What was replaced last, or None.
        reference: The Secret and the entry of the key.
        created_at: When the key was made, as far as the Secret tells.
        request: The request for a rotation that was carried out last.
        former_requests: Those before it.
        upcoming_request: The request that the next key is for.
        upcoming_created_at: When the next key was made, as far as the Secret tells.
        is_provided: Whether something else than Certwright made the Secret.
        is_immutable: Whether nothing of it can be changed.
        has_certificate: Whether there is a certificate beside the key, which another key would not fit.
        is_new: Whether the key was generated just now, so that no CA can know it.
        has_displaced: Whether a rotation has just moved what somebody else put in the place of the key.
        body: The metadata of the Secret as it was read.
    """

    key: AccountKey
    upcoming: AccountKey | None
    former: AccountKey | None
    reference: AccountKeyRef
    created_at: dt.datetime | None
    request: str | None
    former_requests: tuple[str, ...]
    upcoming_request: str | None
    upcoming_created_at: dt.datetime | None
    is_provided: bool
    is_immutable: bool
    has_certificate: bool
    is_new: bool
    body: Mapping[str, Any]
    has_displaced: bool = False

    @property
    def name(self) -> str:
        """The name of the Secret."""
        return self.reference.name

    @property
    def forgets_requests(self) -> bool:
        """Whether there were more requests than are remembered."""
        return len(self.former_requests) >= MAX_FORMER_REQUESTS

    @property
    def version(self) -> str:
        """The resourceVersion it was read at."""
        return str(self.body["metadata"].get("resourceVersion") or "")


async def obtain_account_key(kube_api: KubeApi, spec: AcmeIssuerSpec, namespace: str) -> AccountKeySecret:
    """Return the account key that an issuer's ``privateKeySecretRef`` names; generate and store it if it is missing.

    Args:
        kube_api: The API server.
        spec: The issuer's spec.
        namespace: The namespace of the issuer's Secrets.

    Raises:
        IssuanceError: The Secret is missing and must not be created, or it holds something else.
        KubeError: The API server did not answer or refused.
    """
    reference = spec.private_key_secret_ref
    found = await kube_api.read_secret(namespace, reference.name)
    if found is not None:
        return await _parsed(found, reference, namespace)
    if spec.disable_account_key_generation or spec.only_return_existing:
        option = "disableAccountKeyGeneration" if spec.disable_account_key_generation else "onlyReturnExisting"
        raise IssuanceError(
            "AccountKeyMissing",
            f"Secret {namespace}/{reference.name} does not exist, and {option} forbids creating it. Create it with the "
            f"account's private key in the entry {reference.key}.",
        )
    key = await asyncio.to_thread(AccountKey.generate, spec.account_key_algorithm, size=spec.account_key_size)
    try:
        # The key is stored before the CA sees it: a crash in between loses no account.
        made = await kube_api.create_secret(_new_secret(spec, namespace, key))
    except Conflict:
        # Another writer was faster; its key is the account's key now.
        return await _parsed(await kube_api.read_secret(namespace, reference.name), reference, namespace)
    return _with_facts(made, reference, key, is_new=True)


def _new_secret(spec: AcmeIssuerSpec, namespace: str, key: AccountKey) -> dict[str, Any]:
    reference, rotation = spec.private_key_secret_ref, spec.account_key_rotation
    secret = account_key_secret(namespace, reference.name, reference.key, key.to_pem())
    if rotation is not None and rotation.request is not None:
        # A new key need not be replaced because of it.
        secret["metadata"]["annotations"] = {REQUEST_ANNOTATION: rotation.request}
    return secret


async def _parsed(found: dict[str, Any] | None, reference: AccountKeyRef, namespace: str) -> AccountKeySecret:
    key = await _key_in(found, reference, reference.key, namespace)
    if key is None or found is None:
        raise IssuanceError(
            "AccountKeyMissing",
            f"Secret {namespace}/{reference.name} exists, but has no entry {reference.key}. It was left untouched. Put "
            "the account's private key there, or name another Secret in privateKeySecretRef.",
        )
    return _with_facts(
        found,
        reference,
        key,
        upcoming=await _key_in(found, reference, reference.key + UPCOMING, namespace),
        former=await _key_in(found, reference, reference.key + FORMER, namespace),
    )


async def _key_in(
    found: dict[str, Any] | None, reference: AccountKeyRef, entry: str, namespace: str
) -> AccountKey | None:
    """Return the key in one entry of the Secret, or None if there is none.

    Raises:
        IssuanceError: What is there is no key. That holds for the other entries as well: one may be the account's.
    """
    try:
        pem = entry_of(found, entry)
        return await in_thread(AccountKey.from_pem, pem) if pem else None
    except (EntryTooLarge, AcmeError) as error:
        place = f"The entry {entry} of Secret {namespace}/{reference.name} cannot be used: {error}"
        remedy = (
            "Put the account's private key there, unencrypted and in PEM. For a new account name another Secret in "
            "privateKeySecretRef."
            if entry == reference.key
            else "It is from a rotation of the account key: restore it, or remove the entry."
        )
        raise IssuanceError("AccountKeyUnusable", f"{place}. It was left untouched. {remedy}") from None


def _with_facts(
    found: Mapping[str, Any],
    reference: AccountKeyRef,
    key: AccountKey,
    *,
    upcoming: AccountKey | None = None,
    former: AccountKey | None = None,
    is_new: bool = False,
) -> AccountKeySecret:
    metadata = found.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    ours = (metadata.get("labels") or {}).get(COMPONENT_LABEL) == ACCOUNT_KEY_COMPONENT
    return AccountKeySecret(
        key=key,
        upcoming=upcoming,
        former=former,
        reference=reference,
        created_at=_time(annotations.get(CREATED_ANNOTATION)) or _time(metadata.get("creationTimestamp")),
        request=annotations.get(REQUEST_ANNOTATION),
        former_requests=_requests(annotations.get(FORMER_REQUESTS_ANNOTATION) or ""),
        upcoming_request=annotations.get(UPCOMING_ANNOTATION),
        upcoming_created_at=_time(annotations.get(UPCOMING_CREATED_ANNOTATION)),
        is_provided=not ours or bool(metadata.get("ownerReferences")),
        is_immutable=bool(found.get("immutable")),
        has_certificate="tls.crt" in (found.get("data") or {}),
        is_new=is_new,
        body={"metadata": metadata},
    )


def _time(text: object) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _requests(text: str) -> tuple[str, ...]:
    """Return the requests in an annotation, without what could not be one: annotations have a limit."""
    return tuple(one for one in text.split() if len(one) <= MAX_REQUEST)[:MAX_FORMER_REQUESTS]


def account_key_secret(namespace: str, name: str, entry: str, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that stores an issuer's account key. It has no owner: a deleted Issuer may be recreated."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"namespace": namespace, "name": name, "labels": {COMPONENT_LABEL: ACCOUNT_KEY_COMPONENT}},
        "data": {entry: encoded(key_pem)},
    }


async def announce(
    kube_api: KubeApi, keys: AccountKeySecret, upcoming: AccountKey, request: str | None, now: dt.datetime
) -> AccountKeySecret:
    """Store the key that is going to replace the account's, beside it: the CA may know it from now on.

    Args:
        kube_api: The API server.
        keys: The present one.
        upcoming: The next one.
        request: The request that it is for, or None.
        now: The present time.

    Raises:
        Conflict: The Secret has changed since it was read.
    """
    change = {
        "metadata": {"annotations": {UPCOMING_ANNOTATION: request, UPCOMING_CREATED_ANNOTATION: rfc3339(now)}},
        "data": {keys.reference.key + UPCOMING: encoded(upcoming.to_pem())},
    }
    written = await kube_api.change_secret(keys.body, change)
    return _with_facts(written, keys.reference, keys.key, upcoming=upcoming, former=keys.former)


async def withdraw(kube_api: KubeApi, keys: AccountKeySecret) -> AccountKeySecret:
    """Remove the key that was going to replace the account's; the CA does not know it.

    Raises:
        Conflict: The Secret has changed since it was read.
    """
    change = {
        "metadata": {"annotations": {UPCOMING_ANNOTATION: None, UPCOMING_CREATED_ANNOTATION: None}},
        "data": {keys.reference.key + UPCOMING: None},
    }
    written = await kube_api.change_secret(keys.body, change)
    return _with_facts(written, keys.reference, keys.key, former=keys.former)


async def forget_former(kube_api: KubeApi, keys: AccountKeySecret) -> AccountKeySecret:
    """Remove the key that was replaced last: every order that it sealed is over.

    Raises:
        Conflict: The Secret has changed since it was read.
    """
    written = await kube_api.change_secret(keys.body, {"data": {keys.reference.key + FORMER: None}})
    return _with_facts(written, keys.reference, keys.key, upcoming=keys.upcoming)


async def promote(kube_api: KubeApi, keys: AccountKeySecret, namespace: str, now: dt.datetime) -> AccountKeySecret:
    """Make the next key the account's, in one write: the CA has confirmed it, and knows the other no more.

    It is written whatever else has become of the Secret meanwhile: without it the account would be lost.

    Args:
        kube_api: The API server.
        keys: With the next key.
        namespace: Of the Secret.
        now: The present time.

    Raises:
        KubeError: It could not be written. Both keys still are in the Secret, unless others removed them.
    """
    entry, upcoming = keys.reference.key, keys.upcoming
    if upcoming is None:
        raise AssertionError("there is no next key")
    request = keys.request if keys.upcoming_request is None else keys.upcoming_request
    done = (*_requests(keys.request or ""), *keys.former_requests)
    earlier = dict.fromkeys(one for one in done if one != request)
    annotations = {
        CREATED_ANNOTATION: rfc3339(now),
        REQUEST_ANNOTATION: request,
        FORMER_REQUESTS_ANNOTATION: " ".join([*earlier][:MAX_FORMER_REQUESTS]) or None,
        UPCOMING_ANNOTATION: None,
        UPCOMING_CREATED_ANNOTATION: None,
    }
    change: dict[str, dict[str, Any]] = {
        "metadata": {"annotations": annotations},
        "data": {
            entry: encoded(upcoming.to_pem()),
            entry + FORMER: encoded(keys.key.to_pem()),
            entry + UPCOMING: None,
        },
    }
    body: Mapping[str, Any] | None = keys.body
    displaced: str | None = None
    for _ in range(MAX_TRIES):
        try:
            if body is None:
                made = account_key_secret(namespace, keys.name, entry, upcoming.to_pem())
                made["metadata"]["annotations"] = {key: text for key, text in annotations.items() if text is not None}
                written = await kube_api.create_secret(made)
            else:
                written = await kube_api.change_secret(body, change)
        except (Conflict, NotFound):
            body = await kube_api.read_secret(namespace, keys.name)
            displaced = await _displaced(body, keys) or displaced
            if displaced is not None:
                change["data"][entry + DISPLACED] = displaced
        else:
            promoted = _with_facts(written, keys.reference, upcoming, former=keys.key)
            return replace(promoted, has_displaced=displaced is not None)
    raise Conflict("write the new account key", message="other clients changed its Secret during each attempt")


async def _displaced(found: dict[str, Any] | None, keys: AccountKeySecret) -> str | None:
    """Return what somebody put in the place of a key meanwhile, if it is neither that key nor the next one."""
    content = ((found or {}).get("data") or {}).get(keys.reference.key)
    try:
        present = await in_thread(AccountKey.from_pem, entry_of(found, keys.reference.key))
    except (EntryTooLarge, AcmeError):
        return content or None
    return None if present in {keys.key, keys.upcoming} else content
