from datetime import UTC, datetime, timedelta

from certwright.resources import ISSUING, READY, Condition, find_condition, is_true, set_condition

EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
NOW = EARLIER + timedelta(hours=1)
ISSUING_NOW = Condition(type=ISSUING, status="True", reason="Ordering", last_transition_time=EARLIER)
NOT_READY = Condition(type=READY, status="False", reason="Missing", last_transition_time=EARLIER)


def test_a_new_condition_is_added_behind_the_others_with_the_time() -> None:
    conditions = set_condition([ISSUING_NOW], Condition(type=READY, status="True"), NOW)
    assert conditions == (
        ISSUING_NOW,
        Condition(type=READY, status="True", last_transition_time=NOW),
    )


def test_an_unchanged_status_keeps_its_time_while_the_rest_changes() -> None:
    new = Condition(type=READY, status="False", reason="Expired", message="It expired.", observed_generation=3)
    conditions = set_condition([NOT_READY, ISSUING_NOW], new, NOW)
    assert conditions == (new.replace(last_transition_time=EARLIER), ISSUING_NOW)


def test_a_changed_status_has_the_time_of_the_change() -> None:
    conditions = set_condition([NOT_READY], Condition(type=READY, status="True"), NOW)
    assert conditions[0].last_transition_time == NOW


def test_an_old_condition_without_time_gets_one() -> None:
    conditions = set_condition([Condition(type=READY, status="True")], Condition(type=READY, status="True"), NOW)
    assert conditions[0].last_transition_time == NOW


def test_a_message_too_long_for_an_object_is_cut() -> None:
    conditions = set_condition([], Condition(type=READY, status="False", message="x" * 10_000), NOW)
    assert len(conditions[0].message) == 4096
    assert conditions[0].message.endswith("...")


def test_conditions_are_found_by_type() -> None:
    assert find_condition([NOT_READY, ISSUING_NOW], ISSUING) is ISSUING_NOW
    assert find_condition([NOT_READY], ISSUING) is None
    assert is_true([ISSUING_NOW], ISSUING)
    assert not is_true([NOT_READY], READY)
    assert not is_true([], READY)
