"""The check of the built pages finds what is broken, and follows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import check_links

if TYPE_CHECKING:
    from pathlib import Path


def built(folder: Path, body: str) -> Path:
    (folder / "other.html").write_text('<h1 id="there">Other</h1>')
    (folder / "style.css").write_text("")
    (folder / "index.html").write_text(f'<link rel="stylesheet" href="style.css"><h1 id="top">Start</h1>{body}')
    return folder


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html#there">x</a><a href="#top">y</a>',
        '<a href="">here</a><a href="./">folder</a>',
        '<a href="mailto:a@example.com">x</a><img src="data:image/png;base64,AAAA">',
        '<a href="https://example.com/never-asked">x</a><link rel="canonical" href="https://example.com/">',
    ],
)
def test_what_is_fine_passes(tmp_path: Path, body: str) -> None:
    assert check_links.main(built(tmp_path, body)) == 0


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html: no such file"),
        ('<a href="other.html#gone">x</a>', "index.html: other.html#gone: no such anchor"),
        ('<a href="#gone">x</a>', "index.html: #gone: no such anchor"),
        ('<img src="gone.png">', "index.html: gone.png: no such file"),
        ('<script src="https://example.com/x.js"></script>', "loads https://example.com/x.js from another host"),
        ('<link rel="stylesheet" href="//example.com/x.css">', "loads //example.com/x.css from another host"),
    ],
)
def test_what_is_broken_is_told_with_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, problem: str
) -> None:
    assert check_links.main(built(tmp_path, body)) == 1
    assert problem in capsys.readouterr().err


def test_links_to_other_hosts_are_listed(tmp_path: Path) -> None:
    check_links.main(built(tmp_path, '<a href="https://example.com/b">x</a><a href="https://example.com/a">y</a>'))
    listed = (tmp_path / "external-links.txt").read_text()
    assert listed == "https://example.com/a\nhttps://example.com/b\n"


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert check_links.main(tmp_path) == 1
