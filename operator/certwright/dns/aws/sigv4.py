"""AWS Signature Version 4 (docs.aws.amazon.com, IAM User Guide, "Create a signed AWS API request")."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNRESERVED: Final = "-_.~"
"""The characters besides letters and digits that are not escaped (RFC 3986 section 2.3)."""


@dataclass(frozen=True)
class Keys:
    """An access key. Never show it: its repr does not.

    Attributes:
        access_key_id: Which one; it is sent with each request.
        secret_access_key: Signs.
        session_token: Comes with keys that expire.
        expires_at: When they do; None for never.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: dt.datetime | None = None


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes,
    keys: Keys,
    *,
    service: str,
    region: str,
    now: dt.datetime,
) -> dict[str, str]:
    """Return the header fields of a request with its signature; all that are given are signed.

    Args:
        method: `GET` or `POST`.
        url: Absolute; its path and its query are escaped, with only the characters of `UNRESERVED` unescaped.
        headers: Header fields besides Host and those of the signature.
        content: The body; empty for none.
        keys: Sign.
        service: The name of the service in signatures, such as `route53`.
        region: The region in whose name the service is asked, such as `us-east-1`.
        now: The time, in UTC; AWS refuses a request that is more than 5 minutes off.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    fields = {**headers, "X-Amz-Date": stamp}
    if keys.session_token is not None:
        fields["X-Amz-Security-Token"] = keys.session_token
    to_sign = {name.lower(): " ".join(value.split()) for name, value in fields.items()} | {"host": urlsplit(url).netloc}
    names = ";".join(sorted(to_sign))
    request = _canonical(method, url, to_sign, names, content)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, scope, _digest(request.encode())))
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    fields["Authorization"] = (
        f"{ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return fields


def _canonical(method: str, url: str, fields: Mapping[str, str], names: str, content: bytes) -> str:
    parts = urlsplit(url)
    # A path that is escaped already is escaped once more, by all services but S3.
    path = quote(parts.path or "/", safe=f"/{UNRESERVED}")
    query = "&".join("=".join(pair) for pair in sorted(_pairs(parts.query)))
    lines = [f"{name}:{fields[name]}" for name in sorted(fields)]
    return "\n".join((method, path, query, *lines, "", names, _digest(content)))


def _pairs(query: str) -> list[tuple[str, str]]:
    found = (pair.partition("=") for pair in query.split("&") if pair)
    return [(name, value) for name, _, value in found]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
