from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from certwright.http01.program import ANSWERS_VARIABLE, main, parse_answers

PROGRAM = [sys.executable, "-c", "from certwright.cli.main import main; main()", "solver"]


@pytest.mark.parametrize("text", ["", "host", "host token", "host .print", " token.print", "ok t.p\nhost"])
def test_answers_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=ANSWERS_VARIABLE):
        parse_answers(text)


def test_answers_are_read_line_by_line() -> None:
    assert parse_answers("A.test t.print\nb.test u-_.print") == {
        ("a.test", "t"): "t.print",
        ("b.test", "u-_"): "u-_.print",
    }


def test_without_answers_it_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(ANSWERS_VARIABLE, raising=False)
    assert main([]) == 1
    assert ANSWERS_VARIABLE in capsys.readouterr().err


def test_it_serves_until_it_is_told_to_stop() -> None:
    environment = {**os.environ, ANSWERS_VARIABLE: "a.test t.print"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [*PROGRAM, "--host", "127.0.0.1", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("answering for 1 challenges of a.test on port ")
        url = f"http://127.0.0.1:{line.split()[-1]}/.well-known/acme-challenge/t"
        asking = urllib.request.Request(url, headers={"Host": "a.test"})
        with urllib.request.urlopen(asking, timeout=10) as answer:  # noqa: S310 - loopback
            assert answer.read() == b"t.print"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url, timeout=10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM, "with 0 a kubelet says that the pod succeeded"
        assert process.stdout.read().splitlines() == ["200 a.test", "404 127.0.0.1"]
