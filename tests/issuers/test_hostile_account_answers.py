"""A CA that lies, contradicts itself or never ends about accounts: no key is lost, no issuer held, nothing is shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.acme import AccountKey
from certwright.issuers import key_rotation, reconciler
from certwright.issuers.account_key import UPCOMING
from certwright.issuers.deactivation import DEACTIVATION_PATIENCE
from certwright.issuers.key_rotation import RETRY
from certwright.issuers.upkeep import DIRECTORY_INTERVAL
from certwright.resources import ISSUER_FINALIZER, InvalidResource
from certwright.runtime import aside
from certwright.text import rfc3339
from tests.fakes.issuers import CA, ORIGIN, SHARED, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.acme import Response
    from certwright.runtime.key import Key

ACCOUNT: Final = f"{ORIGIN}/account/1"
ROTATE: Final[dict[str, Any]] = {"accountKeyRotation": {"request": "incident-7"}}
BIDI: Final = "https://ca.test/\u202egpj.exe"
HOSTILE_LINKS: Final = {
    "of a megabyte": f"https://ca.test/{'a' * 2**20}",
    "a script": "javascript:alert(document.cookie)",
    "a file": "file:///etc/passwd",
    "with credentials": "https://ca.test@evil.test/",
    "that hides what it is": BIDI,
    "of two lines": "https://ca.test/\r\nReady: True",
}


async def registered(**acme: Any) -> Bench:
    bench = Bench()
    bench.write(**acme)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    return bench


def condition(bench: Bench, kind: str = "Ready") -> dict[str, Any]:
    return next(one for one in bench.status()["conditions"] if one["type"] == kind)


def key_in(bench: Bench, entry: str = "tls.key") -> AccountKey | None:
    content = bench.cluster.entry("shop", "account", entry)
    return None if content is None else AccountKey.from_pem(content)


def known_keys(bench: Bench) -> list[str]:
    """The thumbprints of those keys in the Secret that the CA knows for the account."""
    entries = ("tls.key", f"tls.key{UPCOMING}")
    keys = [key for key in (key_in(bench, entry) for entry in entries) if key is not None]
    return [key.thumbprint for key in keys if bench.ca.knows(key) == ACCOUNT]


class TestTerms:
    @pytest.mark.parametrize("link", HOSTILE_LINKS.values(), ids=HOSTILE_LINKS)
    async def test_a_page_to_visit_that_is_none_is_not_shown_as_one(self, link: str) -> None:
        bench = Bench()
        bench.ca.unheard["/newAccount"] = lambda: bench.ca.problem(
            "userActionRequired", 403, instance=link, Link=f'<{link}>;rel="terms-of-service"'
        )
        bench.write()
        pause = (await bench.reconciler.reconcile(CA)).seconds
        shown = condition(bench)
        assert (shown["status"], shown["reason"]) == ("False", "UserActionRequired")
        assert "Visit" not in shown["message"]
        assert len(shown["message"]) < 500
        assert shown["message"].isprintable()
        assert pause is not None
        assert pause >= 3600, "only a person can go on"

    async def test_a_page_at_another_host_is_shown(self) -> None:
        """CAs have their customers' portal, and their terms, wherever they like."""
        bench = Bench()
        bench.ca.unheard["/newAccount"] = lambda: bench.ca.problem(
            "userActionRequired", 403, instance="https://portal.example/agree?account=1"
        )
        bench.write()
        await bench.reconciler.reconcile(CA)
        assert "Visit https://portal.example/agree?account=1" in condition(bench)["message"]

    @pytest.mark.parametrize("link", HOSTILE_LINKS.values(), ids=HOSTILE_LINKS)
    async def test_terms_that_are_no_page_stop_nothing_and_fill_nothing(self, link: str) -> None:
        bench = Bench()
        bench.ca.meta["termsOfService"] = bench.ca.meta["website"] = link
        bench.write()
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("True", "AccountRegistered")
        written = json.dumps([bench.status(), bench.events], ensure_ascii=False)
        assert len(written) < 5000
        assert not any(word in written for word in ("javascript:", "file:", "\u202e", "\\r"))
        assert "website" not in bench.status()["acme"].get("offers", {})

    async def test_terms_that_change_at_each_look_are_told_at_each_look_and_never_agreed_to(self) -> None:
        bench = await registered()
        bench.ca.requests.clear()
        for number in range(10):
            bench.ca.meta["termsOfService"] = f"{ORIGIN}/terms/{number}"
            bench.now += DIRECTORY_INTERVAL
            for _ in range(3):
                await bench.reconciler.reconcile(CA)
        assert len([event for event in bench.events if event[1] == "TermsChanged"]) == 10
        assert {path for path, _ in bench.ca.requests} == {"/directory"}
        assert bench.status()["acme"]["termsOfService"] == f"{ORIGIN}/terms", "what the account agreed to"
        assert bench.ready() == ("True", "AccountRegistered")


