"""The list of records that may be left in the DNS: what is written, read and believed, and how long it gets."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import dns01_value
from certwright.challenges.response import AccountRecordResponse, RecordResponse
from certwright.issuers import left_records as module
from certwright.issuers.left_records import LeftRecord, LeftRecords
from certwright.kube.errors import Forbidden, Unreachable
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
CA = Key("ClusterIssuer", "", "ca")


def left(number: int = 1, namespace: str = "shop", **changes: Any) -> LeftRecord:
    """One record on the list."""
    one = LeftRecord(
        record=RecordResponse("_acme-challenge.a.example", f"{number:043d}", "a.example"),
        domain="*.a.example",
        issuer=CA,
        issuer_uid="uid-ca",
        certificate=Key("Certificate", namespace, "web"),
        certificate_uid="uid-web",
        cause="RemovalFailed",
        since=NOW,
    )
    return replace(one, **changes)


class Secrets:
    """The API server, with one Secret."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.writes = 0
        self.failure: Exception | None = None

    async def read_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        assert (namespace, name) == ("certwright", "blue-challenge-records")
        if self.failure is not None:
            raise self.failure
        return copy.deepcopy(self.secret)

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        assert force
        if self.failure is not None:
            raise self.failure
        self.writes += 1
        self.secret = copy.deepcopy(dict(secret))
        return self.secret

    @property
    def entries(self) -> list[dict[str, Any]]:
        assert self.secret is not None
        return list(json.loads(base64.b64decode(self.secret["data"]["records.json"]))["records"])

    def set_entries(self, entries: Any) -> None:
        content = base64.b64encode(json.dumps(entries).encode()).decode()
        self.secret = {"data": {"records.json": content}}


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def the_list(secrets: Secrets) -> LeftRecords:
    """The list of a new process."""
    return LeftRecords(cast("Any", secrets), namespace="certwright", release="blue", clock=lambda: NOW)


async def test_the_next_process_reads_what_this_one_wrote(secrets: Secrets) -> None:
    account = AccountRecordResponse("_x._acme-challenge.b.example", "b" * 43, "b.example")
    records = [left(1), left(2, issuer=Key("Issuer", "shop", "own"), record=account, domain="b.example")]
    await the_list(secrets).write_down(records)
    again = the_list(secrets)
    await again.load()
    assert list(again) == records
    assert all(one.is_read and not one.is_followed for one in again)
    assert [one.record.challenge_type for one in again] == ["dns-01", "dns-account-01"]
    assert [one.record.domain for one in again] == ["a.example", "b.example"]


async def test_what_was_noted_before_the_list_was_read_is_added_to_it(secrets: Secrets) -> None:
    await the_list(secrets).write_down([left(1)])
    again = the_list(secrets)
    again.note([left(2)])
    await again.write()
    assert [entry["value"][-1] for entry in secrets.entries] == ["1", "2"]


async def test_nothing_is_written_while_nothing_changes(secrets: Secrets) -> None:
    found = the_list(secrets)
    await found.write()
    assert (secrets.writes, secrets.secret) == (0, None)
    await found.write_down([left()])
    await found.write_down([left()])
    assert secrets.writes == 1
    assert not found.changed.is_set()


