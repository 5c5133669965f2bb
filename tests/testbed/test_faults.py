from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from cryptography import x509
from multidict import CIMultiDict

from testbed.exchanges import Drop, Forward, Request, Respond, Response
from testbed.faults import FAULTS, RESOURCES, Exchange, Turns, changing, in_place_of, resource_of
from testbed.faults.forger import Forger
from testbed.faults.misbehaviour import Misbehaviour

ORDER = Response(200, CIMultiDict({"Content-Type": "application/json"}), b'{"status": "pending"}')


def request(path: str = "/my-order/1") -> Request:
    return Request("POST", path, "", CIMultiDict({"Host": "127.0.0.1:1"}), b"{}")


@changing("order")
def renamed(exchange: Exchange) -> Response:
    """It says something else."""
    return replace(exchange.answer, body=b"[" + exchange.answer.body + b"]")


@changing("order")
def counted(exchange: Exchange) -> Response:
    """It counts."""
    exchange.memory["times"] = str(int(exchange.memory.get("times", "0")) + 1)
    return replace(exchange.answer, body=exchange.memory["times"].encode())


@in_place_of("order")
def gone(_: Exchange) -> Drop:
    """It is gone.

    For good.
    """
    return Drop()


def ask(ca: Misbehaviour, answer: Response = ORDER, path: str = "/my-order/1") -> object:
    action = ca.on_request(request(path))
    return action if action != Forward() else ca.on_response(request(path), answer)


def test_each_fault_has_a_name_a_line_that_explains_it_and_a_place() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert 10 < len(fault.summary) < 110, name
        assert fault.resources <= RESOURCES


def test_a_fault_is_made_of_a_function() -> None:
    assert (gone.name, gone.summary, gone.in_place) == ("gone", "It is gone", True)
    assert not renamed.in_place
    assert gone.at("finalize", "order").resources == {"finalize", "order"}
    with pytest.raises(ValueError, match="no such resource: orderz"):
        gone.at("orderz")


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/dir", "directory"),
        ("/my-order/abc", "order"),
        ("/order-plz", "newOrder"),
        ("/list-orderz/abc/page/2", "orders"),
        ("/certZ/12ab", "certificate"),
        ("/certZ/12ab/alternate/1", "alternate"),
        ("/roots/0", ""),
    ],
)
def test_paths_tell_the_resource(path: str, resource: str) -> None:
    assert resource_of(path) == resource


def test_turns_are_by_number_or_by_chance_that_can_be_repeated() -> None:
    assert [number for number in range(1, 6) if Turns(frozenset({2, 4})).hit(number)] == [2, 4]
    assert all(Turns().hit(number) for number in range(1, 6))
    hits = [Turns(probability=0.3, seed=7).hit(number) for number in range(1000)]
    assert 200 < sum(hits) < 400
    assert hits == [Turns(probability=0.3, seed=7).hit(number) for number in range(1000)]
    assert hits != [Turns(probability=0.3, seed=8).hit(number) for number in range(1000)]


def test_what_fits_is_changed_and_nothing_else() -> None:
    ca = Misbehaviour(renamed)
    assert ask(ca) == Respond(200, b'[{"status": "pending"}]', ORDER.headers)
    assert ask(ca, path="/finalize-order/1") == Forward()
    assert ca.struck == {"renamed": 1}


def test_changes_are_applied_one_after_the_other() -> None:
    ca = Misbehaviour(counted, renamed)
    assert isinstance(found := ask(ca), Respond)
    assert found.body == b"[1]"


def test_an_answer_in_place_comes_before_every_change() -> None:
    ca = Misbehaviour(renamed, gone.only(2))
    assert isinstance(ask(ca), Respond)
    assert ask(ca) == Drop()
    assert isinstance(ask(ca), Respond)
    assert ca.struck == {"renamed": 2, "gone": 1}


def test_errors_are_left_alone_unless_the_fault_is_about_them() -> None:
    refused = replace(ORDER, status=400)
    ca = Misbehaviour(renamed.only(1))
    assert ask(ca, refused) == Forward()
    assert isinstance(ask(ca), Respond), "an error is no turn"
    ca = Misbehaviour(replace(renamed, errors=True))
    assert isinstance(ask(ca, refused), Respond)


def test_what_a_fault_keeps_ends_with_it() -> None:
    for _ in range(2):
        ca = Misbehaviour(counted)
        assert isinstance(found := ask(ca), Respond)
        assert found.body == b"1"


def test_members_and_headers_can_be_taken_out() -> None:
    ca = Misbehaviour(FAULTS["directory-without-new-order"])
    body = json.dumps({"newOrder": "https://a/", "newNonce": "https://b/"}).encode()
    assert isinstance(found := ask(ca, replace(ORDER, body=body), "/dir"), Respond)
    assert json.loads(found.body) == {"newNonce": "https://b/"}
    ca = Misbehaviour(FAULTS["order-without-location"])
    headers = CIMultiDict({"Location": "https://a/", "Replay-Nonce": "abc"})
    assert isinstance(found := ask(ca, replace(ORDER, headers=headers), "/order-plz"), Respond)
    assert list(found.headers) == ["Replay-Nonce"]


def test_a_forged_chain_links_and_is_wrong_in_one_way_only() -> None:
    forger = Forger()
    (real, _) = x509.load_pem_x509_certificates(forger.chain(forger_leaf(), names=("a.example.test",)))
    forged, issuer = x509.load_pem_x509_certificates(forger.chain(real, other_key=True))
    forged.verify_directly_issued_by(issuer)
    assert forged.public_key() != real.public_key()
    names = x509.SubjectAlternativeName
    assert (
        forged.extensions.get_extension_for_class(names).value == real.extensions.get_extension_for_class(names).value
    )


def forger_leaf() -> x509.Certificate:
    return Forger().certificate
