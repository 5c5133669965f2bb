"""dns-01 and dns-account-01, with TXT records that a DNS provider adds and removes."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.acme import dns01_name, dns01_value, dns_account01_name
from certwright.challenges.errors import NotVisible
from certwright.challenges.holders import Holders
from certwright.challenges.response import AccountRecordResponse, RecordResponse
from certwright.dns import ChangeTracker, CnameNotAllowed, InvalidName, Propagation, ZoneNotFound, normalise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from certwright.acme import Challenge
    from certwright.challenges.presenter import PresentedObject, SelfCheckMode
    from certwright.challenges.proof import Proof
    from certwright.challenges.response import ChallengeResponse
    from certwright.dns import DnsView, Provider, TxtRecord

PROPAGATION_SECONDS: Final = 300.0
"""The default time, in seconds, within which all name servers must have a record."""

PATIENCE: Final = dt.timedelta(seconds=PROPAGATION_SECONDS)
"""The same for presenters."""

MAX_NAME_CHARACTERS: Final = 253
"""The maximum length of a DNS name without its final dot (RFC 1035 section 2.3.4)."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_SHOWN: Final = 3


class Dns01Presenter:
    """Presents TXT records with one DNS provider, checks once per call whether they are visible, and removes them.

    Args:
        provider: Changes the zones.
        view: Queries the DNS. If None, CNAMEs are not followed and records are not checked.
        destination: Identifies where the provider puts records: presenters with different destinations share none.
        follow_cname: Whether to follow a CNAME at `_acme-challenge` (delegation).
        allowed_targets: Zones that such a CNAME may lead to, in addition to the validated domain; None for all.
            Otherwise, the owner of a domain could have records written wherever the provider's credentials permit.
        self_check: Whether records must be visible before the CA is asked to validate.
        patience: How long to wait for the records to become visible.
        settling: How long to wait after presenting before the first check.
        zone: The zone in which all records are created; None for the one that contains each name.
        ttl: How long resolvers may cache the records, in seconds; None for the provider's default.
        keeps_values: Whether the provider cannot remove values, so that they stay until others replace them.
        needs_key_authorization: Whether the provider needs the key authorizations, not only their digests.
    """

    challenge_type: ClassVar[str] = "dns-01"

    def __init__(
        self,
        provider: Provider,
        view: DnsView | None,
        *,
        destination: str = "",
        follow_cname: bool = True,
        allowed_targets: Sequence[str] | None = None,
        self_check: SelfCheckMode = "required",
        patience: dt.timedelta = PATIENCE,
        settling: dt.timedelta = dt.timedelta(),
        zone: str | None = None,
        ttl: int | None = None,
        keeps_values: bool = False,
        needs_key_authorization: bool = False,
    ) -> None:
        self._provider = provider
        self._view = view
        self._follow_cname = follow_cname
        self._allowed_targets = allowed_targets
        self.destination = destination
        self.self_check = self_check
        self.patience = patience
        self.settling = settling
        self._zone = zone
        self._ttl = ttl
        self.keeps_values = keeps_values
        self._needs_key_authorization = needs_key_authorization

    async def place(self, name: str) -> str:
        """Return the name at which to create the record that validates a domain.

        Args:
            name: The identifier; for a wildcard, the part after `*.` counts (RFC 8555 section 7.1.3).

        Raises:
            InvalidName: The name of the record would be too long.
            CnameNotAllowed: A CNAME leads outside of the allowed zones.
            ZoneNotFound: The name is not in the configured zone.
            DnsError: The CNAME chain cannot be followed.
        """
        owner = self.owner(name)
        target = await self.target(owner)
        check_zone(target, self._zone)
        zones = self._allowed_targets
        if target == normalise(owner) or zones is None or _is_below(target, [name.removeprefix("*."), *zones]):
            return target
        raise CnameNotAllowed(owner, target, zones)

    async def expect(self, names: Sequence[str]) -> None:
        """Do nothing: dns-01 has no prerequisites."""

    def owner(self, name: str) -> str:
        """Return where the CA looks for the record of a domain, before any CNAME is followed."""
        return dns01_name(name)

    async def target(self, owner: str) -> str:
        """Return the name at which the CA finds a record for `owner`: that name, or the target of its CNAME.

        Raises:
            InvalidName: A name is too long.
            DnsError: The CNAME chain cannot be followed.
        """
        _check_length(owner)
        if self._view is None or not self._follow_cname:
            return normalise(owner)
        target = await self._view.follow_cname(owner)
        _check_length(target)
        return target

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return the record."""
        return RecordResponse(
            place,
            dns01_value(key_authorization),
            name.removeprefix("*."),
            key_authorization=key_authorization if self._needs_key_authorization else None,
        )

    def objects_for(self, responses: Sequence[ChallengeResponse]) -> tuple[PresentedObject, ...]:  # noqa: ARG002 - the protocol's form
        """Return nothing: records are not objects in the cluster."""
        return ()

    async def present(self, responses: Iterable[ChallengeResponse]) -> None:
        """Add the records. Those that already exist stay. Raises `DnsError`."""
        await self._provider.present(self._placed(responses))

    async def check(self, responses: Iterable[ChallengeResponse]) -> Sequence[Propagation]:
        """Check each record once; see `look`. Raises `DnsError`."""
        return await self.look(_records(responses))

    async def look(self, records: Sequence[TxtRecord]) -> Sequence[Propagation]:
        """Query every server of the view once for each record, except for records that are still being distributed.

        A server that is queried too early may cache that there is no record. Without a self-check, only the provider is
        asked, if it can tell.

        Raises:
            DnsError: The servers cannot be found.
        """
        pending = await self._provider.pending(records) if isinstance(self._provider, ChangeTracker) else {}
        served = [record for record in records if record not in pending]
        if self._view is None or self.self_check == "off":
            seen: Sequence[Propagation] = [Propagation(record, complete=True) for record in served]
        else:
            seen = await self._view.check(served) if served else ()
        found = dict(zip(served, seen, strict=True))
        return tuple(
            found.get(record) or Propagation(record, complete=False, pending=pending[record]) for record in records
        )

    async def clean_up(self, responses: Iterable[ChallengeResponse]) -> None:
        """Remove exactly these records; those that no longer exist are ignored. Raises `DnsError`."""
        await self._provider.clean_up(self._placed(responses))

    def _placed(self, responses: Iterable[ChallengeResponse]) -> list[RecordResponse]:
        return [replace(record, zone=self._zone, ttl=self._ttl) for record in _records(responses)]


class DnsAccount01Presenter(Dns01Presenter):
    """The same for dns-account-01: records at a name specific to the account (draft-ietf-acme-dns-account-label).

    Args:
        account_url: The account.
        provider: Changes the zones.
        view: Queries the DNS.
        options: See `Dns01Presenter`.
    """

    challenge_type: ClassVar[str] = "dns-account-01"

    def __init__(self, account_url: str, provider: Provider, view: DnsView | None, **options: Any) -> None:
        super().__init__(provider, view, **options)
        self._account_url = account_url

    def owner(self, name: str) -> str:
        """Return where the CA looks for the record of a domain, before any CNAME is followed."""
        return dns_account01_name(name, self._account_url)

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return the record."""
        return AccountRecordResponse(place, dns01_value(key_authorization), name.removeprefix("*."))


