"""The serving certificates of DNS webhooks, and the `caBundle` by which the API server checks them.

The charts of webhooks let cert-manager create both. For configured webhooks, the operator does it: a Secret with the
certificate, which the webhook mounts, and the CA in the APIService. Each CA signs one certificate, and its key is
discarded. A new CA is in the bundle before its certificate is written, and the previous one stays until the next
change, so the API server trusts whichever certificate the webhook has loaded.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.kube.errors import Conflict, KubeError
from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.pki import PkiError, load_private_key, public_key_matches
from certwright.pki.serving import make_serving_certificate
from certwright.resources import COMPONENT_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from certwright.kube.api import KubeApi
    from certwright.kube.dns_webhooks import DnsWebhookApi

logger = logging.getLogger(__name__)

COMPONENT: Final = "dns-webhook"
"""The value of the label of the Secrets that are ours."""
RENEW_BEFORE: Final = dt.timedelta(days=120)
LOOK_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 60.0
REST: Final = dt.timedelta(hours=2)
"""How long a bundle that something else has replaced is left alone."""
MAX_BUNDLE: Final = 64 * 1024
INJECTOR: Final = "cert-manager.io/inject-"
"""What the annotations begin with by which cert-manager's CA injector knows its objects."""
_WRITTEN: Final = re.compile(r"([a-z0-9.-]+)=([a-z0-9-]+)/([a-z0-9-]+)/([a-z0-9.-]+)")


@dataclass(frozen=True)
class ServedWebhook:
    """A webhook whose serving certificate the operator makes.

    Attributes:
        group: Its API group.
        namespace: Where it runs.
        service: The Service by which the API server finds it.
        secret: The Secret with its certificate.
    """

    group: str
    namespace: str
    service: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> ServedWebhook:
        """Read `GROUP=NAMESPACE/SERVICE/SECRET`.

        Raises:
            ValueError: It is not of this form.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:200]!r} is not GROUP=NAMESPACE/SERVICE/SECRET")
        return cls(*found.groups())

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the certificate is for; the API server asks for the first."""
        host = f"{self.service}.{self.namespace}.svc"
        return host, f"{self.service}.{self.namespace}", self.service, f"{host}.cluster.local"


