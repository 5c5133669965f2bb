"""Route 53, against a strict double whose oracle is botocore: its signatures, its description, its client."""

from __future__ import annotations

import asyncio
import datetime as dt
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.aws.partitions import PARTITIONS, partition_of, sts_host
from certwright.dns.aws.record_sets import MAX_ANSWERED
from certwright.dns.credential import Credential
from certwright.dns.hosted.changes import EVERY_SECONDS
from certwright.dns.hosted.text import quoted
from certwright.dns.providers.route53 import Route53Config
from certwright.http.message import Headers, Response
from tests.dns.providers.aws_oracle import client, endpoint_resolver
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.suite import NAME, OURS, WILD, Conformance
from tests.dns.providers.route53_double import Route53Double, failure

if TYPE_CHECKING:
    from collections.abc import Mapping


def cert_managers(api: Route53Double, value: str) -> None:
    """Write what cert-manager writes for a value."""
    api.put(NAME, value, SetIdentifier=quoted(value), MultiValueAnswer=True)


class TestRoute53(Conformance):
    requests_for_100 = 3
    zones_a_page = 100
    records_a_page = 100
    right = "route53:ListHostedZonesByName"

    def make_double(self) -> Route53Double:
        return Route53Double()

    async def test_one_name_takes_three_requests_and_its_removal_two(self, api: Route53Double) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.sent["all"] == 3
        await provider.clean_up(WILD)
        assert api.sent["all"] == 5

    async def test_a_zone_that_is_named_by_its_id_is_not_looked_for(self, api: Route53Double) -> None:
        api.forbidden = {"ListHostedZonesByName"}
        zone = next(iter(api.zones))
        provider = api.provider(hosted_zone_id=f"/hostedzone/{zone}")
        await provider.present([TxtRecord(NAME, "value", zone="example.com")])
        assert api.values(NAME) == ["value"]
        assert api.sent["all"] == 2
        with pytest.raises(
            ProviderRefused, match=f"the hosted zone {zone} does not take TXT records named a.other.test"
        ):
            await provider.present([TxtRecord("a.other.test", "value")])
        gone = api.provider(hosted_zone_id="Z0")
        with pytest.raises(ProviderRefused, match=r"HTTP 404, NoSuchHostedZone\): there is no hosted zone Z0"):
            await gone.present(WILD)

    async def test_a_refused_batch_is_understood_in_both_forms(self, api: Route53Double) -> None:
        api.bare_errors = True
        provider = api.provider()
        api.before_write = lambda: api.put(NAME, OURS.value)
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2
        api._store(next(iter(api.zones)), {"Name": "c.example.com.", "Type": "CNAME", "TTL": 1, "ResourceRecords": []})
        with pytest.raises(ProviderRefused, match=r"InvalidChangeBatch\).*no CNAME may be there"):
            await provider.present([TxtRecord("c.example.com", "v")])

    async def test_two_public_zones_of_one_name_are_told_apart_by_id_only(self, api: Route53Double) -> None:
        api.add_zone("example.com")
        with pytest.raises(Exception, match=r"2 public zones example\.com.*hostedZoneID"):
            await api.provider().present(WILD)

    async def test_a_private_zone_of_the_same_name_does_no_harm(self, api: Route53Double) -> None:
        api.add_zone("example.com", private=True)
        await api.provider().present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_names_far_apart_in_a_big_zone_are_read_without_the_pages_between(self, api: Route53Double) -> None:
        for number in range(1000):
            api.put(f"m{number:04}.example.com", "foreign")
        records = [TxtRecord(f"_acme-challenge.{name}.example.com", "v") for name in ("aaa", "zzz")]
        await api.provider().present(records)
        assert api.sent["GET"] == 3, "the zones, and one page for each name"

    async def test_names_that_are_written_with_escapes_do_not_hide_others(self, api: Route53Double) -> None:
        for number in range(150):
            api.put(rf"\052.a{number:03}.example.com", "foreign")
        api.put(NAME, "foreign")
        records = [TxtRecord("a000.example.com", "v"), TxtRecord("a140.example.com", "v"), *WILD]
        await api.provider().present(records)
        assert len(api.values(NAME)) == 3

    async def test_a_set_keeps_the_ttl_and_the_order_that_somebody_gave_it(self, api: Route53Double) -> None:
        api.put(NAME, "z-foreign")
        api.put(NAME, "a-foreign")
        provider = api.provider()
        await provider.present([TxtRecord(NAME, "mine", ttl=60)])
        [found] = api.at(NAME)
        assert found["TTL"] == 300
        assert [one["Value"] for one in found["ResourceRecords"]] == ['"z-foreign"', '"a-foreign"', '"mine"']
        await provider.clean_up([TxtRecord(NAME, "mine")])
        assert api.values(NAME) == ["a-foreign", "z-foreign"]

    async def test_beside_cert_managers_sets_each_program_removes_only_its_own(self, api: Route53Double) -> None:
        cert_managers(api, "theirs")
        provider = api.provider()
        await provider.present(WILD)
        assert api.values(NAME) == sorted(["theirs", *(one.value for one in WILD)])
        assert {one["SetIdentifier"] for one in api.at(NAME)} == {quoted(one) for one in api.values(NAME)}
        assert all(one["MultiValueAnswer"] is True for one in api.at(NAME))
        await provider.present(WILD)
        await provider.clean_up(WILD[:1])
        # As cert-manager does: it deletes exactly what it has written.
        zone = next(iter(api.zones))
        theirs = {"Name": NAME, "Type": "TXT", "SetIdentifier": '"theirs"', "MultiValueAnswer": True, "TTL": 300}
        assert api._apply(zone, "DELETE", {**theirs, "ResourceRecords": [{"Value": '"theirs"'}]}) is None
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_what_cert_manager_left_can_be_removed_as_well(self, api: Route53Double) -> None:
        cert_managers(api, OURS.value)
        api.put(NAME, "with a health check", SetIdentifier="x", MultiValueAnswer=True, HealthCheckId="h")
        provider = api.provider()
        await provider.present([OURS])
        assert api.sent["write"] == 0, "it is there"
        await provider.clean_up([OURS])
        await provider.clean_up([TxtRecord(NAME, "with a health check")])
        assert api.values(NAME) == []

    async def test_more_multivalue_sets_than_are_answered_are_not_made(self, api: Route53Double) -> None:
        for number in range(MAX_ANSWERED - 1):
            cert_managers(api, f"theirs-{number}")
        provider = api.provider()
        await provider.present(WILD[:1])
        with pytest.raises(ProviderRefused, match=r"would have 9 multivalue answer sets.*answers 8") as caught:
            await provider.present([*WILD, TxtRecord("ok.example.com", "v")])
        assert NAME in caught.value.names
        assert len(api.values(NAME)) == MAX_ANSWERED
        await provider.clean_up(WILD)

    async def test_sets_with_a_routing_policy_are_left_alone_and_told(self, api: Route53Double) -> None:
        api.put(NAME, "weighted", SetIdentifier="a", Weight=1)
        provider = api.provider()
        with pytest.raises(ProviderRefused, match=f"{NAME} has TXT records with a routing policy") as caught:
            await provider.present(WILD)
        assert caught.value.names == (NAME,)
        await provider.clean_up(WILD)
        assert api.values(NAME) == ["weighted"]
        assert api.sent["write"] == 0

    async def test_one_name_that_is_refused_does_not_stop_the_others_of_the_zone(self, api: Route53Double) -> None:
        api.put(NAME, "weighted", SetIdentifier="a", Weight=1)
        provider = api.provider()
        good = TxtRecord("good.example.com", "v")
        bad, fine = await asyncio.gather(provider.present(WILD), provider.present([good]), return_exceptions=True)
        assert isinstance(bad, ProviderRefused)
        assert fine is None
        assert api.values(good.name) == ["v"]

    async def test_more_than_a_batch_goes_in_several(self, api: Route53Double) -> None:
        provider = api.provider()
        records = [TxtRecord(f"w{number}.example.com", "v" * 43) for number in range(1000)]
        await provider.present(records)
        assert api.sent["write"] == 2, "of at most 32,000 characters each"
        assert all(api.values(record.name) == [record.value] for record in records)

    async def test_a_zone_that_is_busy_is_waited_for_and_not_for_ever(self, api: Route53Double) -> None:
        provider = api.provider()
        api.busy = 5
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2
        api.busy = 100
        with pytest.raises(ProviderUnreachable, match=r"still working on an earlier change.*PriorRequestNotComplete"):
            await provider.clean_up(WILD)
        assert api.busy == 94

    async def test_a_throttle_that_comes_as_a_bad_request_is_obeyed(self, api: Route53Double) -> None:
        provider: Any = api.provider()
        api.throttled = 1
        with pytest.raises(ProviderUnreachable, match=r"HTTP 400, Throttling: it receives too many") as caught:
            await provider.present(WILD)
        assert caught.value.retry_after == 2
        assert provider._session.pace.is_busy, "for all that use the credentials"
        api.now += 11
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_a_change_is_pending_until_route_53_serves_it_everywhere(self, api: Route53Double) -> None:
        provider: Any = api.provider()
        await provider.present(WILD)
        distributing = "Route 53 is still distributing the change (PENDING)"
        assert await provider.pending(WILD) == dict.fromkeys(WILD, distributing)
        asked = api.sent["all"]
        api.now += EVERY_SECONDS
        assert await provider.pending(WILD) == dict.fromkeys(WILD, distributing)
        assert api.sent["all"] == asked + 1
        api.serving = set(api.changes)
        api.now += EVERY_SECONDS
        assert await provider.pending(WILD) == {}
        another: Any = api.provider()
        assert await another.pending(WILD) == {}, "another process knows nothing, and the DNS shows it"

    async def test_without_the_right_to_ask_for_a_change_the_dns_alone_shows_it(self, api: Route53Double) -> None:
        provider: Any = api.provider()
        api.forbidden = {"GetChange"}
        await provider.present(WILD)
        for _ in range(5):
            api.now += EVERY_SECONDS
            last = await provider.pending(WILD)
        assert last == {}
        assert api.sent["all"] == 3 + 3

    async def test_a_name_that_a_condition_of_the_policy_excludes_does_not_stop_the_others(
        self, api: Route53Double
    ) -> None:
        api.condition = "_acme-challenge."
        provider = api.provider()
        bad, *fine = await asyncio.gather(
            provider.present([TxtRecord("other.example.com", "v")]),
            provider.present(WILD),
            provider.present([TxtRecord("_acme-challenge.b.example.com", "v")]),
            return_exceptions=True,
        )
        assert isinstance(bad, ProviderRefused)
        assert fine == [None, None]
        assert len(api.values(NAME)) == 2

    async def test_a_right_that_is_missing_is_not_tried_by_each_of_a_hundred_certificates(
        self, api: Route53Double
    ) -> None:
        api.forbidden = {"ChangeResourceRecordSets"}
        provider = api.provider()
        records = [TxtRecord(f"w{number}.example.com", "v") for number in range(100)]
        outcomes = await asyncio.gather(*(provider.present([one]) for one in records), return_exceptions=True)
        for record, outcome in zip(records, outcomes, strict=True):
            assert isinstance(outcome, ProviderRefused)
            assert outcome.names == (record.name,)
        assert api.sent["all"] <= 1 + 2 + 4 * 2, "once together, and a few alone"

    @pytest.mark.parametrize("action", ["ListHostedZonesByName", "ListResourceRecordSets", "ChangeResourceRecordSets"])
    async def test_the_right_that_is_missing_is_named(self, api: Route53Double, action: str) -> None:
        api.forbidden = {action}
        with pytest.raises(ProviderRefused, match=rf"needs the permission route53:{action}") as caught:
            await api.provider().present(WILD)
        if action != "ListHostedZonesByName":
            assert f"on arn:aws:route53:::hostedzone/{next(iter(api.zones))}" in str(caught.value)

    @pytest.mark.parametrize(
        ("code", "date", "said"),
        [
            ("InvalidClientTokenId", None, "the access key in accessKeyID does not exist, is inactive"),
            ("SignatureDoesNotMatch", None, "the secret access key is not the one of the access key in accessKeyID"),
            ("SignatureDoesNotMatch", 17, "the clock of this machine is 17 minutes behind that of AWS"),
            ("RequestExpired", -9, "the clock of this machine is 9 minutes ahead of that of AWS"),
            ("ExpiredToken", None, "the session token of the access key in accessKeyID has expired"),
        ],
    )
    async def test_keys_that_are_refused_are_told_apart(
        self, api: Route53Double, code: str, date: int | None, said: str
    ) -> None:
        def refuse(*_: object) -> Response:
            found = failure(HTTPStatus.FORBIDDEN, code)
            then = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=date or 0, seconds=5 if (date or 0) > 0 else -5)
            return Response(found.status, Headers({"Date": then.strftime("%a, %d %b %Y %H:%M:%S GMT")}), found.body)

        api.denied, api.denial = True, refuse  # type: ignore[method-assign]  # another refusal
        with pytest.raises(ProviderRefused, match=said) as caught:
            await api.provider().present(WILD)
        assert caught.value.code == code
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "host", "signed"),
    [
        ("cn-north-1", "route53.amazonaws.com.cn", "cn-northwest-1"),
        ("us-gov-east-1", "route53.us-gov.amazonaws.com", "us-gov-west-1"),
        ("ap-southeast-5", "route53.amazonaws.com", "us-east-1"),
    ],
)
async def test_the_region_says_whose_route_53_is_asked(region: str, host: str, signed: str) -> None:
    api = Route53Double(host=host, region=signed)
    api.add_zone("example.com")
    config = api.config(region=region)
    assert config.destination == host
    await config.build(api.context()).present(WILD)
    assert len(api.values(NAME)) == 2


