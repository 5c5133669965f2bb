"""A certificate in one call: issued, or renewed."""

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
"""Seconds for one issuance, unless the caller gives another number."""


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
    """Get a certificate: order it, validate all domains together, request, download, check.

    The key is returned with the certificate. To survive a crash in between, make it yourself (`KeySpec().make()`),
    keep it before you call this, keep the URL that `OrderPlaced` tells, and give both again: `key` and `resume`.

    Domains that are validated already are not validated again. The key and the request are made while the CA
    validates. If this task is cancelled, or the time is up, what was presented is cleaned up before the error is
    raised, which takes two minutes at most.

    Args:
        client: An account that is registered.
        names: Domain names, wildcards and IP addresses; text as `Identifier.parse` reads it.
        solvers: In the order of preference, or a function that returns them for an identifier.
        key: The key of the certificate: to be made, or an existing one (PEM, or an object of `cryptography`, also one
            that signs by a device); or a request that was made with it elsewhere (`certwright.pki.read_csr`), for
            exactly these names.
        common_name: The subject's CN, one of the names; None for an empty subject, which is what CAs prefer today.
        contents: What else is requested: fields of the subject, usages, URIs, e-mail addresses. Public CAs ignore the
            first two and refuse the others; `CertificateContents.missing_in` tells what a certificate lacks.
        profile: One of the directory's `meta.profiles`; None leaves it to the CA.
        not_before: When the certificate should begin to be valid, aware; many CAs refuse it.
        not_after: When it should end, aware; many CAs refuse it.
        preferred_chain: The common name of the issuer that the chain must lead to; None for the CA's default chain.
        replaces: The certificate that this one renews, in PEM; see `renew`.
        resume: The URL of an order that an earlier call made for the same names and the same key. It is resumed
            from wherever it is; a new one is made if it is invalid, expired, gone or for something else, and an event
            tells which.
        budget: The CA's rate limits; the order waits for room if there will be room in time.
        caa_view: Looks at the CAA records of the names first, and reports an objection as an event.
        on_event: Told what happens; see `certwright.client.events`. What it raises ends the issuance, after the
            clean-up.
        pace: How often the CA is asked for news where it does not say.
        timeout: Seconds for all of it.

    Raises:
        InvalidIdentifier: A name is none, there is no name at all, or the common name is none of them.
        InvalidPrivateKey: The key cannot be read or made.
        NoSolver: No solver answers what the CA offers for a name.
        SolverFailed: A solver could not do its work.
        OrderFailed: The CA could not validate a domain; see `by_identifier`.
        PreferredChainMissing: The preferred chain is not on offer; what was issued is in the error.
        UnusableCertificate: What the CA issued is not what was asked for: another key, other names, not for servers.
        CertificateStartsLater: What the CA issued starts soon, but after `timeout`; resume the order then.
        KeyReused: The key is the account's.
        BudgetExhausted: There is no room within the time given.
        IssuanceTimedOut: It took longer than `timeout`; see `reasons` for what the CA said.
        TypeError: `names` is one name, or `solvers` is one solver or has what is none; nothing was ordered.
        AcmeError: What else can go wrong; see `certwright.acme.errors` and `certwright.acme.problem`.
    """
    identifiers = Identifier.of(names)
    check_solvers(solvers)
    # A request that somebody else made may be for any use.
    for_servers = not isinstance(key, SigningRequest) and (contents or CertificateContents()).is_for_servers
    issuance = Issuance(client, identifiers, on_event, timeout, pace=pace, for_servers=for_servers)
    request = start_request(key, identifiers, common_name=common_name, account_key=client.key, contents=contents)
    try:
        async with asyncio.timeout(timeout):
            if not takes_long(key):
                # Done in no time, and a mistake in it shows before anything is ordered.
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
    """Renew a certificate for the names that it has, whoever issued it.

    The order says which certificate it renews (RFC 9773 section 5), where the CA has renewal information; what comes
    must not be older than what is renewed.

    Args:
        client: An account that is registered.
        certificate_pem: The certificate, with or without its chain.
        solvers: See `issue`.
        names: What was asked for, where the CA may have issued for less or more; None for the certificate's names.
        key: The key of the new certificate: a new one unless the old one is given, in PEM.
        contents: See `issue`; what the certificate has besides names is not asked for by itself.
        profile: See `issue`; a CA with several does not remember which one it was.
        not_before: See `issue`.
        not_after: See `issue`.
        preferred_chain: See `issue`.
        resume: See `issue`.
        budget: See `issue`; renewals are exempt from some limits or all.
        caa_view: See `issue`.
        on_event: See `issue`.
        pace: See `issue`.
        timeout: See `issue`.

    Raises:
        InvalidCertificate: It is no certificate, or names nothing.
        AcmeError: As by `issue`.
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
