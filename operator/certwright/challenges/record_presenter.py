"""dns-01 (RFC 8555 section 8.4): the record, put where the name is delegated to, seen by every server, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.acme import dns01_value
from certwright.challenges.response import RecordResponse

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from certwright.challenges.presenter import PresentedObject, SelfCheckMode
    from certwright.challenges.response import ChallengeResponse
    from certwright.dns import DnsView, Propagation, Provider

CHALLENGE_LABEL: Final = "_acme-challenge"


class Dns01Presenter:
    """Presents and removes TXT records with one DNS provider.

    Args:
        provider: Changes the zones.
        view: Looks at them.
        destination: Where the provider puts records: those of solvers with another one are elsewhere.
        follow_cname: Whether a CNAME at ``_acme-challenge`` names the place for the record (delegation).
        patience: How long the records are looked for.
    """

    challenge_type: Final = "dns-01"
    self_check: SelfCheckMode = "required"

    def __init__(
        self, provider: Provider, view: DnsView, *, destination: str, follow_cname: bool, patience: dt.timedelta
    ) -> None:
        self._provider = provider
        self.destination = destination
        self._view = view
        self._follow_cname = follow_cname
        self.patience = patience

    async def place(self, name: str) -> str:
        """Return where the record that proves control of a name has to stand.

        Args:
            name: The identifier; of a wildcard the name below ``*.`` counts (RFC 8555 section 7.1.3).

        Raises:
            DnsError: The CNAME chain cannot be followed.
        """
        owner = f"{CHALLENGE_LABEL}.{name.removeprefix('*.')}"
        return await self._view.follow_cname(owner) if self._follow_cname else owner

    def respond(self, place: str, token: str, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return the record."""
        return RecordResponse(place, dns01_value(key_authorization))

    def objects_for(self, responses: Sequence[ChallengeResponse]) -> tuple[PresentedObject, ...]:  # noqa: ARG002 - the protocol's form
        """Return nothing: records are not in the cluster."""
        return ()

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Add the records; those that are there already stay. Raises `DnsError`."""
        await self._provider.present(_records(responses))

    async def check(self, responses: Sequence[ChallengeResponse]) -> tuple[Propagation, ...]:
        """Ask every authoritative server of each record, once. Raises `DnsError`."""
        return await self._view.check(_records(responses))

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Remove exactly these records; one that is gone already is success. Raises `DnsError`."""
        await self._provider.clean_up(_records(responses))


def _records(responses: Sequence[ChallengeResponse]) -> list[RecordResponse]:
    records = [response for response in responses if isinstance(response, RecordResponse)]
    if len(records) < len(responses):
        raise AssertionError("a dns-01 solver was given what is no TXT record")
    return records
