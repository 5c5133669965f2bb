"""A CA in memory that issues certificates, from a real hierarchy."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509

from certwright.acme import Headers, Response, base64url
from tests.fakes.acme import ORIGIN, FakeCa, Request
from tests.fakes.pki import NOW, Ca, make_ca

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST = "a.example"
CHAIN = "application/pem-certificate-chain"


class IssuingCa(FakeCa):
    """Issues from a real hierarchy, and sends what a test makes of the chain."""

    def __init__(self) -> None:
        super().__init__()
        self.root, self.other_root = make_ca("Root"), make_ca("Other Root")
        self.issuing = make_ca("Issuing", self.root)
        self.crossed = make_ca("Issuing", self.other_root, key=self.issuing.key)
        self.starts_in = timedelta(hours=-1)
        self.sent: Callable[[x509.Certificate], Sequence[bytes]] = lambda leaf: [Ca.pem(leaf, self.issuing.certificate)]
        self.names: Sequence[str] = [HOST]
        self.extensions: Sequence[x509.ExtensionType] = ()

    def expect(self) -> None:
        """Get ready for one issuance."""
        self.order_states.extend(["ready"])
        self.reply("/finalize", self._finalized)

    def _finalized(self, request: Request) -> Response:
        key = x509.load_der_x509_csr(base64url.decode(request.json["csr"])).public_key()
        starts = NOW + self.starts_in
        leaf = self.issuing.issue(_Keyed(key), self.names, not_before=starts, extensions=self.extensions)  # type: ignore[arg-type]
        default, *alternates = self.sent(leaf)
        links = {"Link": ", ".join(f'<{ORIGIN}/alternate/{place}>;rel="alternate"' for place in range(len(alternates)))}
        for _ in range(3):
            self.reply("/cert", lambda _: self._chain(default, links if alternates else {}))
        for place, alternate in enumerate(alternates):
            self.reply(f"/alternate/{place}", partial(self._alternate, alternate))
        self.order_states.extend(["valid"] * 3)
        return self.json(self.order("valid"))

    def _alternate(self, pem: bytes, _: Request) -> Response:
        return self._chain(pem, {})

    def _chain(self, pem: bytes, links: dict[str, str]) -> Response:
        if not pem:
            return self.problem("malformed", "there is no such chain", status=404)
        return Response(200, Headers({"Content-Type": CHAIN, **self.nonce(), **links}), pem)


class _Keyed:
    def __init__(self, key: object) -> None:
        self._key = key

    def public_key(self) -> object:
        return self._key
