from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.pki import (
    BrokenChain,
    CertificateChain,
    Expired,
    GateRefused,
    KeyMismatch,
    MissingNames,
    NotYetValid,
    OlderThanCurrent,
    SurplusNames,
    check_before_write,
    generate_private_key,
    parse_chain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.pki import Ca

KEY = generate_private_key()
OTHER_KEY = generate_private_key()
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def chain(intermediate: Ca) -> CertificateChain:
    """A good one for a.example.test."""
    return parse_chain(intermediate.pem(intermediate.issue(KEY), intermediate.certificate))


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "Ed25519"])
def test_a_good_certificate_passes(intermediate: Ca, root: Ca, now: datetime, algorithm: str) -> None:
    key = generate_private_key(algorithm)  # type: ignore[arg-type]  # the literals, as parameters
    leaf = intermediate.issue(key, ["a.example.test", "*.example.test"], ["10.0.0.1", "::1"])
    chain = parse_chain(root.pem(leaf, intermediate.certificate, root.certificate))

    check_before_write(
        chain, key, dns_names=["*.example.test", "A.example.test"], ip_addresses=["0::1", "10.0.0.1"], now=now
    )


def test_a_certificate_for_another_key_is_refused(chain: CertificateChain, now: datetime) -> None:
    for key in (OTHER_KEY, generate_private_key("Ed25519")):
        with pytest.raises(KeyMismatch):
            check_before_write(chain, key, dns_names=["a.example.test"], now=now)


@pytest.mark.parametrize(
    ("in_leaf", "requested", "missing"),
    [
        (["a.test"], ["a.test", "b.test", "c.test"], ("b.test", "c.test")),
        (["*.a.test"], ["x.a.test"], ("x.a.test",)),
        (["*.a.test"], ["a.test"], ("a.test",)),
        (["a.test"], ["*.a.test"], ("*.a.test",)),
        (["*.a.test"], ["*.b.a.test"], ("*.b.a.test",)),
        (["a.test"], ["a.test."], ("a.test.",)),
        ([], ["a.test"], ("a.test",)),
    ],
)
def test_every_requested_name_must_be_in_the_certificate_itself(
    root: Ca, now: datetime, in_leaf: list[str], requested: list[str], missing: tuple[str, ...]
) -> None:
    with pytest.raises(MissingNames) as caught:
        check_before_write(parse_chain(root.pem(root.issue(KEY, in_leaf))), KEY, dns_names=requested, now=now)
    assert caught.value.names == missing
    assert all(name in str(caught.value) for name in missing)


@given(
    st.sets(st.sampled_from([f"n{i}.test" for i in range(6)]), min_size=1),
    st.sets(st.sampled_from([f"n{i}.test" for i in range(6)])),
)
def test_the_missing_names_are_exactly_the_difference(
    root: Ca, now: datetime, in_leaf: set[str], requested: set[str]
) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, sorted(in_leaf))))
    try:
        check_before_write(chain, KEY, dns_names=sorted(requested), now=now)
        missing: Sequence[str] = ()
    except MissingNames as refusal:
        missing = refusal.names
    assert set(missing) == requested - in_leaf


def test_a_missing_address_is_named(root: Ca, now: datetime) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, [], ["10.0.0.1"])))
    with pytest.raises(MissingNames, match=r"10\.0\.0\.2"):
        check_before_write(chain, KEY, dns_names=[], ip_addresses=["10.0.0.1", "10.0.0.2"], now=now)


@pytest.mark.parametrize(
    ("names", "addresses", "surplus"),
    [
        (["a.example.test", "b.example.test"], ["10.0.0.1", "2001:db8::1"], ("b.example.test",)),
        (["a.example.test"], ["10.0.0.1", "2001:db8::1", "10.0.0.2", "::1"], ("10.0.0.2", "::1")),
        (["A.example.test", "a.example.test"], ["10.0.0.1", "2001:DB8:0::1"], ()),
    ],
)
def test_names_and_addresses_that_nobody_requested_are_refused_where_it_is_to_be_exact(
    root: Ca, now: datetime, names: list[str], addresses: list[str], surplus: tuple[str, ...]
) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, names, addresses)))
    requested: dict[str, Any] = {"dns_names": ["a.example.test"], "ip_addresses": ["10.0.0.1", "2001:db8:0:0::1"]}
    check_before_write(chain, KEY, **requested, now=now)
    if not surplus:
        check_before_write(chain, KEY, **requested, now=now, is_exact=True)
        return
    with pytest.raises(SurplusNames) as caught:
        check_before_write(chain, KEY, **requested, now=now, is_exact=True)
    assert caught.value.names == surplus


