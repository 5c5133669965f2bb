"""The status of an Issuer or ClusterIssuer of cert-manager, as its own controller would keep it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.spec import mapping
from certwright.mirror.conditions import READY, Fact, composed, readable
from certwright.resources import find_condition

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from certwright.resources import ClusterIssuer, Issuer

FIELDS: Final = ("conditions", "acme")
"""The fields of the status that are kept."""
REGISTERED: Final = Fact("True", "ACMEAccountRegistered", "The ACME account was registered with the ACME server")
KEY_HASH: Final = "lastPrivateKeyHash"
"""Which cert-manager compares at its next start; another account's would make it register again."""
ACCOUNT: Final = ("uri", "lastRegisteredEmail", KEY_HASH)
MAX_TEXT: Final = 2048
FAILED: Final = "ErrRegisterACMEAccount"


def issuer_status(
    present: Mapping[str, Any],
    ours: Issuer | ClusterIssuer | None,
    now: dt.datetime,
    *,
    generation: int,
    refusal: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return the fields of the status that are kept, as they should be.

    Args:
        present: The status as it is; of what is in it, transition times and conditions of other types stay.
        ours: The issuer that serves it; None if there is none yet.
        now: The present time.
        generation: Of its spec.
        refusal: Why it is not served, or not as it says now: reason and message; None if it is.
    """
    conditions = readable(present)
    fact = Fact("False", *refusal) if refusal is not None else _ready(ours)
    if fact is not None:
        conditions = composed(conditions, {READY: fact}, generation=generation, now=now)
    status: dict[str, Any] = {"conditions": conditions} if conditions else {}
    if acme := _account(mapping(mapping(present).get("acme")), ours):
        status["acme"] = acme
    return status


def _account(present: Mapping[str, Any], ours: Issuer | ClusterIssuer | None) -> dict[str, str]:
    """Return what is said of the account; what is known of it stays for as long as it is the same one."""
    known = {name: text for name in ACCOUNT if isinstance(text := present.get(name), str) and len(text) <= MAX_TEXT}
    account = ours.status.acme if ours is not None else None
    if account is None or account.uri is None:
        return known
    found = {"uri": account.uri, "lastRegisteredEmail": account.last_registered_email or ""}
    if known.get("uri") == account.uri and KEY_HASH in known:
        found[KEY_HASH] = known[KEY_HASH]
    return {name: text for name, text in found.items() if text}


def _ready(ours: Issuer | ClusterIssuer | None) -> Fact | None:
    """Return what Ready says; None before ours has been looked at: tools take that for the beginning."""
    if ours is None or ours.status.observed_generation != ours.metadata.generation:
        return None
    ready = find_condition(ours.status.conditions, READY)
    if ready is None:
        return None
    if ready.status == "True":
        return REGISTERED
    return Fact("False", FAILED, f"Failed to register ACME account: {ready.reason}: {ready.message}")
