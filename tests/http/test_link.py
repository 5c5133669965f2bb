from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.http.link import MAX_LINKS, Link, links_to, parse_links

BASE = "https://ca.test/acme/cert/1"
RELATIONS = st.sampled_from(["alternate", "next", "up", "help", "index"])


@pytest.mark.parametrize(
    ("values", "urls"),
    [
        (["<https://ca.test/2>;rel=alternate"], ["https://ca.test/2"]),
        (
            ['<https://ca.test/2>; rel="alternate"', "<https://ca.test/3>; REL=Alternate"],
            ["https://ca.test/2", "https://ca.test/3"],
        ),
        (['<https://ca.test/2>; rel="up alternate"; title="a, b; c"'], ["https://ca.test/2"]),
        (["<https://ca.test/d>;rel=index, <https://ca.test/2>;rel=alternate"], ["https://ca.test/2"]),
        (['<https://ca.test/a,b;c>;rel="alternate"'], ["https://ca.test/a,b;c"]),
        (["</acme/cert/1/1>;rel=alternate"], ["https://ca.test/acme/cert/1/1"]),
        (['<https://ca.test/2>; title="say \\"hi\\""; rel=alternate'], ["https://ca.test/2"]),
        (["<https://ca.test/2>; rel=up; rel=alternate"], []),
        (["<https://ca.test/2>"], []),
        (["</next?from=https://x.test/>;rel=alternate"], ["https://ca.test/next?from=https://x.test/"]),
        (["garbage", "<https://ca.test/2>;rel=alternate"], ["https://ca.test/2"]),
        (["<https://ca.test/2>;rel=alternate, garbage, <https://ca.test/3>;rel=alternate"], ["https://ca.test/2"]),
        (["<https://[broken>;rel=alternate", "<//[>;rel=alternate"], ["https://[broken"]),
    ],
)
def test_alternates_are_found(values: list[str], urls: list[str]) -> None:
    assert list(links_to(parse_links(values, base=BASE), "alternate")) == urls


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"https://ca\.test/[a-z0-9,;=?&/]{0,20}", fullmatch=True),
            st.lists(RELATIONS, min_size=1, unique=True),
        ),
        max_size=10,
    )
)
def test_what_was_written_is_read_back(links: list[tuple[str, list[str]]]) -> None:
    value = ", ".join(f'<{url}>; title="x, <y>"; rel="{" ".join(relations)}"' for url, relations in links)
    assert parse_links([value], base=BASE) == tuple(Link(url, frozenset(relations)) for url, relations in links)


@given(st.lists(st.text(max_size=300), max_size=5))
def test_no_value_breaks_it(values: list[str]) -> None:
    assert len(parse_links(values, base=BASE)) <= MAX_LINKS


@pytest.mark.parametrize(
    "value",
    ["<a>" + ";a= " * 30_000, '<a>;b="' + "\\" * 100_000, "<" * 100_000, "<a>;" + " " * 100_000, "<a>," * 30_000],
)
def test_a_hostile_value_takes_no_time(value: str) -> None:
    # Of the thread alone, whatever else the machine does; what is quadratic here takes minutes.
    started = time.thread_time()
    parse_links([value], base=BASE)
    assert time.thread_time() - started < 10
