"""The configuration of providers that are a single service: one address, one credential, one pace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar

from certwright.dns.credential import credential_name
from certwright.dns.hosted.json_api import JsonApi, bearer
from certwright.dns.hosted.one_by_one import pace_of
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.provider import Provider, ProviderContext


class ServiceConfig(ABC):
    """A `ProviderConfig` of a service whose accounts share one set of zones; a frozen dataclass inherits from it.

    Attributes:
        url: What all paths of the API follow.
        per_second: Requests in a second, in the long run.
        at_once: Requests without a pause, if there were none for a while.
        rights: What the credential needs, in the service's own words.
        api: What sends the requests.
    """

    knows_zones: ClassVar[bool] = True

    url: ClassVar[str]
    per_second: ClassVar[float]
    at_once: ClassVar[int]
    rights: ClassVar[str]
    api: ClassVar[type[JsonApi]] = JsonApi

    @property
    def destination(self) -> str:
        """The service."""
        return host_of(self.url)

    def build(self, context: ProviderContext) -> Provider:
        """Create the provider.

        Raises:
            InvalidCredential: The credential cannot be used.
        """
        pace = pace_of(context, self.per_second, at_once=self.at_once)
        return self.provider(context, self.api(context, self.url, self.headers(), pace=pace, rights=self.rights))

    def headers(self) -> Mapping[str, str]:
        """Return the header fields of the credential: unless this is overridden, the only one as a bearer token.

        Raises:
            InvalidCredential: It cannot be used.
        """
        named = {one.name: credential_name(one.metadata) for one in fields(self)}  # type: ignore[arg-type]  # a dataclass
        ((field, what),) = ((field, what) for field, what in named.items() if what is not None)
        return bearer(getattr(self, field).printable(what))

    @abstractmethod
    def provider(self, context: ProviderContext, api: JsonApi) -> Provider:
        """Return the provider that sends its requests through an API."""
