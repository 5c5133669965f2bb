"""The `certwright` command."""

import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from certwright.cli.lean import import_lean
from certwright.cli.terminal import output_may_be_full

CLUSTER_COMMANDS: Final = (
    "status",
    "explain",
    "renew",
    "revoke",
    "rollback",
    "cancel",
    "pause",
    "resume",
    "check",
    "migrate",
)
"""The commands of `kubectl certwright`, which `certwright` has as well."""


def kubectl_plugin() -> None:
    """Run `kubectl certwright`: kubectl finds `kubectl-certwright` on the PATH."""
    _end_at_ctrl_c()
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as in `main`
    _cluster(sys.argv[1:], "kubectl certwright")


def kubectl_complete() -> None:
    """Complete `kubectl certwright`: kubectl 1.26 and later ask `kubectl_complete-certwright` on the PATH."""
    _end_at_ctrl_c()
    import_lean()
    from certwright.cli.cluster.app import plugin
    from certwright.cli.completion import complete

    with output_may_be_full():
        print(complete(plugin, sys.argv[1:]))


def _end_at_ctrl_c() -> None:
    """Let Ctrl-C end the process without a word while it loads, which takes most of a second. See `heed_ctrl_c`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _cluster(given: Sequence[str], name: str) -> NoReturn:
    import_lean()
    from certwright.cli.cluster.app import plugin

    with output_may_be_full():
        plugin(list(given), prog_name=name)
    raise SystemExit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; end the process with its exit code.

    The operator is started before anything of the command line is imported: it needs none of that
    in its memory.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Where click and rich are installed httpx imports its own command line with them: 5 MB of no use here.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: as if it were not there
    if given[:1] == ["run"]:
        import_lean()
        from certwright.cli.run import main as run

        raise SystemExit(run(given[1:]))
    if given[:1] == ["solver"]:
        from certwright.http01.program import main as solve

        raise SystemExit(solve(given[1:]))
    _end_at_ctrl_c()
    if given[:1] == ["acme"]:
        # The models of the CRDs, which the other commands need, are no business of a host without Kubernetes.
        from certwright.cli.acme.app import acme

        acme(given[1:], prog_name="certwright acme")
    if given[:1] == ["dns"]:
        from certwright.cli.dns.app import dns

        dns(given[1:], prog_name="certwright dns")
    if given[:1] and given[0] in CLUSTER_COMMANDS:
        _cluster(given, "certwright")
    from certwright.cli.app import app

    with output_may_be_full():
        app(given)
