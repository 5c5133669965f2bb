"""A double of Route 53, as strict as its API Reference, that checks each request against botocore's description."""

from __future__ import annotations

import itertools
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.route53 import Route53Config
from certwright.http.message import Headers, Response
from tests.dns.providers.aws_oracle import KEY_ID, check_request, signature_of
from tests.dns.providers.conformance.double import SECRET, Double

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider

NS = "https://route53.amazonaws.com/doc/2013-04-01/"
STRINGS = re.compile(r'"(?:[^"\\]|\\.){0,255}"(?: "(?:[^"\\]|\\.){0,255}")*')
ORDER = ("Name", "Type", "SetIdentifier", "Weight", "MultiValueAnswer", "TTL", "ResourceRecords", "HealthCheckId")
Stored = dict[str, Any]


class Route53Double(Double):
    """Hosted zones, their sets, and batches that are carried out as a whole or not at all.

    Attributes:
        busy: How many changes are refused because an earlier one is not done.
        throttled: How many requests are refused because there are too many.
        serving: The ids of changes that are INSYNC.
        bare_errors: Whether a refused batch is answered in the other form that there is, without an `ErrorResponse`.
        condition: What the names in changes have to begin with, as a condition of the policy says.
        forbidden: Actions for which the identity has no right.
        calls: What was asked: the action and its parameters.
    """

    def __init__(self, *, host: str = "route53.amazonaws.com", region: str = "us-east-1") -> None:
        super().__init__()
        self.host, self.region = host, region
        self.zones: dict[str, tuple[str, bool]] = {}
        self.sets: dict[str, dict[tuple[str, str, str], Stored]] = {}
        self.secret = SECRET
        self.token: str | None = None
        self.busy = self.throttled = 0
        self.bare_errors = False
        self.condition = ""
        self.changes: list[str] = []
        self.serving: set[str] = set()
        self.forbidden: set[str] = set()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._sessions = 0
        self._times: list[float] = []
        self._ids = (f"Z{number:012X}" for number in itertools.count(1))

    def config(self, **settings: Any) -> Route53Config:
        return Route53Config(access_key_id=KEY_ID, secret_access_key=Credential(f"{SECRET}\n"), **settings)

    def provider(self, **settings: Any) -> Provider:
        self._sessions += 1
        return self.config(**settings).build(self.context())

    def add_zone(self, name: str, *, private: bool = False) -> str:  # type: ignore[override]  # its ID as well
        zone = next(self._ids)
        self.zones[zone] = (name, private)
        self.sets[zone] = {}
        for kind, value in (("NS", "ns-1.awsdns-00.example."), ("SOA", "ns-1.awsdns-00.example. a.example. 1 2 3 4 5")):
            self._store(zone, {"Name": f"{name}.", "Type": kind, "TTL": 900, "ResourceRecords": [{"Value": value}]})
        return zone

    def put(self, name: str, value: str, **more: Any) -> None:
        zone = self._longest(name)
        new = {"Name": f"{name}.", "Type": "TXT", **more, "TTL": 300, "ResourceRecords": [{"Value": quoted(value)}]}
        there = self.sets[zone].get(key_of(new))
        if there is not None:
            new["TTL"] = there["TTL"]
            new["ResourceRecords"] = [*there["ResourceRecords"], *new["ResourceRecords"]]
        self._store(zone, new)

    def drop(self, name: str, value: str) -> None:
        zone = self._longest(name)
        for key, one in list(self.sets[zone].items()):
            left = [
                each
                for each in one["ResourceRecords"]
                if key[:2] != (f"{name}.", "TXT") or each["Value"] != quoted(value)
            ]
            if left:
                self.sets[zone][key] = {**one, "ResourceRecords": left}
            else:
                del self.sets[zone][key]

    def at(self, name: str, zone: str | None = None) -> list[Stored]:
        where = self._longest(name) if zone is None else self._named(zone)
        return [one for key, one in sorted(self.sets[where].items()) if key[:2] == (f"{name}.", "TXT")]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        return sorted(unquoted(each["Value"]) for one in self.at(name, zone) for each in one["ResourceRecords"])

    def ttl(self, name: str) -> int:
        (ttl,) = {one["TTL"] for one in self.at(name)}
        return int(ttl)

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert url.startswith(f"https://{self.host}/2013-04-01/"), url
        given = {name.lower(): value for name, value in headers.items()}
        assert given.keys() <= {"authorization", "x-amz-date", "x-amz-security-token", "content-type"}, given.keys()
        assert given.get("x-amz-security-token") == self.token
        assert f"/{self.region}/route53/aws4_request" in given["authorization"]
        return signature_of(method, url, headers, content, self.secret, self.token) == given["authorization"]

    def denial(self) -> Response:
        return failure(HTTPStatus.FORBIDDEN, "AccessDenied")

    def zone_of(self, path: str) -> str:
        parts = path.split("/")
        return self.zones[parts[3]][0] if len(parts) > 3 and parts[3] in self.zones else ""

    async def request(self, method: str, url: str, **given: Any) -> Response:
        self._times = [*(time for time in self._times if time > self.now - 1), self.now]
        assert self._sessions > 1 or len(self._times) <= 5, "more than five requests in a second"
        return await super().request(method, url, **given)

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        if self.throttled:
            self.throttled -= 1
            return failure(HTTPStatus.BAD_REQUEST, "Throttling")
        match method, path.removeprefix("/2013-04-01/").split("/"):
            case "GET", ["hostedzonesbyname"]:
                return self._list_zones(path, query)
            case "GET", ["hostedzone", zone, "rrset"]:
                return self._list_sets(path, zone, query)
            case "POST", ["hostedzone", zone, "rrset", ""]:
                assert not query
                return self._change(path, zone, content or b"")
            case "GET", ["change", change]:
                self._called("GetChange", {"Id": change}, "GET", path, {})
                if "GetChange" in self.forbidden:
                    return self.denial()
                if change not in self.changes:
                    return failure(HTTPStatus.NOT_FOUND, "NoSuchChange")
                return success("GetChangeResponse", change_info(change, served=change in self.serving))
        raise AssertionError(f"no such call: {method} {path}")

    def _called(  # noqa: PLR0917 - the parts of a request
        self, action: str, params: dict[str, Any], method: str, path: str, query: dict[str, str], content: bytes = b""
    ) -> None:
        self.calls.append((action, params))
        check_request("route53", action, params, method, path, query, content)

    def _list_zones(self, path: str, query: dict[str, str]) -> Response:
        names = {"dnsname": "DNSName", "hostedzoneid": "HostedZoneId", "maxitems": "MaxItems"}
        self._called("ListHostedZonesByName", {names[key]: value for key, value in query.items()}, "GET", path, query)
        if "ListHostedZonesByName" in self.forbidden:
            return self.denial()
        most = int(query.get("maxitems", "100"))
        assert 0 < most <= 100
        assert "hostedzoneid" not in query or "dnsname" in query
        start = (order_of(query["dnsname"]) if "dnsname" in query else "", query.get("hostedzoneid", ""))
        known = sorted((order_of(f"{name}."), zone, name, private) for zone, (name, private) in self.zones.items())
        left = [one for one in known if one[:2] >= start]
        shown = "".join(
            f"<HostedZone><Id>/hostedzone/{zone}</Id><Name>{name}.</Name><CallerReference>c</CallerReference><Config>"
            f"<PrivateZone>{str(private).lower()}</PrivateZone></Config><ResourceRecordSetCount>2"
            f"</ResourceRecordSetCount></HostedZone>"
            for _, zone, name, private in left[:most]
        )
        rest = left[most:]
        more = (
            f"<NextDNSName>{rest[0][2]}.</NextDNSName><NextHostedZoneId>{rest[0][1]}</NextHostedZoneId>" if rest else ""
        )
        tail = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{more}<MaxItems>{most}</MaxItems>"
        return success("ListHostedZonesByNameResponse", f"<HostedZones>{shown}</HostedZones>{tail}")

    def _list_sets(self, path: str, zone: str, query: dict[str, str]) -> Response:
        names = {
            "name": "StartRecordName", "type": "StartRecordType", "identifier": "StartRecordIdentifier",
            "maxitems": "MaxItems",
        }  # fmt: skip
        params = {"HostedZoneId": zone, **{names[key]: value for key, value in query.items()}}
        self._called("ListResourceRecordSets", params, "GET", path, query)
        if "ListResourceRecordSets" in self.forbidden:
            return self.denial()
        if zone not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, "NoSuchHostedZone")
        most = int(query.get("maxitems", "300"))
        assert 0 < most <= 300
        assert "type" not in query or "name" in query, "InvalidInput"
        assert "identifier" not in query or "type" in query, "InvalidInput"
        start = (
            order_of(query["name"].rstrip(".") + ".") if "name" in query else "",
            query.get("type", ""), query.get("identifier", ""),
        )  # fmt: skip
        known = sorted(((order_of(key[0]), *key[1:]), one) for key, one in self.sets[zone].items())
        left = [one for place, one in known if place >= start]
        rest = left[most:]
        more = ""
        if rest:
            more = (
                f"<NextRecordName>{rest[0]['Name']}</NextRecordName><NextRecordType>{rest[0]['Type']}</NextRecordType>"
            )
            if "SetIdentifier" in rest[0]:
                more += f"<NextRecordIdentifier>{escape(rest[0]['SetIdentifier'])}</NextRecordIdentifier>"
        shown = "".join(written(one) for one in left[:most])
        tail = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{more}<MaxItems>{most}</MaxItems>"
        return success("ListResourceRecordSetsResponse", f"<ResourceRecordSets>{shown}</ResourceRecordSets>{tail}")

    def _change(self, path: str, zone: str, content: bytes) -> Response:
        root = ET.fromstring(content)  # noqa: S314 - ours
        assert root.tag == f"{{{NS}}}ChangeResourceRecordSetsRequest"
        changes = [
            {"Action": change.findtext("{*}Action"), "ResourceRecordSet": read(change.find("{*}ResourceRecordSet"))}
            for change in root.iterfind("{*}ChangeBatch/{*}Changes/{*}Change")
        ]
        params = {"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}}
        self._called("ChangeResourceRecordSets", params, "POST", path, {}, content)
        names = {str(change["ResourceRecordSet"]["Name"]) for change in changes}  # type: ignore[index]  # a dict
        if "ChangeResourceRecordSets" in self.forbidden or not all(name.startswith(self.condition) for name in names):
            return self.denial()
        values = [one["Value"] for change in changes for one in change["ResourceRecordSet"]["ResourceRecords"]]  # type: ignore[index]  # a dict
        assert changes
        assert len(values) <= 1000
        assert sum(map(len, values)) <= 32_000
        if self.busy:
            self.busy -= 1
            return failure(HTTPStatus.BAD_REQUEST, "PriorRequestNotComplete")
        self.written()
        if zone not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, "NoSuchHostedZone")
        before = dict(self.sets[zone])
        for change in changes:
            if (wrong := self._apply(zone, str(change["Action"]), change["ResourceRecordSet"])) is not None:  # type: ignore[arg-type]  # a dict
                self.sets[zone] = before
                return (
                    invalid_batch(wrong) if self.bare_errors else failure(HTTPStatus.BAD_REQUEST, "InvalidChangeBatch")
                )
        self.changes.append(f"C{len(self.changes):010}")
        return success("ChangeResourceRecordSetsResponse", change_info(self.changes[-1], served=False))

    def _apply(self, zone: str, action: str, one: Stored) -> str | None:
        key = key_of(one)
        name = key[0]
        origin = f"{self.zones[zone][0]}."
        if name != origin and not name.endswith(f".{origin}"):
            return f"RRSet with DNS name {name} is not permitted in zone {origin}"
        values = [each["Value"] for each in one["ResourceRecords"]]
        if not values or len(set(values)) < len(values) or not all(STRINGS.fullmatch(value) for value in values):
            return "InvalidCharacterString (Value should be enclosed in quotation marks)"
        there = self.sets[zone]
        if action == "DELETE":
            if key not in there:
                return f"Tried to delete resource record set [name='{name}', type='TXT'] but it was not found"
            if normal(there[key]) != normal(one):
                return f"Tried to delete [name='{name}'] but the values provided do not match the current values"
            del there[key]
            return None
        assert action == "CREATE", "UPSERT would overwrite what somebody else wrote meanwhile"
        if key in there:
            return f"Tried to create resource record set [name='{name}', type='TXT'] but it already exists"
        others = [other for place, other in there.items() if place[:2] == key[:2]]
        if any(("MultiValueAnswer" in other) != ("MultiValueAnswer" in one) for other in others):
            return f"RRSet with DNS name {name}, type TXT cannot be created as a different routing policy exists"
        if any(place[0] == name and place[1] == "CNAME" for place in there):
            return f"RRSet of type TXT with DNS name {name} is not permitted as a CNAME exists"
        self._store(zone, one)
        return None

    def _store(self, zone: str, one: Stored) -> None:
        self.sets[zone][key_of(one)] = {**one, "Name": key_of(one)[0]}

    def _longest(self, name: str) -> str:
        found = [
            (len(zone), key)
            for key, (zone, private) in self.zones.items()
            if not private and (name == zone or name.endswith(f".{zone}"))
        ]
        return max(found)[1]

    def _named(self, name: str) -> str:
        return next(key for key, (zone, private) in self.zones.items() if zone == name and not private)


