"""How far an issuance is, as this process knows it: a status that says otherwise was written by another client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.seal import disowned, is_sealed, names_something, seal_of

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.resources import CertificateStatus, OrderStatus

OURS: Final = "this process"
"""The voucher for an order that this process placed."""


@dataclass(frozen=True)
class Progress:
    """What must not be taken from the status while this process lives, by the names of the status's fields.

    Attributes:
        order: The order, if there is one.
        failed_attempts: How many attempts in a row failed.
        last_failure_time: When the last one did.
        next_attempt_time: Before which there is none.
        voucher: Who says so: `OURS`, or the thumbprint of the account key that sealed the order.
    """

    order: OrderStatus | None
    failed_attempts: int
    last_failure_time: dt.datetime | None
    next_attempt_time: dt.datetime | None
    voucher: str

    @classmethod
    def of(cls, status: CertificateStatus, voucher: str) -> Progress | None:
        """Return what is to be remembered of a draft; None if there is nothing."""
        if status.order is None and not status.failed_attempts:
            return None
        return cls(status.order, status.failed_attempts, status.last_failure_time, status.next_attempt_time, voucher)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the status."""
        return {name: value for name, value in vars(self).items() if name != "voucher"}


def believed(observation: Observation) -> tuple[Observation, bool]:
    """Return the observation with a draft that can be acted on, and whether the status had an order of someone else's.

    What this process did it knows. An earlier process's order needs a seal by the key of the issuer that is to act on
    it: who holds another issuer's key could have sealed anything. While the issuer is not ready that cannot be told:
    the draft is neither remembered nor sealed then, and there are no credentials to act with.
    """
    progress, issuer, order = observation.memory.progress, observation.issuer, observation.status.order
    thumbprint = None if issuer is None else issuer.client.key.thumbprint
    if progress is not None and (thumbprint is None or progress.voucher in {OURS, thumbprint}):
        return observation.with_status(**progress.fields).remember(voucher=progress.voucher), False
    if order is None or not names_something(order):
        return observation.remember(voucher=OURS), False
    if issuer is None:
        return observation.remember(voucher=None), False
    if is_sealed(order, observation.uid, issuer.client.key):
        return observation.remember(voucher=thumbprint), False
    return observation.remember(voucher=OURS).with_status(order=disowned(order)), True


def sealed(observation: Observation) -> Observation:
    """Return the observation with the order of the draft sealed, as far as its content is vouched for."""
    order, issuer, voucher = observation.status.order, observation.issuer, observation.memory.voucher
    if order is None or issuer is None or voucher is None or not names_something(order):
        return observation
    return observation.with_order(seal=seal_of(order, observation.uid, issuer.client.key))
