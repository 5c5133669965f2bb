from __future__ import annotations

import socket

import pytest

from testbed.errors import BedError
from testbed.ports import FIRST, LAST, LOOPBACK, PortAllocator, is_free


def test_ports_are_given_once() -> None:
    allocator = PortAllocator()
    ports = [allocator.take() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(FIRST <= port <= LAST for port in ports)


def test_a_port_in_use_is_not_given() -> None:
    asked: list[int] = []

    def free(port: int) -> bool:
        asked.append(port)
        return len(asked) == 3

    assert PortAllocator(free=free).take() == asked[2]


def test_the_search_for_a_port_ends_with_a_remedy() -> None:
    with pytest.raises(BedError, match=r"What to do: see what listens there with `ss -ltnup`"):
        PortAllocator(free=lambda _: False).take()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_bound_for_either_protocol_is_not_free(kind: socket.SocketKind) -> None:
    port = PortAllocator().take()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((LOOPBACK, port))
        assert not is_free(port)
    assert is_free(port)
