"""The list of challenge records that may be left in the DNS; it survives crashes and deleted namespaces.

A Certificate's status names the records of its order, and a finalizer holds the Certificate until they are removed.
That is almost always enough, so most orders never write this list. It is for the rest: records that could not be
removed, records whose Certificate is gone, and, after half a minute, the records of slow orders, whose objects may be
gone when the operator returns from an outage. The list is a Secret in the operator's namespace, because tenants can
write their own objects and statuses; nothing in it is confidential.

Each entry carries a MAC by the account key of its issuer: what else is written into the list removes nothing. A list
that is copied back from earlier holds entries that were true once, and none that an order needs is acted on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from certwright.acme import base64url
from certwright.challenges.response import AccountRecordResponse, RecordResponse, vouched
from certwright.dns import DnsError
from certwright.issuers.registry import key_of
from certwright.kube.errors import Forbidden, Invalid, NotFound
from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.resources import COMPONENT_LABEL
from certwright.runtime.key import Key
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from certwright.acme import AccountKey
    from certwright.challenges.presenter import Presenter
    from certwright.kube.api import KubeApi
    from certwright.kube.errors import KubeError

logger = logging.getLogger(__name__)

PURPOSE: Final = "certwright.io/v1 seal of a challenge record"
COMPONENT: Final = "challenge-records"
"""The value of the label of the Secret."""
ENTRY: Final = "records.json"
MAX_LEFT: Final = 1000
"""Records on the list. Beyond that the namespace with the most has one less."""
MAX_BYTES: Final = 1 << 20
"""Of the list; a Secret cannot hold more. Names are long if somebody wants them to be, so that is counted as well."""
MAX_SEAL: Final = 64
"""Characters of a seal, which has 43."""
_FRAME_BYTES: Final = 64
"""Of the list without its entries."""
NAME_SUFFIX: Final = "-challenge-records"

Cause = Literal["InPlace", "RemovalFailed", "ProviderChanged", "CertificateGone", "OrderLost"]
"""Why a record is on the list. `InPlace`: an order of its own needs it, as far as is known."""
WORDS: Final[dict[Cause, str]] = {
    "InPlace": "an order needs it",
    "RemovalFailed": "it could not be removed when its order ended",
    "ProviderChanged": "the solver's DNS provider was changed during the order",
    "CertificateGone": "its Certificate was removed before the operator could clean up",
    "OrderLost": "no Certificate's status has its order any more",
}
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url (RFC 8555 section 8.4). Nothing else is ever removed, whatever the list says."""
_TYPES: Final = {kind.challenge_type: kind for kind in (RecordResponse, AccountRecordResponse)}


