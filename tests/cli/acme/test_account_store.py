from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import AccountCredentials, AccountKey
from certwright.cli.acme.account_store import AccountStore, Connection

if TYPE_CHECKING:
    from pathlib import Path

CA = "https://ca.example.test/acme/directory"


def test_an_account_is_kept_by_its_ca(tmp_path: Path) -> None:
    store = AccountStore(tmp_path)
    assert store.at(CA).load() is None
    credentials = AccountCredentials(CA, "https://ca.example.test/account/1", AccountKey.generate())
    store.at(CA).save(credentials)
    assert store.at(CA).load() == credentials
    assert store.at(f"{CA}2").load() is None
    assert store.all() == (credentials,)
    assert store.at(CA).path.name.startswith("ca.example.test-acme-directory-")


def test_two_cas_that_look_alike_have_two_folders(tmp_path: Path) -> None:
    store = AccountStore(tmp_path)
    urls = [
        "https://a.test/x",
        "https://a.test:8443/x",
        "https://a.test/X",
        "https://a.test/x?y",
        "https://a.test/../x",
    ]
    folders = {store.at(url).path for url in urls}
    assert len(folders) == len(urls)
    assert {folder.parent for folder in folders} == {tmp_path}


def test_a_change_of_the_key_keeps_both_until_it_is_decided(tmp_path: Path) -> None:
    folder = AccountStore(tmp_path).at(CA)
    old, new = (AccountCredentials(CA, f"{CA}/1", AccountKey.generate()) for _ in range(2))
    folder.save(old)
    folder.save_next(new)
    assert (folder.load(), folder.load_next()) == (old, new)
    folder.drop_next()
    assert (folder.load(), folder.load_next()) == (old, None)
    folder.save_next(new)
    folder.adopt_next()
    assert (folder.load(), folder.load_next()) == (new, None)
    folder.retire()
    assert folder.load() is None
    assert (folder.path / "account.deactivated.json").exists()


def test_how_a_ca_is_reached_is_kept_and_overlaid(tmp_path: Path) -> None:
    folder = AccountStore(tmp_path).at(CA)
    assert folder.connection() == Connection()
    folder.save_connection(Connection(ca_bundle="/a", proxy="http://p.test"))
    assert folder.connection().overlaid(Connection(proxy="http://q.test")) == Connection(
        ca_bundle="/a", proxy="http://q.test"
    )
