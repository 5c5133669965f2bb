"""A look at one's own answers before the CA counts a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from certwright.acme import (
    AcmeError,
    ConnectionFailed,
    Headers,
    HttpxTransport,
    Response,
    UnsupportedChallenge,
    UntrustedServer,
)
from certwright.client import Http01Server, NotVisible, SelfChecked, self_test
from certwright.dns import Propagation, TxtRecord
from tests.fakes.solvers import Recorder

if TYPE_CHECKING:
    from certwright.dns import DnsView
    from tests.fakes.challenges import MakeProof

HOST = "127.0.0.1"


async def test_what_is_there_passes(proof: MakeProof) -> None:
    server = Http01Server(host=HOST, port=0)
    answered = [proof(HOST)]
    async with HttpxTransport(allow_insecure=True) as transport:
        await server.present(answered)
        checked = SelfChecked(server, transport, port=server.port, seconds=0)
        await checked.present(answered)
        await checked.wait(answered)
        await checked.clean_up(answered)
        # A retry of the CA's finds nothing any more, and so does a check.
        with pytest.raises(NotVisible, match=r"http://127\.0\.0\.1/\S+ gives no answer: .*refused"):
            await checked.wait(answered)


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [("other", "HTTP 404 Not Found"), ("token", r"other content \(text/plain\) than the key authorization")],
)
async def test_what_is_wrong_is_told(proof: MakeProof, shown: str, complaint: str) -> None:
    server = Http01Server(host=HOST, port=0)
    there = [proof(HOST, token=shown)]
    async with HttpxTransport(allow_insecure=True) as transport:
        await server.present(there)
        if shown == "token":
            server._contents = dict.fromkeys(server._contents, "<html>welcome</html>")
        checked = SelfChecked(Recorder("http-01"), transport, port=server.port, seconds=0)
        with pytest.raises(NotVisible, match=complaint) as caught:
            await checked.wait([proof(HOST)])
        assert "welcome" not in str(caught.value)
        await server.clean_up(there)


async def test_one_look_alone_says_what_is_there(proof: MakeProof) -> None:
    server = Http01Server(host=HOST, port=0)
    asked = proof(HOST)
    await server.present([asked])
    found = await self_test(asked, port=server.port)
    assert (found.complete, found.place, found.seen) == (True, asked.http01_url, "the right answer")
    missing = await self_test(proof(HOST, token="other"), port=server.port)
    assert (missing.complete, missing.seen) == (False, "answers with HTTP 404 Not Found")
    await server.clean_up([asked])


async def test_a_record_is_looked_for_where_its_cname_leads(proof: MakeProof) -> None:
    class View:
        """A view of a zone in which the record is at another place."""

        async def follow_cname(self, name: str) -> str:
            return f"{name}.delegated.test"

        async def check(self, records: list[TxtRecord]) -> tuple[Propagation, ...]:
            return tuple(Propagation(record, complete=True) for record in records)

    found = await self_test(proof("a.example", "dns-01"), view=cast("DnsView", View()))
    assert (found.complete, found.place) == (True, "_acme-challenge.a.example.delegated.test")


async def test_there_is_no_self_test_for_other_challenges(proof: MakeProof) -> None:
    with pytest.raises(UnsupportedChallenge):
        await self_test(proof(HOST, "tls-alpn-01"))


def test_it_is_for_http01_only() -> None:
    with pytest.raises(ValueError, match="not for dns-01"):
        SelfChecked(Recorder("dns-01"), HttpxTransport())


class Site:
    """A transport that answers as it is told, by URL."""

    def __init__(self, **answers: Response | AcmeError) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def request(self, method: str, url: str, **_: object) -> Response:
        assert method == "GET"
        self.asked.append(url)
        answer = self.answers[url.partition("://")[0] if len(self.asked) == 1 else "next"]
        if isinstance(answer, AcmeError):
            raise answer
        return answer

    async def aclose(self) -> None:
        """Nothing is open."""


def redirect(url: str, status: int = 301) -> Response:
    return Response(status, Headers({"Location": url}))


async def checked(proof: MakeProof, site: Site) -> str | None:
    """What the check complains of, or None."""
    try:
        await SelfChecked(Recorder("http-01"), site, seconds=0).wait([proof(HOST)])
    except NotVisible as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "then",
    [
        Response(200, body=b"token.thumbprint\r\n"),
        # The certificate there may be the one that is to be replaced.
        UntrustedServer("not trusted", host="b.test", reason="expired"),
    ],
)
async def test_a_redirect_is_followed(proof: MakeProof, then: Response | AcmeError) -> None:
    site = Site(http=redirect("https://b.test/else?where"), next=then)
    assert await checked(proof, site) is None
    assert site.asked[1] == "https://b.test/else?where"


@pytest.mark.parametrize(
    ("first", "then", "complaint"),
    [
        (
            redirect("https://b.test/secret", 308),
            Response(404),
            "redirects to https://b.test, which answers with HTTP 404 Not Found",
        ),
        (
            redirect("/elsewhere"),
            Response(200, Headers({"Content-Type": "text/html; charset=utf-8"}), b"<html>"),
            f"redirects to http://{HOST}, which answers with other content (text/html) than the key authorization",
        ),
        (
            redirect("https://b.test/"),
            ConnectionFailed("refused", host="b.test", request_sent=False),
            "redirects to https://b.test, which gives no answer: refused",
        ),
        (redirect("https://b.test:8443/"), None, "redirects to https://b.test:8443, which no CA follows"),
        (redirect("ftp://b.test/"), None, "redirects to ftp://b.test, which no CA follows"),
        (redirect("https://user:secret@b.test:99999/"), None, "redirects to https://b.test:99999, which no CA follows"),
        (redirect("https://[b.test/"), None, "redirects to an invalid URL"),
        (redirect("https://%62.test/"), None, "redirects to https://%62.test, which no CA follows"),
        (redirect("/round"), redirect("/round"), "redirects more than 10 times"),
        (Response(301), None, "answers with HTTP 301 Moved Permanently"),
        (Response(299), None, "answers with HTTP 299."),
    ],
)
async def test_what_is_wrong_behind_a_redirect_is_told(
    proof: MakeProof, first: Response, then: Response | AcmeError | None, complaint: str
) -> None:
    said = await checked(proof, Site(http=first, **({} if then is None else {"next": then})))
    assert said is not None
    assert complaint in said
    assert "secret" not in said
