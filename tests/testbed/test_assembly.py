from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed import BedOptions
from testbed.assembly import assemble
from testbed.certificates import BedAuthority
from testbed.errors import BedError
from testbed.lifecycle import stop_all
from testbed.network import ADDRESS, EVERY_ADDRESS
from testbed.part import Part, Site
from testbed.parts.bind import Bind
from testbed.parts.kubelet import takes_pods
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("testbed.definitions.Definitions.find", lambda _definitions: tmp_path)
    return Site(
        folder=tmp_path,
        authority=BedAuthority(tmp_path / "ca"),
        programs={"named": Path("/usr/sbin/named")},
        ports=allocator,
        die_with_us=True,
        changed=lambda: None,
        abort=threading.Event(),
        address=ADDRESS,
        listen=EVERY_ADDRESS,
    )


@pytest.mark.parametrize(
    "options",
    [
        BedOptions(),
        BedOptions(gateway=True),
        BedOptions(node=True),
        BedOptions(node=True, gateway=True, network_policies=True),
        BedOptions(node=True, ingress=False, acme=False, challtestsrv=False),
    ],
)
def test_every_part_comes_after_those_it_waits_for(site: Site, options: BedOptions) -> None:
    seen: set[str] = set()
    for name, place in assemble(site, options).items():
        assert seen.issuperset(place.after), name
        seen.add(name)


@pytest.mark.parametrize(
    "options",
    [
        BedOptions(kubernetes=False),
        BedOptions(node=True, kubernetes=False, ingress=False),
        BedOptions(gateway=True, ingress=False),
        BedOptions(network_policies=True),
    ],
)
def test_options_that_contradict_each_other_are_refused(site: Site, options: BedOptions) -> None:
    with pytest.raises(BedError, match=r"What to do: set .*="):
        assemble(site, options)


def test_with_a_node_the_ingress_controller_has_the_ports_that_a_ca_asks(site: Site) -> None:
    parts = assemble(site, BedOptions(node=True))
    assert parts["traefik"].part.fixed_ports == {"http": 80, "https": 443}
    assert assemble(site, BedOptions())["traefik"].part.fixed_ports == {}


def test_with_a_node_names_lead_to_the_address_that_pods_reach(site: Site) -> None:
    bind = Bind(site, ["example.test"])
    bind.ports = {"main": 5353, "https": 8443}
    bind.folder.mkdir(exist_ok=True)
    bind.command()
    assert bind.address == "10.200.0.1:5353"
    assert "*   IN A   10.200.0.1" in (bind.folder / "example.test.zone").read_text()
    assert "listen-on port 5353 { 10.200.0.1; 127.0.0.1; };" in (bind.folder / "named.conf").read_text()


@pytest.mark.parametrize(
    ("ready", "taints", "takes"),
    [("True", [], True), ("False", [], False), ("True", [{"key": "node.kubernetes.io/not-ready"}], False)],
)
def test_a_node_takes_pods_when_it_is_ready_and_has_no_taint(
    *, ready: str, taints: list[dict[str, Any]], takes: bool
) -> None:
    node = {"status": {"conditions": [{"type": "Ready", "status": ready}]}, "spec": {"taints": taints}}
    assert takes_pods(node) is takes
    assert not takes_pods({"spec": {}, "status": {}})


class Recorded(Part):
    """Writes down when it is ended."""

    program = ""

    def __init__(self, site: Site, name: str, ended: list[str]) -> None:
        super().__init__(site, name)
        self._ended = ended

    def command(self) -> Sequence[str | Path]:
        return []

    def ready(self) -> bool:
        return True

    def stop(self, *, grace: float | None = None) -> None:  # noqa: ARG002 - the signature is Part's
        self._ended.append(self.name)


def test_what_others_stand_on_is_ended_last(site: Site) -> None:
    ended: list[str] = []
    stop_all([Recorded(site, name, ended) for name in ("ground", "etcd", "kubelet")], last=("etcd", "ground"))
    assert ended == ["kubelet", "etcd", "ground"]
