"""Which order of a status is acted on: this process's own, or one that an earlier process sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.progress import OURS
from certwright.certificates.seal import disowned, is_sealed, names_something, seal_of

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation


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
