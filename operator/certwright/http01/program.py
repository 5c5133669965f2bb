"""``certwright solver``, the program of a solver pod; for http-01 it uses only the standard library, to stay small."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from certwright.challenges.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.tls_responder import TlsResponder

ANSWERS_VARIABLE: Final = "CERTWRIGHT_SOLVER_ANSWERS"
PORT: Final = 8089
EXIT_FAILED: Final = 1
EXIT_OF_SIGNAL: Final = 128
"""The signal's number is added to it. With 0 the kubelet would say that the pod, evicted, succeeded, and not why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer challenges until SIGTERM or SIGINT; return the exit code, which is never 0: it has no end of its own."""
    parser = argparse.ArgumentParser(
        prog="certwright solver",
        description="Answer the HTTP-01 challenges of one order. The operator starts it in a pod of its own.",
        epilog=f"The variable {ANSWERS_VARIABLE} holds a line for each name: the host, a space, the key authorization "
        "(RFC 8555 section 8.1).",
    )
    parser.add_argument("--host", default=None, metavar="ADDRESS", help="address to listen at (default: all)")
    parser.add_argument("--port", default=PORT, type=int, help="port to listen at (default: %(default)s)")
    parser.add_argument("--tls-alpn-01", action="store_true", help="answer TLS-ALPN-01 instead of HTTP-01")
    given = parser.parse_args(arguments)
    try:
        answers = parse_answers(os.environ.get(ANSWERS_VARIABLE, ""))
        responder = _tls_responder(answers) if given.tls_alpn_01 else _responder(answers)
        return EXIT_OF_SIGNAL + asyncio.run(_run(responder, answers, given.host, given.port))
    except (OSError, ValueError) as error:
        print(f"certwright solver: {error}", file=sys.stderr)
        return EXIT_FAILED


def parse_answers(text: str) -> dict[tuple[str, str], str]:
    """Return the key authorizations by host and token.

    Raises:
        ValueError: A line is of another form, or there is none.
    """
    answers: dict[tuple[str, str], str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        host, space, key_authorization = line.partition(" ")
        token, dot, _ = key_authorization.partition(".")
        if not (space and dot and host and token):
            raise ValueError(f"line {number} of {ANSWERS_VARIABLE} is not a host, a space and a key authorization")
        answers[host.lower(), token] = key_authorization
    if not answers:
        raise ValueError(f"{ANSWERS_VARIABLE} holds no answers")
    return answers


def _responder(answers: dict[tuple[str, str], str]) -> Responder:
    return Responder(lambda host, token: answers.get((host, token)), on_answer=_log)


def _tls_responder(answers: dict[tuple[str, str], str]) -> TlsResponder:
    # Only here: http-01 is answered with the standard library alone.
    from certwright.acme import tls_alpn01_server_name  # noqa: PLC0415
    from certwright.challenges.tls_responder import TlsResponder, identifier_of  # noqa: PLC0415

    by_name = {tls_alpn01_server_name(identifier_of(host)): (host, text) for (host, _), text in answers.items()}
    return TlsResponder(by_name.get, on_answer=lambda name, negotiated: _log(name, 200 if negotiated else 400))


async def _run(
    responder: Responder | TlsResponder, answers: dict[tuple[str, str], str], host: str | None, port: int
) -> int:
    """Answer until a signal comes; return its number."""
    listening = await responder.start(host, port)
    names = sorted({name for name, _ in answers})
    print(f"answering for {len(answers)} challenges of {', '.join(names[:5])} on port {listening}", flush=True)
    loop = asyncio.get_running_loop()
    ended: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.put_nowait, int(number))
    came = await ended.get()
    await responder.stop()
    return came


def _log(host: str, status: int) -> None:
    # The host is whatever a client sent: only what a name can be made of is printed.
    shown = "".join(
        character for character in host[:253] if character.isascii() and (character.isalnum() or character in ".-:")
    )
    print(f"{status} {shown or '(no host)'}", flush=True)
