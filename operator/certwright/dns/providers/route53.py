"""Route 53: record sets through API 2013-04-01, with compare-and-swap, in one batch for a zone."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.dns.aws.ambient import AmbientKeys
from certwright.dns.aws.partitions import COMMERCIAL, Partition, partition_of, partition_of_role
from certwright.dns.aws.record_sets import StoredSet, change_request, in_batches, name_of, read_set, steps_of
from certwright.dns.aws.session import AwsSession, is_denied, shared_session
from certwright.dns.aws.sigv4 import Keys
from certwright.dns.aws.sts import AssumedRole, WebIdentity
from certwright.dns.aws.xml import error_code, text_of, xml_of
from certwright.dns.credential import Credential, IdentityToken, credential
from certwright.dns.errors import InvalidCredential, ProviderUnreachable
from certwright.dns.hosted.answer import not_understood, refused
from certwright.dns.hosted.changes import PendingChanges
from certwright.dns.hosted.listing import Listing
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.text import unquoted
from certwright.dns.hosted.zones import HostedZone, ZoneList, label_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from certwright.dns.aws.record_sets import Step
    from certwright.dns.aws.session import KeySource
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

API: Final = "/2013-04-01"
SERVICE: Final = "route53"
CHANGE: Final = "ChangeResourceRecordSets"
ZONES_A_PAGE: Final = 100
"""The API's maximum."""
SETS_A_PAGE: Final = 100
"""Of at most 300: a set may be long."""
MANY: Final = 100
"""Sets that are written in a thread."""
FEW: Final = 10
"""Sets asked for when one name is read: it usually has one."""
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries while Route 53 has not finished an earlier request for the zone."""

_ID: Final = re.compile(r"(?:/(?:hostedzone|change)/)?([A-Z0-9]{1,32})")
_DISTRIBUTING: Final = "Route 53 is still distributing the change (PENDING)"
_XML: Final = {"Content-Type": "application/xml"}


@dataclass(frozen=True)
class Route53Config:
    """The configuration of Route 53: an access key, or a ServiceAccount with a role, or the surroundings' own keys.

    Attributes:
        auth: A token for which STS gives the keys of `role`.
        access_key_id: The id of an access key.
        secret_access_key: The secret of that key.
        role: The ARN of a role that is assumed with the keys that there are.
        hosted_zone_id: The zone of all records; None to look for it.
        region: Whose STS is asked; its partition's Route 53 is used.
        ambient: Whether the keys of the place where this process runs may be used.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    audience: ClassVar[str] = "sts.amazonaws.com"

    auth: IdentityToken | None = None
    access_key_id: str | Credential | None = field(default=None, metadata=credential("access key ID"))
    secret_access_key: Credential | None = field(default=None, metadata=credential("secret access key"))
    role: str | None = None
    hosted_zone_id: str | None = None
    region: str | None = None
    ambient: bool = False

    @property
    def destination(self) -> str:
        """The service: all accounts of a partition share one set of zones."""
        return self._partition({}).host

    def build(self, context: ProviderContext) -> Route53Provider:
        """Create the provider.

        Raises:
            InvalidCredential: Credentials are missing or cannot be used, or the role or the region is none.
        """
        environ = context.surroundings.environ if self._uses_surroundings else {}
        partition = self._partition(environ)
        if self.role is not None and partition_of_role(self.role) != partition:
            raise InvalidCredential(f"the role {self.role} is not in the partition of the region, {partition.name}")
        if self.hosted_zone_id is not None and not _ID.fullmatch(self.hosted_zone_id):
            raise InvalidCredential(f"{self.hosted_zone_id[:40]!r} is not the ID of a hosted zone, such as Z2ABCDEF")
        region = self._region(environ) or partition.region
        key = (self.auth, self.access_key_id, self.secret_access_key, self.role, self.ambient, region)
        session = shared_session(context, key, lambda: self._session(context, region))
        return Route53Provider(session, partition, _bare(self.hosted_zone_id) if self.hosted_zone_id else None)

    @property
    def _uses_surroundings(self) -> bool:
        return self.ambient and self.auth is None and self.access_key_id is None and self.secret_access_key is None

    def _region(self, environ: Mapping[str, str]) -> str | None:
        return self.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None

    def _partition(self, environ: Mapping[str, str]) -> Partition:
        if region := self._region(environ):
            return partition_of(region)
        role = self.role or environ.get("AWS_ROLE_ARN")
        return partition_of_role(role) if role else COMMERCIAL

    def _session(self, context: ProviderContext, region: str) -> AwsSession:
        source = self._source(context, region)
        if self.role is not None and self.auth is None:
            source = AssumedRole(AwsSession(context, source), self.role, region)
        return AwsSession(context, source)

    def _source(self, context: ProviderContext, region: str) -> KeySource:
        if self.auth is not None:
            if not isinstance(self.auth, IdentityToken):
                raise InvalidCredential("auth.kubernetes is for Issuers: only the operator can request such tokens")
            if self.role is None:
                raise InvalidCredential(f"{self.auth.whose} needs a role: set role to its ARN")
            return WebIdentity(context, self.role, region, self.auth.fetch, self.auth.whose)
        if self.access_key_id is not None and self.secret_access_key is not None:
            return _StaticKeys(self.access_key_id, self.secret_access_key)
        if self.access_key_id is not None or self.secret_access_key is not None:
            raise InvalidCredential("Route 53 needs both the access key ID and the secret access key")
        if not self.ambient:
            raise InvalidCredential(
                "Route 53 needs credentials: name an access key (accessKeyID, secretAccessKeySecretRef) or a "
                "ServiceAccount (auth.kubernetes) with a role. The credentials of the operator's own surroundings may "
                "be used by ClusterIssuers, and by Issuers if the operator runs with --issuer-ambient-credentials"
            )
        return AmbientKeys(context, region)


