from __future__ import annotations

import pytest

from certwright.kube.resource import Resource
from certwright.runtime.key import Key

SECRETS = Resource("", "v1", "secrets", "Secret", {"managed": "true", "by": "us"})
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")


def test_a_resource_by_all_of_its_names() -> None:
    assert (SECRETS.title, SECRETS.root, SECRETS.selector) == ("secrets", "api/v1", "managed=true,by=us")
    assert (INGRESSES.title, INGRESSES.root, INGRESSES.selector) == (
        "ingresses.networking.k8s.io",
        "apis/networking.k8s.io/v1",
        "",
    )


@pytest.mark.parametrize(
    ("labels", "selected"),
    [({"managed": "true", "by": "us", "more": "x"}, True), ({"managed": "true"}, False), (None, False)],
)
def test_only_what_carries_all_labels_is_selected(labels: dict[str, str] | None, *, selected: bool) -> None:
    assert SECRETS.selects({"labels": labels}) is selected
    assert INGRESSES.selects({"labels": labels})


def test_the_key_of_an_object() -> None:
    assert SECRETS.key({"namespace": "shop", "name": "web"}) == Key("Secret", "shop", "web")
    assert INGRESSES.key({"name": "web"}) == Key("Ingress", "", "web")
