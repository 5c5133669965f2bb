"""Which order of a status is acted on: this process's own, or one that an earlier process sealed."""

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
    key = _key_of_order(observation, order if progress is None else progress.order)
    thumbprint = None if key is None else key.thumbprint
    if progress is not None and (thumbprint is None or progress.voucher in {OURS, thumbprint}):
        return observation.with_status(**progress.fields).remember(voucher=progress.voucher), False
    if order is None or not names_something(order):
        return observation.remember(voucher=OURS), False
    if key is None:
        return observation.remember(voucher=None), False
    if is_sealed(order, observation.uid, key):
        return observation.remember(voucher=thumbprint), False
    return observation.remember(voucher=OURS).with_status(order=disowned(order)), True


def sealed(observation: Observation) -> Observation:
    """Return the observation with the order of the draft sealed, as far as its content is vouched for."""
    order, voucher = observation.status.order, observation.memory.voucher
    key = _key_of_order(observation, order)
    if order is None or key is None or voucher is None or not names_something(order):
        return observation
    return observation.with_order(seal=seal_of(order, observation.uid, key))


def _key_of_order(observation: Observation, order: OrderStatus | None) -> AccountKey | None:
    """Return the account key of the issuer that an order belongs to, or None if it is not loaded."""
    named = order.issuer if order is not None else None
    reference = observation.reference
    if observation.issuer is not None and (
        named is None or (named.kind, named.name) == (reference.kind, reference.name)
    ):
        return observation.issuer.client.key
    return observation.order_issuer.account_key if observation.order_issuer is not None else None
