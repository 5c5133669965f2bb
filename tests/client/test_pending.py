from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import InvalidIdentifier
from certwright.client import InvalidPendingCertificate, KeySpec, NoSolver, PendingCertificate
from certwright.pki import CertificateContents, generate_private_key, load_private_key, private_key_to_pem, read_csr

if TYPE_CHECKING:
    from certwright.acme import Client
    from tests.fakes.acme import FakeCa


def test_names_key_and_request_are_one_and_come_back_as_they_went() -> None:
    pending = PendingCertificate.begin(
        ["Bücher.example", "192.0.2.1"],
        key=KeySpec("ECDSA", 384),
        common_name="xn--bcher-kva.example",
        contents=CertificateContents(usages=["server auth"]),
    )
    assert pending.names == ("xn--bcher-kva.example", "192.0.2.1")
    request = read_csr(pending.csr_der)
    assert request.public_key() == load_private_key(pending.private_key_pem).public_key()
    assert PendingCertificate.from_json(pending.to_json()) == pending
    assert "PRIVATE" not in repr(pending)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidIdentifier):
        PendingCertificate.begin(["a b"])


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"names": ["b.example"]},
        {"names": "a.example"},
        {"privateKey": private_key_to_pem(generate_private_key()).decode()},
        {"privateKey": "nonsense"},
        {"csr": "nonsense"},
        {"order": 1},
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(PendingCertificate.begin(["a.example"]).to_json())
    with pytest.raises(InvalidPendingCertificate) as caught:
        PendingCertificate.from_json(json.dumps({**document, **change}))
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "x" * 300_000])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidPendingCertificate):
        PendingCertificate.from_json(text)


async def test_the_order_is_kept_as_soon_as_it_is_there_and_continued(client: Client, ca: FakeCa) -> None:
    kept: list[PendingCertificate] = []
    pending = PendingCertificate.begin(["a.example"])
    with pytest.raises(NoSolver):
        await pending.issue(client, solvers=[], keep=kept.append, timeout=30)
    (state,) = kept
    assert state.order_url is not None
    assert (state.private_key_pem, state.csr_der) == (pending.private_key_pem, pending.csr_der)
    with pytest.raises(NoSolver):
        await PendingCertificate.from_json(state.to_json()).issue(client, solvers=[], keep=kept.append, timeout=30)
    assert ca.paths().count("/new-order") == 1
    assert kept == [state], "the same order is told once"
