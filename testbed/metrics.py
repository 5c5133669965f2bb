"""The API server's request counters."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

REQUESTS = "apiserver_request_total"
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class RequestKind(NamedTuple):
    """The labels by which the API server counts requests.

    Attributes:
        verb: upper case, "GET", "LIST", "WATCH", "APPLY", "PATCH"...
        group: API group, "" for the core.
        resource: plural, "secrets".
        subresource: "status", or "".
        code: HTTP status, "200".
    """

    verb: str
    group: str
    resource: str
    subresource: str
    code: str


def parse_request_counts(text: str) -> Counter[RequestKind]:
    """Return how many requests of each kind were answered, from the text of `/metrics`."""
    counts: Counter[RequestKind] = Counter()
    for line in text.splitlines():
        if not line.startswith(f"{REQUESTS}{{"):
            continue
        labels_text, _, value = line.removeprefix(REQUESTS).rpartition(" ")
        labels = dict(_LABEL.findall(labels_text))
        kind = RequestKind(*(labels.get(name, "") for name in RequestKind._fields))
        counts[kind] += int(float(value))
    return counts
