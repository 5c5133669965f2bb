"""The test bed: a Kubernetes API server, an ACME CA, a DNS server and an ingress controller, all real.

    with TestBed() as bed:
        print(bed.kubectl("get", "namespaces"))

On the command line: `python -m testbed up`, `status`, `env`, `down`.
"""

from .bed import TestBed
from .errors import BedError, BinaryUnavailable, CommandFailed, DiskFull, PartFailed, PortTaken
from .options import DELEGATED_ZONE, EXAMPLE_ZONE, BedOptions, PebbleOptions, Profile

__all__ = [
    "DELEGATED_ZONE",
    "EXAMPLE_ZONE",
    "BedError",
    "BedOptions",
    "BinaryUnavailable",
    "CommandFailed",
    "DiskFull",
    "PartFailed",
    "PebbleOptions",
    "PortTaken",
    "Profile",
    "TestBed",
]