class TestKeyChange:
    @pytest.mark.parametrize(
        "answer",
        [
            lambda ca: ca.answer({"status": "valid"}, 200, {"Location": f"{ORIGIN}/account/99"}),
            lambda ca: ca.answer({}, 204),
            lambda ca: ca.problem("malformed", 409, Location=ACCOUNT),
            lambda ca: ca.problem("malformed", 409, Location=f"{ORIGIN}/account/99"),
            lambda ca: ca.problem("malformed", 409, Location="javascript:alert(1)"),
            lambda ca: ca.problem("badPublicKey", 400),
            lambda ca: ca.problem("serverInternal", 500),
        ],
        ids=["success", "nothing", "it has it", "another has it", "nonsense has it", "refused", "broken"],
    )
    @pytest.mark.parametrize("carried_out", [True, False])
    async def test_only_the_key_that_the_ca_knows_is_kept_whatever_it_answers(
        self, answer: Callable[[Any], Response], *, carried_out: bool
    ) -> None:
        bench = await registered()
        before = key_in(bench)
        said = bench.ca.instead if carried_out else bench.ca.unheard
        said["/keyChange"] = lambda: answer(bench.ca)
        bench.write(**ROTATE)
        await bench.reconciler.reconcile(CA)
        present = key_in(bench)
        assert present is not None
        assert bench.ca.knows(present) == ACCOUNT
        assert bench.ready() == ("True", "AccountRegistered")
        assert bench.status()["acme"]["uri"] == ACCOUNT
        assert (present != before) is carried_out
        if not carried_out:
            assert condition(bench, "AccountKeyRotated")["reason"] == "KeyRotationFailed"
        said.clear()
        bench.now += RETRY
        await bench.reconciler.reconcile(CA)
        rotated = key_in(bench)
        assert rotated is not None
        assert bench.ca.knows(rotated) == ACCOUNT
        assert rotated != before
        assert len(bench.ca.accounts) == 1

    async def test_an_answer_that_never_ends_does_not_hold_the_issuer_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(key_rotation, "LONGEST_CHANGE_SECONDS", 0.5)
        bench = await registered()
        before = key_in(bench)
        bench.ca.hangs.add("/keyChange")
        bench.write(**ROTATE)
        await bench.reconciler.reconcile(CA)
        assert (bench.ready(), key_in(bench)) == (("True", "AccountRegistered"), before)
        assert "took longer than" in condition(bench, "AccountKeyRotated")["message"]
        bench.ca.hangs.clear()
        bench.now += RETRY
        await bench.reconciler.reconcile(CA)
        assert key_in(bench) != before

    async def test_a_ca_that_makes_an_account_whenever_it_is_asked_for_one_loses_none(self) -> None:
        """It ignores onlyReturnExisting: the account of the next key is not the issuer's with a new key."""
        bench = await registered()
        before = key_in(bench)
        bench.ca.unheard["/keyChange"] = lambda: bench.ca.problem("serverInternal", 500)
        bench.write(**ROTATE)
        await bench.reconciler.reconcile(CA)
        assert key_in(bench, f"tls.key{UPCOMING}") is not None
        bench.ca.ignores_only_existing = True
        bench.restart()
        bench.watch()
        bench.now += RETRY
        await bench.reconciler.reconcile(CA)
        assert key_in(bench) == before
        assert bench.status()["acme"]["uri"] == ACCOUNT
        assert bench.ready() == ("True", "AccountRegistered")

    async def test_a_ca_that_knows_neither_key_leaves_both_where_they_are(self) -> None:
        bench = await registered()
        bench.ca.unheard["/keyChange"] = lambda: bench.ca.problem("serverInternal", 500)
        bench.ca.unheard["/account/1"] = lambda: bench.ca.problem("unauthorized", 403)
        bench.write(**ROTATE)
        await bench.reconciler.reconcile(CA)
        assert bench.ready()[0] == "False"
        assert key_in(bench) is not None
        assert key_in(bench, f"tls.key{UPCOMING}") is not None
        bench.ca.unheard.clear()
        bench.now += RETRY
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("True", "AccountRegistered")
        assert len(known_keys(bench)) == 1


