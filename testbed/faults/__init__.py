"""Faults of a CA, one by one or together, between Pebble and its clients.

    with faulty(pebble, FAULTS["rate-limited-until-date"].only(1), FAULTS["expired-leaf"]) as directory_url:
        ...

`FAULTS` has all of them by name; each is at the resources where it hurts, and `at` moves it to others. The URL goes
into a client or an Issuer; the CA bundle is the bed's, as for Pebble itself. `FaultProxy` can be made to behave again
while its clients keep their connections.
"""

from typing import Final

from . import awkward, bodies, chains, connections, links, orders, protocol, refusals
from .fault import MARKER, Exchange, Fault, Turns, changing, in_place_of
from .proxy import FaultProxy, faulty
from .resources import RESOURCES, resource_of

FAULTS: Final[dict[str, Fault]] = {
    value.name: value
    for module in (refusals, connections, bodies, chains, protocol, orders, links, awkward)
    for value in vars(module).values()
    if isinstance(value, Fault)
}

__all__ = [
    "FAULTS",
    "MARKER",
    "RESOURCES",
    "Exchange",
    "Fault",
    "FaultProxy",
    "Turns",
    "changing",
    "faulty",
    "in_place_of",
    "resource_of",
]
