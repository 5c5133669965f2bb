"""Folders, records and people that answer challenges."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import DirectoryMeta, Identifier, UnsupportedChallenge, dns01_value
from certwright.challenges import webroot
from certwright.challenges.manual import instructions
from certwright.client import CannotWrite, Dns01, DnsAccount01, DnsPersist01, Instruction, Manual, NotVisible, Webroot
from certwright.dns import Propagation, ServerView, TxtRecord, ZoneNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from certwright.client import Proof
    from certwright.dns import DnsView
    from tests.fakes.challenges import MakeProof


class World:
    """A provider and a view of one small world, in which nothing takes time."""

    def __init__(self, *, aliases: dict[str, str] | None = None, blind: bool = False) -> None:
        self.records: set[TxtRecord] = set()
        self.calls: list[str] = []
        self.aliases = aliases or {}
        self.blind = blind

    async def present(self, records: Sequence[TxtRecord]) -> None:
        self.calls.append("present")
        self.records |= set(records)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        self.calls.append("clean up")
        self.records -= set(records)

    async def follow_cname(self, name: str) -> str:
        return self.aliases.get(name, name)

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        self.calls.append("check")
        found = []
        for record in records:
            values = (
                () if self.blind else tuple(sorted(item.value for item in self.records if item.name == record.name))
            )
            view = ServerView("ns1.test", values)
            found.append(Propagation(record, complete=record.value in values, seen=(view,)))
        return tuple(found)

    @property
    def view(self) -> DnsView:
        return self  # type: ignore[return-value]  # as far as solvers use it


class TestDnsRecords:
    async def test_records_are_added_together_seen_and_removed(self, proof: MakeProof) -> None:
        world = World(aliases={"_acme-challenge.b.example": "b.elsewhere.test"})
        solver = Dns01(world, world.view)
        proofs = [proof("*.a.example", "dns-01"), proof("b.example", "dns-01", token="b")]
        await solver.present(proofs)
        assert {record.name for record in world.records} == {"_acme-challenge.a.example", "b.elsewhere.test"}
        assert {(record.domain, dns01_value(record.key_authorization or "")) for record in world.records} == {
            ("a.example", proofs[0].txt_value),
            ("b.example", proofs[1].txt_value),
        }
        await solver.wait(proofs)
        await solver.clean_up(proofs)
        assert world.records == set()
        assert world.calls == ["present", "check", "clean up"]

    async def test_a_shared_value_stays_until_the_last_lets_go(self, proof: MakeProof) -> None:
        world = World()
        solver = Dns01(world)
        one, other = proof("*.a.example", "dns-01"), proof("a.example", "dns-01")
        assert one.txt_value == other.txt_value
        await solver.present([one])
        await solver.present([other])
        await solver.clean_up([one])
        assert len(world.records) == 1
        await solver.clean_up([one])
        assert len(world.records) == 1
        await solver.clean_up([other])
        assert world.records == set()

    async def test_a_removal_that_failed_can_be_tried_again(
        self, proof: MakeProof, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        solver = Dns01(world)
        await solver.present([proof("a.example", "dns-01")])
        with monkeypatch.context() as broken:
            broken.setattr(world, "clean_up", None)
            with pytest.raises(TypeError):
                await solver.clean_up([proof("a.example", "dns-01")])
        await solver.clean_up([proof("a.example", "dns-01")])
        assert world.records == set()

    async def test_what_is_not_seen_is_told_or_tolerated(self, proof: MakeProof) -> None:
        world = World(blind=True)
        proofs = [proof("a.example", "dns-01")]
        strict = Dns01(world, world.view, propagation_timeout=0)
        await strict.present(proofs)
        with pytest.raises(NotVisible, match=r"_acme-challenge\.a\.example: ns1\.test has no such record"):
            await strict.wait(proofs)
        lenient = Dns01(world, world.view, propagation_timeout=0, required=False)
        await lenient.present(proofs)
        await lenient.wait(proofs)

    async def test_cleaning_up_what_was_never_presented_is_nothing(self, proof: MakeProof) -> None:
        world = World()
        await Dns01(world).clean_up([proof("a.example", "dns-01")])
        assert world.calls == []

    async def test_records_are_created_in_the_zone_and_with_the_ttl_that_are_given_or_not_at_all(
        self, proof: MakeProof
    ) -> None:
        world = World(aliases={"_acme-challenge.b.example": "b.acme.example"})
        solver = Dns01(world, world.view, zone="acme.example", ttl=300)
        with pytest.raises(ZoneNotFound, match=r"_acme-challenge.a.example is not in the zone acme.example, in which"):
            await solver.present([proof("b.example", "dns-01"), proof("a.example", "dns-01")])
        assert world.calls == []
        await solver.present([proof("b.example", "dns-01")])
        (record,) = world.records
        assert (record.name, record.zone, record.ttl) == ("b.acme.example", "acme.example", 300)

    async def test_an_account_has_its_own_label(self, proof: MakeProof) -> None:
        world = World()
        solver = DnsAccount01(world)
        assert solver.challenge_type == "dns-account-01"
        await solver.present([proof("a.example", "dns-account-01")])
        assert {record.key_authorization for record in world.records} == {None}
        (record,) = world.records
        assert record.name.endswith("._acme-challenge.a.example")


class TestDnsPersist:
    @staticmethod
    def pair(proof: MakeProof, **options: object) -> list[Proof]:
        issuers = ("ca.example", "ca2.example")
        return [
            proof(name, "dns-persist-01", token=None, issuers=issuers, **options)
            for name in ("a.example", "*.a.example")
        ]

    async def test_one_record_serves_a_name_and_its_wildcard_and_stays(self, proof: MakeProof) -> None:
        world = World()
        solver = DnsPersist01(world, world.view)
        proofs = self.pair(proof)
        await solver.present(proofs)
        await solver.wait(proofs)
        await solver.clean_up(proofs)
        expected = TxtRecord(
            "_validation-persist.a.example", "ca.example; accounturi=https://ca.test/account/1; policy=wildcard"
        )
        assert world.records == {expected}
        await solver.present(proofs)
        assert world.calls.count("present") == 1

    async def test_it_is_added_in_the_zone_and_with_the_ttl_that_are_given(self, proof: MakeProof) -> None:
        world = World()
        await DnsPersist01(world, world.view, zone="example", ttl=300).present(self.pair(proof))
        (record,) = world.records
        assert (record.zone, record.ttl) == ("example", 300)
        with pytest.raises(ZoneNotFound, match="is not in the zone other, in which"):
            await DnsPersist01(World(), World().view, zone="other").present(self.pair(proof))

    async def test_a_record_of_other_words_is_as_good(self, proof: MakeProof) -> None:
        world = World()
        text = "CA2.example;accounturi=https://ca.test/account/1;policy=WILDCARD;persistUntil=4102444800"
        world.records = {TxtRecord("_validation-persist.a.example", text)}
        solver = DnsPersist01(world, world.view)
        await solver.present(self.pair(proof))
        await solver.wait(self.pair(proof))
        assert "present" not in world.calls

    async def test_without_a_provider_the_missing_record_is_told(self, proof: MakeProof) -> None:
        world = World()
        solver = DnsPersist01(None, world.view, issuer="ca2.example", persist_until=datetime(2030, 1, 1, tzinfo=UTC))
        await solver.present(self.pair(proof))
        with pytest.raises(NotVisible) as caught:
            await solver.wait(self.pair(proof))
        assert (
            '_validation-persist.a.example TXT "ca2.example; accounturi=https://ca.test/account/1; policy=wildcard;'
            ' persistUntil=1893456000"'
        ) in str(caught.value)

    async def test_a_server_of_draft_02_gets_a_hashed_account(self, proof: MakeProof) -> None:
        prefix = "https://ca.test/hash/"
        (plain, _) = self.pair(proof, meta=DirectoryMeta(account_hash_prefix=prefix))
        assert plain.persistent_value().startswith(f"ca.example; accounturi={prefix}sha-256/")

    async def test_an_issuer_that_is_not_offered_is_refused(self, proof: MakeProof) -> None:
        with pytest.raises(UnsupportedChallenge, match=r"ca\.example, ca2\.example, not other"):
            DnsPersist01(None, issuer="other").records(self.pair(proof))
        with pytest.raises(UnsupportedChallenge, match="no issuer"):
            proof("a.example", "dns-persist-01", token=None).persistent_value()

    @pytest.mark.parametrize("prefix", ["https://ca.test/a b/", "x; policy=wildcard; y=", "h\u00e4sh:"])
    async def test_what_no_record_can_hold_is_refused(self, proof: MakeProof, prefix: str) -> None:
        """A CA that could write into the record could have it allow more than was asked for."""
        (plain, _) = self.pair(proof, meta=DirectoryMeta(account_hash_prefix=prefix))
        with pytest.raises(UnsupportedChallenge, match="visible ASCII without semicolons"):
            plain.persistent_value()

    async def test_a_ca_of_a_thousand_names_is_told_in_a_short_message(self, proof: MakeProof) -> None:
        (plain, _) = self.pair(proof)
        many = replace(plain.challenge, issuer_domain_names=tuple(f"ca{number}.example" for number in range(10_000)))
        with pytest.raises(UnsupportedChallenge) as caught:
            replace(plain, challenge=many).persistent_value(issuer="other")
        assert len(str(caught.value)) < 1000


class TestWebroot:
    async def test_files_come_and_go_with_their_folders(self, proof: MakeProof, tmp_path: Path) -> None:
        solver = Webroot(tmp_path)
        await solver.present([proof()])
        path = tmp_path / ".well-known" / "acme-challenge" / "token"
        assert path.read_text() == "token.thumbprint"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        await solver.clean_up([proof()])
        await solver.clean_up([proof()])
        assert not (tmp_path / ".well-known").exists()

    async def test_the_web_server_can_read_them_whatever_the_umask(self, proof: MakeProof, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            await Webroot(tmp_path).present([proof()])
        finally:
            os.umask(before)
        folder = tmp_path / ".well-known" / "acme-challenge"
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / "token")]
        assert modes == [0o755, 0o755, 0o644]

    async def test_another_issuance_may_remove_the_empty_folder_in_between(
        self, proof: MakeProof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create, folder = webroot._create, tmp_path / ".well-known" / "acme-challenge"
        removed: list[Path] = []

        def disturbed(*arguments: Any) -> None:
            if not removed:
                folder.rmdir()
                removed.append(folder)
            create(*arguments)

        monkeypatch.setattr(webroot, "_create", disturbed)
        await Webroot(tmp_path).present([proof()])
        assert [(path / "token").read_text() for path in removed] == ["token.thumbprint"]

    async def test_a_file_that_is_there_is_replaced_and_never_written_to(
        self, proof: MakeProof, tmp_path: Path
    ) -> None:
        victim, folder = tmp_path / "victim", tmp_path / "www" / ".well-known" / "acme-challenge"
        victim.write_text("secret")
        victim.chmod(0o600)
        folder.mkdir(parents=True)
        for planted in (os.link, os.symlink):
            planted(victim, folder / "token")
            await Webroot(tmp_path / "www").present([proof()])
            assert (folder / "token").read_text() == "token.thumbprint"
            assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("secret", 0o600)
            (folder / "token").unlink()

    @pytest.mark.parametrize("linked", [".well-known", ".well-known/acme-challenge"])
    async def test_a_link_among_the_folders_is_not_followed(
        self, proof: MakeProof, tmp_path: Path, linked: str
    ) -> None:
        elsewhere, link = tmp_path / "elsewhere", tmp_path / "www" / linked
        (elsewhere / "acme-challenge").mkdir(parents=True)
        (elsewhere / "token").write_text("theirs")
        link.parent.mkdir(parents=True)
        link.symlink_to(elsewhere)
        solver = Webroot(tmp_path / "www")
        with pytest.raises(CannotWrite, match="links are not followed"):
            await solver.present([proof()])
        with pytest.raises(CannotWrite, match="links are not followed"):
            await solver.clean_up([proof()])
        assert (elsewhere / "token").read_text() == "theirs"
        assert not list((elsewhere / "acme-challenge").iterdir())

    async def test_what_others_put_there_stays(self, proof: MakeProof, tmp_path: Path) -> None:
        (tmp_path / ".well-known").mkdir()
        (tmp_path / ".well-known" / "security.txt").write_text("x")
        solver = Webroot(str(tmp_path))
        await solver.present([proof()])
        await solver.clean_up([proof()])
        assert [path.name for path in (tmp_path / ".well-known").iterdir()] == ["security.txt"]

    async def test_sites_have_folders_of_their_own(self, proof: MakeProof, tmp_path: Path) -> None:
        def folder(identifier: Identifier) -> Path:
            return tmp_path / identifier.value

        folder(Identifier.dns("a.example")).mkdir()
        solver = Webroot(folder)
        await solver.present([proof("a.example", "dns-01")])
        assert (tmp_path / "a.example" / ".well-known" / "acme-challenge" / "token").exists()
        with pytest.raises(CannotWrite, match=r"b\.example is not a folder"):
            await solver.present([proof("b.example", "dns-01")])

    async def test_what_cannot_be_written_is_told(self, proof: MakeProof, tmp_path: Path) -> None:
        (tmp_path / ".well-known").write_text("a file where a folder should be")
        with pytest.raises(CannotWrite, match="Cannot write"):
            await Webroot(tmp_path).present([proof()])


class TestManual:
    async def test_a_person_is_told_what_to_put_where(self, proof: MakeProof) -> None:
        told: list[Instruction] = []
        tidied: list[Instruction] = []

        async def ask(steps: Sequence[Instruction]) -> None:
            told.extend(steps)

        async def tidy(steps: Sequence[Instruction]) -> None:
            tidied.extend(steps)

        solver = Manual("dns-01", ask, tidy=tidy)
        proofs = [
            proof("a.example", "dns-01"),
            proof("a.example", "dns-persist-01", token=None, issuers=("ca.example",)),
        ]
        await solver.present(proofs)
        await solver.wait(proofs)
        await solver.clean_up(proofs)
        assert [step.place for step in told] == ["_acme-challenge.a.example", "_validation-persist.a.example"]
        assert [step.challenge_type for step in tidied] == ["dns-01"]
        assert str(told[0]) == f'Add the record: _acme-challenge.a.example. IN TXT "{told[0].content}"'

    def test_files_have_their_url(self, proof: MakeProof) -> None:
        (step,) = instructions([proof("192.0.2.1")])
        assert str(step) == "Serve at http://192.0.2.1/.well-known/acme-challenge/token exactly: token.thumbprint"

    def test_nobody_shows_certificates_by_hand(self, proof: MakeProof) -> None:
        with pytest.raises(UnsupportedChallenge):
            instructions([proof("a.example", "tls-alpn-01")])


def test_a_challenge_without_a_token_is_told(proof: MakeProof) -> None:
    with pytest.raises(UnsupportedChallenge, match="has no token"):
        _ = proof(token=None).key_authorization
    with pytest.raises(UnsupportedChallenge, match="not answered by a TXT record"):
        _ = proof("a.example", "http-01").txt_name
