"""The list of what every DNS provider passes is whole: which provider is outside of it, or of a part of it, and why."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.dns.providers import PROVIDERS
from tests.dns.providers.conformance.suite import Conformance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

CASES: Final[Mapping[str, str]] = {
    "wildcard and apex together": "test_wildcard_and_apex_stand_together_and_go_one_by_one",
    "two Certificates at one name": "test_two_certificates_at_one_name_do_not_disturb_each_other",
    "200 names in 5 zones": "test_200_names_in_5_zones",
    "a foreign value stays": "test_a_foreign_value_stays",
    "a foreign value of any characters stays": "test_a_foreign_value_of_any_characters_stays_as_it_is",
    "foreign values at the apex stay": "test_records_at_the_name_of_the_zone_itself_leave_all_others_there",
    "names have no case": "test_names_in_capitals_are_the_same_names",
    "present and clean-up repeated": "test_present_and_clean_up_can_be_repeated",
    "a crash between the two": "test_what_a_crash_left_is_presented_again_and_removed_by_another_process",
    "throttled": "test_a_throttle_is_obeyed_by_all_that_use_the_credential",
    "unauthorised": "test_a_credential_without_rights_is_told_what_it_needs_once",
    "zone missing": "test_a_missing_zone_is_told_and_the_others_are_changed",
    "child zone": "test_the_child_zone_is_preferred_to_its_parent",
    "private zone": "test_a_private_zone_is_not_taken",
    "zones on page 2": "test_the_zone_may_be_on_the_second_page",
    "records on page 2": "test_the_records_may_be_on_the_second_page",
    "somebody quicker": "test_somebody_quicker_loses_nothing",
    "a server error in the middle": "test_a_server_error_in_the_middle_is_survived_by_trying_again",
    "an answer too long": "test_an_answer_that_is_too_long_is_told_and_harms_nothing",
    "cancelled": "test_whoever_is_cancelled_takes_nothing_from_the_others",
    "the same words": "test_the_same_trouble_is_told_in_the_same_words",
}
NO_PRIVATE_ZONES: Final = frozenset(
    {"desec", "digitalocean", "gandi", "godaddy", "infomaniak", "ovh", "porkbun", "scaleway", "vultr"}
)
"""Their APIs have none, so a double cannot have one. Of Akamai, Hetzner, IONOS and Linode it is a secondary zone, of
PowerDNS the variant of a zone for a view."""
OTHER_WAY_ROUND: Final[Mapping[str, str]] = {"TestPrivate": "test_a_public_zone_is_not_taken"}
"""Azure's private zones: a public one is not taken."""
OUTSIDE: Final[Mapping[str, Mapping[str, str]]] = {
    # It keeps the last two values of an account, reads and removes none, and an account is a name, not a zone: what is
    # about zones, pages, foreign values or removal cannot be asked of it.
    "acme_dns": {
        "wildcard and apex together": "test_wildcard_and_apex_stand_together",
        "two Certificates at one name": "test_three_certificates_at_once_get_two_values_and_one_refusal",
        "present and clean-up repeated": "test_clean_up_asks_nothing_and_can_be_repeated",
        "a crash between the two": "test_what_a_crash_left_is_presented_again_by_another_process",
        "throttled": "test_a_throttle_is_obeyed_by_all_accounts_of_the_server",
        "unauthorised": "test_an_account_that_the_server_does_not_accept_is_told",
        "zone missing": "test_a_missing_cname_is_told_as_the_record_to_create",
        "a server error in the middle": "test_a_failure_is_survived_by_trying_again",
        "cancelled": "test_whoever_is_cancelled_takes_nothing_from_the_others",
    },
    # The server alone knows zones, pages and other values: it is told one value in a call.
    "http_request": {
        "wildcard and apex together": "test_values_at_one_name_come_and_go_one_by_one_and_repeatedly",
        "two Certificates at one name": "test_calls_for_one_zone_come_one_after_the_other_and_lose_nothing",
        "200 names in 5 zones": "test_200_names_in_5_zones",
        "a foreign value stays": "test_values_at_one_name_come_and_go_one_by_one_and_repeatedly",
        "present and clean-up repeated": "test_values_at_one_name_come_and_go_one_by_one_and_repeatedly",
        "a crash between the two": "test_what_a_crash_left_is_presented_again_and_removed_by_another_process",
        "throttled": "test_a_throttle_is_obeyed_for_all_zones",
        "unauthorised": "test_what_it_refuses_is_told_without_what_it_said",
        "zone missing": "test_a_zone_that_cannot_be_found_in_the_dns_is_the_servers_business",
        "a server error in the middle": "test_one_that_is_out_of_service_is_not_asked_for_each_value",
        "cancelled": "test_whoever_is_cancelled_goes_on_where_it_was_and_takes_nothing_from_the_others",
    },
    # What a plugin does is tested by its author, with `certwright.testing`; what calls it is tested with ours.
    "plugin": {
        "a server error in the middle": "test_whatever_a_plugin_raises_or_returns_becomes_an_error_of_ours",
        "cancelled": "test_a_call_that_takes_too_long_is_ended",
    },
    # A DNS server adds and removes values by itself, and has no pages and no credentials but keys: tests/dns/
    # test_rfc2136.py, and on BIND in tests/integration.
    "rfc2136": {
        "wildcard and apex together": "test_records_are_added_and_removed_one_by_one",
        "200 names in 5 zones": "test_there_is_one_message_for_each_zone",
        "unauthorised": "test_a_refusal_is_explained",
        "zone missing": "test_the_world_is_asked_for_a_zone_that_the_server_does_not_tell",
        "a server error in the middle": "test_a_zone_that_refuses_does_not_keep_the_others_from_theirs",
    },
}
"""Providers that are no `Conformance`, with the cases that can be asked of them and the tests that do."""


