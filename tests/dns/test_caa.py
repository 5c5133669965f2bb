"""CAA records, read ahead of the CA (RFC 8659, RFC 8657)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.dns import CaaPolicy, CaaRecord, CaaSet, ResolutionFailed, find_caa, judge_caa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CA = ["letsencrypt.org"]
ACCOUNT = "https://ca.example/acct/1"


def caa_set(*records: str) -> CaaSet:
    parts = [record.partition(" ") for record in records]
    return CaaSet("example.com", tuple(CaaRecord(tag, value) for tag, _, value in parts))


class Zone:
    """Answers as a resolver does: with the CNAME in front."""

    def __init__(self, records: Mapping[str, Sequence[str]], aliases: Mapping[str, str] | None = None) -> None:
        self.records = records
        self.aliases = aliases or {}
        self.asked: list[str] = []

    async def ask(self, name: str, rdtype: str) -> dns.message.Message:
        self.asked.append(name)
        assert rdtype == "CAA"
        answer = dns.message.make_response(dns.message.make_query(f"{name}.", rdtype))
        if name in self.aliases:
            target = self.aliases[name]
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{target}."))
            name = target
        if name in self.records:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CAA", *self.records[name]))
        return answer


async def test_the_closest_set_counts() -> None:
    zone = Zone({"example.com": ['0 issue "a.example"'], "www.example.com": ['0 issue "b.example"']})
    found = await find_caa("www.example.com", zone.ask)
    assert found == CaaSet("www.example.com", (CaaRecord("issue", "b.example"),))
    assert zone.asked == ["www.example.com"]


async def test_it_climbs_to_the_top_level_domain_and_from_the_name_itself() -> None:
    zone = Zone({"com": ['128 ISSUE "a.example"']}, {"x.y.example.com": "elsewhere.test"})
    found = await find_caa("*.x.y.example.com", zone.ask)
    assert found == CaaSet("com", (CaaRecord("issue", "a.example", critical=True),))
    assert zone.asked == ["x.y.example.com", "y.example.com", "example.com", "com"]


async def test_of_many_records_some_are_enough() -> None:
    zone = Zone({"example.com": [f'0 issue "ca{number}.example"' for number in range(150)]})
    found = await find_caa("example.com", zone.ask)
    assert found is not None
    assert len(found.records) == 100


async def test_an_alias_is_followed() -> None:
    zone = Zone({"elsewhere.test": ['0 issue ";"']}, {"www.example.com": "elsewhere.test"})
    found = await find_caa("www.example.com", zone.ask)
    assert found is not None
    assert found.name == "elsewhere.test"


async def test_without_any_everybody_may_issue() -> None:
    assert await find_caa("www.example.com", Zone({}).ask) is None
    assert judge_caa(None, identities=CA).allowed


async def test_a_server_failure_is_no_answer() -> None:
    async def fail(name: str, _rdtype: str) -> dns.message.Message:
        raise ResolutionFailed(name)

    with pytest.raises(ResolutionFailed):
        await find_caa("www.example.com", fail)


@pytest.mark.parametrize(
    ("records", "wildcard", "allowed"),
    [
        (["issue letsencrypt.org"], False, True),
        (["issue LetsEncrypt.org"], True, True),
        (["issue other.example", "issue letsencrypt.org"], False, True),
        (["issue other.example"], False, False),
        (["issue ;"], False, False),
        (["issue "], False, False),
        (["issue ;"], True, False),
        (["issue other.example"], True, False),
        (["issuewild ;"], False, True),
        (["issuewild ;"], True, False),
        (["issue ;", "issuewild letsencrypt.org"], True, True),
        (["issue ;", "issuewild letsencrypt.org"], False, False),
        (["issue letsencrypt.org", "issuewild other.example"], True, False),
        (["iodef mailto:a@example.com"], False, True),
        (["issue %%%%%"], False, False),
        (["issue letsencrypt.org; bad parameter"], False, False),
        (["issue letsencrypt.org; policy=ev"], False, True),
    ],
)
def test_who_may_issue(records: list[str], *, wildcard: bool, allowed: bool) -> None:
    verdict = judge_caa(caa_set(*records), identities=CA, wildcard=wildcard)
    assert verdict.allowed is allowed
    assert "example.com" in verdict.reason


def test_of_a_ca_without_a_name_nothing_is_known() -> None:
    verdict = judge_caa(caa_set("issue ;"), identities=())
    assert verdict.allowed
    assert verdict.reason == "the CA does not say which name it uses in the CAA records of example.com"


def test_reasons_stay_short() -> None:
    many = judge_caa(caa_set(*(f"issue ca{number:02}.example" for number in range(40))), identities=CA)
    assert many.reason == (
        "the CAA records of example.com let ca00.example, ca01.example, ca02.example, ca03.example, ca04.example"
        " and 35 more issue, not letsencrypt.org"
    )
    for parameter in ("accounturi", "validationmethods"):
        long = caa_set(f"issue {CA[0]}; {parameter}={'x' * 30_000}")
        assert len(judge_caa(long, identities=CA, account_url=ACCOUNT, methods=["dns-01"]).reason) < 400


def test_a_critical_property_nobody_knows_forbids() -> None:
    found = CaaSet("example.com", (CaaRecord("issue", CA[0]), CaaRecord("tbs", "x", critical=True)))
    assert not judge_caa(found, identities=CA).allowed
    assert judge_caa(CaaSet("example.com", (CaaRecord("issue", CA[0], critical=True),)), identities=CA).allowed


@pytest.mark.parametrize(
    ("value", "account", "methods", "allowed"),
    [
        (f"letsencrypt.org; accounturi={ACCOUNT}", ACCOUNT, (), True),
        (f"letsencrypt.org; accounturi={ACCOUNT}", f"{ACCOUNT}2", (), False),
        (f"letsencrypt.org; accounturi={ACCOUNT}", None, (), True),
        ("letsencrypt.org; validationmethods=dns-01,http-01", ACCOUNT, ("dns-01",), True),
        ("letsencrypt.org; validationmethods=dns-01", ACCOUNT, ("http-01",), False),
        ("letsencrypt.org; validationmethods=dns-01", ACCOUNT, (), True),
    ],
)
def test_the_parameters_of_rfc_8657(
    value: str, account: str | None, methods: tuple[str, ...], *, allowed: bool
) -> None:
    verdict = judge_caa(caa_set(f"issue {value}"), identities=CA, account_url=account, methods=methods)
    assert verdict.allowed is allowed


def test_one_record_that_fits_is_enough() -> None:
    found = caa_set("issue letsencrypt.org; accounturi=https://x", f"issue letsencrypt.org; accounturi={ACCOUNT}")
    assert judge_caa(found, identities=CA, account_url=ACCOUNT).allowed


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("", CaaPolicy()),
        (";", CaaPolicy()),
        (" ca1.example.net ; account = 230123 ", CaaPolicy("ca1.example.net", {"account": "230123"})),
        ("ca.example; a=; b=c", CaaPolicy("ca.example", {"a": "", "b": "c"})),
        ("ca.example; my-tag=1; my-2-tag=", CaaPolicy("ca.example", {"my-tag": "1", "my-2-tag": ""})),
        ("ca.example; -tag=1", CaaPolicy(malformed=True)),
        ("ca.example; A=1; a=2", CaaPolicy(malformed=True)),
        ("ca..example", CaaPolicy(malformed=True)),
        ("ca.example.", CaaPolicy(malformed=True)),
        ("ca-.example", CaaPolicy(malformed=True)),
        ("ca.example; a=1;", CaaPolicy(malformed=True)),
        ("%%%%%", CaaPolicy(malformed=True)),
    ],
)
def test_values_are_taken_apart_as_in_rfc_8659_section_4_2(value: str, policy: CaaPolicy) -> None:
    assert CaaPolicy.parse(value) == policy


@given(st.text(max_size=200))
def test_any_value_is_read(value: str) -> None:
    policy = CaaPolicy.parse(value)
    assert policy.issuer == policy.issuer.lower()
    assert policy.malformed is False or (policy.issuer, dict(policy.parameters)) == ("", {})


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=60), st.booleans()), max_size=8), st.booleans())
def test_any_set_is_judged(records: list[tuple[str, str, bool]], wildcard: bool) -> None:  # noqa: FBT001 - drawn
    found = CaaSet("example.com", tuple(CaaRecord(tag, value, critical) for tag, value, critical in records))
    assert judge_caa(found, identities=CA, wildcard=wildcard).reason
