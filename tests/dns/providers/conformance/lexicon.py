"""dns-lexicon, a client of many providers that is not ours, on the doubles of their APIs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from certwright.dns import TxtRecord
from tests.dns.providers.conformance.suite import NAME, OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.dns.providers.conformance.records import RecordsDouble

    Client = Callable[[RecordsDouble], Any]


class AgreesWithLexicon:
    """A provider's test inherits from it beside `Conformance`.

    Attributes:
        lexicon: Its name there.
        options: Its options there.
        theirs_alone: Fields of a record that the other client sends, or sends otherwise.
    """

    lexicon: str
    options: ClassVar[Mapping[str, str]]
    theirs_alone: ClassVar[frozenset[str]] = frozenset({"ttl"})

    @pytest.fixture
    def client(self, monkeypatch: pytest.MonkeyPatch) -> Client:
        requests = pytest.importorskip("requests")
        provider = import_module(f"lexicon._private.providers.{self.lexicon}").Provider
        resolver = import_module("lexicon.config").ConfigResolver
        for name in ("cli", "discovery", "parser"):
            # They warn of whoever looks at all modules, as Hypothesis does.
            sys.modules.pop(f"lexicon.{name}", None)
        self.prepare(provider, monkeypatch)
        options = {"provider_name": self.lexicon, "domain": "example.com", "action": "list", "type": "TXT", "ttl": 300}

        def make(api: RecordsDouble) -> Any:
            adapter = _Adapter(api, requests)
            monkeypatch.setattr(requests.Session, "get_adapter", lambda _self, **_: adapter)
            made = provider(resolver().with_dict({**options, self.lexicon: dict(self.options)}))
            made.authenticate()
            made.domain = "example.com"
            return made

        return make

    def prepare(self, provider: type, monkeypatch: pytest.MonkeyPatch) -> None:
        """Change what the other client would do elsewhere."""

    async def test_another_client_works_on_the_double_and_writes_what_the_provider_writes(
        self, api: RecordsDouble, client: Client
    ) -> None:
        theirs, there = client(api), TxtRecord(NAME, OURS.value)
        theirs.create_record("TXT", NAME, OURS.value)
        assert api.values(NAME) == [OURS.value]
        assert [(one["name"], one["content"].strip('"')) for one in theirs.list_records("TXT", NAME)] == [
            (NAME, OURS.value)
        ]
        theirs.delete_record(None, "TXT", NAME, OURS.value)
        assert api.values(NAME) == []
        by_them, before = self._comparable(api.writes), len(api.writes)
        provider = api.provider()
        await provider.present([there])
        await provider.clean_up([there])
        by_us = self._comparable(api.writes[before:])
        assert by_us
        assert by_us == by_them

    def test_another_client_sees_every_page_of_the_double(self, api: RecordsDouble, client: Client) -> None:
        for number in range(610):
            api.put(f"w{number}.example.com", "value")
        assert len(client(api).list_records("TXT")) == 610

    def _comparable(self, writes: list[tuple[str, str, Any]]) -> list[Any]:
        """Leave out the IDs that the double gave, and what the two say otherwise."""
        return [(method, _without_id(path), self._without(body)) for method, path, body in writes]

    def _without(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self._without(one) for one in body]
        if isinstance(body, dict):
            return {key: value for key, value in body.items() if key not in self.theirs_alone}
        return body


def _without_id(path: str) -> str:
    head, _, last = path.rpartition("/")
    return f"{head}/ID" if last.isdecimal() else path


class _Adapter:
    """Takes the requests of the library `requests` to a double; it sends `{}` or `null` where there is no body."""

    def __init__(self, api: RecordsDouble, requests: Any) -> None:
        self._api = api
        self._requests = requests

    def send(self, request: Any, **_: Any) -> Any:
        content = request.body.encode() if isinstance(request.body, str) else request.body
        headers = dict(request.headers)
        if not content or (content in (b"{}", b"null") and request.method in ("GET", "DELETE")):
            content = None
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        parts = urlsplit(request.url)
        if self._api.check_credential(request.method, request.url, headers, content):
            found = self._api.answer(request.method, parts.path, dict(parse_qsl(parts.query)), content)
        else:
            found = self._api.denial()
        answer = self._requests.Response()
        answer.status_code, answer._content, answer.url, answer.request = (
            found.status,
            found.body,
            request.url,
            request,
        )
        answer.headers.update(dict(found.headers))
        return answer

    def close(self) -> None:
        """Do nothing."""