def module_of(name: str) -> ModuleType:
    place = "tests.dns" if name == "rfc2136" else "tests.dns.providers"
    return import_module(f"{place}.test_{name}")


def suites(name: str) -> list[type[Conformance]]:
    found = vars(module_of(name)).values()
    classes = (one for one in found if inspect.isclass(one) and one.__name__.startswith("Test"))
    return [one for one in classes if issubclass(one, Conformance)]


def overrides(suite: type[Conformance]) -> Iterator[str]:
    below = suite.__mro__[: suite.__mro__.index(Conformance)]
    yield from (name for one in below for name in vars(one) if name.startswith("test_") and hasattr(Conformance, name))


def test_the_suite_has_every_case() -> None:
    assert {name for name in CASES.values() if not hasattr(Conformance, name)} == set()


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_passes_the_suite_or_is_listed_with_its_own_tests(name: str) -> None:
    if name not in OUTSIDE:
        assert suites(name), "a class that inherits from Conformance"
        return
    assert suites(name) == []
    module: Any = module_of(name)
    assert OUTSIDE[name].keys() <= CASES.keys()
    assert [test for test in OUTSIDE[name].values() if not callable(getattr(module, test, None))] == []


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in OUTSIDE])
def test_no_provider_takes_a_case_out_of_the_suite(name: str) -> None:
    for suite in suites(name):
        if suite.__name__ in OTHER_WAY_ROUND:
            assert hasattr(suite, OTHER_WAY_ROUND[suite.__name__])
            assert list(overrides(suite)) == [CASES["private zone"]]
        else:
            assert list(overrides(suite)) == []
        marks = {mark.name for one in vars(suite).values() for mark in getattr(one, "pytestmark", ())}
        assert marks.isdisjoint({"skip", "skipif", "xfail"})


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in OUTSIDE])
async def test_a_double_has_private_zones_if_the_api_has(name: str) -> None:
    for suite in suites(name):
        double: Any = suite().make_double()
        before = repr({key: value for key, value in vars(double).items() if "zone" in key})
        double.add_zone("private.example.com", private=True)
        after = repr({key: value for key, value in vars(double).items() if "zone" in key})
        assert (before != after) == (name not in NO_PRIVATE_ZONES)
