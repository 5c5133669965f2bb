"""Translates a solver of cert-manager into one of ours, writing out defaults that differ from ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.manifest import told_unknown
from certwright.cert_manager.spec import go_duration, mapping
from certwright.resources.dns01 import Dns01
from certwright.resources.dns_providers.base import provider_fields

if TYPE_CHECKING:
    from certwright.cert_manager.controller_flags import ControllerFlags
    from certwright.cert_manager.translation import Notes

PROVIDERS: Final = (
    "akamai",
    "cloudDNS",
    "cloudflare",
    "route53",
    "azureDNS",
    "digitalocean",
    "acmeDNS",
    "rfc2136",
    "webhook",
)
"""Those of cert-manager 1.21, which are ours as well; ours have further ones that its objects cannot name."""
_ROUTES: Final = ("ingress", "gatewayHTTPRoute")
_WAIT: Final = "waitInsteadOfSelfCheck"
_ACME_DNS: Final = "acmeDNS"


def move_solver(given: Mapping[str, Any], path: str, kind: str, flags: ControllerFlags, notes: Notes) -> dict[str, Any]:
    """Return one solver in our terms; what is wrong with it goes to the notes."""
    ours: dict[str, Any] = {}
    if "selector" in given:
        ours["selector"] = given["selector"]
    if isinstance(given.get("dns01"), Mapping):
        ours["dns01"] = _dns01(given["dns01"], f"{path}.dns01", kind, flags, notes)
    if isinstance(given.get("http01"), Mapping):
        ours["http01"] = _http01(given["http01"], f"{path}.http01", notes)
    if _WAIT in given:
        _wait(given[_WAIT], path, ours, notes)
    for name in given.keys() - {"selector", "dns01", "http01", _WAIT}:
        told_unknown(f"{path}.{name}", notes)
    return ours


def _dns01(given: Mapping[str, Any], path: str, kind: str, flags: ControllerFlags, notes: Notes) -> dict[str, Any]:
    ours = {name: value for name, value in given.items() if name in PROVIDERS}
    for name in given.keys() - set(PROVIDERS) - {"cnameStrategy"}:
        if name in provider_fields(Dns01):
            ours[name] = given[name]
        else:
            told_unknown(f"{path}.{name}", notes)
    # Of acme-dns an account is found there by the domain, and here by the CNAME that leads to it.
    ours["cnameStrategy"] = "Follow" if _ACME_DNS in ours else given.get("cnameStrategy", "None")
    if _ACME_DNS in ours:
        _acme_dns(mapping(ours[_ACME_DNS]), f"{path}.{_ACME_DNS}", kind, notes)
    elif ours["cnameStrategy"] == "Follow" and kind == "ClusterIssuer":
        notes.change(
            f"{path}.cnameStrategy",
            "CNAMEs are followed everywhere",
            "a ClusterIssuer follows them only to allowedTargets of the solver, and to names below the domain itself: "
            "list the zones to which your CNAMEs lead",
        )
    if flags.nameservers:
        ours["nameservers"] = flags.nameservers
    if flags.dns01_recursive_nameservers_only:
        ours["selfCheckViews"] = ["recursive"]
    return ours


def _acme_dns(given: Mapping[str, Any], path: str, kind: str, notes: Notes) -> None:
    if str(given.get("host", "")).lower().startswith("http://"):
        notes.refuse(
            f"{path}.host",
            "is not https://, and the password of the account goes there with every request",
            "give the API of acme-dns a certificate (tls in its config.cfg), or put a proxy that speaks TLS in front, "
            "and set host to its https:// URL",
        )
    if kind == "ClusterIssuer":
        notes.change(
            path,
            "an account is found by its domain",
            "the CNAME at _acme-challenge leads to it, and a ClusterIssuer follows CNAMEs only to allowedTargets of "
            "the solver: list the zone of the acme-dns server",
        )


def _http01(given: Mapping[str, Any], path: str, notes: Notes) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    for name in _ROUTES:
        if isinstance(given.get(name), Mapping):
            ours[name] = _route(given[name], f"{path}.{name}", notes)
    for name in given.keys() - set(_ROUTES):
        told_unknown(f"{path}.{name}", notes)
    return ours


def _route(given: Mapping[str, Any], path: str, notes: Notes) -> dict[str, Any]:
    ours = {name: value for name, value in given.items() if (name, value) != ("name", "")}
    ours.setdefault("serviceType", "NodePort")
    if any(mapping(part).values() for part in (given.get("podTemplate"), given.get("ingressTemplate"))):
        notes.change(
            f"{path} (podTemplate, ingressTemplate)",
            "used as it is",
            "only labels and annotations that the operator allows (chart value http01.templates); with others the "
            "issuer is not Ready (TemplateRefused)",
        )
    return ours


def _wait(value: Any, path: str, ours: dict[str, Any], notes: Notes) -> None:
    """Waiting in place of looking: `selfCheck: off`, which for records can wait."""
    wait = go_duration(value)
    if wait is None:
        notes.refuse(f"{path}.{_WAIT}", "is not a duration such as 60s")
        return
    if "dns01" in ours:
        ours["dns01"] |= {"selfCheck": "off", "propagationWait": wait, "propagationTimeout": wait}
        if wait == "0s":
            del ours["dns01"]["propagationTimeout"]
        ours["dns01"].pop("selfCheckViews", None)
    if "http01" in ours:
        ours["http01"]["selfCheck"] = "off"
        notes.change(
            f"{path}.{_WAIT}", f"the CA is asked after {wait}", "the CA is asked a few seconds after the file is there"
        )