class TestBinding:
    async def test_a_ca_that_requires_a_binding_all_at_once_leaves_its_account_at_work(self) -> None:
        bench = await registered()
        bench.ca.meta["externalAccountRequired"] = True
        bench.ca.eab_keys = {"kid": b"mac"}
        bench.restart()
        bench.watch()
        bench.write(email="ops@example.test")
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("True", "AccountRegistered")
        assert bench.ca.asked("/newAccount") == []

    @pytest.mark.parametrize("key_id", ["kid\u202e", "k" * 5000])
    async def test_a_strange_key_id_is_refused_with_the_field_that_has_it(self, key_id: str) -> None:
        binding = {"keyID": key_id, "keySecretRef": {"name": "eab", "key": "secret"}}
        with pytest.raises(InvalidResource, match=r"spec\.acme\.externalAccountBinding\.keyID: .{1,100}$"):
            Bench().write(externalAccountBinding=binding)


class TestAccount:
    @pytest.mark.parametrize(
        "document",
        [
            {"status": "valid", "orders": f"{ORIGIN}/{'o' * 100_000}"},
            {"status": "valid", "orders": [f"{ORIGIN}/order/{number}" for number in range(5000)]},
            {"status": "valid", "contact": [f"mailto:{number}@example.test" for number in range(5000)]},
            {"status": "valid", "contact": {"a": {"b": 1}}, "termsOfServiceAgreed": "perhaps"},
            {"contact": None},
        ],
        ids=["orders at a long URL", "orders in the account", "contacts", "other shapes", "no status"],
    )
    async def test_what_nobody_needs_of_an_account_spoils_nothing(self, document: dict[str, Any]) -> None:
        bench = Bench()
        bench.ca.instead["/newAccount"] = lambda: bench.ca.answer(document, 201, {"Location": ACCOUNT})
        bench.write()
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("True", "AccountRegistered")
        assert len(json.dumps(bench.status())) < 3000

    @pytest.mark.parametrize("state", ["suspended", "VALID?", "\u202e", "x" * 100_000, 7, ["valid"]])
    async def test_a_state_that_no_account_has_is_no_success_and_is_told(self, state: object) -> None:
        bench = Bench()
        bench.ca.instead["/newAccount"] = lambda: bench.ca.answer({"status": state}, 201, {"Location": ACCOUNT})
        bench.write()
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("False", "CAMalformedResponse")
        assert "'status' of the account" in condition(bench)["message"]
        assert len(condition(bench)["message"]) < 500
        assert condition(bench)["message"].isprintable()

    @pytest.mark.parametrize("location", ["", "http://ca.test/account/1", f"{ORIGIN}/{'a' * 5000}", "javascript:x"])
    async def test_an_account_without_a_url_that_can_be_asked_is_no_success(self, location: str) -> None:
        bench = Bench()
        bench.ca.instead["/newAccount"] = lambda: bench.ca.answer({"status": "valid"}, 201, {"Location": location})
        bench.write()
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("False", "CAMalformedResponse")
        assert "uri" not in bench.status().get("acme", {})


