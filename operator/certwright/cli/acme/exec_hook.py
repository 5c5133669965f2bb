"""Challenges answered by the user's program: `--solver exec:...`. docs/cli.md has the contract.

The program runs once for each challenge, as `PROGRAM present` and `PROGRAM cleanup`, without a shell. What it needs is
in its environment and, as JSON, on its standard input. Exit code 0 is success, 75 (EX_TEMPFAIL) asks for another try.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from certwright.acme import AcmeError
from certwright.cli.acme.dns_credentials import without_secrets
from certwright.cli.acme.process_group import end_group
from certwright.client import Dns01
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from certwright.client import Proof
    from certwright.dns import DnsView, TxtRecord

    Action = Literal["present", "cleanup"]

CONTRACT_VERSION: Final = 1
"""It changes if a hook that was written for it could fail."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h."""
TRIES: Final = 3
PAUSE_SECONDS: Final = 2.0
"""Before the second try; twice that before the third."""
MAX_CONCURRENT: Final = 4
MAX_OUTPUT: Final = 64 * 1024
"""Bytes of what a hook prints that are kept; the rest is read and dropped, so that it does not block."""
OUTPUT_SECONDS: Final = 1.0
"""How long the rest of what it printed is waited for after its end."""
MAX_SHOWN: Final = 500
_SECRETS: Final = ("CERTWRIGHT_EAB_HMAC_KEY", "CERTWRIGHT_TSIG_SECRET", "CERTWRIGHT_PKCS12_PASSWORD")


class HookFailed(AcmeError):
    """A hook did not do what it was to do."""


@dataclass(frozen=True)
class HookProgram:
    """A program that answers challenges.

    Attributes:
        path: The program; absolute.
        seconds: How long one run may take.
        debug: Told of what it prints when it succeeds.
    """

    path: str
    seconds: float
    debug: Callable[[str], None]

    async def run_all(self, action: Action, requests: Iterable[Mapping[str, Any]]) -> None:
        """Run it for several challenges, a few at a time; all runs end before the first failure is raised.

        Raises:
            HookFailed: A run failed.
        """
        slots = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(request: Mapping[str, Any]) -> None:
            async with slots:
                await self._run(action, request)

        results = await asyncio.gather(*map(one, requests), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _run(self, action: Action, request: Mapping[str, Any]) -> None:
        for tries in range(1, TRIES + 1):
            code, said = await self._once(action, request)
            if code == 0:
                if said:
                    self.debug(f"{self.path} {action} for {request['domain']}: {said}")
                return
            if code != TRY_AGAIN or tries == TRIES:
                break
            await asyncio.sleep(PAUSE_SECONDS * tries)
        raise HookFailed(self._failure(action, request, code, said))

    def _failure(self, action: Action, request: Mapping[str, Any], code: int | None, said: str) -> str:
        what = f"the hook {self.path} {action} for {request['domain']}"
        if code is None:
            return f"{what} was still running after {self.seconds:g} s and was stopped"
        ended = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        return f"{what} {ended}" + (f": {said}" if said else "")

    async def _once(self, action: Action, request: Mapping[str, Any]) -> tuple[int | None, str]:
        """Run it once; return its exit code, None if it took too long, and the end of what it printed."""
        document = {"version": CONTRACT_VERSION, "action": action, **request}
        # Not a pipe of asyncio's: the end of a process is told only when all of those are closed, and what the hook
        # left running in the background may hold one open.
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                self.path,
                action,
                env=_environment(action, request),
                stdin=asyncio.subprocess.PIPE,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except OSError as error:
            os.close(ours)
            raise HookFailed(f"the hook {self.path} cannot be run: {os.strerror(error.errno or 0).lower()}") from error
        finally:
            os.close(theirs)
        output = bytearray()
        feeding = asyncio.create_task(_feed(process, json.dumps(document).encode()))
        draining = asyncio.create_task(_drain(ours, output))
        code: int | None = None
        try:
            async with asyncio.timeout(self.seconds):
                code = await process.wait()
            await asyncio.wait({draining}, timeout=OUTPUT_SECONDS)
        except TimeoutError:
            pass
        finally:
            if code is None:
                await end_group(process)
            for task in (feeding, draining):
                task.cancel()
            await asyncio.gather(feeding, draining, return_exceptions=True)
        return code, printable(output.decode("utf-8", "replace").strip()[-MAX_SHOWN:], MAX_SHOWN)


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(ConnectionError):  # a hook need not read it
        process.stdin.write(content)
        await process.stdin.drain()
    process.stdin.close()
    with suppress(ConnectionError):
        await process.stdin.wait_closed()


async def _drain(handle: int, output: bytearray) -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(handle, "rb"))
    try:
        while part := await reader.read(4096):
            output += part
            del output[:-MAX_OUTPUT]
    finally:
        transport.close()


