"""The credentials that a DNS provider signs or logs in with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_WHAT: Final = "credential"


@dataclass(frozen=True)
class Credential:
    """A secret value. Never show it: its repr does not.

    Attributes:
        value: The secret.
        source: Where it was read, for messages: `the entry secret of Secret dns/tsig`. It is a part of equality: the
            same secret from two places is two credentials, so that no message names somebody else's Secret.
    """

    value: str = field(repr=False)
    source: str = ""


def credential(what: str) -> dict[str, Any]:
    """Return the metadata of a field that holds a `Credential`.

    Args:
        what: What it is called in messages, such as `TSIG secret`.
    """
    return {_WHAT: what}


def credential_name(metadata: Any) -> str | None:
    """Return what the credential of a field is called, or None if the field holds none."""
    name: str | None = metadata.get(_WHAT)
    return name