def delete(bench: Bench, key: Key) -> None:
    place = ("issuers", "shop", "ca") if key.kind == "Issuer" else ("clusterissuers", None, "ca")
    body = bench.cluster.objects[place]
    bench.cluster.version += 1
    body["metadata"] |= {"deletionTimestamp": rfc3339(bench.now), "resourceVersion": str(bench.cluster.version)}
    bench.watch(key)


def is_held(bench: Bench, key: Key) -> bool:
    place = ("issuers", "shop", "ca") if key.kind == "Issuer" else ("clusterissuers", None, "ca")
    body = bench.cluster.objects.get(place)
    return body is not None and ISSUER_FINALIZER in body["metadata"].get("finalizers", ())


class TestDeactivation:
    async def lives_on(self, bench: Bench, key: Key) -> dt.timedelta:
        """Delete an issuer, and return how long it was held."""
        delete(bench, key)
        began = bench.now
        while is_held(bench, key) and bench.now - began < dt.timedelta(hours=1):
            result = await bench.reconciler.reconcile(key)
            bench.now += result.after or dt.timedelta()
        return bench.now - began

    @pytest.mark.parametrize("key", [CA, SHARED])
    @pytest.mark.parametrize("answer", ["200", "403", "400", "500", "hangs"])
    async def test_an_issuer_goes_within_its_bound_whatever_the_ca_answers(
        self, key: Key, answer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench()
        bench.write(key, deactivateOnDelete=True)
        await bench.reconciler.reconcile(key)
        assert is_held(bench, key)
        if answer == "hangs":
            monkeypatch.setattr(reconciler, "LONGEST_LOAD_SECONDS", 0.02)
        problems = {"403": "unauthorized", "400": "malformed", "500": "serverInternal"}
        if answer == "hangs":
            bench.ca.hangs.add("/account/1")
        elif answer == "200":
            bench.ca.unheard["/account/1"] = lambda: bench.ca.answer({"status": "valid"})
        else:
            bench.ca.unheard["/account/1"] = lambda: bench.ca.problem(problems[answer], int(answer))
        assert await self.lives_on(bench, key) <= DEACTIVATION_PATIENCE + dt.timedelta(minutes=1)
        kind, reason, message = bench.events[-1]
        assert (kind, reason) == ("Warning", "AccountNotDeactivated"), "it is valid still"
        assert "stays open" in message
        [account] = bench.ca.accounts.values()
        assert account["status"] == "valid"

    async def test_a_refusal_after_which_the_account_is_closed_is_a_success(self) -> None:
        bench = await registered(deactivateOnDelete=True)

        def closed() -> Response:
            bench.ca.unheard["/newAccount"] = lambda: bench.ca.problem("unauthorized", 403)
            return bench.ca.problem("unauthorized", 403)

        bench.ca.unheard["/account/1"] = closed
        assert await self.lives_on(bench, CA) < dt.timedelta(minutes=1)
        assert bench.events[-1][:2] == ("Normal", "AccountDeactivated")

    async def test_it_holds_no_worker_while_the_ca_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aside, "SLOW_SECONDS", 0.01)
        monkeypatch.setattr(reconciler, "LONGEST_LOAD_SECONDS", 0.2)
        bench = await registered(deactivateOnDelete=True)
        bench.ca.hangs.add("/account/1")
        delete(bench, CA)
        look = aside.Look(lambda: True)
        aside.LOOK.set(look)  # of this test's context
        await bench.reconciler.reconcile(CA)
        assert look.is_aside

    async def test_another_issuer_of_the_ca_is_served_while_one_is_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reconciler, "LONGEST_LOAD_SECONDS", 5.0)
        bench = await registered(deactivateOnDelete=True)
        bench.ca.hangs.add("/account/1")
        delete(bench, CA)
        held = asyncio.ensure_future(bench.reconciler.reconcile(CA))
        await asyncio.sleep(0)
        bench.write(SHARED, uid="u-2", privateKeySecretRef={"name": "other"})
        await asyncio.wait_for(bench.reconciler.reconcile(SHARED), 2)
        assert bench.ready(SHARED) == ("True", "AccountRegistered")
        held.cancel()
