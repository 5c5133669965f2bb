"""The options for serving cert-manager's objects; loaded with every operator."""

from __future__ import annotations

from dataclasses import dataclass, field

from certwright.cert_manager.controller_flags import ControllerFlags


@dataclass(frozen=True)
class Options:
    """How objects of cert-manager are served.

    Attributes:
        flags: What its controller was started with before: some say what objects mean.
        shows_metrics: Whether they are shown in metrics with cert-manager's names.
    """

    flags: ControllerFlags = field(default_factory=ControllerFlags)
    shows_metrics: bool = False