class _StaticKeys:
    """An access key that the configuration has."""

    def __init__(self, key_id: str | Credential, secret: Credential) -> None:
        named = key_id if isinstance(key_id, Credential) else Credential(key_id, "accessKeyID")
        self._keys = Keys(named.printable("access key ID"), secret.printable("secret access key"))
        self.what = f"the access key in {named.source}" if named.source else "the access key"

    async def fetch(self) -> Keys:
        """Return it."""
        return self._keys


class Route53Provider(RecordSetProvider):
    """A `Provider` for the zones of one AWS identity.

    Args:
        session: Sends requests.
        partition: Where.
        hosted_zone_id: The zone of all records; None to look for it.
    """

    def __init__(self, session: AwsSession, partition: Partition, hosted_zone_id: str | None) -> None:
        super().__init__()
        self.host = partition.host
        self._session = session
        self._partition = partition
        self._hosted_zone_id = hosted_zone_id
        monotonic = session.context.monotonic
        self._changes = PendingChanges(self._ask, said=_DISTRIBUTING, monotonic=monotonic)
        self._zones = ZoneList(
            self._list_zones,
            whose="the AWS account",
            hint=(
                "it needs a public hosted zone, and the credentials have to be those of its account; or set "
                "hostedZoneID"
            ),
            monotonic=monotonic,
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name; of one that is given only the ID is known."""
        if self._hosted_zone_id is not None:
            return HostedZone(self._hosted_zone_id, "")
        return await self._zones.find(name)

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records of changes that are not INSYNC yet, as `ChangeTracker` says."""
        return await self._changes.pending(records)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        """Read the sets of TXT records at some names: by pages, leaving out where none of the names can be."""
        wanted = sorted(names, key=_sort_key)
        found: dict[str, dict[str, StoredSet]] = {}
        start: dict[str, str] = {}
        size = FEW if len(wanted) == 1 else SETS_A_PAGE
        listing = Listing(label_of(zone), monotonic=self._session.context.monotonic)
        while wanted:
            start = start or {"name": wanted[0], "type": "TXT"}
            response, page = await self._get(
                f"/hostedzone/{zone.id}/rrset", {**start, "maxitems": str(size)}, "ListResourceRecordSets", zone
            )
            elements = page.findall("{*}ResourceRecordSets/{*}ResourceRecordSet")
            for element in elements:
                if (one := read_set(element)) is not None and one.name in names:
                    found.setdefault(one.name, {})[one.identifier] = one
            wanted, start = _after(page, wanted)
            following = tuple(sorted(start.items())) or wanted[:1]
            listing.count(response, len(elements), following and (len(wanted), *following))
        return [
            RecordSet(
                name,
                frozenset(unquoted(value) for one in stored.values() for value in one.values),
                next((one.ttl for one in stored.values() if one.ttl), None),
                tuple(stored.values()),
            )
            for name, stored in found.items()
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Swap sets, as many in a request as it can hold; each request is made as a whole or not at all."""
        for batch in in_batches([(swap, steps_of(swap, self.host)) for swap in swaps]):
            await self._submit(zone, [swap for swap, _ in batch], [step for _, steps in batch for step in steps])

    async def _submit(self, zone: HostedZone, swaps: Sequence[Swap], steps: Sequence[Step]) -> None:
        # Many sets take milliseconds to write.
        many = len(steps) > MANY
        content = await asyncio.to_thread(change_request, steps) if many else change_request(steps)
        for pause in (*PAUSES, None):
            response = await self._send("POST", f"/hostedzone/{zone.id}/rrset/", content=content)
            if response.status == HTTPStatus.OK:
                change = await xml_of(response)
                added = [(swap.name, value) for swap in swaps for value in swap.add]
                if (change_id := _bare(text_of(change, "ChangeInfo", "Id"))) is not None:
                    self._changes.note(change_id, added)
                return
            code = error_code(response)
            if code == "InvalidChangeBatch":
                raise await self._invalid(response, zone, swaps)
            if code != "PriorRequestNotComplete":
                raise self._refusal(response, CHANGE, zone)
            if pause is not None:
                await self._session.context.sleep(pause)
        raise ProviderUnreachable(
            f"Route 53 is still working on an earlier change of the zone {zone.name or zone.id} "
            "(PriorRequestNotComplete)",
            host=self.host,
        )

    async def _invalid(self, response: Response, zone: HostedZone, swaps: Sequence[Swap]) -> Exception:
        """Find out, not from its words, whether a batch was refused because somebody else was quicker."""
        now = {one.name: one.version for one in await self.read(zone, [swap.name for swap in swaps])}
        if any(now.get(swap.name, ()) != (swap.old.version or ()) for swap in swaps):
            return Outdated()
        names = ", ".join(swap.name for swap in swaps[:3]) + (", ..." if len(swaps) > 3 else "")  # noqa: PLR2004 - shown
        return refused(
            response,
            "InvalidChangeBatch",
            f"the hosted zone {zone.name or zone.id} does not take TXT records named {names}: they have to be in the "
            "zone, and no CNAME may be there",
        )

    async def _list_zones(self) -> list[HostedZone]:
        zones: list[HostedZone] = []
        query: dict[str, str] = {}
        listing = Listing(monotonic=self._session.context.monotonic)
        while True:
            asked = {"maxitems": str(ZONES_A_PAGE), **query}
            response, page = await self._get("/hostedzonesbyname", asked, "ListHostedZonesByName")
            zones += _public_zones(page)
            is_last = text_of(page, "IsTruncated") != "true"
            query = {
                "dnsname": text_of(page, "NextDNSName"),
                "hostedzoneid": _bare(text_of(page, "NextHostedZoneId")) or "",
            }
            listing.count(
                response, len(page.findall("{*}HostedZones/{*}HostedZone")), () if is_last else (*query.values(),)
            )
            if is_last:
                return zones

    async def _ask(self, change_id: str) -> str:
        if self._session.pace.is_busy:
            return _DISTRIBUTING
        _, page = await self._get(f"/change/{change_id}", {}, "GetChange")
        return "" if text_of(page, "ChangeInfo", "Status") == "INSYNC" else _DISTRIBUTING

    async def _get(
        self, path: str, query: Mapping[str, str], action: str, zone: HostedZone | None = None
    ) -> tuple[Response, Element]:
        response = await self._send("GET", path, query=query)
        if response.status != HTTPStatus.OK:
            raise self._refusal(response, action, zone)
        return response, await xml_of(response)

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Response:
        return await self._session.send(
            method,
            self.host,
            API + path,
            service=SERVICE,
            region=self._partition.region,
            query=query,
            headers=_XML if content is not None else None,
            content=content,
        )

    def _refusal(self, response: Response, action: str, zone: HostedZone | None) -> Exception:
        code = error_code(response)
        if response.status < HTTPStatus.BAD_REQUEST:
            return not_understood(response)
        if is_denied(response, code):
            arn = f" on arn:{self._partition.name}:route53:::hostedzone/{zone.id}" if zone is not None else ""
            instead = "; with hostedZoneID it is not needed" if action == "ListHostedZonesByName" else ""
            who = self._session.keys.source.what
            error = refused(response, code, f"{who} needs the permission route53:{action}{arn}{instead}")
            # A policy may have conditions on names: then it is one name of the batch that is denied.
            error.for_all = action != CHANGE
            return error
        if code == "NoSuchHostedZone" and zone is not None:
            return refused(response, code, f"there is no hosted zone {zone.name or zone.id} in the account")
        place = f" for the zone {zone.name or zone.id}" if zone is not None else ""
        return refused(response, code, f"it does not accept the request {action}{place}")


def _public_zones(page: Element) -> Iterator[HostedZone]:
    for element in page.iterfind("{*}HostedZones/{*}HostedZone"):
        zone_id, name = _bare(text_of(element, "Id")), name_of(text_of(element, "Name"))
        if zone_id is not None and name and text_of(element, "Config", "PrivateZone") != "true":
            yield HostedZone(zone_id, name)


def _bare(text: str) -> str | None:
    found = _ID.fullmatch(text)
    return found[1] if found else None


def _sort_key(name: str) -> str:
    """Return what Route 53 sorts names by: labels reversed, with a dot at the end."""
    return ".".join(reversed(name.split("."))) + "."


def _after(page: Element, wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the names that a page has not reached, and where to go on: empty for the first of these names."""
    if text_of(page, "IsTruncated") != "true":
        return [], {}
    written, identifier = text_of(page, "NextRecordName"), text_of(page, "NextRecordIdentifier")
    following = {"name": written, "type": text_of(page, "NextRecordType")}
    if identifier:
        following["identifier"] = identifier
    if "\\" in written:
        # How it sorts what it escapes is not known: the next page is read in any case.
        return list(wanted), following
    name = written.rstrip(".").lower()
    # Of one name, sets are sorted by their types.
    reached = (_sort_key(name), following["type"])
    left = [one for one in wanted if (_sort_key(one), "TXT") >= reached]
    # The sets of one name may be on two pages.
    return left, following if identifier and left and left[0] == name else {}
