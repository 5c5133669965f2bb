from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.bindings import _rust

from rootfs.elf import is_elf, needed_libraries, shrink
from rootfs.errors import RootError

PROGRAM = Path(sys.executable).resolve()
LIBRARY = Path(_rust.__file__)
LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('loaded')"


def test_only_elf_files_are_taken_for_such(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\n")
    link = tmp_path / "link"
    link.symlink_to(PROGRAM)
    assert is_elf(PROGRAM)
    assert is_elf(LIBRARY)
    assert not is_elf(text)
    assert not is_elf(link)
    assert not is_elf(tmp_path)


def test_a_program_needs_the_c_library_and_the_loader_by_their_full_paths() -> None:
    needed = needed_libraries(PROGRAM)
    assert any(Path(name).name == "libc.so.6" for name in needed)
    assert any(Path(name).name.startswith("ld-linux") for name in needed)
    assert all(Path(name).exists() for name in needed)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ldd = tmp_path / "ldd"
    ldd.write_text("#!/bin/sh\nprintf '\\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\\n\\tlibq.so.3 => not found\\n'\n")
    ldd.chmod(0o755)
    monkeypatch.setattr("rootfs.elf.subprocess.run", _run_with(ldd))
    with pytest.raises(RootError, match=r"x\.so needs libq\.so\.3, which the base image lacks"):
        needed_libraries(Path("x.so"))


def _run_with(ldd: Path) -> object:
    run = subprocess.run

    def replaced(command: list[str], **settings: object) -> object:
        return run([str(ldd), *command[1:]], **settings)  # type: ignore[call-overload]  # passed on as they are

    return replaced


def test_what_is_cut_off_is_not_missed(tmp_path: Path) -> None:
    copy = tmp_path / LIBRARY.name
    shutil.copyfile(LIBRARY, copy)
    with copy.open("ab") as file:
        file.write(b"symbols for a debugger" * 1000)
    before = copy.stat().st_size
    saved = shrink(copy)
    assert saved >= 22_000
    assert copy.stat().st_size == before - saved
    assert shrink(copy) == 0
    command = [sys.executable, "-c", LOAD, str(copy)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list of our own
    assert answer.stdout == "loaded\n", answer.stderr


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(100), b"\x7fELF\x02\x01" + bytes(100)])
def test_what_is_no_whole_64_bit_file_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    assert shrink(path) == 0
    assert path.read_bytes() == content
