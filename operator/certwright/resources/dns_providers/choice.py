"""Which DNS provider a solver uses."""

from typing import Annotated

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.dns_providers.acme_dns import AcmeDNS
from certwright.resources.dns_providers.akamai import Akamai
from certwright.resources.dns_providers.azure_dns import AzureDNS
from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.dns_providers.cloud_dns import CloudDNS
from certwright.resources.dns_providers.cloudflare import Cloudflare
from certwright.resources.dns_providers.desec import Desec
from certwright.resources.dns_providers.digitalocean import DigitalOcean
from certwright.resources.dns_providers.gandi import Gandi
from certwright.resources.dns_providers.godaddy import Godaddy
from certwright.resources.dns_providers.hetzner import Hetzner
from certwright.resources.dns_providers.http_request import HttpRequest
from certwright.resources.dns_providers.infomaniak import Infomaniak
from certwright.resources.dns_providers.ionos import Ionos
from certwright.resources.dns_providers.linode import Linode
from certwright.resources.dns_providers.ovh import Ovh
from certwright.resources.dns_providers.plugin import Plugin
from certwright.resources.dns_providers.porkbun import Porkbun
from certwright.resources.dns_providers.powerdns import Powerdns
from certwright.resources.dns_providers.rfc2136 import Rfc2136
from certwright.resources.dns_providers.route53 import Route53
from certwright.resources.dns_providers.scaleway import Scaleway
from certwright.resources.dns_providers.vultr import Vultr
from certwright.resources.dns_providers.webhook import Webhook


class ProviderChoice(Model):
    """The base of the solver whose records a DNS provider creates: one field for each provider."""

    acme_dns: Annotated[AcmeDNS | None, Field(alias="acmeDNS")] = None
    """Writes records to an acme-dns server."""
    akamai: Akamai | None = None
    """Creates records with the API of Akamai Edge DNS."""
    azure_dns: Annotated[AzureDNS | None, Field(alias="azureDNS")] = None
    """Creates records with the API of Azure DNS."""
    cloud_dns: Annotated[CloudDNS | None, Field(alias="cloudDNS")] = None
    """Creates records with the API of Google Cloud DNS."""
    cloudflare: Cloudflare | None = None
    """Creates records with the API of Cloudflare."""
    desec: Desec | None = None
    """Creates records with the API of deSEC."""
    digitalocean: DigitalOcean | None = None
    """Creates records with the API of DigitalOcean."""
    gandi: Gandi | None = None
    """Creates records with the API of Gandi LiveDNS."""
    godaddy: Godaddy | None = None
    """Creates records with the API of GoDaddy."""
    hetzner: Hetzner | None = None
    """Creates records with the API of Hetzner."""
    http_request: HttpRequest | None = None
    """Calls your own server, which creates the records, with lego's protocol `httpreq`."""
    infomaniak: Infomaniak | None = None
    """Creates records with the API of Infomaniak."""
    ionos: Ionos | None = None
    """Creates records with the API of IONOS."""
    linode: Linode | None = None
    """Creates records with the API of Linode."""
    ovh: Ovh | None = None
    """Creates records with the API of OVHcloud."""
    plugin: Plugin | None = None
    """Creates records with a Python package that is installed with the operator."""
    porkbun: Porkbun | None = None
    """Creates records with the API of Porkbun."""
    powerdns: Powerdns | None = None
    """Creates records with the API of a PowerDNS server."""
    rfc2136: Rfc2136 | None = None
    """Creates records with dynamic updates (RFC 2136)."""
    route53: Route53 | None = None
    """Creates records with the API of Amazon Route 53."""
    scaleway: Scaleway | None = None
    """Creates records with the API of Scaleway Domains and DNS."""
    vultr: Vultr | None = None
    """Creates records with the API of Vultr."""
    webhook: Webhook | None = None
    """Creates records with a DNS webhook written for cert-manager."""

    @property
    def provider(self) -> tuple[str, DnsProvider]:
        """The provider: its name, which is also its name in `certwright.dns.providers`, and its model."""
        ((name, provider),) = self.providers()
        return name, provider

    def providers(self) -> list[tuple[str, DnsProvider]]:
        """All providers that are given."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, value) for name, value in given if isinstance(value, DnsProvider)]
