"""The bed's own images: pause, which holds every pod's namespaces, a small web server, and Traefik."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .buildah import build_image, cached_archive, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

PAUSE = "localhost/pause:1"
WEB = "localhost/web:1"
# For scenarios whose ingress controller has to be a pod; the bed's own runs beside the cluster.
TRAEFIK = "localhost/traefik:1"
# What they hold: one static program each.
PROGRAMS = {PAUSE: "pause", WEB: "web", TRAEFIK: "traefik"}
USER = "65532:65532"


def pod_image(name: str, programs: Mapping[str, Path]) -> Path:
    """Return the OCI archive of one of the bed's own images, built if it is not in the cache.

    Args:
        name: PAUSE, WEB or TRAEFIK.
        programs: paths of buildah, and of what it holds, by name.

    Raises:
        BinaryUnavailable: the build failed.
    """
    program = PROGRAMS[name]
    text = f'FROM scratch\nCOPY {program} /{program}\nUSER {USER}\nENTRYPOINT ["/{program}"]\n'

    def build(archive: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="testbed-image-") as context:
            shutil.copy2(programs[program], context)
            (Path(context) / "Containerfile").write_text(text)
            build_image(programs["buildah"], Path(context), name, archive)

    return cached_archive(program, digest([name, text, programs[program]]), build)
