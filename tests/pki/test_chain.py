from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from certwright.pki import (
    BrokenChain,
    ChainError,
    KeyMismatch,
    arrange_chain,
    check_links,
    generate_private_key,
    parse_chain,
    private_key_to_pem,
)
from tests.fakes.pki import NOW, Ca, make_ca, signed_with

KEY = generate_private_key()


def test_a_chain_is_a_leaf_and_its_issuers_in_order(root: Ca, intermediate: Ca) -> None:
    leaf = intermediate.issue(KEY)
    chain = parse_chain(root.pem(leaf, intermediate.certificate, root.certificate))

    assert chain.leaf == leaf
    assert chain.issuers == (intermediate.certificate, root.certificate)
    check_links(chain)


def test_the_root_is_given_only_when_the_last_certificate_signed_itself(root: Ca, intermediate: Ca) -> None:
    leaf = intermediate.issue(KEY)

    assert parse_chain(root.pem(leaf)).root_pem is None
    assert parse_chain(root.pem(leaf, intermediate.certificate)).root_pem is None
    with_root = parse_chain(root.pem(leaf, intermediate.certificate, root.certificate))
    assert with_root.root_pem == root.pem(root.certificate)


def test_text_around_the_certificates_does_not_get_through(root: Ca) -> None:
    leaf = root.pem(root.issue(KEY))
    crlf = leaf.replace(b"\n", b"\r\n")
    text = b"Bag Attributes\r\n  friendlyName: x\r\n" + crlf + b"\n# end\n" + leaf
    chain = parse_chain(text)

    assert chain.pem == leaf + leaf


def test_a_certificate_of_a_version_that_there_is_not_is_damaged(root: Ca) -> None:
    leaf = root.issue(KEY)
    with pytest.raises(ChainError, match="certificate 2 of the chain is damaged"):
        parse_chain(root.pem(leaf) + root.spoilt(root.certificate, "version"))


def test_an_issuer_whose_name_cannot_be_read_is_no_issuer(root: Ca) -> None:
    chain = parse_chain(root.spoilt(root.issue(KEY), "issuer") + root.pem(root.certificate))
    with pytest.raises(BrokenChain, match="cannot be read"):
        check_links(chain)
    assert parse_chain(root.spoilt(root.certificate, "issuer")).root_pem is None


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_a_block_that_is_no_certificate_is_refused_wherever_it_is(root: Ca, place: str) -> None:
    leaf, foreign = root.pem(root.issue(KEY)), private_key_to_pem(KEY)
    texts = {"before": foreign + leaf, "between": leaf + foreign + leaf, "after": leaf + foreign}

    with pytest.raises(ChainError, match="not a certificate") as caught:
        parse_chain(texts[place])
    assert foreign.splitlines()[1].decode() not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no PEM certificate"),
        (b"<html>502 Bad Gateway</html>", "no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 .* damaged"),
        (b"-----BEGIN CERTIFICATE-----\n\xff\xfe\n-----END CERTIFICATE-----\n", "damaged"),
        (b"x" * (256 * 1024 + 1), "limit"),
    ],
)
def test_what_is_no_chain_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ChainError, match=message):
        parse_chain(text)


def test_more_certificates_than_any_ca_sends_are_refused(root: Ca) -> None:
    leaf = root.pem(root.issue(KEY))

    assert len(parse_chain(leaf * 20).issuers) == 19
    with pytest.raises(ChainError, match="21 certificates"):
        parse_chain(leaf * 21)


@given(part=st.floats(0, 1, exclude_max=True))
def test_a_chain_cut_anywhere_is_refused_or_loses_whole_certificates_only(part: float, root: Ca) -> None:
    whole = root.pem(root.certificate, root.certificate)
    cut = whole[: int(part * (len(whole) - 1))]
    try:
        chain = parse_chain(cut)
    except ChainError:
        return
    # What was accepted can only be the first certificate, complete.
    assert whole.startswith(chain.pem)
    assert not chain.issuers
    assert cut[len(chain.pem) :] in {b"-" * count for count in range(5)}


@given(st.binary(max_size=500))
def test_no_garbage_raises_anything_but_a_chain_error(garbage: bytes) -> None:
    with pytest.raises(ChainError):
        parse_chain(b"-----BEGIN CERTIFICATE-----\n" + garbage + b"\n-----END CERTIFICATE-----\n")


def test_a_chain_in_any_order_with_duplicates_and_strangers_is_put_in_order(
    root: Ca, intermediate: Ca, other_ca: Ca
) -> None:
    leaf, others = intermediate.issue(KEY), [intermediate.certificate, root.certificate, other_ca.certificate]
    stranger = other_ca.issue(generate_private_key())
    for order in permutations([leaf, *others, stranger]):
        arranged = arrange_chain(parse_chain(root.pem(*order, *order[:2])), KEY)
        assert (arranged.leaf, arranged.issuers) == (leaf, (intermediate.certificate, root.certificate))
        assert arranged.pem == root.pem(leaf, intermediate.certificate, root.certificate)
        check_links(arranged)


