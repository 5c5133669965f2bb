"""Decides whether to act on the order in a status: it must be this process's own, or sealed by an earlier process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.progress import OURS
from certwright.certificates.seal import disowned, is_sealed, names_something, seal_of

if TYPE_CHECKING:
    from certwright.acme import AccountKey
    from certwright.certificates.observation import Observation
    from certwright.resources import OrderStatus


def believed(observation: Observation) -> tuple[Observation, bool]:
    """Return the observation with a draft that can be acted on, and whether the status had an order of someone else's.

    What this process did it knows. An earlier process's order needs a seal by the key of the issuer that it names,
    which is to act on it: who holds another issuer's key could have sealed anything. While that issuer's key is not
    loaded that cannot be told: the draft is neither remembered nor sealed then, and there are no credentials to act
    with.
    """
    progress, order = observation.memory.progress, observation.status.order
    keys = _keys_of_order(observation, order if progress is None else progress.order)
    vouchers = {OURS, *(key.thumbprint for key in keys)}
    if progress is not None and (not keys or progress.voucher in vouchers):
        return observation.with_status(**progress.fields).remember(voucher=progress.voucher), False
    if order is None or not names_something(order):
        return observation.remember(voucher=OURS), False
    if not keys:
        return observation.remember(voucher=None), False
    if any(is_sealed(order, observation.uid, key) for key in keys):
        return observation.remember(voucher=keys[0].thumbprint), False
    return observation.remember(voucher=OURS).with_status(order=disowned(order)), True


def sealed(observation: Observation) -> Observation:
    """Return the observation with the order of the draft sealed, as far as its content is vouched for."""
    order, voucher = observation.status.order, observation.memory.voucher
    keys = _keys_of_order(observation, order)
    if order is None or not keys or voucher is None or not names_something(order):
        return observation
    return observation.with_order(seal=seal_of(order, observation.uid, keys[0]))


def _keys_of_order(observation: Observation, order: OrderStatus | None) -> tuple[AccountKey, ...]:
    """Return the account keys of the issuer that an order belongs to, the present one first; none if it is not loaded.

    The one before the last rotation counts as well: it has sealed the orders that were open then.
    """
    named = order.issuer if order is not None else None
    reference = observation.reference
    if observation.issuer is not None and (
        named is None or (named.kind, named.name) == (reference.kind, reference.name)
    ):
        return observation.issuer.loaded.seal_keys
    return observation.order_issuer.seal_keys if observation.order_issuer is not None else ()