class WebhookServing:
    """Keeps the certificates and bundles, while this process leads.

    Args:
        kube_api: Where the Secrets are.
        webhooks: Where the APIServices are.
        served: Which.
        clock: The present time.
    """

    def __init__(
        self,
        kube_api: KubeApi,
        webhooks: DnsWebhookApi,
        served: Sequence[ServedWebhook],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._kube_api = kube_api
        self._webhooks = webhooks
        self._served = tuple(served)
        self._clock = clock
        self._told: dict[ServedWebhook, str] = {}
        self._trusted: dict[ServedWebhook, dt.datetime] = {}

    async def run(self, begun: asyncio.Event) -> None:
        """Look at each once an hour, from when this process leads; after a failure sooner. Ends with a cancellation."""
        await begun.wait()
        while self._served:
            well = [await self._tried(webhook) for webhook in self._served]
            await asyncio.sleep(LOOK_SECONDS if all(well) else RETRY_SECONDS)

    async def _tried(self, webhook: ServedWebhook) -> bool:
        try:
            why = await self.look(webhook)
        except KubeError as error:
            why = str(error)
        except Exception as error:
            logger.debug("looking at the DNS webhook %s failed", webhook.group, exc_info=True)
            why = f"{type(error).__name__} while its certificate was looked at"
        if why and self._told.get(webhook) != why:
            logger.warning("the serving certificate of the DNS webhook %s: %s", webhook.group, why)
        self._told[webhook] = why
        return not why

    async def look(self, webhook: ServedWebhook) -> str:
        """See to the Secret and the bundle of one webhook; return why that cannot be done, for people, or nothing.

        Raises:
            KubeError: Something cannot be read or written.
        """
        service = await self._webhooks.api_service(webhook.group)
        if service is None:
            return "there is no APIService for it yet"
        wanted = {"namespace": webhook.namespace, "name": webhook.service}
        asked = service["spec"].get("service") or {}
        if {key: asked.get(key) for key in wanted} != wanted:
            return f"its APIService is not for the Service {webhook.namespace}/{webhook.service}; nothing was changed"
        secret = await self._kube_api.read_secret(webhook.namespace, webhook.secret)
        if secret is not None and (secret["metadata"].get("labels") or {}).get(COMPONENT_LABEL) != COMPONENT:
            return f"the Secret {webhook.namespace}/{webhook.secret} was not created by Certwright; nothing was changed"
        now = self._clock()
        current = _ca_of(secret, webhook, now)
        if current is not None:
            return await self._keep_trusted(webhook, service, current)
        made = await asyncio.to_thread(make_serving_certificate, webhook.names, now=now)
        before = _valid(_entry(secret, "ca.crt"), now)[:1]
        if why := await self._trust(webhook, service, (made.ca_pem, *before)):
            return why
        entries = {"tls.crt": made.certificate_pem, "tls.key": made.key_pem, "ca.crt": made.ca_pem}
        await self._kube_api.apply_secret(_manifest(webhook, secret, entries), force=secret is not None)
        logger.info(
            "made a serving certificate for the DNS webhook %s in the Secret %s/%s",
            webhook.group,
            webhook.namespace,
            webhook.secret,
        )
        return ""

    async def _keep_trusted(self, webhook: ServedWebhook, service: Mapping[str, Any], ca_pem: bytes) -> str:
        """See that the CA of the present certificate is in the bundle; return who takes it out, if somebody does."""
        now = self._clock()
        if ca_pem in _valid(_decoded(service["spec"].get("caBundle")), now):
            return ""
        last = self._trusted.get(webhook)
        if last is None or not dt.timedelta() <= now - last < REST:
            return await self._trust(webhook, service, (ca_pem,))
        annotations = service["metadata"].get("annotations") or {}
        if any(name.startswith(INJECTOR) for name in annotations):
            return (
                "cert-manager's CA injector replaces the caBundle of its APIService; remove the annotations "
                f"{INJECTOR}* there"
            )
        return "something else replaces the caBundle of its APIService; the webhook cannot be called until that ends"

    async def _trust(self, webhook: ServedWebhook, service: Mapping[str, Any], cas: Sequence[bytes]) -> str:
        try:
            await self._webhooks.set_ca_bundle(service, base64.b64encode(b"".join(cas)).decode())
        except Conflict:
            return "its APIService changed in the meantime"
        self._trusted[webhook] = self._clock()
        return ""


def _ca_of(secret: Mapping[str, Any] | None, webhook: ServedWebhook, now: dt.datetime) -> bytes | None:
    """Return the CA of a Secret whose certificate still serves for long enough; None if there is none."""
    try:
        leaf = x509.load_pem_x509_certificate(_entry(secret, "tls.crt"))
        (ca_pem,) = _valid(_entry(secret, "ca.crt"), now + RENEW_BEFORE)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = load_private_key(_entry(secret, "tls.key"))
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, PkiError):
        return None
    is_ours = webhook.names[0] in names.get_values_for_type(x509.DNSName) and public_key_matches(leaf, key)
    return ca_pem if is_ours and leaf.not_valid_after_utc > now + RENEW_BEFORE else None


def _entry(secret: Mapping[str, Any] | None, entry: str) -> bytes:
    try:
        return decoded((secret or {}).get("data") or {}, entry, limit=MAX_BUNDLE)
    except EntryTooLarge:
        return b""


def _decoded(bundle: object) -> bytes:
    if not isinstance(bundle, str) or len(bundle) > 2 * MAX_BUNDLE:
        return b""
    try:
        return base64.b64decode(bundle)
    except ValueError:
        return b""


def _valid(bundle: bytes, now: dt.datetime) -> tuple[bytes, ...]:
    """Return the certificates of a bundle that have not expired, each as PEM."""
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return ()
    return tuple(one.public_bytes(Encoding.PEM) for one in found if one.not_valid_after_utc > now)


def _manifest(webhook: ServedWebhook, secret: Mapping[str, Any] | None, entries: Mapping[str, bytes]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": webhook.namespace,
        "name": webhook.secret,
        "labels": {COMPONENT_LABEL: COMPONENT},
    }
    if secret is not None:
        metadata["resourceVersion"] = secret["metadata"]["resourceVersion"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "data": {entry: encoded(content) for entry, content in entries.items()},
    }
