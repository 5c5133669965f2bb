"""What users of other programs complained of, each with the tests that show that it does not happen here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS: Final = Path(__file__).parents[2]
SUITE: Final = "dns/providers/conformance/suite.py"
AWS: Final = "dns/providers/test_route53.py"
KEYS: Final = "dns/providers/test_route53_credentials.py"
ORDERS: Final = "certificates/test_dns01_orders.py"
DIGITALOCEAN: Final = "dns/providers/test_digitalocean.py"

COMPLAINTS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "DigitalOcean was asked every 150 ms": (
        (DIGITALOCEAN, "test_never_more_requests_a_minute_than_the_api_allows_however_many_names_there_are"),
    ),
    "only the first page was read": (
        (SUITE, "test_the_zone_may_be_on_the_second_page"),
        (SUITE, "test_the_records_may_be_on_the_second_page"),
        (
            "dns/providers/test_endless_lists.py",
            "test_zones_without_an_end_are_told_and_the_credential_goes_nowhere_else",
        ),
    ),
    "Route 53 was asked again and again after a refusal": (
        (AWS, "test_a_right_that_is_missing_is_not_tried_by_each_of_a_hundred_certificates"),
        (SUITE, "test_a_credential_without_rights_is_told_what_it_needs_once"),
    ),
    "Route 53 counted failures of one name against all": (
        (AWS, "test_one_name_that_is_refused_does_not_stop_the_others_of_the_zone"),
    ),
    "a new change was sent while one was pending": (
        (AWS, "test_a_zone_that_is_busy_is_waited_for_and_not_for_ever"),
        (AWS, "test_a_change_is_pending_until_route_53_serves_it_everywhere"),
    ),
    "multivalue sets and simple ones excluded each other": (
        (AWS, "test_beside_cert_managers_sets_each_program_removes_only_its_own"),
    ),
    "values of a wildcard and its domain overwrote each other": (
        (SUITE, "test_wildcard_and_apex_stand_together_and_go_one_by_one"),
    ),
    "values of two certificates overwrote each other": (
        (SUITE, "test_two_certificates_at_one_name_do_not_disturb_each_other"),
    ),
    "the parent zone was taken": ((SUITE, "test_the_child_zone_is_preferred_to_its_parent"),),
    "a private zone was taken": (
        (SUITE, "test_a_private_zone_is_not_taken"),
        (AWS, "test_a_private_zone_of_the_same_name_does_no_harm"),
    ),
    "which region counts was unclear": (
        (KEYS, "test_the_region_of_the_solver_goes_before_that_of_the_operator"),
        (KEYS, "test_an_access_key_of_an_issuer_does_not_use_the_region_of_the_operator"),
    ),
    "IRSA and the region did not go together": ((KEYS, "test_irsa_reads_its_token_anew_each_time"),),
    "guessing at zones was throttled": ((SUITE, "test_a_missing_zone_is_told_and_the_others_are_changed"),),
    "the zone could not be named": (
        (SUITE, "test_the_zone_that_the_solver_names_is_taken_in_place_of_a_longer_one"),
        (AWS, "test_a_zone_that_is_named_by_its_id_is_not_looked_for"),
    ),
    "a field that vanished from the API broke clean-up": (
        ("dns/providers/test_cloudflare.py", "test_what_vanishes_from_the_answers_breaks_nothing"),
        (DIGITALOCEAN, "test_a_field_that_vanishes_from_the_answers_breaks_neither_pages_nor_clean_up"),
    ),
    "a record that was there already was a failure": (
        (SUITE, "test_somebody_quicker_loses_nothing"),
        (SUITE, "test_present_and_clean_up_can_be_repeated"),
    ),
    "texts of errors that differ each time defeated the pauses": (
        (SUITE, "test_the_same_trouble_is_told_in_the_same_words"),
    ),
    "412 and 409 of Google were failures": ((SUITE, "test_somebody_quicker_loses_nothing"),),
    "acme-dns keeps two values only": (
        (
            "dns/providers/test_acme_dns.py",
            "test_a_third_value_is_refused_before_it_pushes_one_out_and_goes_once_one_is_done",
        ),
    ),
    "accounts of acme-dns were for exact names only": (
        ("dns/providers/test_acme_dns.py", "test_the_accounts_may_be_saved_by_wildcards_and_names_of_challenges"),
    ),
    "split horizon": (("dns/test_view.py", "test_the_recursive_view_alone_asks_every_resolver_and_no_other_server"),),
    "the CNAME of a wildcard was followed": (
        ("dns/test_view.py", "test_an_alias_that_a_wildcard_makes_is_not_followed"),
    ),
    "a fixed 60 s for every provider": (("docs/test_provider_pages.py", "test_the_table_of_providers_has_it"),),
    "a line break in a token": (
        ("dns/providers/test_credentials.py", "test_white_space_around_a_credential_does_no_harm"),
        ("dns/providers/test_credentials.py", "test_a_credential_that_is_damaged_is_refused_with_its_source"),
    ),
    "the webhook was down until the certificate expired, and nobody knew": (
        ("issuers/test_dns_webhook.py", "test_a_webhook_that_cannot_be_reached_is_not_called_for_each_value"),
        ("issuers/test_dns_webhook.py", "test_why_it_was_not_done_is_told"),
    ),
    "records were left at OVH": (
        ("dns/providers/test_ovh.py", "test_what_was_created_or_deleted_before_a_crash_is_served_by_the_next"),
    ),
    "all TXT records of the zone itself were deleted": (
        (SUITE, "test_records_at_the_name_of_the_zone_itself_leave_all_others_there"),
    ),
    "finalizers stayed for ever": (
        ("certificates/test_reconciler.py", "test_deleting_in_the_middle_removes_the_records_or_says_which_stay"),
        (
            "certificates/test_dns01_orders.py",
            "test_a_provider_that_is_gone_holds_nothing_up_and_what_stays_there_is_told",
        ),
    ),
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_complaint_has_its_tests(complaint: str) -> None:
    for path, name in COMPLAINTS[complaint]:
        found = re.findall(rf"^ *(?:async )?def {name}\(", (TESTS / path).read_text(), re.MULTILINE)
        assert len(found) == 1, f"{path}::{name}"