def _environment(action: Action, request: Mapping[str, Any]) -> dict[str, str]:
    inherited = {name: value for name, value in without_secrets(os.environ).items() if name not in _SECRETS}
    given = {
        "CERTWRIGHT_HOOK_VERSION": str(CONTRACT_VERSION),
        "CERTWRIGHT_ACTION": action,
        "CERTWRIGHT_CHALLENGE": request["challenge"],
        "CERTWRIGHT_DOMAIN": request["domain"],
    }
    if "record" in request:
        given |= {
            "CERTWRIGHT_RECORD_NAME": request["record"]["name"],
            "CERTWRIGHT_RECORD_VALUE": request["record"]["value"],
        }
    if "file" in request:
        given |= {
            "CERTWRIGHT_URL": request["file"]["url"],
            "CERTWRIGHT_PATH": request["file"]["path"],
            "CERTWRIGHT_TOKEN": request["file"]["token"],
            "CERTWRIGHT_KEY_AUTHORIZATION": request["file"]["content"],
        }
    return {**inherited, **given}


class HttpHook:
    """http-01 by a program that puts files where a web server shows them.

    Args:
        program: The program.
    """

    challenge_type: Final = "http-01"

    def __init__(self, program: HookProgram) -> None:
        self._program = program

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Have it put all files in place. Raises `HookFailed`."""
        await self._program.run_all("present", map(self._request, proofs))

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """A file is there once the program has ended."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Have it remove all files. Raises `HookFailed`."""
        await self._program.run_all("cleanup", map(self._request, proofs))

    def _request(self, proof: Proof) -> dict[str, Any]:
        return {
            "challenge": self.challenge_type,
            "domain": proof.name,
            "identifier": proof.identifier.to_json(),
            "file": {
                "url": proof.http01_url,
                "path": proof.http01_path,
                "token": proof.challenge.token,
                "content": proof.key_authorization,
            },
        }


class _Records:
    """What `Dns01` takes for a DNS provider: the program, for one record at a time."""

    def __init__(self, program: HookProgram, challenge_type: str) -> None:
        self.proofs: dict[str, Proof] = {}
        self._program = program
        self._challenge_type = challenge_type

    async def present(self, records: Sequence[TxtRecord]) -> None:
        await self._program.run_all("present", map(self._request, records))

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        await self._program.run_all("cleanup", map(self._request, records))

    def _request(self, record: TxtRecord) -> dict[str, Any]:
        proof = self.proofs[record.value]
        return {
            "challenge": self._challenge_type,
            "domain": proof.name,
            "identifier": proof.identifier.to_json(),
            "record": {"name": record.name, "type": "TXT", "value": record.value, "challenge_name": proof.txt_name},
        }


class DnsHook(Dns01):
    """dns-01 or dns-account-01 by a program that changes a zone.

    CNAMEs are followed, and the authoritative servers are asked until they have the records, as for other providers.

    Args:
        program: The program.
        challenge_type: Which of the two.
        view: Looks at the zones; None if nothing is to be looked at.
        options: As for `Dns01`.
    """

    def __init__(self, program: HookProgram, challenge_type: str, view: DnsView | None, **options: Any) -> None:
        self._records = _Records(program, challenge_type)
        self._type = challenge_type
        super().__init__(self._records, view, **options)

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return self._type

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Have it add all records. Raises `HookFailed` and `DnsError`."""
        self._records.proofs.update({proof.txt_value: proof for proof in proofs})
        await super().present(proofs)


def checked_program(text: str) -> str:
    """Return the absolute path of a program.

    Raises:
        ValueError: There is no such program, or it may not be run.
    """
    path = Path(text).absolute()
    if not path.is_file():
        raise ValueError(f"{text} is not a file")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{text} is not executable: chmod +x {text}")
    return str(path)
