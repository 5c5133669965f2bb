from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.kube import store as module
from certwright.kube.store import Store

if TYPE_CHECKING:
    import pytest


def meta(version: int, *, uid: str = "u-1", name: str = "web", namespace: str | None = "shop") -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}


def test_the_newest_version_wins_in_whatever_order_they_come() -> None:
    store: Store[str] = Store()
    assert store.put(meta(9), "nine")
    assert not store.put(meta(9), "nine again")
    assert not store.put(meta(5), "five")
    assert store.put(meta(10), "ten: as a number, not as text")
    assert store.get("shop", "web") == "ten: as a number, not as text"
    assert (len(store), list(store)) == (1, ["ten: as a number, not as text"])


def test_objects_are_told_apart_by_namespace() -> None:
    store: Store[str] = Store()
    store.put(meta(1), "in shop")
    store.put(meta(1, namespace=None), "nowhere")
    assert (store.get("shop", "web"), store.get(None, "web"), store.get("", "web")) == ("in shop", "nowhere", "nowhere")
    assert store.get("other", "web") is None


def test_late_news_of_an_object_that_is_gone_are_ignored() -> None:
    store: Store[str] = Store()
    store.put(meta(5), "five")
    store.remove(meta(8))
    assert store.get("shop", "web") is None
    assert not store.put(meta(7), "the answer to a write, overtaken by the deletion")
    assert store.get("shop", "web") is None


def test_an_object_that_lost_its_label_and_got_it_back_is_known_again() -> None:
    """A watch with a label selector tells the loss of the label as a deletion."""
    store: Store[str] = Store()
    store.put(meta(5), "labelled")
    store.remove(meta(8))
    assert store.put(meta(9), "labelled again")
    assert store.get("shop", "web") == "labelled again"


def test_the_end_of_an_object_is_not_the_end_of_its_successor() -> None:
    store: Store[str] = Store()
    store.put(meta(5), "old")
    store.put(meta(9, uid="u-2"), "new")
    store.remove(meta(8))
    assert store.get("shop", "web") == "new"
    assert store.put(meta(10, uid="u-2"), "newer")


def test_an_unknown_object_may_go() -> None:
    store: Store[str] = Store()
    store.remove(meta(8))
    assert len(store) == 0


def test_the_memory_of_what_is_gone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    store: Store[str] = Store()
    for number in range(10):
        store.remove(meta(8, uid=f"u-{number}", name=f"n-{number}"))
    assert len(store._gone) == 3
    assert not store.put(meta(7, uid="u-9", name="n-9"), "late"), "the latest are remembered"


def test_what_a_list_has_no_more_is_named_unless_it_was_seen_later() -> None:
    store: Store[str] = Store()
    store.put(meta(3, uid="u-kept", name="kept"), "listed")
    store.put(meta(4, uid="u-gone", name="gone"), "not listed")
    store.put(meta(9, uid="u-new", name="new"), "made after the list")
    store.put(meta(4, uid="u-else", name="else", namespace="other"), "in another namespace")
    store.put(meta(4, uid="u-all", name="all", namespace=None), "in no namespace")
    gone = {"namespace": "shop", "name": "gone", "uid": "u-gone", "resourceVersion": "7"}
    assert store.unlisted("shop", {"u-kept"}, 7) == [gone]
    assert [found["name"] for found in store.unlisted(None, {"u-kept", "u-gone"}, 7)] == ["else", "all"]
    store.remove(gone)
    assert store.get("shop", "gone") is None


def test_an_object_made_anew_under_a_name_is_not_taken_for_the_one_before() -> None:
    store: Store[str] = Store()
    store.put(meta(3, uid="u-1"), "before")
    store.put(meta(6, uid="u-2"), "after")
    assert store.unlisted("shop", {"u-2"}, 7) == []
    [gone] = store.unlisted("shop", set(), 7)
    assert (gone["uid"], gone["resourceVersion"]) == ("u-2", "7")


def test_objects_are_found_by_what_they_are_indexed_by() -> None:
    store: Store[str] = Store({"initial": lambda text: text[0]})
    store.put(meta(1), "apple")
    store.put(meta(1, name="other", uid="u-2"), "avocado")
    assert store.indexed("initial", "a") == ["avocado", "apple"], "in the order of their names"
    store.put(meta(2), "banana")
    assert (store.indexed("initial", "a"), store.indexed("initial", "b")) == (["avocado"], ["banana"])
    store.put(meta(1), "cherry: late news")
    assert store.indexed("initial", "c") == []
    store.remove(meta(3))
    assert store.indexed("initial", "b") == []


def test_after_versions_went_back_whatever_comes_counts() -> None:
    store: Store[str] = Store()
    store.put(meta(900), "from the future")
    store.put(meta(950, uid="u-2", name="gone"), "deleted in the future")
    store.remove(meta(960, uid="u-2", name="gone"))
    assert store.latest("shop") == store.latest(None) == 960
    store.rewind("shop")
    assert store.put(meta(100), "as it was")
    assert store.put(meta(100, uid="u-2", name="gone"), "it is back")
    assert [found["name"] for found in store.unlisted("shop", {"u-1"}, 120)] == ["gone"]
    assert not store.put(meta(90), "late news")


def test_what_a_restored_api_server_does_not_have_is_gone() -> None:
    store: Store[str] = Store()
    store.put(meta(900), "created after the backup")
    store.put(meta(900, namespace="other"), "elsewhere")
    store.rewind("shop")
    assert [found["namespace"] for found in store.unlisted("shop", (), 100)] == ["shop"]
    assert store.latest("other") == 900


def test_whoever_follows_the_changes_is_told_each_of_them_once() -> None:
    seen: list[tuple[str | None, str | None]] = []
    store: Store[str] = Store(on_change=lambda before, after: seen.append((before, after)))
    store.put({"name": "a", "resourceVersion": "1"}, "one")
    store.put({"name": "a", "resourceVersion": "1"}, "again")
    store.put({"name": "a", "resourceVersion": "3"}, "two")
    store.remove({"name": "a", "resourceVersion": "2"})
    store.remove({"name": "a", "resourceVersion": "4"})
    store.drop(None, "a")
    store.put({"name": "b", "resourceVersion": "5"}, "three")
    store.drop(None, "b")
    assert seen == [(None, "one"), ("one", "two"), ("two", None), (None, "three"), ("three", None)]
