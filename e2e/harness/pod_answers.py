"""Answers HTTP-01 for solver pods where no node runs them, so that a CA can validate what an operator presents."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from certwright.http01.program import ANSWERS_VARIABLE, parse_answers
from harness.solver_objects import solver_objects
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Cluster


@dataclass
class PodAnswers:
    """What the pods of the namespace that the first label of a host names would answer.

    Attributes:
        cluster: Where the pods are.
        hidden: Namespaces whose requests are answered with 503, as a controller does before it has seen a pod.
    """

    cluster: Cluster
    hidden: set[str] = field(default_factory=set)

    def of(self, namespace: str) -> dict[tuple[str, str], str]:
        """Return the key authorizations by host and token."""
        answers: dict[tuple[str, str], str] = {}
        for pod in solver_objects(self.cluster, namespace, ["Pod"]):
            [variable] = pod["spec"]["containers"][0]["env"]
            assert variable["name"] == ANSWERS_VARIABLE
            answers |= parse_answers(variable["value"])
        return answers


@contextmanager
def pod_answers(cluster: Cluster, port: int) -> Iterator[PodAnswers]:
    """Answer on loopback while the block runs."""
    answers = PodAnswers(cluster)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = (self.headers["Host"] or "").partition(":")[0]
            namespace, token = host.partition(".")[0], self.path.split("/")[-1]
            found = None if namespace in answers.hidden else answers.of(namespace).get((host, token))
            self.send_response(200 if found else 503)
            self.end_headers()
            self.wfile.write((found or "").encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
            """Log nothing: requests are up to the test."""

    with ThreadingHTTPServer((LOOPBACK, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()
