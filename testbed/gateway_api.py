"""The Gateway API's resource definitions, from the Go module in which its project releases them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .definitions import Definitions

if TYPE_CHECKING:
    from pathlib import Path

NAME = "gateway-api"
MODULE = "sigs.k8s.io/gateway-api"


def find_gateway_definitions() -> Path:
    """Return the folder with the CRDs of the standard channel; download them once, checked against our go.sum.

    Raises:
        BinaryUnavailable: they are not in the cache, and cannot be downloaded.
    """
    return Definitions(NAME, MODULE, "config/crd/standard").find()
