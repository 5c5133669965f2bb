from __future__ import annotations

import pytest

from certwright.dns import Propagation, ServerView, TxtRecord
from certwright.dns.propagation import judge

RECORD = TxtRecord("_acme-challenge.example.test", "wanted")
HAS = ServerView("s", ("other", "wanted"))
LACKS = ServerView("s", ("other",))
EMPTY = ServerView("s")
SILENT = ServerView("s", error="no answer")


@pytest.mark.parametrize(
    ("views", "unresolved", "complete"),
    [
        ([], (), False),
        ([("ns1", HAS)], (), True),
        ([("ns1", HAS), ("ns2", HAS)], (), True),
        ([("ns1", HAS), ("ns2", LACKS)], (), False),
        ([("ns1", HAS), ("ns2", EMPTY)], (), False),
        ([("ns1", SILENT)], (), False),
        ([("ns1", SILENT), ("ns2", SILENT)], (), False),
        # Half of them is enough, less is not.
        ([("ns1", HAS), ("ns2", SILENT)], (), True),
        ([("ns1", HAS), ("ns2", SILENT), ("ns3", SILENT)], (), False),
        ([("ns1", HAS), ("ns2", HAS), ("ns3", SILENT)], (), True),
        ([("ns1", HAS)], ("ns2",), True),
        ([("ns1", HAS)], ("ns2", "ns3"), False),
        # One address that answers makes a name server answer; each that answers must have it.
        ([("ns1", HAS), ("ns1", SILENT), ("ns2", HAS), ("ns2", SILENT)], (), True),
        ([("ns1", HAS), ("ns1", LACKS)], (), False),
    ],
)
def test_a_record_is_complete_when_nobody_lacks_it_and_half_have_it(
    views: list[tuple[str, ServerView]], unresolved: tuple[str, ...], *, complete: bool
) -> None:
    assert judge(RECORD, views, unresolved=unresolved) is complete


@pytest.mark.parametrize(
    ("seen", "complete", "text"),
    [
        ((ServerView("ns1", ("wanted",)),), True, "ns1 has it"),
        (
            (ServerView("ns1", ("wanted",)), ServerView("ns2", ("wanted", "x"))),
            True,
            "all 2 servers that answered have it",
        ),
        (
            (ServerView("ns1", ("wanted",)), ServerView("ns2", error="it refuses to answer (REFUSED)")),
            True,
            "ns1 has it; ns2 gave no answer: it refuses to answer (REFUSED)",
        ),
        (
            (ServerView("ns1", ("wanted",)), ServerView("ns2", ("x",)), ServerView("ns3", ("x", "y"))),
            False,
            "ns2 has 1 other value; ns3 has 2 other values; ns1 has it",
        ),
        ((ServerView("ns1"),), False, "ns1 has no such record"),
        (
            (ServerView("ns1", alias="a.acme.test"),),
            False,
            "ns1 has a CNAME to a.acme.test there, which hides TXT records",
        ),
        (
            tuple(ServerView(f"ns{n}") for n in range(9)),
            False,
            "; ".join(f"ns{n} has no such record" for n in range(8)) + "; and 1 more",
        ),
        ((), False, "no server was asked"),
    ],
)
def test_the_description_tells_where_the_record_is_missing_first(
    seen: tuple[ServerView, ...],
    complete: bool,  # noqa: FBT001 - a column of the table
    text: str,
) -> None:
    assert Propagation(RECORD, complete, seen).describe() == text


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        ((HAS,), "another value; it is silent; no record"),
        ((), "a CNAME to x.test; another value; it is silent; no record"),
    ],
)
def test_the_cause_is_the_same_whichever_server_it_is_that_lacks_the_record(
    seen: tuple[ServerView, ...], cause: str
) -> None:
    lacking = [ServerView("a"), ServerView("b", ("x", "y")), ServerView("c", error="it is silent"), ServerView("d")]
    if not seen:
        lacking.append(ServerView("e", alias="x.test"))
    assert Propagation(RECORD, complete=False, seen=(*seen, *lacking)).cause == cause
    fewer = (*seen, HAS, *reversed(lacking[1:]))
    assert Propagation(RECORD, complete=False, seen=fewer).cause == cause
    assert Propagation(RECORD, complete=True, seen=(HAS,)).cause == ""
    assert Propagation(RECORD, complete=False, error="no zone").cause == "no zone"


def test_the_description_tells_why_nobody_could_be_asked() -> None:
    assert Propagation(RECORD, complete=False, error="no DNS zone contains it").describe() == "no DNS zone contains it"
