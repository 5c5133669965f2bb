"""The metrics of cert-manager's controller about its Certificates and issuers, under its names.

Names, labels and values are those of cert-manager 1.21: a time that is not known is 0, and Ready is three series of
which one is 1. They are computed when they are scraped, so an object that is gone has none.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from certwright.mirror.conditions import READY, find
from certwright.mirror.objects import OURS, THEIR_CERTIFICATES, THEIR_CLUSTER_ISSUERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric

    from certwright.kube.resource import Resource
    from certwright.mirror.objects import Mirrored

STATES: Final = ("True", "False", "Unknown")
"""Of a condition, each with a series of its own."""
_ISSUER: Final = ("issuer_name", "issuer_kind", "issuer_group")
_EXPIRY: Final = "When the certificate expires, Unix time; 0 if there is none."
_TIMES: Final = {
    "expiration": ("notAfter", _EXPIRY),
    "not_after": ("notAfter", _EXPIRY),
    "not_before": ("notBefore", "From when the certificate is valid, Unix time; 0 if there is none."),
    "renewal": ("renewalTime", "When the certificate is to be renewed, Unix time; 0 if that is not known."),
}
"""The times that are shown of a Certificate: the field of its status, and what it means."""


class CertManagerMetrics(Collector):
    """Reads what is known of cert-manager's objects whenever it is scraped.

    Args:
        served: Returns those that this process serves: none as long as another one leads, or cert-manager's controller
            runs, whose own series would be there twice. It may be called in a thread.
    """

    def __init__(self, served: Callable[[], Iterable[Mirrored]]) -> None:
        self._served = served

    def describe(self) -> Iterable[Metric]:
        """Return the names, so that registering reads nothing."""
        ready, times = _families()
        return [*ready.values(), *times.values()]

    def collect(self) -> Iterable[Metric]:
        """Return what is known now."""
        ready, times = _families()
        for one in self._served():
            place = (one.name,) if one.resource == THEIR_CLUSTER_ISSUERS else (one.name, one.namespace)
            known = find(one.status.get("conditions") or (), READY)
            state = known["status"] if known is not None else "Unknown"
            for named in STATES:
                ready[one.resource].add_metric([*place, named, *one.issuer_ref], float(named == state))
            for name, family in times.items() if one.resource == THEIR_CERTIFICATES else ():
                family.add_metric([*place, *one.issuer_ref], _instant(one.status, _TIMES[name][0]))
        return [*ready.values(), *times.values()]


def _families() -> tuple[dict[Resource, GaugeMetricFamily], dict[str, GaugeMetricFamily]]:
    """Return the families of Ready, by kind, and of the times, without samples."""
    ready = {}
    for resource in OURS:
        place = ["name"] if resource == THEIR_CLUSTER_ISSUERS else ["name", "namespace"]
        labels = [*place, "condition", *(_ISSUER if resource == THEIR_CERTIFICATES else ())]
        title = f"certmanager_{resource.kind.lower()}_ready_status"
        ready[resource] = GaugeMetricFamily(title, f"1 for the state of Ready of the {resource.kind}.", labels=labels)
    times = {
        name: GaugeMetricFamily(
            f"certmanager_certificate_{name}_timestamp_seconds", text, labels=["name", "namespace", *_ISSUER]
        )
        for name, (_, text) in _TIMES.items()
    }
    return ready, times


def _instant(status: Mapping[str, Any], field: str) -> float:
    try:
        instant = dt.datetime.fromisoformat(status.get(field) or "")
        return instant.timestamp() if instant.tzinfo is not None else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0
