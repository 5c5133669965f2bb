"""Signatures in the reference have values that a reader can use, and no private names."""

from __future__ import annotations

from certwright import client
from certwright.acme import Clock, Directory, LimitProfile, Response
from signatures import public_bases, readable


def test_a_constant_is_shown_by_its_value() -> None:
    shown = readable(
        "(key: CertificateKey = KeySpec(), on_event: OnEvent = ignore, timeout: float = DEFAULT_TIMEOUT)", client.issue
    )
    assert shown == "(key: CertificateKey = KeySpec(), on_event: OnEvent = ignore, timeout: float = 600.0)"
    # What is no plain value keeps its name.
    assert readable("(limits: LimitProfile = NO_LIMITS)", LimitProfile) == "(limits: LimitProfile = NO_LIMITS)"


def test_what_is_made_anew_is_shown_by_how_it_is_made() -> None:
    assert readable("(requests: Mapping[str, Limit]=<factory>)", LimitProfile) == "(requests: Mapping[str, Limit] = {})"
    assert readable("(meta: DirectoryMeta = <factory>)", Directory) == "(meta: DirectoryMeta = DirectoryMeta())"
    assert (
        readable("(status: int, headers: Headers = <factory>)", Response)
        == "(status: int, headers: Headers = Headers())"
    )
    assert (
        readable("(now: Callable[[], datetime] = <function _utc_now>)", Clock) == "(now: Callable[[], datetime] = ...)"
    )


def test_private_bases_give_way_to_their_own() -> None:
    assert client.Presented.__bases__[0].__name__.startswith("_")
    assert public_bases(list(client.Presented.__bases__)) == [client.Event]
    assert public_bases([client.Event, int]) == [client.Event, int]