@pytest.mark.parametrize("address", ["10.0.0.2", "::ffff:10.0.0.1", "2001:db8::2"])
def test_another_address_of_either_family_does_not_stand_in_for_the_requested_one(
    root: Ca, now: datetime, address: str
) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, [], [address])))
    with pytest.raises(MissingNames, match=r"does not cover 10\.0\.0\.1"):
        check_before_write(chain, KEY, dns_names=[], ip_addresses=["10.0.0.1"], now=now)


def test_a_chain_that_does_not_link_is_refused(intermediate: Ca, root: Ca, now: datetime) -> None:
    chain = parse_chain(root.pem(intermediate.issue(KEY), root.certificate))
    with pytest.raises(BrokenChain):
        check_before_write(chain, KEY, dns_names=["a.example.test"], now=now)


@pytest.mark.parametrize(
    ("starts_in", "ends_in", "refusal"),
    [
        (4 * MINUTE, HOUR, None),
        (5 * MINUTE, HOUR, None),
        (6 * MINUTE, HOUR, NotYetValid),
        (-HOUR, timedelta(seconds=1), None),
        (-HOUR, timedelta(), Expired),
        (-2 * HOUR, -HOUR, Expired),
    ],
)
def test_the_certificate_must_be_valid_now_give_or_take_the_clocks(
    root: Ca, now: datetime, starts_in: timedelta, ends_in: timedelta, refusal: type[GateRefused] | None
) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, not_before=now + starts_in, not_after=now + ends_in)))
    if refusal is None:
        check_before_write(chain, KEY, dns_names=["a.example.test"], now=now)
    else:
        with pytest.raises(refusal):
            check_before_write(chain, KEY, dns_names=["a.example.test"], now=now)


@pytest.mark.parametrize(
    ("ca", "leaf_age", "current_life", "refused"),
    [
        ("root", HOUR, (-48 * HOUR, HOUR), False),
        ("root", HOUR, (-HOUR, HOUR), False),
        ("root", 48 * HOUR, (-HOUR, HOUR), True),
        ("root", HOUR + MINUTE, (-HOUR, HOUR), True),
        # Another CA may backdate by an hour, which is not the same as being older.
        ("other_ca", HOUR, (-MINUTE, HOUR), False),
        ("other_ca", 2 * HOUR, (-MINUTE, HOUR), True),
        # What is not valid now is worth nothing, however new.
        ("root", 48 * HOUR, (-2 * HOUR, -HOUR), False),
        ("root", HOUR, (HOUR, 2 * HOUR), False),
    ],
)
def test_a_certificate_never_replaces_a_newer_one_that_is_good(  # noqa: PLR0917 - a table's columns and its fixtures
    request: pytest.FixtureRequest,
    root: Ca,
    now: datetime,
    ca: str,
    leaf_age: timedelta,
    current_life: tuple[timedelta, timedelta],
    refused: bool,  # noqa: FBT001 - a column of the table
) -> None:
    chain = parse_chain(root.pem(root.issue(KEY, not_before=now - leaf_age)))
    issuer: Ca = request.getfixturevalue(ca)
    current = issuer.issue(OTHER_KEY, not_before=now + current_life[0], not_after=now + current_life[1])
    with pytest.raises(OlderThanCurrent) if refused else nullcontext():
        check_before_write(chain, KEY, dns_names=["a.example.test"], now=now, current=current)


def test_a_current_certificate_that_cannot_be_read_whole_does_not_stop_a_newer_one(root: Ca, now: datetime) -> None:
    current = parse_chain(root.spoilt(root.issue(KEY, not_before=now - HOUR), "issuer")).leaf
    chain = parse_chain(root.pem(root.issue(KEY, not_before=now - MINUTE)))
    check_before_write(chain, KEY, dns_names=["a.example.test"], now=now, current=current)
