from __future__ import annotations

from typing import TYPE_CHECKING

import dns.message
import pytest

from certwright.dns import ZoneNotFound
from certwright.dns.zone import find_apex

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.dns import Reply

SOA = "{0} 60 IN SOA ns1.{0} host.{0} 1 60 60 60 1"


def scripted(reply: Reply, answers: dict[str, dict[str, object]]) -> tuple[Callable[..., object], list[str]]:
    """Answers by name; a name not in the script does not exist, and nothing is said about its zone."""
    asked: list[str] = []

    async def ask(name: str, rdtype: str) -> dns.message.Message:
        asked.append(name)
        question = dns.message.make_query(name, rdtype)
        script = answers.get(name, {"rcode": "NXDOMAIN", "aa": False})
        records = script.pop("answers", ())
        return reply(question, *records, **script)  # type: ignore[misc]  # a script is loosely typed

    return ask, asked


def authority(apex: str, **more: object) -> dict[str, object]:
    return {"authority": (SOA.format(apex),), **more}


@pytest.mark.parametrize(
    ("answers", "apex", "asked"),
    [
        # The name does not exist: the zone stands beside that answer.
        ({"a.b.x.test": authority("x.test.", rcode="NXDOMAIN")}, "x.test", ["a.b.x.test"]),
        # The name is the apex itself.
        ({"a.b.x.test": {"answers": (SOA.format("a.b.x.test."),)}}, "a.b.x.test", ["a.b.x.test"]),
        # Silent about the zone: one step up.
        (
            {"b.x.test": authority("x.test.")},
            "x.test",
            ["a.b.x.test", "b.x.test"],
        ),
        # An alias: what stands beside it is about the target's zone, even if that is above.
        (
            {
                "a.b.x.test": {
                    "answers": ("a.b.x.test. 60 IN CNAME t.x.test.",),
                    "authority": (SOA.format("x.test."),),
                },
                "b.x.test": {"answers": (SOA.format("b.x.test."),)},
            },
            "b.x.test",
            ["a.b.x.test", "b.x.test"],
        ),
        # A start of authority that cannot hold the name is not believed.
        (
            {"a.b.x.test": authority("other.test."), "b.x.test": authority("x.test.")},
            "x.test",
            ["a.b.x.test", "b.x.test"],
        ),
    ],
)
async def test_the_zone_is_the_closest_start_of_authority(
    reply: Reply, answers: dict[str, dict[str, object]], apex: str, asked: list[str]
) -> None:
    ask, seen = scripted(reply, {name: dict(script) for name, script in answers.items()})
    assert await find_apex("a.b.x.test", ask) == apex  # type: ignore[arg-type]  # loosely typed script
    assert seen == asked


async def test_without_any_start_of_authority_below_the_root_there_is_no_zone(reply: Reply) -> None:
    root = {"authority": (". 60 IN SOA a.root. host.root. 1 60 60 60 1",), "rcode": "NXDOMAIN"}
    ask, asked = scripted(reply, {name: dict(root) for name in ("a.x.test", "x.test", "test")})
    with pytest.raises(ZoneNotFound, match=r"no DNS zone contains a\.x\.test") as caught:
        await find_apex("a.x.test", ask)  # type: ignore[arg-type]  # loosely typed script
    assert caught.value.names == ("a.x.test",)
    assert asked == ["a.x.test", "x.test", "test"]


async def test_a_zone_that_is_delegated_elsewhere_is_not_mistaken_for_its_parent(reply: Reply) -> None:
    ask, asked = scripted(
        reply,
        {
            "a.sub.x.test": {"authority": ("sub.x.test. 60 IN NS ns1.other.test.",), "aa": False},
            "sub.x.test": authority("x.test."),
        },
    )
    with pytest.raises(ZoneNotFound, match="delegated"):
        await find_apex("a.sub.x.test", ask)  # type: ignore[arg-type]  # loosely typed script
    assert asked == ["a.sub.x.test"]