def test_the_hosts_and_regions_are_those_of_aws() -> None:
    endpoints = endpoint_resolver()
    for partition in PARTITIONS:
        if partition.name == "aws-eusc":
            continue  # only in the rules of newer clients
        known = endpoints.construct_endpoint("route53", partition_name=partition.name)
        assert (partition.host, partition.region) == (known["hostname"], known["credentialScope"]["region"])
    checked = 0
    for name in endpoints.get_available_partitions():
        for region in endpoints.get_available_endpoints("sts", name):
            assert partition_of(region).name == name, region
            assert sts_host(region) == endpoints.construct_endpoint("sts", region)["hostname"]
            checked += 1
    assert checked > 30


class TestSdk:
    """botocore's client does on the double what the provider does, with the same requests."""

    def client(self, api: Route53Double) -> Any:
        def handle(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
            given = {name.lower(): value for name, value in headers.items()}
            kept = {name: given[name] for name in ("authorization", "x-amz-date")}
            assert api.check_credential(method, url, kept, body or None)
            parts = urlsplit(url)
            return api.answer(method, parts.path, dict(parse_qsl(parts.query)), body or None)

        return client("route53", handle, SECRET)

    async def test_it_works_on_the_double_and_sends_what_the_provider_sends(self) -> None:
        ours, theirs = Route53Double(), Route53Double()
        for double in (ours, theirs):
            double.add_zone("example.com")
            double.put(NAME, "foreign")
        provider: Any = ours.provider()
        await provider.present(WILD)
        ours.now += EVERY_SECONDS
        await provider.pending(WILD)
        sdk = self.client(theirs)
        [zone] = sdk.list_hosted_zones_by_name(MaxItems="100")["HostedZones"]
        assert zone["Config"]["PrivateZone"] is False
        zone_id = zone["Id"].rpartition("/")[2]
        page = sdk.list_resource_record_sets(
            HostedZoneId=zone_id, StartRecordName=NAME, StartRecordType="TXT", MaxItems="10"
        )
        [old] = [one for one in page["ResourceRecordSets"] if one["Type"] == "TXT"]
        old["Name"] = old["Name"].rstrip(".")
        values = [*old["ResourceRecords"], *({"Value": quoted(one.value)} for one in sorted(WILD))]
        batch = [
            {"Action": "DELETE", "ResourceRecordSet": old},
            {"Action": "CREATE", "ResourceRecordSet": {**old, "ResourceRecords": values}},
        ]
        made = sdk.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": batch})["ChangeInfo"]
        assert made["Status"] == "PENDING"
        assert sdk.get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "PENDING"
        assert theirs.calls == ours.calls
        assert theirs.values(NAME) == ours.values(NAME)

    def test_it_sees_every_page_and_every_refusal(self) -> None:
        api = Route53Double()
        for number in range(120):
            api.add_zone(f"zone{number:03}.example")
        sdk = self.client(api)
        first = sdk.list_hosted_zones_by_name()
        assert first["IsTruncated"]
        rest = sdk.list_hosted_zones_by_name(DNSName=first["NextDNSName"], HostedZoneId=first["NextHostedZoneId"])
        assert len(first["HostedZones"]) + len(rest["HostedZones"]) == 120
        zone = first["HostedZones"][0]["Id"]
        one = {"Name": "a.zone000.example.", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"v"'}]}
        change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": one}]}
        with pytest.raises(sdk.exceptions.InvalidChangeBatch):
            sdk.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
        api.busy = 1
        with pytest.raises(sdk.exceptions.PriorRequestNotComplete):
            sdk.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
        with pytest.raises(sdk.exceptions.NoSuchHostedZone):
            sdk.list_resource_record_sets(HostedZoneId="Z404")
        with pytest.raises(sdk.exceptions.NoSuchChange):
            sdk.get_change(Id="C404")


@pytest.mark.parametrize("value", ["", " \n", "to ken", "tok\nen", "t\u00f6ken"])
def test_a_secret_that_cannot_be_one_is_refused_without_being_shown(value: str) -> None:
    config = Route53Config(access_key_id="AKID", secret_access_key=Credential(value, "the entry s of Secret shop/dns"))
    with pytest.raises(InvalidCredential, match="the secret access key in the entry s of Secret shop/dns") as caught:
        config.build(Route53Double().context())
    assert not value.strip() or value not in str(caught.value)