class Dns01:
    """dns-01 (RFC 8555 section 8.4): a TXT value at `_acme-challenge.<name>`, or at the target of a CNAME there.

    Args:
        provider: Changes the zones.
        view: Follows CNAMEs, and queries every authoritative server until it has the records. None skips both: the CA
            is asked to validate as soon as the provider is done.
        propagation_timeout: Seconds within which all servers must have the records.
        required: Whether records that are not visible in time stop the issuance. If False, the CA is asked anyway, for
            hosts that see different servers than the public (split-horizon DNS).
        zone: The zone in which all records are created; None for the one that contains each name.
        ttl: How long resolvers may cache the records, in seconds; None for the provider's default.
    """

    def __init__(
        self,
        provider: Provider,
        view: DnsView | None = None,
        *,
        propagation_timeout: float = PROPAGATION_SECONDS,
        required: bool = True,
        zone: str | None = None,
        ttl: int | None = None,
    ) -> None:
        self._presenter = Dns01Presenter(
            provider,
            view,
            self_check="off" if view is None else "required" if required else "advisory",
            zone=zone,
            ttl=ttl,
        )
        self._zone = zone
        self._seconds = propagation_timeout
        # Two orders may share an authorization and therefore a value; the last one removes it.
        self._holders: Holders[RecordResponse] = Holders()

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return "dns-01"

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Add all records together. Raises `DnsError`, such as `ZoneNotFound` for a record outside of the zone."""
        records = await asyncio.gather(*map(self._record, proofs))
        for proof, record in zip(proofs, records, strict=True):
            await self._holders.hold(proof, [record])
        await self._presenter.present(records)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Query all authoritative servers until they have all records; without a view, ask the provider if it can tell.

        Raises:
            NotVisible: They did not have them in time. The message says what was seen where.
        """
        mode = self._presenter.self_check
        records = self._holders.held_by(proofs)
        await until_seen(self._presenter.look, records, seconds=self._seconds, required=mode == "required")

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove exactly these values. Raises `DnsError`."""
        async with self._holders.releasing_all(proofs, self._holders.held_by(proofs)) as removable:
            if removable:
                await self._presenter.clean_up(removable)

    async def _record(self, proof: Proof) -> RecordResponse:
        target = await self._presenter.target(proof.txt_name)
        check_zone(target, self._zone)
        return RecordResponse(
            target, proof.txt_value, proof.identifier.value, key_authorization=self._known(proof.key_authorization)
        )

    def _known(self, key_authorization: str) -> str | None:
        return key_authorization


class DnsAccount01(Dns01):
    """dns-account-01 (draft-ietf-acme-dns-account-label): like dns-01, but at a name specific to the account.

    So several accounts, at the same CA or different ones, can each have a CNAME for the same domain.
    """

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return "dns-account-01"

    def _known(self, key_authorization: str) -> str | None:
        # A program that receives it would put the record at the name for dns-01.
        del key_authorization
        return None


async def until_seen(
    look: Callable[[Sequence[TxtRecord]], Awaitable[Sequence[Propagation]]],
    records: Sequence[TxtRecord],
    *,
    seconds: float,
    required: bool,
) -> None:
    """Wait until all records are visible where the CA will look.

    Raises:
        NotVisible: They were not visible in time, and are required to be.
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


def check_zone(name: str, zone: str | None) -> None:
    """Check that a record is in the zone in which a solver creates its records, if one is configured.

    Raises:
        ZoneNotFound: It is in another zone.
    """
    if zone is not None and not _is_below(name, [zone]):
        raise ZoneNotFound(f"{name} is not in the zone {zone}, in which the solver creates its records")


def _check_length(name: str) -> None:
    """Check before the order what a name server would refuse afterwards. Raises `InvalidName`."""
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidName(
            f"the TXT record cannot have the name {name}: it has {len(name)} characters, and the DNS allows "
            f"{MAX_NAME_CHARACTERS}"
        )


def _is_below(name: str, zones: Iterable[str]) -> bool:
    return any(name == zone or name.endswith(f".{zone}") for zone in map(normalise, zones))


def _records(responses: Iterable[ChallengeResponse]) -> list[RecordResponse]:
    listed = list(dict.fromkeys(responses))
    records = [response for response in listed if isinstance(response, RecordResponse)]
    if len(records) < len(listed):
        raise AssertionError("dns-01 was given a response that is no TXT record")
    return records
