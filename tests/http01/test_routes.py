from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from certwright.http01 import routes
from certwright.http01.program import PORT
from certwright.http01.settings import GatewayRoute, IngressRoute
from tests.fakes.http01 import file

if TYPE_CHECKING:
    from certwright.http01.settings import Owner

THEIRS = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "shop", "port": {"number": 80}}}}


def theirs(host: str | None, *paths: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"http": {"paths": [{**THEIRS, "path": path} for path in paths]}}
    return rule if host is None else {"host": host, **rule}


def test_an_ingress_has_a_rule_a_host_and_a_path_a_file(owner: Owner) -> None:
    files = [file("b.test", "t3"), file("a.test", "t1"), file("a.test", "t2")]
    spec = routes.ingress(owner, "cw", files, IngressRoute(class_name="nginx"))["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert {(rule["host"], path["path"]) for rule in spec["rules"] for path in rule["http"]["paths"]} == {
        (one.host, one.path) for one in files
    }
    assert [rule["host"] for rule in spec["rules"]] == ["a.test", "b.test"]
    paths = [path for rule in spec["rules"] for path in rule["http"]["paths"]]
    assert {path["pathType"] for path in paths} == {"ImplementationSpecific"}, "ingress-nginx takes no dot in others"
    assert {path["backend"]["service"]["name"] for path in paths} == {"cw"}


def test_addresses_are_in_a_rule_without_host_which_is_taken_out_again(owner: Owner) -> None:
    files = [file("2001:db8::1", "t1"), file("192.0.2.1", "t2"), file("a.test", "t3")]
    rules = routes.ingress(owner, "cw", files, IngressRoute(class_name="nginx"))["spec"]["rules"]
    assert [rule.get("host") for rule in rules] == [None, "a.test"]
    assert {path["path"] for path in rules[0]["http"]["paths"]} == {files[0].path, files[1].path}
    ours = [theirs(None, "/")]
    changed = routes.with_paths(ours, files, service="cw")
    assert routes.has_paths(changed, files, service="cw")
    assert changed[0]["http"]["paths"][-1] == ours[0]["http"]["paths"][0], "the user's rule for every host is kept"
    assert routes.without_paths(changed, files, services={"cw"}) == ours


def test_an_http_route_for_addresses_has_no_hosts(owner: Owner) -> None:
    made = routes.http_routes(
        owner, "cw", [file("192.0.2.1", "t1"), file("a.test", "t2")], GatewayRoute(({"name": "g"},))
    )
    assert [name for name, _ in made] == ["cw", "cw-1"]
    assert made[0][1]["spec"]["hostnames"] == ["a.test"]
    assert "hostnames" not in made[1][1]["spec"]
    assert made[1][1]["spec"]["rules"][0]["matches"][0]["path"]["value"] == file("192.0.2.1", "t1").path


def test_an_old_controller_is_told_the_class_by_an_annotation(owner: Owner) -> None:
    route = IngressRoute(class_annotation="gce", annotations={"a": "b"}, labels={"team": "x"})
    made = routes.ingress(owner, "cw", [file()], route)
    assert made["metadata"]["annotations"] == {"a": "b", "kubernetes.io/ingress.class": "gce"}
    assert made["metadata"]["labels"]["team"] == "x"
    assert "ingressClassName" not in made["spec"]


def test_an_edited_ingress_has_our_paths_first_and_theirs_as_they_were() -> None:
    rules = [theirs("a.test", "/", "/shop"), theirs(None, "/"), theirs("*.b.test", "/")]
    changed = routes.with_paths(rules, [file("a.test", "t1"), file("c.test", "t2")], service="cw")
    assert [path["path"] for path in changed[0]["http"]["paths"]] == [file(token="t1").path, "/", "/shop"]
    assert changed[1:3] == rules[1:]
    assert changed[3]["host"] == "c.test"
    assert routes.with_paths(changed, [file("a.test", "t1"), file("c.test", "t2")], service="cw") == changed


hosts = st.sampled_from(["a.test", "b.test", "c.test", None])
rules_of_theirs = st.lists(
    st.tuples(hosts, st.lists(st.sampled_from(["/", "/a", "/b"]), min_size=1, unique=True)),
    unique_by=lambda rule: rule[0],
).map(lambda listed: [theirs(host, *paths) for host, paths in listed])
files_of_ours = st.lists(
    st.builds(file, st.sampled_from(["a.test", "b.test", "d.test"]), st.sampled_from(["t1", "t2"])), unique=True
)


@given(rules=rules_of_theirs, files=files_of_ours)
def test_taking_the_paths_out_gives_back_what_was_there(rules: list[dict[str, Any]], files: list[Any]) -> None:
    changed = routes.with_paths(rules, files, service="cw")
    assert routes.without_paths(changed, files, services={"cw"}) == rules


def test_two_certificates_with_one_authorization_have_a_path_each_and_take_out_their_own() -> None:
    files, rules = [file("a.test", "t1")], [theirs("a.test", "/")]
    one = routes.with_paths(rules, files, service="cw-one")
    both = routes.with_paths(one, files, service="cw-two")
    assert len(both[0]["http"]["paths"]) == 3
    assert routes.without_paths(both, files, services={"cw-two"}) == one
    assert routes.without_paths(both, files, services={"cw-one"}) == routes.with_paths(rules, files, service="cw-two")


def test_an_http_route_holds_sixteen_hosts_and_more_need_more(owner: Owner) -> None:
    files = [file(f"n{number:02}.test", f"t{number:02}") for number in range(20)]
    gateway = GatewayRoute(({"name": "gateway", "namespace": "infra"},), labels={"team": "x"})
    made = routes.http_routes(owner, "cw", files, gateway)
    assert [name for name, _ in made] == ["cw", "cw-1"]
    assert [len(route["spec"]["hostnames"]) for _, route in made] == [16, 4]
    for name, route in made:
        assert route["metadata"]["name"] == name
        assert route["metadata"]["labels"]["team"] == "x"
        assert route["spec"]["parentRefs"] == [{"name": "gateway", "namespace": "infra"}]
        [rule] = route["spec"]["rules"]
        assert rule["backendRefs"] == [{"name": "cw", "port": PORT}]
        assert len(rule["matches"]) == len(route["spec"]["hostnames"])
    matched = {match["path"]["value"] for _, route in made for match in route["spec"]["rules"][0]["matches"]}
    assert matched == {one.path for one in files}
