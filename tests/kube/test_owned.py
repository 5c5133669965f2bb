"""What is remembered of objects that are made for others."""

from __future__ import annotations

from typing import Any

from certwright.kube.owned import Applied, Told, digest
from certwright.resources import Certificate
from certwright.runtime.key import Key

PLACE = Key("Certificate", "team", "web")


def manifest(**spec: Any) -> dict[str, Any]:
    spec = {"dnsNames": ["a.test"], "secretName": "web-tls", "issuerRef": {"name": "ca"}, **spec}
    return {"metadata": {"namespace": "team", "name": "web", "labels": {"use": "dns"}}, "spec": spec}


def present(*, uid: str = "u", generation: int = 1, **spec: Any) -> Certificate:
    body = manifest(**spec)
    metadata = {**body["metadata"], "uid": uid, "generation": generation, "resourceVersion": "1"}
    return Certificate.parse({**body, "metadata": metadata})


def test_the_digest_tells_manifests_apart_and_not_the_order_of_their_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


def test_what_an_earlier_process_applied_is_compared_and_what_people_ask_for_besides_does_not_count() -> None:
    applied = Applied()
    assert applied.is_unchanged(PLACE, present(), manifest())
    assert applied.is_unchanged(PLACE, present(paused=True, request={"id": "a", "action": "Renew"}), manifest())
    assert not applied.is_unchanged(PLACE, present(), manifest(duration="2160h"))
    assert not applied.is_unchanged(PLACE, present(duration="2160h"), manifest())
    assert not applied.is_unchanged(PLACE, None, manifest())
    labelled = {**manifest(), "metadata": {**manifest()["metadata"], "labels": {"use": "http"}}}
    assert not applied.is_unchanged(PLACE, present(), labelled)


def test_what_this_process_applied_stays_until_somebody_changes_the_spec_or_something_else_is_to_be_applied() -> None:
    applied = Applied()
    applied.note(PLACE, manifest(), {"uid": "u", "generation": 2})
    assert applied.is_unchanged(PLACE, None, manifest()), "the watch is behind"
    assert applied.is_unchanged(PLACE, present(generation=1, duration="2160h"), manifest()), "so is this"
    assert applied.is_unchanged(PLACE, present(generation=2, duration="2160h"), manifest()), "a default, or another's"
    assert not applied.is_unchanged(PLACE, present(generation=3, duration="2160h"), manifest())
    unlabelled = {**manifest(), "metadata": {"namespace": "team", "name": "web"}}
    assert not applied.is_unchanged(PLACE, present(generation=2), unlabelled), "a label is to go"
    applied.forget(PLACE)
    assert not applied.is_unchanged(PLACE, None, manifest())


def test_each_thing_is_said_once_for_as_long_as_it_holds_and_few_objects_are_remembered() -> None:
    told: Told[str] = Told(most=2)
    assert told.news(PLACE, ["a", "b", "a"]) == ["a", "b"]
    assert told.news(PLACE, ["b", "c"]) == ["c"]
    assert told.news(PLACE, []) == []
    assert told.news(PLACE, ["b"]) == ["b"]
    for name in ("x", "y"):
        assert told.news(Key("Certificate", "team", name), ["a"]) == ["a"]
    assert told.news(PLACE, ["b"]) == ["b"], "forgotten"
