"""CAA records: which CAs may issue for a domain (RFC 8659, RFC 8657). This is a forecast; the CA decides."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import dns.message
import dns.rdatatype

from certwright.dns.records import self_and_parents, to_text
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

# RFC 8659 section 4.2: the form of tags and labels; a value is visible ASCII without the semicolon.
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PARAMETER: Final = re.compile(rf"[ \t]*({_LABEL})[ \t]*=[ \t]*([!-:<-~]*)[ \t]*")
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_CRITICAL: Final = 0x80
# What a CA must know of a domain's wishes; a critical property that is none of these forbids to issue (section 4.1).
_KNOWN_TAGS: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})
_MAX_RECORDS: Final = 100

# Limits for reasons, which end up in Events and on terminals: the number of issuers, and the length of a value.
_SHOWN_ISSUERS: Final = 5
_SHOWN_VALUE: Final = 200


@dataclass(frozen=True)
class CaaRecord:
    """One property of a CAA record set.

    Attributes:
        tag: The name of the property, in lower case.
        value: Its value.
        critical: Whether a CA that does not know the tag must not issue.
    """

    tag: str
    value: str
    critical: bool = False


@dataclass(frozen=True)
class CaaPolicy:
    """The parsed value of an `issue` or `issuewild` property (RFC 8659 section 4.2).

    Attributes:
        issuer: The CA's name in lower case; empty forbids all CAs.
        parameters: The parameters by tag, in lower case.
        malformed: Whether it violates the grammar; then it authorizes no CA, but still counts as a record.
    """

    issuer: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    malformed: bool = False

    @classmethod
    def parse(cls, value: str) -> CaaPolicy:
        """Parse a value. This never fails, because a malformed value has a meaning as well."""
        issuer, *parts = value.split(";")
        issuer = issuer.strip(" \t")
        if issuer and not _DOMAIN.fullmatch(issuer):
            return cls(malformed=True)
        parameters: dict[str, str] = {}
        if any(part.strip(" \t") for part in parts):
            for part in parts:
                match = _PARAMETER.fullmatch(part)
                if match is None or match[1].lower() in parameters:
                    return cls(malformed=True)
                parameters[match[1].lower()] = match[2]
        return cls(issuer.lower(), parameters)


@dataclass(frozen=True)
class CaaSet:
    """The record set that applies to a name: the closest one, searching upward from the name (RFC 8659 section 3).

    Attributes:
        name: The name at which it was found.
        records: Its records.
    """

    name: str
    records: tuple[CaaRecord, ...]


@dataclass(frozen=True)
class CaaVerdict:
    """The conclusion that a CA is expected to reach.

    Attributes:
        allowed: Whether it may issue.
        reason: The reason, worded so that it can follow a colon.
        found: The record set that applies, or None if there is none.
        unknown_tags: What forbids it whatever the other records say: critical properties of kinds that CAs do not know.
    """

    allowed: bool
    reason: str
    found: CaaSet | None = None
    unknown_tags: tuple[str, ...] = ()


async def find_caa(name: str, ask: Callable[[str, str], Awaitable[dns.message.Message]]) -> CaaSet | None:
    """Search upward from a name for the closest CAA record set; resolvers follow CNAMEs (RFC 8659 section 3).

    Args:
        name: The name; for a wildcard, the name without `*.` is used.
        ask: Queries a resolver for a name and a record type, and raises for answers other than NOERROR and NXDOMAIN.

    Raises:
        DnsError: A query was not answered. A CA would not issue then; here it only means that nothing is known.
    """
    for candidate in self_and_parents(name.removeprefix("*.")):
        answer = await ask(candidate, "CAA")
        records = [
            (to_text(rrset.name), _record(rdata))
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.CAA
            for rdata in rrset
        ]
        if records:
            return CaaSet(records[0][0], tuple(record for _, record in records[:_MAX_RECORDS]))
    return None


def judge_caa(
    found: CaaSet | None,
    *,
    identities: Sequence[str],
    wildcard: bool = False,
    account_url: str | None = None,
    methods: Sequence[str] = (),
) -> CaaVerdict:
    """Decide whether a record set allows a CA to issue.

    Args:
        found: The result of `find_caa`.
        identities: The CA's names in CAA records: the directory's `meta.caaIdentities`. If there are none, no record
            can be attributed to the CA, and it counts as allowed.
        wildcard: Whether the certificate is for a wildcard; then `issuewild` records count, if there are any (section
            4.3).
        account_url: The account, for `accounturi` (RFC 8657 section 3); None skips this check.
        methods: The challenge types that could be used, for `validationmethods` (section 4); empty skips this check.
    """
    if found is None:
        return CaaVerdict(allowed=True, reason="there are no CAA records")
    if not identities:
        return CaaVerdict(
            allowed=True, reason=f"the CA does not say which name it uses in the CAA records of {found.name}"
        )
    unknown = sorted({record.tag for record in found.records if record.critical and record.tag not in _KNOWN_TAGS})
    if unknown:
        named = listed(unknown, most=_SHOWN_ISSUERS)
        reason = f"{found.name} has a critical CAA record of a kind that CAs do not know ({named})"
        return CaaVerdict(allowed=False, reason=reason, found=found, unknown_tags=tuple(unknown))
    tag = "issuewild" if wildcard and any(record.tag == "issuewild" for record in found.records) else "issue"
    policies = [CaaPolicy.parse(record.value) for record in found.records if record.tag == tag]
    if not policies:
        return CaaVerdict(allowed=True, reason=f"the CAA records of {found.name} restrict nothing here", found=found)
    mine = [policy for policy in policies if policy.issuer in {name.lower() for name in identities} and policy.issuer]
    if not mine:
        others = sorted({policy.issuer for policy in policies if policy.issuer}) or ["nobody"]
        named = listed(others, most=_SHOWN_ISSUERS)
        reason = f"the CAA records of {found.name} let {named} issue, not {' or '.join(identities[:_SHOWN_ISSUERS])}"
        return CaaVerdict(allowed=False, reason=reason, found=found)
    objections = [_objection(policy, account_url, methods) for policy in mine]
    if all(objections):
        return CaaVerdict(allowed=False, reason=f"the CAA records of {found.name} {objections[0]}", found=found)
    return CaaVerdict(allowed=True, reason=f"the CAA records of {found.name} let {mine[0].issuer} issue", found=found)


class CaaFinder(Protocol):
    """Finds the CAA records of a name: a `DnsView`."""

    async def find_caa(self, name: str) -> CaaSet | None:
        """Find the CAA records that apply to a name, or None."""
        ...


async def check_caa(
    view: CaaFinder,
    name: str,
    *,
    identities: Sequence[str],
    account_url: str | None = None,
    methods: Sequence[str] = (),
) -> CaaVerdict:
    """Predict whether the CAA records allow a CA to issue for a name. This is advisory, as the CA checks for itself.

    Args:
        view: Queries the resolvers.
        name: The name, possibly a wildcard.
        identities: See `judge_caa` for this and the following arguments.
        account_url: The account.
        methods: The challenge types that could be used.

    Raises:
        DnsError: The records cannot be looked up, so nothing is known. Issuing may still succeed.
    """
    found = await view.find_caa(name)
    return judge_caa(
        found, identities=identities, wildcard=name.startswith("*."), account_url=account_url, methods=methods
    )


def _objection(policy: CaaPolicy, account_url: str | None, methods: Sequence[str]) -> str | None:
    wanted = policy.parameters.get("accounturi")
    if wanted is not None and account_url is not None and wanted != account_url:
        return f"let {policy.issuer} issue for the account {wanted[:_SHOWN_VALUE]} only"
    allowed = policy.parameters.get("validationmethods")
    if allowed is not None and methods and not {method.strip() for method in allowed.split(",")} & set(methods):
        return f"let {policy.issuer} issue by {allowed[:_SHOWN_VALUE]} only"
    return None


def _record(rdata: object) -> CaaRecord:
    flags, tag, value = (getattr(rdata, name) for name in ("flags", "tag", "value"))
    return CaaRecord(tag.decode("ascii", "replace").lower(), value.decode("ascii", "replace"), bool(flags & _CRITICAL))