def test_a_chain_of_the_leaf_only_stays_one(root: Ca, intermediate: Ca) -> None:
    leaf = intermediate.issue(KEY)
    assert arrange_chain(parse_chain(root.pem(leaf, leaf)), KEY).pem == root.pem(leaf)


def test_of_several_certificates_for_the_key_the_newest_with_an_issuer_is_the_leaf(root: Ca, other_ca: Ca) -> None:
    old = root.issue(KEY, not_before=NOW - timedelta(days=2))
    new = root.issue(KEY, not_before=NOW - timedelta(days=1))
    alone = other_ca.issue(KEY, not_before=NOW)
    for order in permutations([old, alone, root.certificate, new]):
        arranged = arrange_chain(parse_chain(root.pem(*order)), KEY)
        assert (arranged.leaf, arranged.issuers) == (new, (root.certificate,))


def test_of_cross_signed_issuers_the_one_that_the_ca_put_first_is_taken(root: Ca, other_ca: Ca) -> None:
    issuing = make_ca("Issuing", root)
    crossed = make_ca("Issuing", other_ca, key=issuing.key)
    leaf = issuing.issue(KEY)
    sent = (crossed.certificate, leaf, issuing.certificate, root.certificate)
    assert arrange_chain(parse_chain(root.pem(*sent)), KEY).issuers == (crossed.certificate,)
    assert arrange_chain(parse_chain(root.pem(*sent[2:], *sent[:2])), KEY).issuers == sent[2:]


def test_of_an_issuer_that_was_renewed_the_certificate_that_ends_last_is_taken(root: Ca) -> None:
    issuing = make_ca("Issuing", root)
    expired = make_ca("Issuing", root, key=issuing.key, not_after=NOW - timedelta(days=1))
    for sent in permutations([issuing.issue(KEY), expired.certificate, issuing.certificate, root.certificate]):
        arranged = arrange_chain(parse_chain(root.pem(*sent)), KEY)
        assert arranged.issuers == (issuing.certificate, root.certificate)


def test_issuers_that_sign_each_other_end_somewhere(root: Ca) -> None:
    one, other = make_ca("One"), make_ca("Other")
    circle = (make_ca("One", other, key=one.key).certificate, make_ca("Other", one, key=other.key).certificate)
    arranged = arrange_chain(parse_chain(root.pem(*circle, one.issue(KEY))), KEY)
    assert arranged.issuers == circle


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303 - what old roots have
def test_an_issuer_signed_with_sha1_stays_in_the_chain(digest: hashes.HashAlgorithm) -> None:
    leaf, intermediate, root = signed_with(digest, KEY)
    chain = parse_chain(Ca.pem(root, leaf, intermediate))
    arranged = arrange_chain(chain, KEY)
    assert (arranged.leaf, arranged.issuers) == (leaf, (intermediate, root))
    check_links(arranged)
    assert arranged.root_pem == Ca.pem(root)


def test_a_chain_without_a_certificate_for_the_key_is_refused(root: Ca) -> None:
    with pytest.raises(KeyMismatch):
        arrange_chain(parse_chain(root.pem(root.issue(KEY), root.certificate)), generate_private_key())


def test_a_leaf_is_refused_when_nothing_beside_it_issued_it(root: Ca, intermediate: Ca, other_ca: Ca) -> None:
    leaf = intermediate.issue(KEY)
    impostor = type(other_ca)(intermediate.name, other_ca.key, other_ca.certificate)
    for certificates, why in (
        ((leaf, root.certificate, other_ca.certificate), "names differ"),
        ((intermediate.certificate, impostor.issue(KEY), root.certificate), "signature is invalid"),
    ):
        with pytest.raises(BrokenChain, match=why):
            arrange_chain(parse_chain(root.pem(*certificates)), KEY)


def test_links_break_where_the_order_is_wrong_or_a_certificate_is_missing(root: Ca, intermediate: Ca) -> None:
    leaf = intermediate.issue(KEY)
    for broken, place in (
        ((leaf, root.certificate, intermediate.certificate), "certificate 1"),
        ((leaf, root.certificate), "certificate 1"),
        ((leaf, intermediate.certificate, intermediate.certificate), "certificate 2"),
    ):
        with pytest.raises(BrokenChain, match=f"{place}.*names"):
            check_links(parse_chain(root.pem(*broken)))


def test_a_link_with_the_right_name_and_the_wrong_signature_breaks(root: Ca, intermediate: Ca, other_ca: Ca) -> None:
    impostor = type(other_ca)(intermediate.name, other_ca.key, other_ca.certificate)
    forged = impostor.issue(KEY)

    with pytest.raises(BrokenChain, match=r"certificate 1.*signature"):
        check_links(parse_chain(root.pem(forged, intermediate.certificate)))


def test_a_block_that_never_ends_is_damage_whatever_is_in_front_of_it() -> None:
    for front in (b"", b"-", b"----"):
        with pytest.raises(ChainError, match="a PEM block is incomplete"):
            parse_chain(front + b"-----BEGIN CERTIFICATE-----\nAAAA\n")
