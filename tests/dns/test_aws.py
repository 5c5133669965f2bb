"""What is common to services of AWS: signatures, XML."""

from __future__ import annotations

import datetime as dt
import random
from urllib.parse import quote, urlencode

import pytest

from certwright.dns.aws.sigv4 import UNRESERVED, Keys, signed
from certwright.dns.aws.xml import error_code, parsed, text_of, xml_of
from certwright.dns.errors import ProviderUnreachable
from certwright.http.message import Response
from tests.dns.providers.aws_oracle import signature_of

CHARACTERS = "abcXYZ019-_.~ /+=&?%*$'()!@:,;\\\"<>\u00e9\u4e2d"


def test_signatures_are_those_of_botocore() -> None:
    chance = random.Random(53)  # noqa: S311 - examples

    def text(most: int) -> str:
        return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(most)))

    for number in range(300):
        method = chance.choice(["GET", "POST"])
        path = "/" + "/".join(quote("p" + text(8), safe=UNRESERVED) for _ in range(chance.randrange(4)))
        query = urlencode(
            [(f"k{text(4)}", text(8)) for _ in range(chance.randrange(4))], quote_via=quote, safe=UNRESERVED
        )
        url = f"https://{chance.choice(['route53', 'sts'])}.amazonaws.com{path}" + (f"?{query}" if query else "")
        content = text(50).encode() if method == "POST" else b""
        headers = {"Content-Type": "application/xml", "X-Amz-Spaces": " a   b "} if content else {}
        keys = Keys("AKID", "s3cr3t/+", chance.choice([None, "token=="]))
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=chance.randrange(10**8))
        ours = signed(method, url, headers, content, keys, service="route53", region="us-east-1", now=now)
        theirs = signature_of(method, url, ours, content, "s3cr3t/+", keys.session_token)
        assert ours["Authorization"] == theirs, (number, method, url)


def test_keys_are_shown_by_nothing_that_prints_them() -> None:
    assert "s3cr3t" not in repr(Keys("AKID", "s3cr3t", "s3cr3t-token"))


BILLION_LAUGHS = (
    """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>"""
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe<\x00r\x00>\x00",
        BILLION_LAUGHS.encode(),
        BILLION_LAUGHS.replace('1.0"', '1.0" encoding="utf-16"').encode("utf-16"),
        BILLION_LAUGHS.replace('1.0"', '1.0" encoding="utf-7"').replace("<!D", "+ADw-!D").encode(),
        b"<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>",
        b"<r>&b;</r>",
    ],
)
async def test_an_answer_that_is_no_xml_or_declares_anything_is_none_of_aws(body: bytes) -> None:
    assert parsed(body) is None
    response = Response(200, body=body + b" " * 40_000, url="https://route53.amazonaws.com/")
    with pytest.raises(ProviderUnreachable, match="nothing that is an answer of its API") as caught:
        await xml_of(response)
    assert "lol" not in str(caught.value)
    assert error_code(response) == ""


async def test_a_long_answer_is_read_as_a_short_one() -> None:
    for length in (10, 100_000):
        response = Response(200, body=b"<r xmlns='n'><a><b> x </b></a><c>" + b"y" * length + b"</c></r>")
        assert text_of(await xml_of(response), "a", "b") == "x"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<ErrorResponse xmlns='n'><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "AccessDenied"),
        ("<InvalidChangeBatch xmlns='n'><Messages/></InvalidChangeBatch>", "InvalidChangeBatch"),
        ("<ErrorResponse><Error><Code>a secret &lt;b></Code></Error></ErrorResponse>", ""),
        ("<ErrorResponse/>", ""),
    ],
)
def test_nothing_but_the_code_of_an_error_is_read(body: str, code: str) -> None:
    assert error_code(Response(403, body=body.encode())) == code
