"""Keys that never leave the device or the service that signs with them: of an account and of a certificate."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.acme import AccountCredentials, AccountKey, AcmeServer, Client, InvalidAccountKey
from certwright.client import InvalidPrivateKey, PendingCertificate, issue
from certwright.pki import parse_chain
from tests.fakes.acme import DIRECTORY_URL
from tests.fakes.issuing import HOST, IssuingCa
from tests.fakes.pki import NOW
from tests.fakes.solvers import Recorder
from tests.fakes.time import FakeTime


class DeviceKey(ec.EllipticCurvePrivateKey):
    """What the packages for such devices offer: the interface of the cryptography library, without the key."""

    def __init__(self) -> None:
        self._inside = ec.generate_private_key(ec.SECP256R1())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._inside.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._inside.curve

    @property
    def key_size(self) -> int:
        return self._inside.key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        return self._inside.sign(data, signature_algorithm)

    def exchange(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError

    def private_bytes(self, *_: object) -> NoReturn:
        raise RuntimeError("CKR_ATTRIBUTE_SENSITIVE")

    def __copy__(self) -> DeviceKey:
        return self

    def __deepcopy__(self, _: object) -> DeviceKey:
        return self


async def test_such_keys_get_a_certificate_and_nothing_is_lost_at_the_end() -> None:
    ca, account_key, key = IssuingCa(), DeviceKey(), DeviceKey()
    client = Client(AcmeServer(DIRECTORY_URL, ca, clock=FakeTime(start=NOW).clock()), AccountKey(account_key))
    await client.register()
    ca.expect()
    issued = await issue(client, [HOST], solvers=[Recorder()], key=key)
    assert issued.private_key_pem == b""
    assert parse_chain(issued.chain_pem).leaf.public_key() == key.public_key()


def test_what_cannot_be_saved_says_so_with_an_error_of_ours() -> None:
    key = AccountKey(DeviceKey())
    with pytest.raises(InvalidAccountKey, match="cannot be exported"):
        AccountCredentials(DIRECTORY_URL, "https://ca.test/account/1", key).to_json()
    with pytest.raises(InvalidPrivateKey, match="cannot be exported"):
        PendingCertificate.begin([HOST], key=DeviceKey())


@pytest.mark.parametrize("thing", [object(), "-----BEGIN PRIVATE KEY-----", b"", None])
def test_what_is_no_key_is_refused_without_being_quoted(thing: Any) -> None:
    with pytest.raises(InvalidAccountKey, match=f"cannot be a {type(thing).__name__}; use") as caught:
        AccountKey(thing)
    assert "BEGIN" not in str(caught.value)
