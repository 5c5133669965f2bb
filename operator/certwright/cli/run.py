"""``certwright run``: the operator. Kept free of typer and rich, which a pod has no use for and pays 15 MB for."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from certwright.cli.logs import configure_logging
from certwright.handlers.operator import Options, run_operator
from certwright.kube.login import NoCredentials, own_namespace

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

DEFAULT_NAMESPACE: Final = "certwright"
EXIT_FAILED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    configure_logging(level=options.log_level, as_json=options.log_format == "json")
    if options.kubeconfig:
        os.environ["KUBECONFIG"] = options.kubeconfig
    own = Options(
        operator_namespace=options.operator_namespace,
        namespaces=options.namespace,
        http_host=options.http_host,
        http_port=options.http_port,
        workers=options.workers,
        user_agent=f"certwright/{version('certwright')}",
    )
    try:
        asyncio.run(run_operator(own))
    except NoCredentials as error:
        logger.error("%s", error)  # noqa: TRY400 - a mistake of configuration, not of the program: no traceback
        return EXIT_FAILED
    except OSError as error:
        logger.error("cannot serve on %s:%d: %s", own.http_host, own.http_port, error)  # noqa: TRY400 - as above
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certwright run",
        description="Run the operator: watch Certificates and issuers, and bring certificates into Secrets.",
        epilog="Every option has an environment variable: --log-format is CERTWRIGHT_LOG_FORMAT.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--kubeconfig",
        default=_env("KUBECONFIG"),
        help="kubeconfig to use outside a cluster (else: KUBECONFIG)",
    )
    add(
        "--operator-namespace",
        default=_env("OPERATOR_NAMESPACE") or own_namespace() or DEFAULT_NAMESPACE,
        help="namespace of the Secrets that ClusterIssuers refer to",
    )
    add(
        "--namespace",
        action="append",
        default=[name for name in _env("NAMESPACE").split(",") if name],
        help="namespace to serve; may be given several times (default: all)",
    )
    add(
        "--http-host",
        default=_env("HTTP_HOST") or "0.0.0.0",  # noqa: S104 - probes and Prometheus come from outside the pod
        help="address for /healthz, /readyz and /metrics",
    )
    add(
        "--http-port",
        type=int,
        default=int(_env("HTTP_PORT") or 8080),
        help="port for them; 0 picks a free one",
    )
    add(
        "--workers",
        type=_workers,
        default=int(_env("WORKERS") or 32),
        help="objects looked at at the same time",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default=_env("LOG_LEVEL") or "info",
        help="least level",
    )
    add(
        "--log-format",
        choices=("json", "text"),
        default=_env("LOG_FORMAT") or ("text" if sys.stderr.isatty() else "json"),
        help="form of the log lines",
    )
    return parser


def _env(name: str) -> str:
    return os.environ.get(f"CERTWRIGHT_{name}", "")


def _workers(text: str) -> int:
    number = int(text)
    if not 2 <= number <= 256:  # noqa: PLR2004 - the message says it
        raise argparse.ArgumentTypeError("must be 2 to 256")
    return number
