"""One house is killed again and again while it works, and owes nobody anything afterwards."""

import contextlib
import copy
import json
import os
import random
import shutil
import sqlite3
import time
from types import SimpleNamespace

import living
import marula
import pytest
import soaking
import wreckage

from troth.adapters import archive
from troth.adapters.witness import FileJournal
from troth.app import backup
from troth.errors import Conflict
from troth.kernel import following

SEED = "TROTH_SOAK_SEED"
ROUNDS = "TROTH_SOAK_ROUNDS"


def soak(empty, work, seed, rounds, longest=soaking.LONGEST):
    print(f"{SEED}={seed}")
    made = soaking.Soak(work / "soak", seed, longest).begin(empty)
    begun = time.monotonic()
    try:
        for number in range(1, rounds + 1):
            found = made.round(number)
            plan = soaking.plan(seed, number, longest)
            assert found == [], f"{SEED}={seed}, {plan}, the house lies in {made.folder}"
    finally:
        made.end()
        seconds = round(time.monotonic() - begun)
        print(f"{made.number:.0f} rounds, {seconds} s, {sum(made.kills.values())} kills")
        for name, told in (("killed in", made.kills), ("done", made.done), ("no", made.faults)):
            print(f"{name}: {dict(told.most_common())}")
    return made


def test_a_house_killed_ten_times_is_whole_and_keeps_its_word(empty, tmp_path):
    made = soak(empty, tmp_path, int(os.environ.get(SEED, "7")), 10, longest=0.4)
    assert sum(made.kills.values()) == 10


@pytest.mark.soak
def test_a_house_killed_two_hundred_times_is_whole_and_keeps_its_word(empty, tmp_path):
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    rounds = int(os.environ.get(ROUNDS, "200"))
    made = soak(empty, tmp_path, seed, rounds)
    assert sum(made.kills.values()) == rounds
    assert len(made.kills) > 10, "kills met few kinds of work"


# Each check can fail: what it looks for is planted, and it finds it

SCRIPT = (
    "arrive", "campaign", "withdraw", "stop", "look", "look", *["delete"] * 6, "keep", "agree",
    "refuse_import", "roll", "erase", "backup", "copy_keys", "campaign", "sign", "ask",
)  # fmt: skip


@pytest.fixture(scope="module")
def lived(empty, tmp_path_factory):
    """A house in which everything was done once and nobody was killed."""
    made = soaking.Soak(tmp_path_factory.mktemp("lived") / "soak", 2).begin(empty)
    try:
        shutil.copytree(made.folder / "keys", made.work / "yesterday")
        path = made.work / "lives" / "r000a"
        given = {
            "folder": made.folder, "moment": made.moment.isoformat(), "seed": 5, "who": "all",
            "names": made.told.names, "port": made.port, "told": path,
        }  # fmt: skip
        with path.open("ab") as told:
            life = living.Life(given, told.fileno())
            for work in SCRIPT:
                with contextlib.suppress(Conflict):  # whoever was drawn has nothing to delete
                    getattr(life, work)()
            life.ws.close()
        for line in path.read_text().splitlines():
            made.told.hear(json.loads(line))
        made.reopens()
        assert wreckage.opened(made.folder, made.moment, made.told) == []
        yield made
    finally:
        made.end()


class Planted:
    """A copy of the house in which something is to be wrong."""

    def __init__(self, lived, work, without):
        shutil.copytree(lived.work, work, ignore=shutil.ignore_patterns("keycopies", without))
        self.work, self.folder, self.moment = work, work / "house", lived.moment
        self.told = copy.deepcopy(lived.told)

    def sql(self, file, *lines):
        con = sqlite3.connect(self.folder / file)
        for sql, *given in lines:
            assert con.execute(sql, given).rowcount, "nothing was planted"
        con.commit()
        con.close()

    def record(self, sql, *given):
        self.sql("data/record.db", (sql, *given))

    def keys(self, sql, *given):
        self.sql("keys/keys.db", (sql, *given))

    def anybody(self, of):
        return next(iter(of))

    def index(self, change):
        path = self.work / "inbox" / "index.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(change(lines)) + "\n")

    def house(self):
        return marula.House(self.folder, self.moment)


def an_entry_is_changed(p):
    p.record("UPDATE entry SET data = zeroblob(length(data)) WHERE seq = 40")


def an_event_was_answered_for_and_is_lost(p):
    p.told.heads[p.anybody(p.told.heads)][99] = "ab" * 32


def a_checkpoint_was_answered_for_and_is_lost(p):
    p.told.signed += 1_000


def a_key_of_the_ledger_was_announced_and_is_lost(p):
    p.told.vkeys.add("another")


def a_witness_was_asked_and_holds_less(p):
    p.told.cosigned += 1_000