async def test_an_entry_that_the_operator_never_writes_is_ignored(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    good = left().to_json()
    spoilt = [
        {**good, "value": "v=spf1 -all"},
        {**good, "value": 7},
        {**good, "name": "a..example"},
        {**good, "name": ""},
        {**good, "cause": "Dislike"},
        {**good, "cause": ["InPlace"]},
        {**good, "challengeType": ["dns-01"]},
        {**good, "since": "yesterday"},
        {**good, "since": "2026-06-01T00:00:00"},
        {**good, "since": "0001-01-01T00:00:00+23:59"},
        {**good, "issuer": None},
        {**good, "issuer": {**good["issuer"], "kind": "Secret"}},
        {**good, "issuer": {**good["issuer"], "kind": ["Issuer"]}},
        {**good, "name": "a" * (1 << 16)},
        {**good, "certificate": {"namespace": "n" * 300, "name": "web", "uid": ""}},
        {key: value for key, value in good.items() if key != "domain"},
        "text",
        None,
    ]
    secrets.set_entries({"records": [*spoilt, good]})
    found = the_list(secrets)
    await found.load()
    assert list(found) == [left()]
    [told] = caplog.messages
    assert f"has {len(spoilt)} entries that the operator did not write" in told


async def test_a_list_that_is_full_of_something_else_is_read_to_its_bounds(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    others = [left(number, "other").to_json() for number in range(2 * module.MAX_LEFT)]
    secrets.set_entries({"records": [*([None] * 100), *others]})
    found = the_list(secrets)
    await found.load()
    assert len(found) == module.MAX_LEFT
    assert len(caplog.messages) == 1


async def test_what_was_noted_in_a_time_to_come_was_noted_now(secrets: Secrets) -> None:
    await the_list(secrets).write_down([left(since=NOW + dt.timedelta(days=4000)), left(2)])
    again = the_list(secrets)
    await again.load()
    assert [one.since for one in again] == [NOW, NOW]


async def test_long_names_do_not_make_a_list_that_no_secret_can_hold(secrets: Secrets) -> None:
    long = ".".join(["d" * 49] * 5)
    dropped: list[LeftRecord] = []
    found = the_list(secrets)
    found.on_dropped = dropped.extend

    def one(number: int) -> LeftRecord:
        place = Key("Certificate", "n" * 63, "c" * 253)
        record = RecordResponse(long, f"{number:043d}", long)
        return left(number, record=record, domain=long, certificate=place, certificate_uid="u" * 36)

    neighbour = left(7, "neighbour")
    found.note([neighbour])
    for number in range(module.MAX_LEFT):
        found.note([one(number)])
    await found.write()
    assert secrets.secret is not None
    content = base64.b64decode(secrets.secret["data"]["records.json"])
    assert 0.99 * module.MAX_BYTES < len(content) <= module.MAX_BYTES
    assert neighbour in found
    assert {two.certificate.namespace for two in dropped} == {"n" * 63}
    for record in list(found):
        found.put(replace(record, cause="CertificateGone"))
    await found.write()
    assert len(base64.b64decode(secrets.secret["data"]["records.json"])) <= module.MAX_BYTES
    again = the_list(secrets)
    await again.load()
    assert list(again) == list(found)
    found.drop(list(found))
    assert found._bytes == module._FRAME_BYTES


async def test_the_key_authorization_of_a_record_is_kept_if_the_value_is_its_digest(secrets: Secrets) -> None:
    authorization = "token.thumbprint"
    value = dns01_value(authorization)
    record = RecordResponse("_acme-challenge.a.example", value, "a.example", key_authorization=authorization)
    await the_list(secrets).write_down([left(record=record)])
    for written, read in ((authorization, authorization), ("other.thumbprint", None), (7, None), ("é", None)):
        secrets.set_entries({"records": [{**secrets.entries[0], "keyAuthorization": written}]})
        again = the_list(secrets)
        await again.load()
        (one,) = again
        assert (one.record, one.record.key_authorization) == (record, read)


@pytest.mark.parametrize("content", [[], {}, {"records": 5}, "x", None])
async def test_a_list_that_is_none_removes_nothing_and_is_written_anew(secrets: Secrets, content: Any) -> None:
    secrets.set_entries(content)
    found = the_list(secrets)
    await found.load()
    assert not list(found)
    await found.write_down([left()])
    assert len(secrets.entries) == 1


async def test_what_is_left_takes_the_place_of_what_is_in_place_and_never_the_other_way(secrets: Secrets) -> None:
    found = the_list(secrets)
    found.note([left(cause="InPlace", is_followed=True)])
    found.note([left(cause="CertificateGone")])
    found.note([left(cause="InPlace"), left(cause="RemovalFailed")])
    assert [one.cause for one in found] == ["CertificateGone"]
    assert found.number_left == 1


async def test_a_namespace_cannot_crowd_out_the_records_of_another(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LEFT", 4)
    found = the_list(secrets)
    dropped: list[LeftRecord] = []
    found.on_dropped = dropped.extend
    found.note([left(1, "quiet")])
    found.note(left(number, "loud") for number in range(2, 12))
    assert [one.certificate.namespace for one in found].count("quiet") == 1
    assert len(found) == 4
    assert [int(one.record.value) for one in dropped] == list(range(2, 9))
    found.note([left(20, "other", cause="InPlace")])
    assert len(dropped) == 7, "what orders need takes no place of what is left behind"


async def test_records_that_orders_need_give_way_first_and_share_what_room_there_is(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LEFT", 4)
    found = the_list(secrets)
    found.note(left(number, "loud", cause="InPlace") for number in range(10))
    found.note([left(20, "quiet", cause="InPlace")])
    assert sorted(one.certificate.namespace for one in found) == ["loud", "loud", "loud", "quiet"]
    found.note(left(number, "quiet") for number in range(30, 34))
    assert [one.cause for one in found] == ["RemovalFailed"] * 4


async def test_a_list_that_may_not_be_written_is_known_in_memory_and_holds_nothing_up(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.failure = Forbidden("write Secret certwright/blue-challenge-records", status=403)
    found = the_list(secrets)
    await found.write_down([left()])
    await found.load()
    await found.write()
    assert list(found) == [left()]
    assert len(caplog.records) == 1, "said once"
    secrets.failure = None
    await found.write()
    assert len(secrets.entries) == 1


async def test_a_failure_to_write_is_told_to_who_waits_for_it(secrets: Secrets) -> None:
    found = the_list(secrets)
    secrets.failure = Unreachable("write")
    with pytest.raises(Unreachable):
        await found.write_down([left()])
    secrets.failure = None
    await found.write()
    assert len(secrets.entries) == 1


async def test_after_a_restored_backup_the_list_is_written_again_and_no_order_is_followed(secrets: Secrets) -> None:
    found = the_list(secrets)
    await found.write_down([left(cause="InPlace", is_followed=True)])
    secrets.secret = None
    found.start_over()
    await found.write()
    assert len(secrets.entries) == 1
    found.order_ended("uid-web")
    assert len(found) == 1, "whether it was removed is not known any more"
