"""A DNS server in front of the bed's BIND that hides records and reports what passes."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Final, Self

import dns.flags
import dns.message
import dns.opcode
import dns.rdatatype
import dns.update

from testbed.ports import LOOPBACK, allocator

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedIOBase
    from types import TracebackType

    from testbed.parts.bind import Bind

UPSTREAM_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05
LENGTH_BYTES: Final = 2
MAX_HOPS: Final = 4


class DnsFront:
    """Forwards every message unchanged, so that TSIG signatures stay valid, except queries for hidden TXT records.

    Between the operator and BIND it keeps an order waiting for as long as a test needs; between Pebble and BIND it
    makes the validation of one domain fail.

    Args:
        bind: The name server behind.
        follow_cnames: Answer with what a CNAME leads to as well, as a resolver does: BIND stays inside one zone, and
            Pebble takes answers as they come.

    Attributes:
        on_update: Called with each RFC 2136 update after the server behind has answered, before the answer goes out;
            while it runs no other update passes.
        before_update: Called before an update goes to the server behind; False closes the connection instead.
        after_update: Called once more after `on_update`, while others pass: it may wait.
    """

    def __init__(self, bind: Bind, *, follow_cnames: bool = False) -> None:
        self._upstream = (LOOPBACK, bind.ports["main"])
        self._follow_cnames = follow_cnames
        self._hidden: frozenset[str] = frozenset()
        self._updating = threading.Lock()
        self.on_update: Callable[[dns.update.UpdateMessage], None] = lambda _: None
        self.before_update: Callable[[dns.update.UpdateMessage], bool] = lambda _: True
        self.after_update: Callable[[dns.update.UpdateMessage], None] = lambda _: None
        self._host = bind.site.address
        self._port = allocator.take()
        self._servers: list[socketserver.BaseServer] = []

    @property
    def address(self) -> str:
        """Address as ``host:port``, for TCP and UDP; pods reach it as they reach BIND."""
        return f"{self._host}:{self._port}"

    def hide(self, *names: str) -> None:
        """Answer from now on that these names have no TXT records."""
        self._hidden |= set(names)

    def show(self, *names: str) -> None:
        """Stop hiding the records of these names; by default of all."""
        self._hidden = self._hidden - set(names) if names else frozenset()

    def __enter__(self) -> Self:
        """Serve, in threads."""
        self._servers = [
            _TcpServer((self._host, self._port), self._tcp_handler()),
            _UdpServer((self._host, self._port), self._udp_handler()),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _answer(self, wire: bytes) -> bytes | None:
        # keyring=False: signatures are the business of the two ends.
        message = dns.message.from_wire(wire, keyring=False)
        if isinstance(message, dns.update.UpdateMessage):
            if not self.before_update(message):
                return None
            with self._updating:
                answer = self._ask_upstream(wire)
                self.on_update(message)
            self.after_update(message)
            return answer
        question = message.question[0]
        if question.rdtype == dns.rdatatype.TXT and question.name.to_text(omit_final_dot=True).lower() in self._hidden:
            nothing = dns.message.make_response(message)
            nothing.flags |= dns.flags.AA
            return nothing.to_wire()
        answer = self._ask_upstream(wire)
        return self._followed(answer) if answer and self._follow_cnames else answer

    def _followed(self, wire: bytes) -> bytes:
        answer = dns.message.from_wire(wire)
        for _ in range(MAX_HOPS):
            last = answer.answer[-1] if answer.answer else None
            if last is None or last.rdtype != dns.rdatatype.CNAME:
                break
            target = next(iter(last)).to_text()
            hop = self._ask_upstream(dns.message.make_query(target, answer.question[0].rdtype).to_wire())
            if hop is None:
                break
            answer.answer += dns.message.from_wire(hop).answer
        return answer.to_wire()

    def _ask_upstream(self, wire: bytes) -> bytes | None:
        try:
            with socket.create_connection(self._upstream, UPSTREAM_SECONDS) as connection:
                connection.sendall(len(wire).to_bytes(LENGTH_BYTES) + wire)
                with connection.makefile("rb") as stream:
                    return _read_message(stream)
        except OSError:
            return None  # the server behind is down, and so it looks

    def _tcp_handler(self) -> type[socketserver.StreamRequestHandler]:
        front = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while wire := _read_message(self.rfile):
                    answer = front._answer(wire)
                    if answer is None:
                        return
                    self.wfile.write(len(answer).to_bytes(LENGTH_BYTES) + answer)

        return Handler

    def _udp_handler(self) -> type[socketserver.BaseRequestHandler]:
        front = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire, served = self.request
                answer = front._answer(wire)
                if answer is not None:
                    served.sendto(answer, self.client_address)

        return Handler


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: clients that are killed break their connections."""


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing, as above."""


def _read_message(stream: BufferedIOBase) -> bytes:
    length = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(length)) if length else b""
