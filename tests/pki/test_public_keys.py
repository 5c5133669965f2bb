from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.pki import KeyAlgorithm, generate_private_key
from certwright.pki.keys import public_key_matches_spec

if TYPE_CHECKING:
    from tests.fakes.pki import Ca

KINDS: list[tuple[KeyAlgorithm, int | None]] = [
    ("ECDSA", 256),
    ("ECDSA", 384),
    ("RSA", 2048),
    ("Ed25519", None),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_certificate_matches_the_spec_of_its_key_and_no_other(
    root: Ca, kind: tuple[KeyAlgorithm, int | None]
) -> None:
    leaf = root.issue(generate_private_key(*kind))
    assert [other for other in KINDS if public_key_matches_spec(leaf, *other)] == [kind]


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "Ed25519"])
def test_a_spec_without_size_means_the_default_size(root: Ca, algorithm: KeyAlgorithm) -> None:
    assert public_key_matches_spec(root.issue(generate_private_key(algorithm)), algorithm)
