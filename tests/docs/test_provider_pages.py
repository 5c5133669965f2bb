"""Every DNS provider has a page, and what is made for it of its description holds."""

from __future__ import annotations

import ast
import datetime as dt
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from certwright.cli.acme.dns_credentials import load_config
from certwright.dns.providers import PROVIDERS, config_type, configure
from certwright.issuers.dns_providers import DEFAULT_PATIENCE
from certwright.resources.dns_providers.fields import fields_of, name_in_issuer, provider_models
from provider_pages import Shown, completed, pages_of, shown_on

FOLDER: Final = Path(__file__).parents[2] / "docs" / "providers"
PAGES: Final = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md")) if path.name != "index.md"}
OF_PROVIDER: Final = pages_of(PAGES)


def shown(name: str) -> tuple[str, Shown]:
    found = shown_on(PAGES[OF_PROVIDER[name][0]])
    assert found is not None
    return PAGES[OF_PROVIDER[name][0]], found


def test_every_provider_has_one_page_that_shows_an_issuer_with_it() -> None:
    assert {name: pages for name, pages in OF_PROVIDER.items() if len(pages) != 1} == {}


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_table_of_providers_has_it(name: str) -> None:
    rows = [line for line in (FOLDER / "index.md").read_text().splitlines() if line.startswith("| [")]
    (row,) = [row for row in rows if f"`{name_in_issuer(name)}`" in row]
    assert f"]({OF_PROVIDER[name][0]})" in row
    patience = getattr(config_type(name), "patience", DEFAULT_PATIENCE)
    assert row.endswith(f"| {patience // dt.timedelta(minutes=1)} minutes |")


@pytest.mark.parametrize("name", PROVIDERS)
def test_its_file_for_the_command_line_is_valid(name: str, tmp_path: Path) -> None:
    page = completed(shown(name)[0])
    _, _, after = page.partition("\n## Command line\n")
    text = re.search(r"^`/etc/certwright/\S+[.]yaml`:\n\n```yaml\n(.*?)^```", after, re.MULTILINE | re.DOTALL)
    if text is None:
        assert shown(name)[1].settings == {}, "an issuer with ambient credentials needs no fields"
        assert f"$ certwright dns check {name_in_issuer(name)} www.example.com\n" in after
        return
    (tmp_path / "file.yaml").write_text(text[1])
    for value in re.findall(r"^\s*\w+File: (\S+)$", text[1], re.MULTILINE):
        (tmp_path / value).write_text("{}")
    config: Any = load_config(name, tmp_path / "file.yaml", lambda _: None)
    assert config.destination
    assert yaml.safe_load(text[1]).keys() <= {
        part for one in fields_of(provider_models()[name]) for part in (one.name, one.file)
    }


def evaluated(value: ast.expr) -> Any:
    if isinstance(value, ast.Call):
        found = re.fullmatch(r"Path[(]'([^']+)'[)].read_text[(][)]", ast.unparse(value))
        assert found is not None
        return Path(found[1])
    return ast.literal_eval(value)


@pytest.mark.parametrize("name", PROVIDERS)
def test_its_program_gives_the_library_what_the_issuer_has(name: str) -> None:
    page, found = shown(name)
    _, _, after = completed(page).partition("\n## Python\n")
    code = re.search(r"^```python\n(.*?)^```", after, re.MULTILINE | re.DOTALL)
    assert code is not None
    tree = ast.parse(f"async def program():\n{re.sub('^', '    ', code[1], flags=re.MULTILINE)}")
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (call,) = [one for one in calls if getattr(one.func, "id", "") == "open_provider"]
    given = {one.arg: evaluated(one.value) for one in call.keywords if one.arg}
    assert ast.literal_eval(call.args[0]) == name_in_issuer(name)
    assert all(len(line) <= 110 for line in code[1].splitlines())
    assert given == found.arguments
    assert configure(name, given, ambient=True).destination


@pytest.mark.parametrize("name", PROVIDERS)
def test_its_fields_are_all_explained(name: str) -> None:
    _, _, table = completed(shown(name)[0]).partition("\n## Fields\n")
    for field in fields_of(provider_models()[name]):
        assert f"| `{field.issuer}` | {'-' if field.is_for_issuers else f'`{field.name}`'}" in table


def test_what_is_made_stands_before_what_the_page_says_next() -> None:
    page = completed(PAGES["cloudflare.md"])
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == [
        *("Permissions", "Secret and issuer", "Command line", "Python", "Fields", "What it does", "Troubleshooting"),
    ]
    assert "certwright dns check cloudflare www.example.com --dns-credentials /etc/certwright/cloudflare.yaml" in page
    assert 'open_provider("cloudflare", api_token="paste the API token here")' in page
    assert completed("# Another page\n") == "# Another page\n"


ISSUER: Final = """```yaml
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData:
  key.json: |
    {"type": "service_account"}
---
kind: Issuer
spec:
  acme:
    solvers:
      - dns01:
          cloudflare:
            email: you@example.org
            apiKeySecretRef: {name: keys, key: key.json}
            apiTokenSecretRef: {name: other, key: token}
```
"""


def test_a_secret_that_is_long_is_in_a_file_and_one_that_is_not_shown_has_a_placeholder() -> None:
    found = shown_on(ISSUER)
    assert found is not None
    assert found.settings == {"email": "you@example.org", "apiKeyFile": "keys.json", "apiToken": "paste it here"}
    assert shown_on(ISSUER.replace("cloudflare:", "nobody:")) is None
