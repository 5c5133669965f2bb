from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from certwright.kube.paths import UnsafeName, object_path, segment

ROOT = "/apis/networking.k8s.io/v1"


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize("where", ["namespace", "name"])
def test_what_urls_resolve_away_is_no_name(name: str, where: str) -> None:
    names = {"namespace": "team", "name": "web", where: name}
    with pytest.raises(UnsafeName):
        object_path(ROOT, "ingresses", names["namespace"], names["name"])


def test_the_paths_of_objects_and_collections() -> None:
    assert object_path(ROOT, "ingresses", "team", "web") == f"{ROOT}/namespaces/team/ingresses/web"
    assert object_path(ROOT, "ingresses", "team") == f"{ROOT}/namespaces/team/ingresses"
    assert object_path(ROOT, "ingressclasses", None, "nginx") == f"{ROOT}/ingressclasses/nginx"


@given(
    st.text(st.characters(codec="utf-8"), min_size=1)
    | st.sampled_from(["../../victim/ingresses/shop", "a%2f..", "%2e%2e", "a?b#c", "a\\..\\b"])
)
def test_a_name_stays_one_segment_of_the_url_that_is_requested(name: str) -> None:
    if name in {".", ".."}:
        return
    requested = URL(f"https://kubernetes.example.test{ROOT}/namespaces/team/ingresses/{segment(name)}")
    assert requested.raw_path.startswith(f"{ROOT}/namespaces/team/ingresses/")
    assert "/" not in requested.raw_path.removeprefix(f"{ROOT}/namespaces/team/ingresses/")
    assert requested.path_safe.removeprefix(f"{ROOT}/namespaces/team/ingresses/").count("/") == 0
    assert not requested.query_string
    assert not requested.fragment