def key_of(one: Stored) -> tuple[str, str, str]:
    return one["Name"].rstrip(".") + ".", one["Type"], one.get("SetIdentifier", "")


def normal(one: Stored) -> Stored:
    values = sorted(each["Value"] for each in one["ResourceRecords"])
    return {**one, "Name": key_of(one)[0], "TTL": int(one["TTL"]), "ResourceRecords": values}


def order_of(name: str) -> str:
    return ".".join(reversed(name.rstrip(".").split("."))) + "."


def read(element: ET.Element | None) -> Stored:
    assert element is not None
    found: Stored = {}
    for child in element:
        tag = child.tag.removeprefix(f"{{{NS}}}")
        assert tag in ORDER, tag
        assert tag not in found, tag
        found[tag] = child.text
    found["TTL"] = int(found["TTL"])
    if "MultiValueAnswer" in found:
        assert found["MultiValueAnswer"] == "true"
        found["MultiValueAnswer"] = True
    found["ResourceRecords"] = [
        {"Value": value.text} for value in element.iterfind("{*}ResourceRecords/{*}ResourceRecord/{*}Value")
    ]
    return found


def written(one: Stored) -> str:
    text = ""
    for tag in ORDER:
        if tag == "ResourceRecords":
            inner = "".join(
                f"<ResourceRecord><Value>{escape(each['Value'])}</Value></ResourceRecord>" for each in one[tag]
            )
            text += f"<{tag}>{inner}</{tag}>"
        elif tag in one:
            value = "true" if one[tag] is True else escape(str(one[tag]))
            text += f"<{tag}>{value}</{tag}>"
    return f"<ResourceRecordSet>{text}</ResourceRecordSet>"


def change_info(change: str, *, served: bool) -> str:
    status = "INSYNC" if served else "PENDING"
    return (
        f"<ChangeInfo><Id>/change/{change}</Id><Status>{status}</Status>"
        "<SubmittedAt>2026-01-01T00:00:00.000Z</SubmittedAt></ChangeInfo>"
    )


def success(name: str, inner: str) -> Response:
    return xml(HTTPStatus.OK, f'<{name} xmlns="{NS}">{inner}</{name}>')


def failure(status: int, code: str, namespace: str = NS) -> Response:
    said = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{SECRET}</Message></Error>"
    return xml(status, f'<ErrorResponse xmlns="{namespace}">{said}<RequestId>r</RequestId></ErrorResponse>')


def invalid_batch(message: str) -> Response:
    said = f"<Messages><Message>{escape(message)} {SECRET}</Message></Messages><RequestId>r</RequestId>"
    return xml(HTTPStatus.BAD_REQUEST, f'<InvalidChangeBatch xmlns="{NS}">{said}</InvalidChangeBatch>')


def xml(status: int, text: str) -> Response:
    body = f'<?xml version="1.0"?>\n{text}'.encode()
    return Response(status, Headers({"Content-Type": "text/xml"}), body)
