"""The provider `webhook`: uses DNS webhooks written for cert-manager, unchanged.

A webhook adds or removes one value per call.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.dns import DnsError, ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.call import CallProvider
from certwright.kube.errors import Forbidden, Invalid, KubeError, NotFound
from certwright.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from certwright.dns import TxtRecord
    from certwright.dns.provider import ProviderContext
    from certwright.dns.zone import Zone
    from certwright.kube.dns_webhooks import DnsWebhookApi

MAX_MESSAGE: Final = 200

_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/?#\s\"']*@|([?#])[^\s\"']*", re.IGNORECASE)
_PLACE: Final = re.compile(r"^(?:_[^.]*[.])+")
"""What challenges put before the domain: `_acme-challenge`, an account's label."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/_=-]{20,}")


@dataclass(frozen=True)
class WebhookConfig:
    """The configuration of a DNS webhook.

    Attributes:
        group_name: The API group of the webhook.
        solver_name: Which of its solvers is called.
        config: What it is given as its `config`, JSON; None for nothing.
        resource_namespace: Where it finds the Secrets that its config names.
        ambient: Whether it may use the credentials of the place where it runs.
        api: Calls it.
    """

    group_name: str
    solver_name: str
    config: str | None
    resource_namespace: str
    ambient: bool
    api: DnsWebhookApi = field(compare=False, repr=False)

    @property
    def destination(self) -> str:
        """The solver: what it does with its config is its own business."""
        return f"{self.solver_name}.{self.group_name}"

    def build(self, context: ProviderContext) -> DnsWebhook:
        """Create the provider."""
        return DnsWebhook(self, context.find_zone)


class DnsWebhook(CallProvider):
    """A `Provider` that has a webhook add and remove records.

    Args:
        config: Which one.
        find_zone: Finds the zone of a name: a webhook is told it.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        config: WebhookConfig,
        find_zone: Callable[[str], Awaitable[Zone]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(find_zone, monotonic=monotonic)
        self._config = config

    async def call(self, record: TxtRecord, zone: str, *, adding: bool) -> None:
        """Have one value added or removed."""
        config = self._config
        request: dict[str, Any] = {
            "uid": "",
            "action": "Present" if adding else "CleanUp",
            "type": "dns-01",
            "dnsName": record.domain or _PLACE.sub("", record.name),
            "key": record.value,
            "resourceNamespace": config.resource_namespace,
            "resolvedFQDN": f"{record.name}.",
            "resolvedZone": f"{zone}.",
            "allowAmbientCredentials": config.ambient,
        }
        if config.config is not None:
            request["config"] = json.loads(config.config)
        try:
            response = await config.api.call(config.group_name, config.solver_name, request)
        except KubeError as error:
            raise await self._not_called(error) from error
        if response.get("success") is not True:
            raise ProviderRefused(f"the DNS webhook {config.destination} did not do it: {_said(response)}")

    async def _not_called(self, error: KubeError) -> DnsError:
        config = self._config
        name, group = config.destination, config.group_name
        match error:
            case Forbidden():
                return ProviderRefused(
                    f"the operator may not call the DNS webhook {name}: it lacks permission to create "
                    f"{config.solver_name} in the API group {group}, or there is no such group. With the Helm chart, "
                    "list the webhook in dns01.webhooks"
                )
            case NotFound():
                known = await config.api.solvers(group)
                if known is None:
                    return ProviderRefused(f"the cluster has no DNS webhook {group}: there is no APIService for it")
                return ProviderRefused(
                    f"the DNS webhook {group} has no solver {config.solver_name}; it has {listed(known)}"
                )
            case Invalid():
                return ProviderRefused(
                    f"the DNS webhook {name} does not understand the request: {_harmless(error.message)}"
                )
        why = await config.api.why_unavailable(group)
        said = f": {_harmless(why)}" if why else f" ({'no answer' if error.status is None else f'HTTP {error.status}'})"
        return ProviderUnreachable(f"the DNS webhook {name} cannot be reached by the API server{said}", host=name)


def _said(response: Mapping[str, Any]) -> str:
    status = response.get("status")
    message = status.get("message") if isinstance(status, dict) else None
    return _harmless(message) if isinstance(message, str) and message else "it does not say why"


def _harmless(text: str) -> str:
    """Return a webhook's words without what may be a credential: the rest of URLs, and what looks like a token."""
    shown = _URL.sub(lambda found: f"{found[1] or found[2]}…", printable(text, 2 * MAX_MESSAGE))
    return printable(_TOKEN.sub(lambda found: _without_token(found[0]), shown), MAX_MESSAGE)


def _without_token(word: str) -> str:
    return "…" if any(letter.isdigit() for letter in word) and any(letter.isalpha() for letter in word) else word
