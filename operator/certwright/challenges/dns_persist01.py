"""dns-persist-01: a permanent TXT record, created once by a provider or the user, and used by every issuance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.acme import persistent_record_allows
from certwright.challenges.dns01 import PROPAGATION_SECONDS, check_zone, until_seen
from certwright.challenges.errors import NotVisible
from certwright.dns import Propagation, TxtRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from certwright.challenges.proof import Proof
    from certwright.dns import DnsView, Provider


class DnsPersist01:
    """dns-persist-01 (draft-ietf-acme-dns-persist). The directory shows which draft the server implements.

    Args:
        provider: Adds missing records; None if the user creates them.
        view: Checks whether the records exist. Required without a provider; a missing record is then reported with its
            exact text.
        issuer: Which of the challenge's issuer domain names to use; None for the first.
        wildcard: Whether added records also cover wildcards and subdomains; for an order with a wildcard, they always
            do.
        persist_until: When added records expire, aware; None for never.
        propagation_timeout: Seconds within which all servers must have the records.
        zone: The zone in which records are added; None for the one that contains each name.
        ttl: How long resolvers may cache added records, in seconds; None for the provider's default.
    """

    challenge_type: Final = "dns-persist-01"

    def __init__(
        self,
        provider: Provider | None = None,
        view: DnsView | None = None,
        *,
        issuer: str | None = None,
        wildcard: bool = False,
        persist_until: datetime | None = None,
        propagation_timeout: float = PROPAGATION_SECONDS,
        zone: str | None = None,
        ttl: int | None = None,
    ) -> None:
        self._provider = provider
        self._view = view
        self._issuer = issuer
        self._wildcard = wildcard
        self._persist_until = persist_until
        self._seconds = propagation_timeout
        self._zone = zone
        self._ttl = ttl

    def records(self, proofs: Sequence[Proof]) -> tuple[TxtRecord, ...]:
        """Return the required records, each once; a single record covers a name and its wildcard.

        Raises:
            UnsupportedChallenge: A challenge names no issuer, or not the requested one.
        """
        wildcards = {proof.txt_name for proof in proofs if proof.authorization.wildcard}
        return tuple(dict.fromkeys(self._record(proof, wildcards) for proof in proofs))

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Add the missing records. Raises `DnsError`, such as `ZoneNotFound` for a record outside of the zone."""
        if self._provider is not None:
            missing = [record for record, seen in await self._look(proofs) if seen is None or not seen.complete]
            for record in missing:
                check_zone(record.name, self._zone)
            if missing:
                await self._provider.present([replace(one, zone=self._zone, ttl=self._ttl) for one in missing])

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Query all authoritative servers until they have all records.

        Raises:
            NotVisible: They did not have them in time. Without a provider, the message says which records to create.
        """
        if self._view is None:
            return
        found = await self._look(proofs)
        absent = [(record, seen) for record, seen in found if seen is not None and not seen.complete]
        if absent and self._provider is None:
            wanted = "; ".join(f'{record.name} TXT "{record.value}"' for record, _ in absent)
            raise NotVisible(f"create these records, which then stay for every renewal: {wanted}")
        await until_seen(self._view.check, [record for record, _ in absent], seconds=self._seconds, required=True)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Leave the record for the next issuance. To withdraw the permission, remove it yourself."""

    def _record(self, proof: Proof, wildcards: set[str]) -> TxtRecord:
        wildcard = self._wildcard or proof.txt_name in wildcards
        value = proof.persistent_value(issuer=self._issuer, wildcard=wildcard, persist_until=self._persist_until)
        return TxtRecord(proof.txt_name, value)

    async def _look(self, proofs: Sequence[Proof]) -> list[tuple[TxtRecord, Propagation | None]]:
        """Return each required record with what was seen; a different record that authorizes as well is complete."""
        records = self.records(proofs)
        if self._view is None:
            return [(record, None) for record in records]
        by_name = {proof.txt_name: proof for proof in proofs}
        wildcards = {proof.txt_name for proof in proofs if proof.authorization.wildcard}
        looked: list[tuple[TxtRecord, Propagation | None]] = []
        for record, seen in zip(records, await self._view.check(records), strict=True):
            proof = by_name[record.name]
            enough = [
                any(
                    persistent_record_allows(
                        value,
                        issuers=proof.challenge.issuer_domain_names,
                        account_uri=proof.account_uri,
                        wildcard=record.name in wildcards,
                    )
                    for value in view.values
                )
                for view in seen.seen
                if view.error is None
            ]
            complete = seen.complete or (bool(enough) and all(enough))
            looked.append((record, Propagation(record, complete=complete, seen=seen.seen, error=seen.error)))
        return looked
