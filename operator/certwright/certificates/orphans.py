"""Which records of an order go on the list of orphaned DNS records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.order.responses import presented_responses, response_of
from certwright.challenges.response import RecordResponse
from certwright.issuers.left_records import LeftRecord
from certwright.issuers.registry import key_of
from certwright.runtime.key import Key

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from certwright.certificates.observation import Memory, Observation
    from certwright.challenges.response import ChallengeResponse
    from certwright.issuers.left_records import Cause
    from certwright.issuers.registry import IssuerRegistry
    from certwright.resources import CertificateStatus, OrderStatus


def left_records(
    observation: Observation,
    registry: IssuerRegistry,
    cause: Cause,
    now: dt.datetime,
    responses: Mapping[str, ChallengeResponse] | None = None,
) -> list[LeftRecord]:
    """Return the records of a Certificate's order that are, or may be, in the DNS.

    Args:
        observation: The Certificate, with the order in the draft of its status.
        registry: The issuers.
        cause: Why they are left.
        now: The present time.
        responses: Some of them, by the authorization's name; None for all.
    """
    order = observation.status.order
    if order is None:
        return []
    outside = presented_responses(observation.status) if responses is None else responses
    issuer = _issuer_of(order, observation.namespace) or observation.issuer_key
    key = Key("Certificate", observation.namespace, observation.certificate.metadata.name)
    return list(_of(outside, key, observation.uid, issuer, registry, cause=cause, since=now))


def records_in_place(key: Key, uid: str, memory: Memory, registry: IssuerRegistry) -> list[LeftRecord]:
    """Return the records that this process has in place for a Certificate, or is about to; what a status says is none.

    Args:
        key: The Certificate.
        uid: Of the object.
        memory: What this process knows of it.
        registry: The issuers.
    """
    order = memory.progress.order if memory.progress is not None else None
    if order is None or not any(one.presented and one.record is not None for one in order.authorizations):
        return []
    entries = (one for one in order.authorizations if one.presented)
    outside = {one.name: response for one in entries if (response := response_of(one)) is not None}
    issuer = _issuer_of(order, key.namespace) or memory.issuer_key
    if issuer is None:
        return []
    return list(_of(outside, key, uid, issuer, registry, cause="InPlace", since=order.created_at))


def named_records(statuses: Iterable[CertificateStatus]) -> set[tuple[str, str]]:
    """Return names and values of the records that statuses name as in place, whoever wrote them."""
    return {
        (one.record.name, one.record.value)
        for status in statuses
        if status.order is not None
        for one in status.order.authorizations
        if one.presented and one.record is not None
    }


def _issuer_of(order: OrderStatus, namespace: str) -> Key | None:
    """Return the issuer that an order names, or None."""
    return None if order.issuer is None else key_of(order.issuer.kind, order.issuer.name, namespace)


def _of(
    outside: Mapping[str, ChallengeResponse],
    key: Key,
    uid: str,
    issuer: Key,
    registry: IssuerRegistry,
    *,
    cause: Cause,
    since: dt.datetime,
) -> Iterator[LeftRecord]:
    loaded = registry.loaded(issuer)
    for name, response in outside.items():
        if isinstance(response, RecordResponse):
            yield LeftRecord(
                record=response,
                domain=name,
                issuer=issuer,
                issuer_uid=loaded.uid if loaded is not None else "",
                certificate=key,
                certificate_uid=uid,
                cause=cause,
                since=since,
                is_followed=cause == "InPlace",
                account_key=loaded.account_key if loaded is not None else None,
            )
