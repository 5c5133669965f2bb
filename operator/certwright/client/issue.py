"""Issue or renew a certificate with one call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cryptography.x509.oid import NameOID

from certwright.acme import Identifier, Pace, PollTimedOut
from certwright.challenges.solver import check_solvers
from certwright.client.certificate import chain_of, names_of
from certwright.client.events import ignore
from certwright.client.issuance import Issuance
from certwright.client.key import KeySpec, start_request, takes_long
from certwright.pki import CertificateContents, SigningRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from certwright.acme import Budget, Client
    from certwright.challenges.solver import Solvers
    from certwright.client.certificate import IssuedCertificate
    from certwright.client.events import OnEvent
    from certwright.client.key import CertificateKey
    from certwright.dns import DnsView
    from certwright.pki import CertificateChain

DEFAULT_TIMEOUT: Final = 600.0
"""The default timeout of an issuance, in seconds."""


async def issue(
    client: Client,
    names: Sequence[str | Identifier],
    *,
    solvers: Solvers,
    key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
    common_name: str | None = None,
    contents: CertificateContents | None = None,
    profile: str | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    preferred_chain: str | None = None,
    replaces: bytes | None = None,
    resume: str | None = None,
    budget: Budget | None = None,
    caa_view: DnsView | None = None,
    on_event: OnEvent = ignore,
    pace: Pace = Pace(),  # noqa: B008 - immutable
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - it bounds a whole conversation, and names the order
) -> IssuedCertificate:
    """Issue a certificate: place an order, validate all domains together, finalize, download and check.

    The key is returned with the certificate. To be able to continue after a crash, generate the key yourself
    (`KeySpec().make()`) and store it before the call, store the URL in the event `OrderPlaced`, and pass both again as
    `key` and `resume`.

    Domains that are already validated are not validated again. The key and the CSR are generated while the CA
    validates. If the task is cancelled, or on a timeout, the challenge responses are removed before the error is
    raised, which takes two minutes at most.

    Args:
        client: A client with a registered account.
        names: Domain names, wildcards and IP addresses; strings are parsed by `Identifier.parse`.
        solvers: Solvers in order of preference, or a function that returns them for an identifier.
        key: The key of the certificate: a description of the key to generate; an existing key, as PEM or as an object
            of `cryptography` (also one that signs with a device); or a CSR created elsewhere
            (`certwright.pki.read_csr`) for exactly these names.
        common_name: The subject's CN, which must be one of the names; None for an empty subject, which CAs prefer.
        contents: Additional contents: subject fields, usages, URIs, e-mail addresses. Public CAs ignore the first two
            and refuse the others; `CertificateContents.missing_in` returns what a certificate lacks.
        profile: One of the directory's `meta.profiles`; None leaves the choice to the CA.
        not_before: The requested start of validity, aware; many CAs refuse it.
        not_after: The requested end of validity, aware; many CAs refuse it.
        preferred_chain: The common name of the issuer that the chain must lead to; None for the CA's default chain.
        replaces: The certificate that this one renews, in PEM; see `renew`.
        resume: The URL of an order that an earlier call placed for the same names and key. The order is continued from
            its current state. If it is invalid, expired, gone or for something else, a new one is placed, and an event
            gives the reason.
        budget: The CA's rate limits; waits for capacity if there will be some within the timeout.
        caa_view: Checks the CAA records of the names first, and reports objections as events.
        on_event: Called with each event; see `certwright.client.events`. An exception from it ends the issuance, after
            the cleanup.
        pace: How often to poll when the CA does not send Retry-After.
        timeout: Seconds for the whole issuance.

    Raises:
        InvalidIdentifier: A name is invalid, there are no names, or the common name is not one of them.
        InvalidPrivateKey: The key cannot be read or generated.
        NoSolver: No solver supports a challenge that the CA offers for a name.
        SolverFailed: A solver failed.
        OrderFailed: The CA could not validate a domain; see `by_identifier`.
        PreferredChainMissing: The CA does not offer the preferred chain; the error has the issued certificate.
        UnusableCertificate: The CA issued something else than requested: another key, other names, not for servers.
        CertificateStartsLater: The issued certificate becomes valid only after `timeout`; resume the order then.
        KeyReused: The key is the account key.
        BudgetExhausted: The budget has no capacity within the timeout.
        IssuanceTimedOut: It took longer than `timeout`; see `reasons` for what the CA said.
        TypeError: `names` is a single name, or `solvers` is a single solver or contains something else; no order was
            placed.
        AcmeError: Any other error; see `certwright.acme.errors` and `certwright.acme.problem`.
    """
    identifiers = Identifier.of(names)
    check_solvers(solvers)
    # A CSR created elsewhere may request any usage.
    for_servers = not isinstance(key, SigningRequest) and (contents or CertificateContents()).is_for_servers
    issuance = Issuance(client, identifiers, on_event, timeout, pace=pace, for_servers=for_servers)
    request = start_request(key, identifiers, common_name=common_name, account_key=client.key, contents=contents)
    try:
        async with asyncio.timeout(timeout):
            if not takes_long(key):
                # This is fast, and shows mistakes before an order is placed.
                await request
            if caa_view is not None:
                await issuance.look_at_caa(caa_view, solvers)
            resumed = resume is not None and await issuance.resume_order(
                resume, profile=profile, not_before=not_before, not_after=not_after
            )
            if not resumed:
                await issuance.place_order(
                    profile=profile, not_before=not_before, not_after=not_after, replaces=replaces, budget=budget
                )
            await issuance.validate_and_finalize(solvers, request, budget)
            return await issuance.collect(preferred_chain, current=replaces)
    except (TimeoutError, PollTimedOut) as error:
        raise issuance.timed_out(error) from error
    finally:
        request.cancel()
        if budget is not None:
            issuance.settle(budget)


async def renew(
    client: Client,
    certificate_pem: bytes,
    *,
    solvers: Solvers,
    names: Sequence[str | Identifier] | None = None,
    key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
    contents: CertificateContents | None = None,
    profile: str | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    preferred_chain: str | None = None,
    resume: str | None = None,
    budget: Budget | None = None,
    caa_view: DnsView | None = None,
    on_event: OnEvent = ignore,
    pace: Pace = Pace(),  # noqa: B008 - immutable
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as for issue
) -> IssuedCertificate:
    """Renew a certificate for its current names, whichever CA issued it.

    If the CA has renewal information, the order names the certificate that it renews (RFC 9773 section 5). The new
    certificate must not be older than the current one.

    Args:
        client: A client with a registered account.
        certificate_pem: The certificate, with or without its chain.
        solvers: See `issue`.
        names: The names to request, if the CA may have issued for fewer or more; None for the certificate's names.
        key: The key of the new certificate: a new one by default; pass the old one in PEM to keep it.
        contents: See `issue`; contents of the current certificate other than its names are not requested automatically.
        profile: See `issue`; the CA does not remember the profile of the current certificate.
        not_before: See `issue`.
        not_after: See `issue`.
        preferred_chain: See `issue`.
        resume: See `issue`.
        budget: See `issue`; renewals are exempt from some or all limits.
        caa_view: See `issue`.
        on_event: See `issue`.
        pace: See `issue`.
        timeout: See `issue`.

    Raises:
        InvalidCertificate: The text is not a certificate, or the certificate has no names.
        AcmeError: See `issue`.
    """
    chain = chain_of(certificate_pem)
    identifiers = names_of(chain) if names is None else Identifier.of(names)
    return await issue(
        client,
        identifiers,
        solvers=solvers,
        key=key,
        common_name=_common_name(chain, identifiers),
        contents=contents,
        profile=profile,
        not_before=not_before,
        not_after=not_after,
        preferred_chain=preferred_chain,
        replaces=certificate_pem,
        resume=resume,
        budget=budget,
        caa_view=caa_view,
        on_event=on_event,
        pace=pace,
        timeout=timeout,
    )


def _common_name(chain: CertificateChain, identifiers: Sequence[Identifier]) -> str | None:
    names = {name.value for name in identifiers}
    found = chain.leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(found[0].value) if found else None
    return name if name in names else None
