from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.solver_settings import SolverSettings
from certwright.cli.acme.solvers import load_tsig_key
from certwright.cli.exits import CommandError
from certwright.dns import InvalidTsigKey

if TYPE_CHECKING:
    from pathlib import Path

GENERATED = 'key "acme-key" {\n\talgorithm hmac-sha512;\n\tsecret "c2VjcmV0";\n};\n'


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CERTWRIGHT_TSIG_SECRET", raising=False)


def written(path: Path, text: str, **settings: str) -> SolverSettings:
    (path / "key").write_text(text)
    return SolverSettings(tsig_key_file=str(path / "key"), **settings)  # type: ignore[arg-type]


def test_what_tsig_keygen_prints_says_everything(tmp_path: Path) -> None:
    key = load_tsig_key(written(tmp_path, GENERATED))
    assert key is not None
    assert (key.name, key.algorithm, key.secret_base64) == ("acme-key", "HMACSHA512", "c2VjcmV0")


def test_a_secret_alone_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tsig-key-name") as caught:
        load_tsig_key(written(tmp_path, "c2VjcmV0\n"))
    assert "c2VjcmV0" not in str(caught.value)
    key = load_tsig_key(written(tmp_path, "c2VjcmV0\n", tsig_key_name="k", tsig_algorithm="hmac-sha384"))
    assert key is not None
    assert (key.name, key.algorithm) == ("k", "HMACSHA384")


def test_of_several_keys_one_has_to_be_chosen(tmp_path: Path) -> None:
    text = f"// one\n{GENERATED}/* two */ key other {{ secret c2Vj; }};\n"
    with pytest.raises(UsageError, match="has the keys acme-key, other"):
        load_tsig_key(written(tmp_path, text))
    key = load_tsig_key(written(tmp_path, text, tsig_key_name="other"))
    assert key is not None
    assert (key.name, key.algorithm, key.secret_base64) == ("other", "HMACSHA256", "c2Vj")


@pytest.mark.parametrize("secret", ["ab//cd==", "a//b//c=", "abcd//=="])
@pytest.mark.parametrize("statement", ['secret "{}";', "secret {}; // {}", 'secret "{}"; /* "{}" */'])
def test_slashes_of_base64_are_no_comment(tmp_path: Path, secret: str, statement: str) -> None:
    text = f'# of "one" server\nkey k {{ // {{ }}\n{statement.replace("{}", secret)}\n}}; // end'
    key = load_tsig_key(written(tmp_path, text))
    assert key is not None
    assert (key.name, key.secret_base64) == ("k", secret)


def test_the_environment_has_it_where_no_file_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_tsig_key(SolverSettings()) is None
    with pytest.raises(UsageError, match="CERTWRIGHT_TSIG_SECRET"):
        load_tsig_key(SolverSettings(tsig_key_name="k"))
    monkeypatch.setenv("CERTWRIGHT_TSIG_SECRET", "c2VjcmV0")
    key = load_tsig_key(SolverSettings(tsig_key_name="k"))
    assert key is not None
    assert key.source == "$CERTWRIGHT_TSIG_SECRET"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('key "k" { algorithm hmac-sha256; };', UsageError),
        ('key "k" { algorithm nonsense; secret "c2Vj"; };', InvalidTsigKey),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load_tsig_key(written(tmp_path, text))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Cannot read the TSIG key"):
        load_tsig_key(SolverSettings(tsig_key_file=str(tmp_path / "none")))
