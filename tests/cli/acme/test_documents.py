from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.cli.acme.account_store import Connection
from certwright.cli.acme.files import from_json, to_json
from certwright.cli.acme.settings import IssuanceSettings, Metadata, RenewalState
from certwright.cli.acme.solver_settings import SolverSettings
from certwright.cli.exits import CommandError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATH = Path("file.json")
METADATA = Metadata(
    settings=IssuanceSettings(
        names=("a.example.test",), server="https://ca.example.test/dir", solver=SolverSettings(("standalone",))
    ),
    issued_at=NOW,
    not_before=NOW,
    not_after=NOW,
    serial="0a",
)


@given(
    names=st.lists(st.text(max_size=20), max_size=4),
    port=st.integers(1, 65535),
    timeout=st.floats(0, 1e6),
    hook=st.none() | st.text(),
    until=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_what_is_written_is_read(
    names: list[str], port: int, timeout: float, hook: str | None, until: datetime | None
) -> None:
    instant = None if until is None else until.replace(tzinfo=UTC, microsecond=0)
    solver = SolverSettings(("dns-01",), http_port=port, dns_timeout=timeout, persist_until=instant)
    settings = IssuanceSettings(tuple(names), "https://ca.example.test/dir", solver, deploy_hook=hook)
    metadata = Metadata(settings, NOW, NOW, NOW, "0a", replaced=True)
    assert from_json(Metadata, to_json(metadata), path=PATH) == metadata


def test_what_a_later_version_added_is_ignored_and_what_it_left_out_has_its_default() -> None:
    assert from_json(Connection, b'{"proxy": "http://p.example.test", "new": [1]}', path=PATH) == Connection(
        proxy="http://p.example.test"
    )
    assert from_json(RenewalState, b'{"serial": "0a"}', path=PATH) == RenewalState("0a")


def test_the_former_name_of_the_settings_is_still_read() -> None:
    document = json.loads(to_json(METADATA))
    document["recipe"] = document.pop("settings")
    assert from_json(Metadata, json.dumps(document).encode(), path=PATH) == METADATA


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b"[" * 100_000, b'{"issued_at": 1}', b"{}"])
def test_what_is_damaged_is_said(content: bytes) -> None:
    with pytest.raises(CommandError, match=r"^file\.json is damaged"):
        from_json(Metadata, content, path=PATH)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("serial", 1),
        ("serial", None),
        ("not_after", "yesterday"),
        ("replaced", "yes"),
        ("settings", []),
        ("settings", {"names": "a", "server": ""}),
        ("settings", {"names": [1], "server": ""}),
        ("settings", {"names": [], "server": "", "timeout": True}),
        ("settings", {"names": [], "server": "", "solver": {"http_port": True}}),
    ],
)
def test_a_member_of_another_type_is_named(member: str, value: object) -> None:
    document = json.loads(to_json(METADATA)) | {member: value}
    with pytest.raises(CommandError, match=r"is damaged: '\w+' has an invalid value"):
        from_json(Metadata, json.dumps(document).encode(), path=PATH)


def test_the_settings_hold_no_secret() -> None:
    assert not [name for name in asdict(METADATA)["settings"]["solver"] if "secret" in name]
