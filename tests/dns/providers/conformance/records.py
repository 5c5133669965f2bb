"""Doubles of APIs that create and delete one record in a request."""

from __future__ import annotations

import itertools
import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET, Double

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Record:
    """A record as the API keeps it.

    Attributes:
        name: Absolute.
        value: As the API writes it.
    """

    id: str
    type: str
    name: str
    value: str
    ttl: int


class RecordsDouble(Double):
    """What such doubles share: zones and their records in memory, a credential in header fields.

    Attributes:
        zones: The name of each zone, by its ID.
        records: Its records, by their IDs.
        calls: All requests that were let in: method, path, parameters, body.
        sent_at: When each was, by the double's clock.
        read_only: Whether the credential may look and change nothing.
        refuses_twins: Whether a record that exists already is refused; otherwise it exists twice.
    """

    url: ClassVar[str]
    prefix: ClassVar[str]
    """Of the paths."""
    credential: ClassVar[Mapping[str, str]] = {"Authorization": f"Bearer {SECRET}"}

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, str] = {}
        self.records: dict[str, dict[str, Record]] = {}
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.sent_at: list[float] = []
        self.read_only = False
        self.refuses_twins = True
        self._ids = (str(number) for number in itertools.count(1001))

    # What each says.

    @abstractmethod
    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        """Answer a request that was let in; the path is without the prefix."""

    def written_as(self, value: str) -> str:
        """Return a value as the API writes it."""
        return value

    def read_as(self, value: str) -> str:
        """Return what the API means by a value."""
        return value

    # What they share.

    def add_zone(self, name: str, *, private: bool = False) -> None:
        if not private:
            self.zones[zone := next(self._ids)] = name
            self.records[zone] = {}

    def put(self, name: str, value: str) -> None:
        self.create(self._longest(name), "TXT", name, self.written_as(value), 1800)

    def drop(self, name: str, value: str) -> None:
        zone = self._longest(name)
        [found] = [one.id for one in self._at(zone, name) if self.read_as(one.value) == value]
        del self.records[zone][found]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        found = self._longest(name) if zone is None else self.named(zone)
        return sorted(self.read_as(one.value) for one in self._at(found, name))

    def ttl(self, name: str) -> int:
        (ttl,) = {one.ttl for one in self._at(self._longest(name), name)}
        return ttl

    def create(self, zone: str, kind: str, name: str, value: str, ttl: int) -> Record:
        assert name == self.zones[zone] or name.endswith(f".{self.zones[zone]}"), name
        record = Record(next(self._ids), kind, name, value, ttl)
        self.records[zone][record.id] = record
        return record

    def named(self, name: str) -> str:
        return next(zone for zone, its_name in self.zones.items() if its_name == name)

    def zone_of(self, path: str) -> str:
        return next((self.zones.get(part, part) for part in path.split("/") if self.is_zone(part)), "")

    def is_zone(self, part: str) -> bool:
        return part in self.zones or part in self.zones.values()

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert url.startswith(f"{self.url}{self.prefix}/"), url
        given = {name.lower(): value for name, value in headers.items()}
        assert given.get("accept", "application/json") in ("application/json", "*/*")
        assert ("content-type" in given) == (content is not None), "a body has a type"
        assert given.get("content-type", "application/json") == "application/json"
        assert SECRET not in url
        assert (method in ("POST", "PUT", "PATCH")) or content is None, "no body is expected"
        return all(given.get(name.lower()) == value for name, value in self.credential.items())

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        self.sent_at.append(self.now)
        body = json.loads(content) if content is not None else None
        self.calls.append((method, path, query, body))
        if self.read_only and method != "GET":
            return self.denial()
        return self.carry_out(method, path.removeprefix(f"{self.prefix}/").split("/"), query, body)

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        """The requests that change something, in a form that two doubles can be compared by."""
        return [(method, path, body) for method, path, _, body in self.calls if method != "GET"]

    def relative(self, zone: str, record: Record, apex: str) -> str:
        return record.name.removesuffix(self.zones[zone]).rstrip(".") or apex

    def absolute(self, zone: str, name: str, apex: str) -> str:
        assert not name.endswith("."), name
        assert name, "an empty name"
        return self.zones[zone] if name == apex else f"{name}.{self.zones[zone]}"

    def _at(self, zone: str, name: str) -> list[Record]:
        return [one for one in self.records[zone].values() if (one.type, one.name) == ("TXT", name)]

    def _longest(self, name: str) -> str:
        fitting = [zone for zone, its in self.zones.items() if name == its or name.endswith(f".{its}")]
        return max(fitting, key=lambda zone: len(self.zones[zone]))


def answered(status: int, body: Any = None) -> Response:
    if body is None:
        return Response(status)
    return Response(status, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


def numbered(items: list[Any], number: str, size: str, *, least: int = 1, most: int) -> tuple[list[Any], int]:
    """Return a page of items, and how many pages there are."""
    assert int(number) >= 1
    assert least <= int(size) <= most, "the API refuses such a page"
    start = (int(number) - 1) * int(size)
    return items[start : start + int(size)], max(-(-len(items) // int(size)), 1)
