"""The reference has every option of the operator and of the ACME client, with what the parsers know of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from certwright.cli.run_parser import parser
from command_options import Option, lines, options_of_acme, options_of_run

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"


def test_every_option_of_the_operator_is_there_with_its_variable() -> None:
    found = {option.names[0]: option for option in options_of_run()}
    assert set(found) == set(re.findall(r"^  (--[a-z0-9-]+)", parser().format_help(), flags=re.MULTILINE))
    assert found["--log-format"].variable == "CERTWRIGHT_LOG_FORMAT"
    assert found["--workers"] == Option(
        ("--workers",), "NUMBER", "Objects to process at the same time, 2 to 256.", "32", "CERTWRIGHT_WORKERS"
    )
    assert all(option.help.strip(". ") and option.default for option in found.values())


def test_every_command_of_the_client_has_its_place_and_every_option_its_words() -> None:
    options = options_of_acme()
    page = (REFERENCE / "acme.rst").read_text()
    assert re.findall(r"^\.\. command-options:: acme ?(.*)$", page, flags=re.MULTILINE) == list(options)
    assert all(one.help for found in options.values() for one in found)
    assert "--json" in {name for option in options[""] for name in option.names}
    assert "--deploy-hook" in {name for option in options["issue"] for name in option.names}
    # What all commands have is said once.
    assert all(not set(options[""]) & set(found) for name, found in options.items() if name)


def test_words_with_marks_of_the_markup_stay_words() -> None:
    option = Option(("--key", "-k"), "FILE", "A *file* of `keys`.", "a|b", "KEY_FILE")
    assert list(lines("it", [option])) == [
        ".. program:: it",
        "",
        ".. option:: --key FILE, -k FILE",
        "",
        r"   A \*file\* of \`keys\`.",
        "",
        r"   Default: a\|b. Environment: ``KEY_FILE``.",
        "",
    ]
