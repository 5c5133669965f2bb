"""Akamai's request signatures: EdgeGrid (EG1-HMAC-SHA256)."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

MAX_BODY: Final = 131_072
"""Octets of a body that the signature covers, from its beginning."""


@dataclass(frozen=True)
class EdgeGrid:
    """The credentials of an API client.

    Attributes:
        client_token: Names the client.
        client_secret: Signs.
        access_token: Names what it may do.
    """

    client_token: str = field(repr=False)
    client_secret: str = field(repr=False)
    access_token: str = field(repr=False)

    def authorization(
        self, method: str, url: str, content: bytes | None, *, now: dt.datetime | None = None, nonce: str | None = None
    ) -> str:
        """Return the Authorization field of a request.

        Args:
            method: In capitals; only the body of a `POST` is signed.
            url: As it is sent.
            content: The body.
            now: The time, in UTC; None for that of the clock.
            nonce: A text that is used once; None for a random one.
        """
        timestamp = (now or dt.datetime.now(dt.UTC)).strftime("%Y%m%dT%H:%M:%S+0000")
        unsigned = (
            f"EG1-HMAC-SHA256 client_token={self.client_token};access_token={self.access_token};"
            f"timestamp={timestamp};nonce={nonce or uuid.uuid4()};"
        )
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = _base64(hashlib.sha256(content[:MAX_BODY]).digest()) if method == "POST" and content else ""
        signed = f"{method}\t{parts.scheme}\t{parts.netloc}\t{path}\t\t{body}\t{unsigned}"
        return f"{unsigned}signature={_mac(signed, _mac(timestamp, self.client_secret))}"


def _mac(text: str, key: str) -> str:
    return _base64(hmac.digest(key.encode(), text.encode(), hashlib.sha256))


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
