"""Commands and manifests that the documentation shows, for tests that try them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROGRAMS: Final = ("certwright", "helm", "kubectl", "make", "pip", "python")
"""Programs whose commands are looked at."""
_SHELL: Final = frozenset({"", "bash", "console"})
"""Fences that hold commands; the empty name is a block that is indented."""
_FENCE: Final = re.compile(r"^(`{3,})(\{?[\w-]*)")
_SPAN: Final = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")
_ENDS: Final = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "2>"})
_ASSIGNMENT: Final = re.compile(r"^[A-Z_]+=")
_STARTS: Final = re.compile(rf"^(?:[A-Z_]+=\S* )*(?:{'|'.join(PROGRAMS)})(?: |$)")
"""How a line starts that is a command of these; other indented lines are trees, cron tables, text of lists."""


PLACEHOLDERS: Final = {
    "you@example.com": "you@reader.test",
    "REPLACE-WITH-THE-SECRET-OF-YOUR-KEY": "bm90IGEgcGxhY2Vob2xkZXI=",
    "LS0tLS1CRUdJTi...": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
}
"""What manifests show that is refused until the reader has replaced it."""


def filled_in(manifest: str) -> str:
    """Return a manifest as a reader applies it: with the placeholders replaced."""
    for placeholder, own in PLACEHOLDERS.items():
        manifest = manifest.replace(placeholder, own)
    return manifest


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        where: The page and the line.
        language: As the fence names it; empty for a block that is indented.
        text: What is in it.
    """

    where: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command that a page shows.

    Attributes:
        where: The page and the line.
        words: The program and its arguments.
    """

    where: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def options(self) -> tuple[str, ...]:
        """What starts with a hyphen, without values, up to what is another program's."""
        own = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return tuple(word.partition("=")[0] for word in own if re.match(r"-{1,2}[A-Za-z]", word))

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def pages() -> list[Path]:
    """Return the pages for readers, in Markdown."""
    found = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "examples").rglob("*.md")]
    return sorted(found)


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of code of a page, without those that a directive fills."""
    name = page.relative_to(PROJECT)
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        start = number
        number += 1
        if fence := _FENCE.match(lines[start]):
            while not lines[number].startswith(fence[1]):
                number += 1
            if not fence[2].startswith("{"):
                yield Block(f"{name}:{start + 1}", fence[2], "\n".join(lines[start + 1 : number]))
            number += 1
        elif lines[start].startswith("    ") and (not start or not lines[start - 1].strip()):
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            yield Block(f"{name}:{start + 1}", "", "\n".join(line[4:] for line in lines[start:number]))


def commands() -> list[Command]:
    """Return every command of `PROGRAMS` in the blocks and the text of all pages."""
    found: list[Command] = []
    for page in pages():
        for block in blocks(page):
            if block.language in _SHELL:
                for line in _shell_lines(block):
                    found += _split(block.where, line)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            for span in _SPAN.findall(line):
                found += _split(f"{page.relative_to(PROJECT)}:{number}", span)
    return found


def _shell_lines(block: Block) -> Iterator[str]:
    whole = re.sub(r"\\\n\s*", " ", block.text)
    for line in whole.splitlines():
        typed = line.removeprefix("$ ")
        if (block.language != "console" or typed != line) and _STARTS.match(typed):
            yield typed


def _split(where: str, line: str) -> Iterator[Command]:
    words: list[str] = []
    for word in (*shlex.split(line, comments=True), ";"):
        if word in _ENDS:
            yield from _command(where, words)
            words = []
        else:
            words.append(word)


def _command(where: str, words: Sequence[str]) -> Iterator[Command]:
    own = list(words)
    while own and _ASSIGNMENT.match(own[0]):
        del own[0]
    if own[:2] == ["kubectl", "certwright"]:
        del own[0]  # the plug-in: `certwright` has the same commands
    if own and own[0] in PROGRAMS:
        yield Command(where, tuple(own))
