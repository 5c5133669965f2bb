from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.dns import InvalidCredential, ProviderUnreachable
from certwright.dns.surroundings import MAX_ANSWER_BYTES, MAX_FILE_BYTES, Surroundings
from certwright.http.errors import ConnectionFailed
from certwright.http.message import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

URL = "http://169.254.169.254/latest/api/token"


class Metadata:
    """A metadata service, or none."""

    def __init__(self, *, is_there: bool) -> None:
        self.is_there = is_there
        self.is_closed = False

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        assert (method, url, headers, content, max_bytes) == ("PUT", URL, {"a": "b"}, None, MAX_ANSWER_BYTES)
        if not self.is_there:
            raise ConnectionFailed("cannot connect to 169.254.169.254", host="169.254.169.254", request_sent=False)
        return Response(404, body=b"none", url=url)

    async def aclose(self) -> None:
        self.is_closed = True


async def test_what_a_metadata_service_answers_is_the_providers_to_judge() -> None:
    service = Metadata(is_there=True)
    place = Surroundings({}, lambda: service)
    assert (await place.request("PUT", URL, headers={"a": "b"})).status == 404
    await place.aclose()
    assert service.is_closed


async def test_where_there_is_no_metadata_service_it_is_told() -> None:
    place = Surroundings({}, lambda: Metadata(is_there=False))
    with pytest.raises(ProviderUnreachable, match=r"request for credentials to the metadata service failed") as caught:
        await place.request("PUT", URL, headers={"a": "b"})
    assert caught.value.host == "169.254.169.254"


async def test_a_token_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    place = Surroundings({})
    for token in ("one", "two"):
        file.write_text(token)
        assert await place.read_file(str(file), "identity token") == token


@pytest.mark.parametrize("content", [None, b"x" * (MAX_FILE_BYTES + 1), b"\xff\xfe"])
async def test_a_file_that_is_no_token_is_told_without_its_content(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidCredential, match=r"the identity token in .*token cannot be read: ") as caught:
        await Surroundings({}).read_file(str(file), "identity token")
    assert len(str(caught.value)) < 300


async def test_the_environment_is_this_process_own_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Surroundings().environ["AWS_REGION"] == "eu-west-1"
    assert "AWS_REGION" not in Surroundings({}).environ