def more_was_signed_than_is_there(p):
    path = p.folder / "witness" / "signed"
    size, root = path.read_text().split()
    path.write_text(f"{int(size) + 1} {root}\n".ljust(128, "\n"))


def the_record_of_an_hour_ago_is_put_back(p):
    p.record("DELETE FROM log_state")
    p.record("INSERT INTO log_state VALUES (1, 0, zeroblob(32), 0, 0)")


def a_follower_has_something_it_cannot_do(p):
    due = following.Due("erasure", 3, b"\x07" * 16, 1, "person.erasing")
    row = (following.DUE, following._key(due), b"person.erasing")
    p.record("INSERT INTO own_row VALUES (?, ?, ?)", *row)


def an_erased_persons_key_comes_back(p):
    sql = (
        "UPDATE key_row SET state = 'active', wrapped = randomblob(60) WHERE kver = 1 AND psid = "
    )
    p.keys(f"{sql} ?", p.anybody(p.told.erased))


def an_erased_persons_row_comes_back(p):
    sql = "INSERT INTO sealed SELECT id, 'name.given', 0, 1, x'00' FROM person WHERE psid = ?"
    p.record(sql, p.anybody(p.told.erased))


def an_erasure_is_begun_again(p):
    row = "SELECT 'rights.erasing', key, '[]' FROM own_row WHERE tbl = 'rights.erased'"
    p.record(f"INSERT INTO own_row {row}")


def who_left_has_agreed_to_everything(p):
    house = p.house()
    person = next(x for x in p.told.left if x not in p.told.erased)
    house.say(person, "given", notice="offers@3", method="button", proof="form:x")
    house.ws.close()


def who_left_is_mailed(p):
    name, _, _ = next(iter(p.told.left.values()))
    to = {"to": [f"{name}@post.example"]}
    p.index(lambda lines: [*lines, json.dumps({**json.loads(lines[-1]), **to})])


def a_quarter_that_was_deleted_is_not(p):
    p.told.deleted[p.anybody(p.told.heads)].add("purchases/1999Q1")


def the_keys_of_yesterday_are_put_back(p):
    for path in (p.folder / "keys").glob("keys.db*"):
        path.unlink()
    for path in (p.work / "yesterday").glob("keys.db*"):
        shutil.copy(path, p.folder / "keys")
    shutil.copy(p.work / "yesterday" / "kek-1.key", p.folder / "keys")


def the_last_line_of_the_journal_is_gone(p):
    path = p.folder / "witness" / "restrictions"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def the_last_lines_are_gone_and_nobody_remembers_them(p):
    path = p.folder / "witness" / "restrictions"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    p.record("DELETE FROM own_row WHERE tbl = 'custody.journal'")
    p.told.journal = p.told.journal[:-3]


def an_address_is_on_the_list_without_a_line(p):
    row = "VALUES (randomblob(32), 'unsubscribe', 'purpose', 'offers', 0, 0)"
    p.record(f"INSERT INTO suppression {row}")


def a_person_is_journalled_as_erased_again_and_again(p):
    house = p.house()
    key = house.ws.keys.secret("journal")
    house.ws.close()
    facts = {"psid": p.anybody(p.told.erased).hex(), "request": "rq", "fence_at": 1}
    for _ in range(2):
        FileJournal(p.folder / "witness" / "restrictions", key).note("erasure", facts, 3)


def a_mail_was_received_twice(p):
    p.index(lambda lines: [*lines, lines[0]])


def a_message_is_in_doubt_for_no_reason(p):
    p.told.unknown = -1


def a_mail_was_handed_over_and_never_received(p):
    p.index(lambda lines: lines[:1])


def a_persons_key_is_damaged(p):
    live = next(x for x in p.told.heads if x not in p.told.erased)
    p.keys("UPDATE key_row SET wrapped = randomblob(60) WHERE psid = ? AND scope = ''", live)


def the_fence_went_back(p):
    p.keys("UPDATE fence SET counter = 0")
    p.told.fence = 10


def two_epochs_are_in_force(p):
    p.keys("UPDATE shard SET dirty = 0")  # no roll is due that would put it right
    p.keys("UPDATE epoch SET state = 'current'")


def an_ended_epoch_is_called_destroyed(p):
    p.keys("UPDATE epoch SET state = 'destroyed' WHERE state = 'kept'")


def a_roll_was_answered_for_and_is_lost(p):
    p.told.epoch += 1


