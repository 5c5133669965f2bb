"""Mutations of real inputs, from a seed: bytes, texts and JSON documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

MAX_BYTES: Final = 128 * 1024
"""Of a mutated input: twice of what any bound lets through, so that what is beyond is tried as well."""
MAX_DEPTH: Final = 8
REQUIRED: Final = frozenset({"metadata", "name", "namespace", "type", "status", "path", "pathType", "backend", "spec"})
"""Members that the API server sees to."""

_ODD_BYTES: Final = (b"\0", b"\xff", b"\x80", b"\x7f", b"\n", b"\r\n", b"-----", b"=", b"\xc0\x0c", b"\xe2\x80\xae")
_ODD_TEXTS: Final = (
    "",
    " ",
    "\0",
    "-1",
    "0",
    "1e999",
    "9" * 400,
    "*." * 40,
    "a." * 130,
    "xn--",
    "https://",
    "https://[::1",
    "https://ca.test:99999/",
    "//ca.test/x",
    "javascript:0",
    "../../x",
    "%2e%2e/",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999999Z",
    "\u202e\ud800",
    "\ud800",
    "é" * 50,
    "A" * 5000,
    "Tue, 31 Feb 2026 25:61:61 GMT",
    "::ffff:127.0.0.1",
    "١٢٣",
)
_ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 1.5, 1e308, float("inf"), float("nan"),
    [], {}, [None], [[]], {"": ""},
)  # fmt: skip


@dataclass(frozen=True)
class Mutator:
    """Makes inputs of a corpus.

    Attributes:
        random: The seeded source of all choices.
        corpus: Real inputs, of which every input is made.
    """

    random: random.Random
    corpus: Sequence[bytes]

    def octets(self) -> bytes:
        """Return an input with some bytes changed, moved, taken out, repeated, or replaced by some of another."""
        data = bytearray(self.random.choice(self.corpus))
        for _ in range(self.random.choice((0, 1, 1, 2, 3, 8, 30))):
            self.random.choice(_BYTE_MUTATIONS)(self, data)
            del data[MAX_BYTES:]
        return bytes(data)

    def document(self, *, typed: bool = False) -> bytes:
        """Return a JSON document with some values changed, taken out, repeated, or replaced by odd ones.

        Args:
            typed: Whether each value keeps its type, as in what the API server has checked by a schema.
        """
        value = json.loads(self.random.choice(self.corpus))
        for _ in range(self.random.choice((0, 1, 1, 2, 3, 8))):
            value = self._changed(value, typed=typed)
        if not typed and self.random.random() < 0.02:
            value = self._deep(value)
        text = json.dumps(value).encode()
        if not typed and self.random.random() < 0.1:
            text = Mutator(self.random, [text]).octets()
        return text if typed else text[: 4 * MAX_BYTES]

    def text(self) -> str:
        """Return a text with some characters changed."""
        if self.random.random() < 0.1:
            return self.random.choice(_ODD_TEXTS)
        return self.octets().decode("utf-8", "replace" if self.random.random() < 0.9 else "surrogateescape")

    def _deep(self, value: Any) -> Any:
        for _ in range(self.random.choice((50, 300))):
            value = [value] if self.random.random() < 0.5 else {"a": value}
        return value

    def _changed(self, value: Any, *, typed: bool, depth: int = 0) -> Any:
        random = self.random
        inside = value if isinstance(value, dict | list) and value and depth < MAX_DEPTH else None
        if inside is None or (random.random() < 0.1 and not (typed and isinstance(inside, dict))):
            return self._other(value, typed=typed)
        if isinstance(inside, list):
            return self._changed_list(inside, typed=typed, depth=depth)
        changed = dict(inside)
        name = random.choice(list(changed))
        if random.random() < 0.15 and not (typed and name in REQUIRED):
            del changed[name]
        else:
            changed[name] = self._changed(changed[name], typed=typed, depth=depth + 1)
        if not typed and random.random() < 0.05:
            changed[random.choice(_ODD_TEXTS)] = random.choice(_ODD_VALUES)
        return changed

    def _changed_list(self, value: list[Any], *, typed: bool, depth: int) -> list[Any]:
        random, place = self.random, self.random.randrange(len(value))
        choice = random.random()
        if choice < 0.15:
            return value[:place] + value[place + 1 :]
        if choice < 0.3:
            return value + [value[place]] * random.choice((1, 2, 100, 1200))
        return [*value[:place], self._changed(value[place], typed=typed, depth=depth + 1), *value[place + 1 :]]

    def _other(self, value: Any, *, typed: bool) -> Any:
        random = self.random
        if isinstance(value, str) and (typed or random.random() < 0.6):
            if random.random() < 0.5:
                # What the API server has checked is Unicode.
                text = random.choice(_ODD_TEXTS)
                return text.replace("\ud800", "") if typed else text
            mutated = Mutator(random, [value.encode("utf-8", "replace") or b"x"]).octets()
            return mutated.decode("utf-8", "replace")[:20_000]
        if typed:
            if isinstance(value, bool):
                return not value
            if isinstance(value, int):
                return random.choice((0, 1, -1, 65_535, 2**31 - 1, -(2**31)))
            return type(value)() if isinstance(value, dict | list) else value
        return random.choice(_ODD_VALUES)


def _flip(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.random.randrange(len(data))] ^= 1 << mutator.random.randrange(8)


def _set(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.random.randrange(len(data))] = mutator.random.randrange(256)


def _insert(mutator: Mutator, data: bytearray) -> None:
    place = mutator.random.randrange(len(data) + 1)
    data[place:place] = mutator.random.choice(_ODD_BYTES)


def _cut(mutator: Mutator, data: bytearray) -> None:
    place = mutator.random.randrange(len(data) + 1)
    del data[place : place + mutator.random.choice((1, 2, 16, 256, MAX_BYTES))]


def _repeat(mutator: Mutator, data: bytearray) -> None:
    place = mutator.random.randrange(len(data) + 1)
    part = bytes(data[place : place + mutator.random.choice((1, 2, 12, 64, 512))])
    data[place:place] = part * mutator.random.choice((1, 2, 20, 300))


def _splice(mutator: Mutator, data: bytearray) -> None:
    other = mutator.random.choice(mutator.corpus)
    start = mutator.random.randrange(len(other) + 1)
    place = mutator.random.randrange(len(data) + 1)
    data[place : place + 64] = other[start : start + mutator.random.choice((4, 64, 1024))]


def _count(mutator: Mutator, data: bytearray) -> None:
    """Change what may be a length."""
    if len(data) > 1:
        place = mutator.random.randrange(len(data) - 1)
        data[place : place + 2] = mutator.random.choice((b"\xff\xff", b"\0\0", b"\x7f\xff", b"\x30\x82", b"\0\x01"))


_BYTE_MUTATIONS: Final[tuple[Callable[[Mutator, bytearray], None], ...]] = (
    _flip, _flip, _set, _insert, _cut, _repeat, _splice, _count
)  # fmt: skip
