"""The user's own server with lego's `httpreq` protocol: one POST to add a value, one to remove it.

The protocol is described at https://go-acme.github.io/lego/dns/httpreq/. In the default mode, the server receives
the name and the value of a record; in RAW mode, it receives the domain, the token and the key authorization.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, get_args

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, InvalidCredential, ProviderRefused
from certwright.dns.hosted.answer import refused
from certwright.dns.hosted.call import CallProvider
from certwright.http.url import host_of

if TYPE_CHECKING:
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

Mode = Literal["Default", "RAW"]
MAX_ANSWER_BYTES: Final = 64 * 1024
"""What it answers is not used; one that never ends is no answer."""


@dataclass(frozen=True)
class HttpRequestConfig:
    """The configuration of a server that speaks lego's protocol.

    Attributes:
        url: `/present` and `/cleanup` come after it.
        username: Of basic authentication (RFC 7617); with `password`, or neither.
        password: Of basic authentication.
        mode: What the server is told of a record.
        ca_bundle: Certificates in PEM to trust in place of the public CAs.
    """

    url: str
    username: Credential | None = field(default=None, metadata=credential("user name"))
    password: Credential | None = field(default=None, metadata=credential("password"))
    mode: Mode = "Default"
    ca_bundle: str | None = field(default=None, repr=False)

    @property
    def needs_key_authorization(self) -> bool:
        """Whether the server is told the key authorization."""
        return self.mode == "RAW"

    @property
    def destination(self) -> str:
        """The server."""
        return self.url.rstrip("/")

    def build(self, context: ProviderContext) -> HttpRequestProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The user name, the password or the mode cannot be used.
        """
        if self.mode not in get_args(Mode):
            raise InvalidCredential(f"there is no such mode of lego's protocol: it is {' or '.join(get_args(Mode))}")
        return HttpRequestProvider(self, context, self._headers())

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.username is not None and self.password is not None:
            username = self.username.printable("user name")
            if ":" in username:
                raise InvalidCredential(f"the user name in {self.username.source} has a colon (RFC 7617 section 2)")
            pair = f"{username}:{self.password.printable('password')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif self.username is not None or self.password is not None:
            raise InvalidCredential("basic authentication needs a user name and a password")
        return headers


class HttpRequestProvider(CallProvider):
    """A `Provider` that asks one server."""

    def __init__(self, config: HttpRequestConfig, context: ProviderContext, headers: dict[str, str]) -> None:
        super().__init__(context.find_zone, monotonic=context.monotonic)
        self._config = config
        self._context = context
        self._headers = headers

    async def zone_of(self, record: TxtRecord) -> str:
        """Return the zone of a record, or its name where it cannot be found: it only says what waits for what."""
        try:
            return await super().zone_of(record)
        except DnsError:
            return record.name

    async def call(self, record: TxtRecord, zone: str, *, adding: bool) -> None:
        """Have one value added or removed."""
        url = f"{self._config.destination}/{'present' if adding else 'cleanup'}"
        content = json.dumps(self._told(record)).encode()
        response = await self._context.request(
            "POST",
            url,
            headers=self._headers,
            content=content,
            max_bytes=MAX_ANSWER_BYTES,
            ca_bundle=self._config.ca_bundle,
        )
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise refused(response, "", _why(response, zone))

    def _told(self, record: TxtRecord) -> dict[str, str]:
        if self._config.mode != "RAW":
            return {"fqdn": f"{record.name}.", "value": record.value}
        if record.domain is None or record.key_authorization is None:
            raise ProviderRefused(
                f"the server at {host_of(self._config.url)} is called in the mode RAW, which is for the records of "
                f"dns-01 challenges alone, and the one at {record.name} is none, or its key authorization is not known",
                host=host_of(self._config.url),
            )
        token, _, _ = record.key_authorization.partition(".")
        return {"domain": record.domain, "token": token, "keyAuth": record.key_authorization}


def _why(response: Response, zone: str) -> str:
    match response.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return "it wants basic authentication: check usernameSecretRef and passwordSecretRef"
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return "the url has to be the one that /present and /cleanup come after"
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return "it redirects, and redirects are not followed: name the address where they lead"
    return f"{host_of(response.url)} did not change {zone}; its log should say why"