@dataclass(frozen=True)
class LeftRecord:
    """A challenge record that may be left in the DNS.

    Attributes:
        record: The name, after CNAMEs, and the value.
        domain: What it validates, with a leading `*.` for a wildcard.
        issuer: Whose solver put it there.
        issuer_uid: Of that object: one that was created anew under the name, in a copy of the cluster for example, may
            have other zones. Empty if it was not known.
        certificate: Whose order it was for.
        certificate_uid: Of that object.
        cause: Why it is on the list.
        since: When it came on the list, or was found to be left behind.
        is_followed: Whether this process has followed its order from when the record was put in place, so that it knows
            of its removal. Not kept.
        is_read: Whether it was read from the list that an earlier process kept. Not kept.
        account_key: The issuer's, which seals the entry; None if it is not known, or the entry was read.
        read_seal: What an entry that was read is sealed by.
    """

    record: RecordResponse
    domain: str
    issuer: Key
    issuer_uid: str
    certificate: Key
    certificate_uid: str
    cause: Cause
    since: dt.datetime
    is_followed: bool = field(default=False, compare=False)
    is_read: bool = field(default=False, compare=False)
    account_key: AccountKey | None = field(default=None, compare=False, repr=False)
    read_seal: str | None = field(default=None, compare=False)

    @property
    def id(self) -> tuple[Key, str, str]:
        """What makes two of them the same: the issuer, the name and the value."""
        return self.issuer, self.record.name, self.record.value

    @property
    def is_left(self) -> bool:
        """Whether it is known to be left behind."""
        return self.cause != "InPlace"

    @cached_property
    def seal(self) -> str | None:
        """The MAC that the list has for it; None if no key is known for it: then no other process acts on it."""
        return self.read_seal if self.account_key is None else self._sealed_by(self.account_key)

    def is_sealed(self, keys: Iterable[AccountKey]) -> bool:
        """Whether an operator with one of these account keys has written it."""
        return self.seal is not None and any(
            hmac.compare_digest(self.seal.encode(), self._sealed_by(key).encode()) for key in keys
        )

    def _sealed_by(self, key: AccountKey) -> str:
        """Return the MAC over what decides which record is removed, with whose credentials, and if an order needs it.

        Cause and time are not in it: they change, and who changes them has a record given up sooner at most.
        """
        what = [self.record.name, self.record.value, self.record.challenge_type, self.domain]
        whose = [self.issuer.kind, self.issuer.name, self.issuer_uid]
        of = [self.certificate.namespace, self.certificate.name, self.certificate_uid]
        content = json.dumps([what, whose, of]).encode()
        return base64url.encode(hmac.digest(key.derived_secret(PURPOSE), content, hashlib.sha256))

    def to_json(self) -> dict[str, Any]:
        """Return it as the list has it."""
        return {
            **({"seal": self.seal} if self.seal is not None else {}),
            "name": self.record.name,
            "value": self.record.value,
            **({"keyAuthorization": known} if (known := self.record.key_authorization) is not None else {}),
            "challengeType": self.record.challenge_type,
            "domain": self.domain,
            "issuer": {"kind": self.issuer.kind, "name": self.issuer.name, "uid": self.issuer_uid},
            "certificate": {
                "namespace": self.certificate.namespace,
                "name": self.certificate.name,
                "uid": self.certificate_uid,
            },
            "cause": self.cause,
            "since": rfc3339(self.since),
        }

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> LeftRecord:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            issuer, certificate = found["issuer"], found["certificate"]
            texts = [found["domain"], issuer["name"], issuer["uid"], *(certificate[one] for one in _PLACE)]
            value, cause, since = found["value"], found["cause"], dt.datetime.fromisoformat(found["since"])
            kind = _TYPES[found["challengeType"]]
            is_well = all(isinstance(text, str) and len(text) <= 253 for text in texts)  # noqa: PLR2004 - of names
            is_well = is_well and issuer["kind"] in _KINDS and _VALUE.fullmatch(value) is not None
            if not is_well or cause not in get_args(Cause) or since.tzinfo is None:
                raise ValueError("a field has a value that is never written")
            domain, name, uid, namespace, certificate_name, certificate_uid = texts
            seal = found.get("seal")
            return cls(
                kind(
                    found["name"],
                    value,
                    domain.removeprefix("*."),
                    key_authorization=vouched(found.get("keyAuthorization"), value),
                ),
                domain,
                key_of(issuer["kind"], name, namespace),
                uid,
                Key("Certificate", namespace, certificate_name),
                certificate_uid,
                cause,
                since.astimezone(dt.UTC),
                is_read=True,
                read_seal=seal if isinstance(seal, str) and len(seal) <= MAX_SEAL else None,
            )
        except (KeyError, TypeError, AttributeError, OverflowError, DnsError) as error:
            raise ValueError(f"{type(error).__name__} in an entry") from error


_PLACE: Final = ("namespace", "name", "uid")
_KINDS: Final = frozenset({"Issuer", "ClusterIssuer"})


