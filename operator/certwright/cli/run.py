"""``certwright run``: the operator. Does not import typer and rich, which a pod does not need and which take 15 MB."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from certwright.cli.logs import configure_logging
from certwright.cli.run_options import options_of
from certwright.cli.run_parser import parser
from certwright.handlers.errors import OperatorFailed
from certwright.handlers.operator import run_operator
from certwright.kube.election import LeadershipLost
from certwright.kube.login import NoCredentials

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

EXIT_FAILED: Final = 1
EXIT_LEADERSHIP_LOST: Final = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong with this process, start it again."""
LAST_SECONDS: Final = 1.5
"""After the lease was lost the process is gone by then, whatever hangs; the lease itself ends 3 s after the loss."""
EXIT_INTERRUPTED: Final = 130
"""As shells have it for SIGINT; Ctrl-C while connecting, later it is a graceful stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop; return the exit code."""
    reader = parser()
    given = reader.parse_args(arguments)
    configure_logging(level=given.log_level, as_json=given.log_format == "json")
    if given.kubeconfig:
        # kopf takes it from nowhere else.
        os.environ["KUBECONFIG"] = given.kubeconfig
    try:
        options = options_of(given, on_lost=_end_soon)
    except ValueError as error:
        reader.error(str(error))
    try:
        asyncio.run(run_operator(options))
    except NoCredentials as error:
        logger.error("%s", error)  # noqa: TRY400 - a mistake of configuration, not of the program: no traceback
        return EXIT_FAILED
    except LeadershipLost as error:
        logger.error("the operator stops and takes no further action: %s", error)  # noqa: TRY400 - no defect of the program
        return EXIT_LEADERSHIP_LOST
    except OperatorFailed as error:
        logger.error("the operator stops: %s", error, exc_info=error.__cause__)  # noqa: TRY400 - the cause's is enough
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception:
        logger.exception("the operator stops: unexpected error")
        return EXIT_FAILED
    return 0


def _end_soon() -> None:
    """See to it that this process ends, also if something does not let go: another replica leads in a moment."""
    timer = threading.Timer(LAST_SECONDS, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    logger.error("the operator did not stop within %g s of losing the lease, and is killed", LAST_SECONDS)
    os._exit(EXIT_LEADERSHIP_LOST)
