"""The progress of an issuance in this process's memory; a status that differs was written by another client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime as dt

    from certwright.resources import CertificateStatus, OrderStatus

OURS: Final = "this process"
"""The voucher of an order that this process placed."""


@dataclass(frozen=True)
class Progress:
    """What this process knows better than the status; attributes have the names of the status's fields.

    Attributes:
        order: The order, if there is one.
        failed_attempts: The number of consecutive failed attempts.
        last_failure_time: When the last one failed.
        next_attempt_time: The earliest time of the next one.
        recent_orders: When recent orders were placed.
        voucher: The source: `OURS`, or the thumbprint of the account key that sealed the order.
    """

    order: OrderStatus | None
    failed_attempts: int
    last_failure_time: dt.datetime | None
    next_attempt_time: dt.datetime | None
    recent_orders: tuple[dt.datetime, ...]
    voucher: str

    @classmethod
    def of(cls, status: CertificateStatus, voucher: str) -> Progress | None:
        """Return what to remember of a draft; None if there is nothing."""
        if status.order is None and not status.failed_attempts and not status.recent_orders:
            return None
        return cls(
            order=status.order,
            failed_attempts=status.failed_attempts,
            last_failure_time=status.last_failure_time,
            next_attempt_time=status.next_attempt_time,
            recent_orders=status.recent_orders,
            voucher=voucher,
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the status."""
        return {name: value for name, value in vars(self).items() if name != "voucher"}