class LeftRecords:
    """The list, in memory and in the Secret. Only a leader uses it.

    Args:
        kube_api: Where the Secret is.
        namespace: Of the Secret.
        release: The name of the release's Lease; each release has a list of its own.
        clock: The present time.
    """

    def __init__(self, kube_api: KubeApi, *, namespace: str, release: str, clock: Callable[[], dt.datetime]) -> None:
        self._kube_api = kube_api
        self._namespace, self._name = namespace, f"{release}{NAME_SUFFIX}"
        self._clock = clock
        self._records: dict[tuple[Key, str, str], LeftRecord] = {}
        self._presenters: dict[tuple[Key, str, str], Presenter] = {}
        self._sizes: dict[tuple[Key, str, str], int] = {}
        self._bytes = _FRAME_BYTES
        self._written: list[dict[str, Any]] | None = None
        self._refused = ""
        self._lock = asyncio.Lock()
        self.changed = asyncio.Event()
        """Set when something was noted that is not written yet."""
        self.on_dropped: Callable[[Iterable[LeftRecord]], object] = lambda _: None
        """Called with records that are left behind and that there is no room for."""

    def __iter__(self) -> Iterator[LeftRecord]:
        """Return those on the list now, the oldest first."""
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        """How many are on the list."""
        return len(self._records)

    @property
    def number_left(self) -> int:
        """How many of them are known to be left behind."""
        return sum(one.is_left for one in self._records.values())

    def get(self, record: LeftRecord) -> LeftRecord | None:
        """Return the entry for the same record of the same issuer, or None."""
        return self._records.get(record.id)

    def presenter(self, record: LeftRecord) -> Presenter | None:
        """Return what put a record in place, if this process knows; its credentials may be the issuer's former ones."""
        return self._presenters.get(record.id)

    def note(self, records: Iterable[LeftRecord], presenters: Mapping[str, Presenter] | None = None) -> None:
        """Put records on the list, in memory; `write` writes it.

        Args:
            records: What is left behind takes the place of what is in place, and not the other way.
            presenters: What put them in place, by the domain.
        """
        for one in records:
            known = self._records.get(one.id)
            if known is not None and (known.is_left or not one.is_left):
                continue
            if known is None and not self._make_room(one):
                continue
            self._set(one)
            presenter = (presenters or {}).get(one.domain)
            if presenter is not None:
                self._presenters[one.id] = presenter
            self.changed.set()

    def put(self, record: LeftRecord) -> None:
        """Replace the entry for a record."""
        self._set(record)

    def drop(self, records: Iterable[LeftRecord]) -> None:
        """Take records off the list, in memory."""
        for one in records:
            self._records.pop(one.id, None)
            self._presenters.pop(one.id, None)
            self._bytes -= self._sizes.pop(one.id, 0)

    def order_ended(self, certificate_uid: str) -> None:
        """Take the records off the list that this process knows to be removed, as a Certificate has no order now."""
        self.drop(one for one in self if one.certificate_uid == certificate_uid and one.is_followed and not one.is_left)

    def start_over(self) -> None:
        """Have no order count as followed any more, and write the list again: the API server's data went back."""
        self._records = {key: replace(one, is_followed=False) for key, one in self._records.items()}
        if self._written is not None:
            self._written = [{}]
            self.changed.set()

    async def write_down(
        self, records: Iterable[LeftRecord], presenters: Mapping[str, Presenter] | None = None
    ) -> None:
        """Put records on the list, and return once it is written: before whatever else names them is.

        Where the operator may not write the list at all, that holds nothing up: they are on it in memory then.

        Raises:
            KubeError: It cannot be written now.
        """
        self.note(records, presenters)
        await self.write()

    async def load(self) -> None:
        """Read the list that earlier processes kept, once. What this process has noted before stays.

        Raises:
            KubeError: It cannot be read.
        """
        async with self._lock:
            try:
                await self._load()
            except Forbidden as error:
                self._tell_refused(error)

    async def write(self) -> None:
        """Write the list if it differs from what was written; the first time, read it before.

        Where the operator may not write it at all, this process alone knows of what is on it, and says so.

        Raises:
            KubeError: It cannot be read or written now.
        """
        async with self._lock:
            self.changed.clear()
            try:
                await self._load()
                content = [one.to_json() for one in self._records.values()]
                if content != self._written:
                    await self._kube_api.apply_secret(self._manifest(content), force=True)
                    self._written = content
            except (Forbidden, Invalid, NotFound) as error:
                self._tell_refused(error)

    async def _load(self) -> None:
        if self._written is not None:
            return
        secret = await self._kube_api.read_secret(self._namespace, self._name)
        # No tenant's object answers for the time that this takes.
        found = await asyncio.to_thread(self._parse, (secret or {}).get("data") or {}, self._clock())
        self._written = [one.to_json() for one in found]
        noted, presenters = tuple(self._records.values()), dict(self._presenters)
        self.drop(noted)
        for one in found:
            self._set(one)
        self.note(noted)
        self._presenters = {key: one for key, one in presenters.items() if key in self._records}

    def _tell_refused(self, error: KubeError) -> None:
        if str(error) != self._refused:
            self._refused = str(error)
            logger.warning("records that are left in the DNS are known to this process only: %s", error)

    def _parse(self, data: Mapping[str, str], now: dt.datetime) -> list[LeftRecord]:
        what = f"Secret {self._namespace}/{self._name}"
        try:
            content = decoded(data, ENTRY, limit=MAX_BYTES)
            entries = list(json.loads(content)["records"]) if content else []
        except (ValueError, KeyError, TypeError, RecursionError, EntryTooLarge):
            logger.warning("%s is not as the operator wrote it: no records are removed because of it", what)
            return []
        found: dict[tuple[Key, str, str], LeftRecord] = {}
        wrong: list[str] = []
        for entry in entries[: 2 * MAX_LEFT]:
            try:
                one = LeftRecord.parse(entry)
            except ValueError as error:
                wrong.append(str(error))
            else:
                # The clock may have been wrong then; what began in the future would never end.
                found.setdefault(one.id, one if one.since <= now else replace(one, since=now))
        if wrong:
            text = "%s has %d entries that the operator did not write, which are ignored: the first because of %s"
            logger.warning(text, what, len(wrong), wrong[0])
        return list(found.values())[:MAX_LEFT]

    def _manifest(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"namespace": self._namespace, "name": self._name, "labels": {COMPONENT_LABEL: COMPONENT}},
            "data": {ENTRY: encoded(json.dumps({"records": content}, separators=(",", ":")).encode())},
        }

    def _set(self, record: LeftRecord) -> None:
        self._bytes -= self._sizes.pop(record.id, 0)
        self._records[record.id] = record
        self._sizes[record.id] = size = _size(record)
        self._bytes += size

    def _has_room(self, record: LeftRecord) -> bool:
        return len(self._records) < MAX_LEFT and self._bytes + _size(record) <= MAX_BYTES

    def _make_room(self, record: LeftRecord) -> bool:
        """Return whether there is room for one more, after taking some off for it if need be.

        Records that orders need give way to those that are left behind; among equals the namespace with the most does.
        """
        while not self._has_room(record):
            pool = [one for one in self._records.values() if not one.is_left]
            shares = Counter(one.certificate.namespace for one in pool)
            if record.is_left:
                pool = pool or list(self._records.values())
                shares = Counter(one.certificate.namespace for one in pool)
            elif not pool or max(shares.values()) <= shares[record.certificate.namespace] + 1:
                return False
            [(most, _)] = shares.most_common(1)
            oldest = next(one for one in pool if one.certificate.namespace == most)
            self.drop([oldest])
            if oldest.is_left:
                self.on_dropped([oldest])
        return True


def _size(record: LeftRecord) -> int:
    """Return how many bytes a record takes in the list at most; a cause that is noted later may be longer."""
    longest = max(map(len, WORDS))
    return len(json.dumps(record.to_json(), separators=(",", ":"))) + longest - len(record.cause) + 1