def an_unfinished_backup_opens_and_is_not_what_it_says(p):
    made = next((p.work / "backups").glob("*.troth-backup"))
    house = p.house()
    secret, randomness = backup.backup_secret(house.ws), house.desk.randomness
    house.ws.close()
    told = archive.Unpacked.read(made, secret, p.work / "in").told
    with archive.writing(made.with_name("x.part"), secret, randomness) as into:
        record = p.work / "in" / "record.db"
        with record.open("rb") as file:
            into.add("record.db", file, record.stat().st_size)
        into.close({**told, "size": told["size"] + 1})


def a_backup_is_damaged(p):
    made = next((p.work / "backups").glob("*.troth-backup"))
    raw = bytearray(made.read_bytes())
    raw[len(raw) // 2] ^= 1
    made.write_bytes(raw)


def a_look_is_not_in_the_log(p):
    p.record("DELETE FROM own_row WHERE tbl = 'access.used'")


PLANTED = {
    an_entry_is_changed: "ledger_is_whole",
    an_event_was_answered_for_and_is_lost: "what_was_answered_is_in_the_chain",
    a_checkpoint_was_answered_for_and_is_lost: "what_was_signed_is_there",
    a_key_of_the_ledger_was_announced_and_is_lost: "what_was_signed_is_there",
    a_witness_was_asked_and_holds_less: "what_a_witness_holds_is_there",
    more_was_signed_than_is_there: "opens",
    the_record_of_an_hour_ago_is_put_back: "opens",
    a_follower_has_something_it_cannot_do: "followers_are_done",
    an_erased_persons_key_comes_back: "erased_people_stay_unreadable",
    an_erased_persons_row_comes_back: "erased_people_stay_unreadable",
    an_erasure_is_begun_again: "erased_people_stay_unreadable",
    who_left_has_agreed_to_everything: "who_left_is_left_alone",
    who_left_is_mailed: "who_left_is_left_alone",
    a_quarter_that_was_deleted_is_not: "deleted_activity_stays_deleted",
    the_keys_of_yesterday_are_put_back: "deleted_activity_stays_deleted",
    the_last_line_of_the_journal_is_gone: "opens",
    the_last_lines_are_gone_and_nobody_remembers_them: "opens",
    an_address_is_on_the_list_without_a_line: "restrictions_are_journalled",
    a_person_is_journalled_as_erased_again_and_again: "restrictions_are_journalled",
    a_mail_was_received_twice: "no_message_goes_twice",
    a_message_is_in_doubt_for_no_reason: "no_message_goes_twice",
    a_mail_was_handed_over_and_never_received: "no_message_goes_twice",
    a_persons_key_is_damaged: "keys_are_sound",
    the_fence_went_back: "keys_are_sound",
    two_epochs_are_in_force: "epochs_are_whole_or_not_begun",
    an_ended_epoch_is_called_destroyed: "epochs_are_whole_or_not_begun",
    a_roll_was_answered_for_and_is_lost: "epochs_are_whole_or_not_begun",
    an_unfinished_backup_opens_and_is_not_what_it_says: "backups_are_whole_or_none",
    a_backup_is_damaged: "backups_are_whole_or_none",
    a_look_is_not_in_the_log: "looks_are_logged_and_told",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_planted_is_found(lived, tmp_path, plant):
    without = (
        "none" if "backup" in plant.__name__ else "backups"
    )  # each is opened: that takes long
    planted = Planted(lived, tmp_path / "soak", without)
    plant(planted)
    found = wreckage.opened(planted.folder, planted.moment, planted.told)
    assert any(each.startswith(f"{PLANTED[plant]}:") for each in found), found


def test_each_line_missing_from_the_journal_is_found(lived, tmp_path):
    planted = Planted(lived, tmp_path / "soak", "backups")
    house = planted.house()
    seen = wreckage.Seen(house, planted.told)
    seen.round()
    lines = seen.lines
    assert len(lines) > 10
    for place, line in enumerate(lines):
        if line["act"] in ("restriction", "partial", "erasure"):  # addresses may have two lines
            seen.lines = [*lines[:place], *lines[place + 1 :]]
            assert list(wreckage.restrictions_are_journalled(seen)), line["act"]
    house.ws.close()


def test_copies_left_beside_the_originals_are_found(tmp_path):
    for place in ("data/.backup-x", "keys"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "keys" / "copy.db").write_bytes(b"")
    assert len(list(wreckage.nothing_is_left_lying(SimpleNamespace(folder=tmp_path)))) == 2


def test_every_check_has_something_planted_for_it():
    named = {*PLANTED.values(), "nothing_is_left_lying"}
    assert {check.__name__ for check in wreckage.CHECKS} <= named


def test_a_seed_draws_the_same_plans_again():
    assert [soaking.plan(3, n) for n in range(50)] == [soaking.plan(3, n) for n in range(50)]
    crews = {soaking.plan(3, n).crew for n in range(50)}
    assert len(crews) == 3, "two at once is part of it, either of them killed"
