"""Attacks on what order 4 stores: journals cut twice, restores cut short, what a backup forgot."""

import contextlib
import shutil
import sqlite3

import disaster
import marula
import pytest

from troth.app import restore
from troth.capabilities import merging, people, rights
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import proof
from troth.terms import Actor, Block, Channel, Role


@pytest.fixture
def story(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    told.later()
    return told


def lost_and_restored(story, **given):
    story.house.ws.sign()
    story.lose()
    return story.restore(**given)


def journal_copy(story):
    return story.folder / "witness-copy" / "restrictions"


def cut_last_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def marked_as_it_is(path):
    """Write the mark beside a cut journal as if it had never been longer."""
    raw = path.read_bytes()
    code = raw.splitlines()[-1][:64]
    tip = path.with_name("restrictions.tip")
    tip.write_bytes(b"%d %s\n" % (len(raw), code))


# The journal


def test_a_journal_cut_together_with_its_mark_is_noticed_by_the_newest_anchor(story):
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    cut_last_line(journal_copy(story))
    marked_as_it_is(journal_copy(story))
    with pytest.raises(Unavailable, match="shorter"):
        story.restore()


def test_a_journal_without_its_mark_is_not_called_whole(story):
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    journal_copy(story).with_name("restrictions.tip").unlink()
    with pytest.raises(Unavailable, match="shorter"):
        story.restore()


def test_anchors_cut_with_the_journal_are_shorter_than_a_head_somebody_saw(story):
    story.house.say(story.dumi, "withdrawn")
    seen = proof.parse_checkpoint(proof.parse_note(story.house.ws.sign())[0])
    story.lose()
    cut_last_line(journal_copy(story))
    marked_as_it_is(journal_copy(story))
    cut_last_line(journal_copy(story).with_name("anchors"))
    with pytest.raises(Unavailable, match="shorter"):
        story.restore(seen=(seen,))


def test_a_second_restore_of_one_backup_remembers_that_the_first_had_lost_lines(story):
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    cut_last_line(journal_copy(story))
    assert story.restore(without_journal=True).outcome.journal == "cut"
    assert story.house.codes(story.dumi) == ["no_consent"]
    with pytest.raises(Unavailable, match="shorter"):
        lost_and_restored(story)
    story.restore(without_journal=True)
    assert story.house.codes(story.dumi) == ["no_consent"]


def test_a_backup_made_after_such_a_restore_comes_back_without_more_ado(story):
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    cut_last_line(journal_copy(story))
    story.restore(without_journal=True)
    story.later()
    story.back_up()
    assert lost_and_restored(story).outcome.journal == "whole"
    assert story.house.codes(story.dumi) == ["no_consent"]


def test_a_better_copy_of_the_journal_takes_the_place_of_the_worse_one(story):
    old = story.folder / "older-witness"
    shutil.copytree(story.house.folder / "witness", old)
    story.house.say(story.dumi, "withdrawn")
    seen = proof.parse_checkpoint(proof.parse_note(story.house.ws.sign())[0])
    story.lose()
    with pytest.raises(Unavailable, match="shorter"):
        story.restore(witness=old, seen=(seen,))
    assert story.restore(seen=(seen,)).outcome.journal == "whole"
    assert story.house.codes(story.dumi) == ["withdrawn"]


def test_an_older_copy_of_the_journal_never_takes_the_place_of_a_newer_one(story):
    old = story.folder / "older-witness"
    shutil.copytree(story.house.folder / "witness", old)
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    given = story.given(after=lambda step: 1 / 0 if step == "placed" else None)
    with pytest.raises(ZeroDivisionError):
        restore.restore(story.house.folder, story.made.path, given)
    story.restore(witness=old)
    assert story.house.codes(story.dumi) == ["withdrawn"]


def test_keys_that_do_not_open_the_backup_do_not_stay_in_the_way_of_the_right_ones(story):
    other = story.folder / "other-keys"
    shutil.copytree(story.folder / "keys-copy", other)
    (other / "backup.key").write_bytes(b"x" * 32)
    with pytest.raises(EvidenceBroken, match="another key"):
        lost_and_restored(story, keys=other)
    assert story.restore().outcome.journal == "whole"


# People who are one, and who are not


def test_a_no_after_a_merge_binds_both_ids_after_the_restore(story):
    house = story.house
    merging.merge(house.desk, story.annelie, story.dumi, "one person", marula.OFFICER)
    house.say(story.annelie, "withdrawn")
    lost_and_restored(story)
    assert house.codes(story.annelie) == ["withdrawn"]
    assert house.codes(story.dumi) == ["unknown_person"]


def test_who_was_taken_apart_since_is_not_erased_with_the_other(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    merging.merge(house.desk, told.annelie, told.dumi, "one person", marula.OFFICER)
    told.back_up()
    told.later()
    merging.unmerge(house.desk, told.annelie, told.dumi, "they are two", marula.OFFICER)
    house.ws.erase(told.dumi, "rq-dumi")
    lost_and_restored(told)
    assert rights.is_erased(house.desk, told.dumi)
    assert not rights.is_erased(house.desk, told.annelie)
    assert house.codes(told.annelie) == []


@pytest.mark.parametrize("keys", ["of that day", "of today"])
def test_a_merge_undone_long_ago_and_one_of_both_erased_stops_no_restore(house, tmp_path, keys):
    told = disaster.Disaster(house, tmp_path)
    merging.merge(house.desk, told.annelie, told.dumi, "one person", marula.OFFICER)
    merging.unmerge(house.desk, told.annelie, told.dumi, "they are two", marula.OFFICER)
    house.ws.erase(told.dumi, "rq-dumi")
    told.back_up()
    told.later()
    live = told.folder / "live-keys"
    shutil.copytree(house.folder / "keys", live)
    done = lost_and_restored(told, **({} if keys == "of that day" else {"keys": live}))
    assert done.outcome.rebuilt.unreadable == 0
    assert house.codes(told.annelie) == []


def test_a_mandate_that_ended_since_does_not_come_back(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    people.link(house.desk, told.annelie, told.dumi, "agent", "form", marula.OFFICER)
    told.back_up()
    told.later()
    people.unlink(house.desk, told.annelie, told.dumi, "form", marula.OFFICER)
    lost_and_restored(told)
    with house.ws.store.look() as view:
        assert people.links(view, told.annelie) == []


# What a backup knows nothing of


def test_who_came_and_said_no_since_the_backup_is_not_mailed_when_a_file_brings_them_again(story):
    house = story.house
    person = house.newcomer("fay", {})
    assert house.codes(person) == []
    house.say(person, "withdrawn")
    lost_and_restored(story)
    again = house.newcomer("fay", {})
    assert again != person
    assert house.codes(again) == ["suppressed_unsubscribe"]


def test_an_address_asked_for_consent_since_the_backup_is_not_asked_a_second_time(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    gil = house.newcomer("gil")
    told.back_up()
    told.later()
    assert house.book([gil], house.campaign("asking", "ask")).booked == 1
    lost_and_restored(told)
    assert house.codes(gil, house.campaign("again", "ask")) == ["asked_once_already"]


def test_a_registry_file_applied_since_the_backup_is_wanted_again_before_anybody_is_mailed(story):
    house = story.house
    listed = (marula.registry_hash("dumi@post.example"), marula.registry_hash("x@mail.example"))
    head = marula.registry_head(house.when().isoformat())
    house.take("registry", *listed, head=head)
    assert house.codes(story.dumi) == ["registry_block"]
    lost_and_restored(story)
    assert house.codes(story.dumi) == ["registry_stale"]
    house.take("registry", *listed, head=head)
    assert house.codes(story.dumi) == ["registry_block"]


# Every way to say no, in one morning


def one_purpose(house, person):
    house.say(person, "withdrawn")


def everything(house, person):
    house.say(person, "objected", "marketing", ("*",))


def by_file(house, person):
    said = {"status": "withdrawn", "occurred_at": house.when().isoformat(), "idempotency_key": "n"}
    house.take("consents", {"external_id": names(house, person), **marula.YES, **said})


def complaint(house, person):
    from troth.capabilities import preferences

    address = f"{names(house, person)}@post.example"
    actor = Actor(Role.SYSTEM, "returns")
    preferences.suppress(
        house.desk, Channel.EMAIL, address, Block("complaint"), source="arf", actor=actor
    )


def bounce(house, person):
    from troth.capabilities import preferences

    address = f"{names(house, person)}@post.example"
    actor = Actor(Role.SYSTEM, "returns")
    preferences.suppress(
        house.desk, Channel.EMAIL, address, Block("hard_bounce"), source="dsn", actor=actor
    )


def list_file(house, person):
    house.take("suppressions", {
        "email": f"{names(house, person)}@post.example", "reason": "unsubscribe",
        "since": house.when().isoformat(), "source": "shop",
    })  # fmt: skip


def only_store(house, person):
    rights.restrict(house.desk, person, "asked by telephone", marula.OFFICER)


def desk(house, person):
    from troth.capabilities import preferences
    from troth.terms import ConsentStatus

    choice = preferences.Choice(ConsentStatus.WITHDRAWN, "offers", ("email",), method="telephone")
    preferences.record_choice(house.desk, person, choice, marula.OFFICER)


def erasure(house, person):
    house.ws.erase(person, f"rq-{names(house, person)}")


ROUTES = (
    one_purpose, everything, by_file, complaint, bounce, list_file, only_store, desk, erasure,
)  # fmt: skip


def names(house, person):
    return next(each.__name__ for each in ROUTES if house.person(each.__name__) == person)


def test_who_said_no_by_any_route_since_the_backup_is_not_mailed_after_it(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    those = {route: house.newcomer(route.__name__, {}) for route in ROUTES}
    assert [house.codes(each) for each in those.values()] == [[]] * len(ROUTES)
    told.back_up()
    told.later()
    for route, person in those.items():
        route(house, person)
    live = {route.__name__: house.codes(person) for route, person in those.items()}
    assert all(live.values())
    lost_and_restored(told)
    told.later()
    after = {route.__name__: house.codes(person) for route, person in those.items()}
    assert {name for name, codes in after.items() if not codes} == set()
    house.send(list(those.values()))
    assert not house.delivered()


# Erasing


def test_a_copy_from_before_an_upgrade_is_named_and_holds_no_erasure_up(story):
    record = story.house.folder / "data" / "record.db"
    with (
        contextlib.closing(sqlite3.connect(record)) as source,
        contextlib.closing(sqlite3.connect(record.with_name("before-9.db"))) as copy,
    ):
        source.backup(copy)
    done = story.house.ws.erase(story.dumi, "rq-dumi")
    assert [said for said in done.not_covered if "before-9.db" in said]
