"""A certificate that is being issued, in a form that survives a crash: names, key, CSR and order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from certwright.acme import AcmeError, Identifier, Pace
from certwright.client.errors import InvalidPrivateKey
from certwright.client.events import OrderPlaced, OrderResumed, ignore
from certwright.client.issue import DEFAULT_TIMEOUT, issue
from certwright.client.key import KeySpec, csr_for, exported, private_key_of
from certwright.pki import CertificateContents, PkiError, read_csr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from certwright.acme import Budget, Client
    from certwright.challenges.solver import Solvers
    from certwright.client.certificate import IssuedCertificate
    from certwright.client.events import Event, OnEvent
    from certwright.dns import DnsView
    from certwright.pki import PrivateKey

MAX_BYTES: Final = 256 * 1024
_VERSION: Final = 1


class InvalidPendingCertificate(AcmeError):
    """A saved pending certificate cannot be read. The message does not quote it."""


@dataclass(frozen=True)
class PendingCertificate:
    """A key, a CSR created with it, the names in the CSR, and the order.

    Save it before you call `issue`, and whenever `keep` is called with a new state. After a crash at any time, the next
    run then continues the same order with the same key.

    Attributes:
        names: The domains and addresses.
        private_key_pem: The key, PKCS #8.
        csr_der: The CSR for exactly these names.
        order_url: The order; None before it is placed.
    """

    names: tuple[str, ...]
    private_key_pem: bytes = field(repr=False)
    csr_der: bytes = field(repr=False)
    order_url: str | None = None

    @classmethod
    def begin(
        cls,
        names: Sequence[str | Identifier],
        *,
        key: KeySpec | PrivateKey | bytes = KeySpec(),  # noqa: B008 - immutable
        common_name: str | None = None,
        contents: CertificateContents | None = None,
    ) -> PendingCertificate:
        """Create the key and the CSR, without an order. For a large RSA key, call this in a thread, as it takes long.

        Raises:
            InvalidIdentifier: A name is invalid.
            InvalidPrivateKey: The key cannot be generated, read or exported, or no CSR can be created with it.
        """
        identifiers = Identifier.of(names)
        private_key = private_key_of(key)
        private_key_pem = exported(private_key)
        if not private_key_pem:
            raise InvalidPrivateKey("The key cannot be exported, so it cannot be saved here: use a CSR created with it")
        try:
            csr = csr_for(private_key, identifiers, common_name, contents)
        except PkiError as error:
            raise InvalidPrivateKey(f"Cannot create the CSR: {error}") from error
        return cls(tuple(one.value for one in identifiers), private_key_pem, csr)

    async def issue(
        self,
        client: Client,
        *,
        solvers: Solvers,
        keep: Callable[[PendingCertificate], object],
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        preferred_chain: str | None = None,
        replaces: bytes | None = None,
        budget: Budget | None = None,
        caa_view: DnsView | None = None,
        on_event: OnEvent = ignore,
        pace: Pace = Pace(),  # noqa: B008 - immutable
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as for `issue`
    ) -> IssuedCertificate:
        """Issue the certificate, continuing the order if there is one.

        Args:
            client: A client with a registered account.
            solvers: See `certwright.client.issue`.
            keep: Called with the new state as soon as an order is placed. An exception from it ends the issuance.
            profile: See `certwright.client.issue` for this and the following arguments; key, names and contents come
                from this object.
            not_before: The requested start of validity.
            not_after: The requested end of validity.
            preferred_chain: The issuer that the chain must lead to.
            replaces: The certificate that this one renews, in PEM.
            budget: The CA's rate limits.
            caa_view: Looks at the CAA records of the names first.
            on_event: Told what happens.
            pace: How often the CA is asked for news where it does not say.
            timeout: Seconds for all of it.

        Returns:
            The certificate, with the key.

        Raises:
            AcmeError: See `certwright.client.issue`.
        """

        def told(event: Event) -> None:
            if isinstance(event, OrderPlaced | OrderResumed) and event.order.url != self.order_url:
                keep(replace(self, order_url=event.order.url))
            on_event(event)

        issued = await issue(
            client,
            self.names,
            solvers=solvers,
            key=read_csr(self.csr_der),
            resume=self.order_url,
            on_event=told,
            profile=profile,
            not_before=not_before,
            not_after=not_after,
            preferred_chain=preferred_chain,
            replaces=replaces,
            budget=budget,
            caa_view=caa_view,
            pace=pace,
            timeout=timeout,
        )
        return replace(issued, private_key_pem=self.private_key_pem)

    def to_json(self) -> str:
        """Return the state as JSON. It contains the unencrypted private key, so only its owner may read the file."""
        document = {
            "version": _VERSION,
            "names": list(self.names),
            "privateKey": self.private_key_pem.decode("ascii"),
            "csr": read_csr(self.csr_der).to_pem().decode("ascii"),
            "order": self.order_url,
        }
        return json.dumps(document, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> PendingCertificate:
        """Read the output of `to_json`.

        Raises:
            InvalidPendingCertificate: The text is something else, or its parts do not match.
        """
        if len(text) > MAX_BYTES:
            raise InvalidPendingCertificate(f"The pending certificate is longer than {MAX_BYTES} bytes")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise InvalidPendingCertificate("The pending certificate is not JSON of this version")
        names, key, csr, order = (document.get(name) for name in ("names", "privateKey", "csr", "order"))
        if not (isinstance(names, list) and all(isinstance(one, str) for one in names) and isinstance(key, str)):
            raise InvalidPendingCertificate("The pending certificate has no names or no key")
        if not isinstance(csr, str) or not (order is None or isinstance(order, str)):
            raise InvalidPendingCertificate("The pending certificate has no CSR, or an order that is no URL")
        try:
            private_key, request = private_key_of(key.encode()), read_csr(csr.encode())
        except (InvalidPrivateKey, PkiError):
            raise InvalidPendingCertificate("The key or the CSR of the pending certificate cannot be read") from None
        if request.public_key() != private_key.public_key():
            raise InvalidPendingCertificate("The CSR of the pending certificate was made with another key")
        if set(names) != set(request.names):
            raise InvalidPendingCertificate("The CSR of the pending certificate is for other names")
        return cls(tuple(names), key.encode(), request.der, order)
