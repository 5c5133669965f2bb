"""dns-01 and dns-account-01 by TXT records that a DNS provider adds and removes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from certwright.challenges.errors import NotVisible
from certwright.dns import TxtRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.challenges.proof import Proof
    from certwright.dns import DnsView, Propagation, Provider

#: Seconds until a record has to be seen by all name servers, unless the caller says otherwise.
PROPAGATION_SECONDS: Final = 300.0

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_SHOWN: Final = 3


class Dns01:
    """dns-01 (RFC 8555 section 8.4): a value at `_acme-challenge.<name>`, or wherever a CNAME there points to.

    Args:
        provider: Changes the zones.
        view: Looks at them: follows CNAMEs, and asks every authoritative server until it has the records. None does
            neither, for those who know better; then the CA is told as soon as the provider is done.
        propagation_timeout: Seconds until all servers must have the records.
        required: Whether records that cannot be seen in time stop the issuance. False tells the CA all the same,
            where this host sees other servers than the world does (split horizon).
    """

    def __init__(
        self,
        provider: Provider,
        view: DnsView | None = None,
        *,
        propagation_timeout: float = PROPAGATION_SECONDS,
        required: bool = True,
    ) -> None:
        self._provider = provider
        self._view = view
        self._seconds = propagation_timeout
        self._required = required
        self._records: dict[Proof, TxtRecord] = {}
        # Two orders may share an authorization and with it a value: the last one removes it.
        self._holders: Counter[TxtRecord] = Counter()

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return "dns-01"

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Add all records at once. Raises `DnsError`."""
        records = await asyncio.gather(*map(self._record, proofs))
        for proof, record in zip(proofs, records, strict=True):
            if proof not in self._records:
                self._records[proof] = record
                self._holders[record] += 1
        await self._provider.present(list(dict.fromkeys(records)))

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Ask all authoritative servers until they have all records.

        Raises:
            NotVisible: They did not in time; says what was seen where.
        """
        if self._view is not None:
            records = list(dict.fromkeys(self._records[proof] for proof in proofs))
            await until_seen(self._view.check, records, seconds=self._seconds, required=self._required)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove exactly these values. Raises `DnsError`."""
        held = [record for proof in proofs if (record := self._records.pop(proof, None)) is not None]
        self._holders.subtract(held)
        gone = [record for record in dict.fromkeys(held) if self._holders[record] <= 0]
        for record in gone:
            del self._holders[record]
        if gone:
            await self._provider.clean_up(gone)

    async def _record(self, proof: Proof) -> TxtRecord:
        name = proof.txt_name
        if self._view is not None:
            name = await self._view.follow_cname(name)
        return TxtRecord(name, proof.txt_value)


class DnsAccount01(Dns01):
    """dns-account-01 (draft-ietf-acme-dns-account-label): as dns-01, at a name of the account's own.

    So several accounts, at one CA or several, can each have a CNAME of theirs for the same domain.
    """

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return "dns-account-01"


async def until_seen(
    look: Callable[[Sequence[TxtRecord]], Awaitable[Sequence[Propagation]]],
    records: Sequence[TxtRecord],
    *,
    seconds: float,
    required: bool,
) -> None:
    """Look until all records are where the CA will look.

    Raises:
        NotVisible: They were not in time, and that is required.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    missing = list(records)
    pause = _FIRST_PAUSE
    while missing:
        seen = await look(missing)
        unseen = [propagation for propagation in seen if not propagation.complete]
        missing = [propagation.record for propagation in unseen]
        if missing and loop.time() + pause > deadline:
            if not required:
                return
            shown = "; ".join(f"{item.record.name}: {item.describe()}" for item in unseen[:_SHOWN])
            raise NotVisible(f"after {seconds:g} s not all name servers have the TXT records. {shown}")
        if missing:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
