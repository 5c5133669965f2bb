from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from testbed.errors import BedError
from testbed.locations import PACKAGE
from testbed.ports import BLOCK, FIRST, LAST, LOOPBACK, PortAllocator, allocator, claim_block, is_free


def test_ports_are_given_once() -> None:
    ports = [allocator.take() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(FIRST <= port <= LAST for port in ports)


def test_a_port_in_use_is_not_given() -> None:
    asked: list[int] = []

    def free(port: int) -> bool:
        asked.append(port)
        return len(asked) == 3

    assert PortAllocator(free=free, claim=lambda: [1, 2, 3, 4]).take() == asked[2]


def test_a_block_that_is_used_up_is_followed_by_another() -> None:
    blocks = [[3], [2, 1]]
    ports = PortAllocator(free=lambda _: True, claim=blocks.pop)
    assert [ports.take() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("block", [[1, 2, 3], []], ids=["none is free", "others have them all"])
def test_the_search_for_a_port_ends_with_a_remedy(block: list[int]) -> None:
    with pytest.raises(BedError, match=r"What to do: see what listens there with `ss -ltnup`"):
        PortAllocator(free=lambda _: False, claim=block.copy).take()


def test_two_processes_have_ports_of_their_own_until_one_ends() -> None:
    program = (
        "import sys; from testbed.ports import claim_block; print(min(claim_block()), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 - a program of this very test
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        name = f"\0certwright-testbed-ports-{theirs}"
        with socket.socket(socket.AF_UNIX) as claim, pytest.raises(OSError, match="in use"):
            claim.bind(name)
        other.kill()
    with socket.socket(socket.AF_UNIX) as claim:
        claim.bind(name)
    ours = claim_block()
    assert len(ours) == BLOCK


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_bound_for_either_protocol_is_not_free(kind: socket.SocketKind) -> None:
    port = allocator.take()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((LOOPBACK, port))
        assert not is_free(port)
    assert is_free(port)
