"""ELF files: which libraries they need, and which parts are never loaded."""

from __future__ import annotations

import re
import struct
import subprocess
from typing import TYPE_CHECKING, Final

from .errors import RootError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC: Final = b"\x7fELF"
CLASS_64: Final = 2
LITTLE_ENDIAN: Final = 1
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
# `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)`, or a path alone for the loader; the kernel's vdso has none.
_LINE: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MISSING: Final = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)


def is_elf(path: Path) -> bool:
    """Tell whether a regular file is an ELF file."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def needed_libraries(path: Path) -> set[str]:
    """Return the absolute paths of all shared libraries that the loader opens for an ELF file, the loader among them.

    Raises:
        RootError: one is not in this file system.
    """
    answer = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    if missing := _MISSING.findall(answer.stdout):
        raise RootError(f"{path} needs {', '.join(sorted(set(missing)))}, which the base image lacks")
    # A file without a dynamic section makes ldd fail, and needs nothing.
    return set(_LINE.findall(answer.stdout))


def shrink(path: Path) -> int:
    """Cut off what follows the last segment: symbols for debuggers, section headers. Return the bytes saved.

    The kernel and the loader go by the program headers alone; nothing that they describe is touched. Files that are no
    64-bit little-endian ELF stay as they are.
    """
    content = path.read_bytes()
    if len(content) < _HEADER.size or content[4:6] != bytes((CLASS_64, LITTLE_ENDIAN)):
        return 0
    (identity, kind, machine, version, entry, segments_at, _, flags, size, segment_size, count, _, _, _) = (
        _HEADER.unpack_from(content)
    )
    if segment_size != _SEGMENT.size or not count:
        return 0
    end: int = segments_at + count * segment_size
    for number in range(count):
        _, _, offset, _, _, in_file, _, _ = _SEGMENT.unpack_from(content, segments_at + number * segment_size)
        end = max(end, offset + in_file)
    if end >= len(content):
        return 0
    header = _HEADER.pack(
        identity, kind, machine, version, entry, segments_at, 0, flags, size, segment_size, count, 0, 0, 0
    )
    path.write_bytes(header + content[_HEADER.size : end])
    return len(content) - end
