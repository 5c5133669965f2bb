"""Role credentials from STS, for another identity or for a token of an identity provider."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from certwright.dns.aws.partitions import sts_host
from certwright.dns.aws.session import THROTTLED, AwsSession, is_denied
from certwright.dns.aws.sigv4 import Keys
from certwright.dns.aws.xml import error_code, text_of, xml_of
from certwright.dns.credential import Credential
from certwright.dns.errors import InvalidCredential, ProviderUnreachable
from certwright.dns.hosted.answer import not_understood, refused
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

VERSION: Final = "2011-06-15"
SESSION_NAME: Final = "certwright"
"""What CloudTrail shows."""
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
_UNREACHABLE: Final = THROTTLED | {"IDPCommunicationError"}


@dataclass(frozen=True)
class AssumedRole:
    """The keys of a role that another identity may assume (`AssumeRole`).

    Attributes:
        by: Sends requests as that identity.
        role: The ARN of the role.
        region: Whose STS is asked.
    """

    by: AwsSession
    role: str
    region: str

    @property
    def what(self) -> str:
        """What they are."""
        return f"the role {self.role}"

    async def fetch(self) -> Keys:
        """Assume the role. Raises `DnsError`."""
        asked = {"Action": "AssumeRole", "RoleArn": self.role, "RoleSessionName": SESSION_NAME, "Version": VERSION}
        content = urlencode(asked).encode()
        host = sts_host(self.region)
        response = await self.by.send(
            "POST", host, "/", service="sts", region=self.region, headers=_FORM, content=content
        )
        identity = self.by.keys.source.what
        return await _keys(
            response,
            "AssumeRole",
            f"{identity} needs the permission sts:AssumeRole for {self.role}, and the trust policy of the role must "
            "name that identity",
        )


@dataclass(frozen=True)
class WebIdentity:
    """The keys of a role for who shows a token of an identity provider (`AssumeRoleWithWebIdentity`).

    Attributes:
        context: Sends requests, which are not signed.
        role: The ARN of the role.
        region: Whose STS is asked.
        token: Gets the token anew.
        whose: Whose token it is, for messages.
        session_name: What CloudTrail shows.
    """

    context: ProviderContext
    role: str
    region: str
    token: Callable[[], Awaitable[str]]
    whose: str
    session_name: str = SESSION_NAME

    @property
    def what(self) -> str:
        """What they are."""
        return f"the role {self.role}"

    async def fetch(self) -> Keys:
        """Show the token. Raises `DnsError`."""
        token = Credential(await self.token(), self.whose).printable("web identity token")
        asked = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": self.role,
            "RoleSessionName": self.session_name,
            "Version": VERSION,
            "WebIdentityToken": token,
        }
        url = f"https://{sts_host(self.region)}/"
        response = await self.context.request("POST", url, headers=_FORM, content=urlencode(asked).encode())
        return await _keys(
            response,
            "AssumeRoleWithWebIdentity",
            f"the trust policy of {self.role} must allow sts:AssumeRoleWithWebIdentity to the OIDC provider of this "
            f"cluster, with the subject and the audience of {self.whose}; and IAM must have that OIDC provider",
        )


async def _keys(response: Response, action: str, needs: str) -> Keys:
    if response.status != HTTPStatus.OK:
        code = error_code(response)
        if code in _UNREACHABLE:
            host = host_of(response.url)
            raise ProviderUnreachable(f"STS at {host} answered with HTTP {response.status}, {code}", host=host)
        if code == "ExpiredTokenException":
            raise refused(response, code, "the web identity token has expired")
        if code == "RegionDisabledException":
            raise refused(response, code, "the account has not activated STS in this region: do so, or set region")
        known = is_denied(response, code) or code in {"InvalidIdentityToken", "IDPRejectedClaim"}
        raise refused(response, code, needs if known else f"it does not accept the request {action}: check the role")
    found = await xml_of(response)
    place = (f"{action}Result", "Credentials")
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    keys = keys_from(*(text_of(found, *place, name) for name in names), source="the answer of STS")
    if keys is None:
        raise not_understood(response)
    return keys


def keys_from(key_id: object, secret: object, token: object, expiration: object, *, source: str) -> Keys | None:
    """Return keys that expire, as AWS services answer them; None if a part is missing, or is not what it should be."""
    try:
        texts = [Credential(str(text or ""), source).printable("key") for text in (key_id, secret, token)]
        expires_at = dt.datetime.fromisoformat(str(expiration))
    except (InvalidCredential, ValueError):
        return None
    return Keys(texts[0], texts[1], texts[2], expires_at) if expires_at.tzinfo is not None else None
