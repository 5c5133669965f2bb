"""A profile that the CA does not have is found out before anything is ordered."""

from __future__ import annotations

from unittest.mock import AsyncMock, Mock

import pytest

from certwright.acme import Directory, DirectoryMeta
from certwright.failures import IssuanceError
from certwright.issuers.account import directory_with_profile

URL = "https://ca.example/directory"


def directory(*profiles: str) -> Directory:
    return Directory(URL, URL, URL, URL, meta=DirectoryMeta(profiles=dict.fromkeys(profiles, "")))


@pytest.mark.parametrize("profile", [None, "short"])
async def test_one_look_is_enough_for_what_is_there(profile: str | None) -> None:
    server = Mock(directory=AsyncMock(return_value=directory("short")))
    assert await directory_with_profile(server, profile) == directory("short")
    server.directory.assert_awaited_once_with()


async def test_a_profile_that_the_ca_has_added_is_found() -> None:
    server = Mock(directory=AsyncMock(side_effect=[directory(), directory("new")]))
    assert await directory_with_profile(server, "new") == directory("new")
    server.directory.assert_awaited_with(refresh=True)


@pytest.mark.parametrize(("offered", "words"), [(("b", "a"), "it offers a, b"), ((), "it offers none")])
async def test_the_error_says_what_the_ca_offers(offered: tuple[str, ...], words: str) -> None:
    server = Mock(directory=AsyncMock(return_value=directory(*offered)))
    with pytest.raises(IssuanceError, match=f"The CA {URL} has no profile gold; {words}") as caught:
        await directory_with_profile(server, "gold")
    assert caught.value.reason == "InvalidProfile"
