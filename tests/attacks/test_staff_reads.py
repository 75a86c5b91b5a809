"""What somebody of the staff may try at people's records, and what they leave behind doing it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import marula
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import cli_shop

from troth import app
from troth.adapters.sqlite.view import SqliteView
from troth.app.package import build_for
from troth.capabilities.access import canaries, cases, exports
from troth.capabilities.access.cards import open_card
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.decisions import Ask, decide
from troth.capabilities.access.reading import Reading, book_reading
from troth.kernel import looking
from troth.terms import Action, Actor, Instant, Refusal, Role

SUPPORT = Actor(Role.SUPPORT, "fatima@marula.example")
IT = Actor(Role.IT, "gareth@marula.example")
STAFF = (marula.MARKETER, SUPPORT, marula.OFFICER, IT)
PLANTED = {
    "given_name": "Xquuzzgiven", "family_name": "Xquuzzfamily", "email": "xquuzz.mail@post.example",
    "phone": "+27825550177", "interests": "xquuzzgarden", "birth_year": "1983",
}  # fmt: skip
VALUES = ("Xquuzzgiven", "Xquuzzfamily", "xquuzz.mail", "xquuzz", "825550177")
FIELDS = ("identity.name", "contact.email", "contact.phone", "identity.official", "identity.age")


@pytest.fixture
def planted(house):
    return house.newcomer("planted-1", **PLANTED)


def opened(house, person, case="T-1", actor=SUPPORT):
    return cases.open_case(house.desk, person, Opening(case, "phone"), actor).ref


def every_door(house, person, actor, reason):
    """Try each way staff have at a person's data; return all that came back."""
    desk, out = house.desk, []
    out.append(open_card(desk, Reading(person, actor, FIELDS, reason)))
    for what in ("requests", "timeline", "receipts"):
        for action in (Action.READ, Action.EXPORT):
            out.append(book_reading(desk, Reading(person, actor, (what,), reason, action)))
    leaves = Reading(person, actor, (), reason, Action.EXPORT, exports.new_id(desk))
    out.append(build_for(house.ws, leaves))
    for action in (Action.READ, Action.EXPORT):
        ask = Ask(actor, "service", action, None, frozenset(), "marula")
        out += decide(desk, ask, ["planted-1"])
    return out


# 1: nothing of what is denied is anywhere


def test_no_value_of_anybody_comes_out_of_any_door_without_a_reason(house, planted, capsys):
    for actor in STAFF:
        for reason in ("", "case:T-1", "request:rq-none", "campaign:winback", "audience:all"):
            told = every_door(house, planted, actor, reason)
            assert all(isinstance(each, Refusal) or not getattr(each, "agreed", True)
                       for each in told), (actor.role, reason)  # fmt: skip
            assert not any(value in repr(told) for value in VALUES)
    house.ws.sign()
    house.ws.close()
    captured = capsys.readouterr()
    seen = [captured.out.encode(), captured.err.encode()]
    files = [p for p in house.folder.rglob("*") if p.is_file() and p.suffix != ".csv"]
    seen += [p.read_bytes() for p in files]
    assert any(p.name.startswith("record.db") for p in files)
    for value in VALUES:
        assert not any(value.encode() in raw for raw in seen), value
    house.open()


def test_the_walk_through_the_doors_sees_what_a_good_reason_opens(house, planted):
    """The check above can fail: with a case the same doors give the name out."""
    told = every_door(house, planted, marula.OFFICER, opened(house, planted))
    assert any(VALUES[0] in repr(each) for each in told)


# 5: killed between booking and opening

KILLED = """
import os, sys
sys.path[:0] = {paths!r}
import marula
from pathlib import Path
from troth.capabilities.access.cards import open_card
from troth.capabilities.access.reading import Reading
from troth.kernel.vault import Vault
from troth.adapters.sqlite.record import SqliteStore
from troth.terms import Actor, PersonId, Role
house = marula.House(Path({folder!r}))
{patch}
person = PersonId(bytes.fromhex({person!r}))
card = open_card(house.desk, Reading(person, Actor(Role.SUPPORT, "fatima@marula.example"),
                                     ("identity.name",), {reason!r}))
print("OPENED", card.opened)
"""
AT_OPENING = "Vault.open = lambda *_: os._exit(9)"
BEFORE_COMMIT = "import troth.kernel.looking as l; l.note = lambda *_: os._exit(9)"


@pytest.mark.parametrize(("patch", "recorded"), [(AT_OPENING, 1), (BEFORE_COMMIT, 0)])
def test_killed_in_between_there_is_an_event_without_data_never_data_without_an_event(
    house, planted, patch, recorded
):
    ref = opened(house, planted)
    before = len(house.chain(planted))
    house.ws.close()
    paths = [str(Path(marula.__file__).parent)]
    script = KILLED.format(paths=paths, folder=str(house.folder), patch=patch,
                           person=planted.hex(), reason=ref)  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (9, ""), ran.stderr
    house.open()
    assert len(house.chain(planted)) == before + recorded
    with house.ws.store.look() as view:
        assert len(looking.of_person(view, planted)) == recorded


def test_left_alone_the_same_script_opens(house, planted):
    ref = opened(house, planted)
    house.ws.close()
    script = KILLED.format(paths=[str(Path(marula.__file__).parent)], folder=str(house.folder),
                           patch="", person=planted.hex(), reason=ref)  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    house.open()
    assert "OPENED" in ran.stdout, ran.stderr


# 10: a no between preview and read


def test_who_withdraws_between_the_drawing_and_the_look_is_not_shown(house, monkeypatch):
    person = house.newcomer("wavers", {})
    source = app.read_message(house.ws, "winback").source
    asked = app.Look(source, "winback", marula.MARKETER)

    def drawn(*_given):
        house.say(person, "withdrawn")
        return [person]

    monkeypatch.setattr("troth.app.previews._chosen", drawn)
    found = app.masked(house.ws, asked, house.shelf())
    assert found.faces == ()
    assert house.chain(person)[-1].type == "use.refused"


def test_left_alone_the_same_person_is_shown(house, monkeypatch):
    """The check above can fail: without the no in between there is a face to see."""
    monkeypatch.setattr(type(house), "say", lambda *_: None)
    with pytest.raises(AssertionError):
        test_who_withdraws_between_the_drawing_and_the_look_is_not_shown(house, monkeypatch)


# 16: canaries by any route


def test_every_route_to_a_canary_raises_the_alarm_within_the_call(house):
    canaries.plant(house.desk, 1, marula.OFFICER)
    with house.ws.store.look() as view:
        (hidden,) = canaries.ids(view)
        found = view.sealed([hidden], ["external.id"])[hidden]
        number = house.desk.vault
    assert found
    assert number

    def raised():
        with house.ws.store.look() as view:
            return len(canaries.raised(view, Instant(0)))

    desk, ref, seen = house.desk, opened(house, hidden), 1
    assert raised() == seen, "opening a case"
    admin = Actor(Role.SYSTEM, "cli")
    for actor in (*STAFF, admin):
        for action in (Action.READ, Action.EXPORT):
            book_reading(desk, Reading(hidden, actor, ("timeline",), ref, action))
            seen += 1
            assert raised() == seen, (actor.role, action)
    build_for(house.ws, Reading(hidden, admin, (), "", Action.EXPORT, exports.new_id(desk)))
    assert raised() == seen + 1


def test_a_canary_asked_for_from_outside_raises_the_alarm(house, monkeypatch):
    canaries.plant(house.desk, 1, marula.OFFICER)
    with house.ws.store.look() as view:
        (hidden,) = canaries.ids(view)
    monkeypatch.setattr(type(house.desk), "find", lambda *_: hidden)
    ask = Ask(marula.MARKETER, "offers", Action.SEND, None, frozenset(), "marula")
    ask = Ask(Actor(Role.SYSTEM, "cli"), "service", Action.READ, None, frozenset(), "marula")
    decide(house.desk, ask, ["anything"])
    assert [e.type for e in house.house_chain()].count("alarm.raised") == 1


@pytest.mark.parametrize("way", ["reading", "cases", "decisions"])
def test_a_route_that_does_not_sound_is_seen(house, monkeypatch, way):
    """The checks above can fail: each route that forgets the alarm is found."""
    silent = SimpleNamespace(sound=lambda *_: False, is_one=canaries.is_one)
    monkeypatch.setattr(f"troth.capabilities.access.{way}.canaries", silent)
    every, outside = (
        test_every_route_to_a_canary_raises_the_alarm_within_the_call,
        test_a_canary_asked_for_from_outside_raises_the_alarm,
    )
    asked, given = (outside, (monkeypatch,)) if way == "decisions" else (every, ())
    with pytest.raises(AssertionError):
        asked(house, *given)


# 17: a refused claim says the same about everybody, and reads nobody


@pytest.fixture
def reads(monkeypatch, house):
    """Count what the store is asked about anybody but the house, and all it is asked."""
    counts = {"personal": 0, "all": 0}
    mine = house.desk.scribe.house

    def counted(name, whom):
        real = getattr(SqliteView, name)

        def ask(self, *given):
            counts["all"] += 1
            counts["personal"] += any(each != mine for each in whom(*given))
            return real(self, *given)

        monkeypatch.setattr(SqliteView, name, ask)

    counted("gather", lambda people, _channel: people)
    counted("sealed", lambda people, *_: people)
    counted("bodies", lambda person: [person])
    counted("find", lambda *_: [b"x"])
    counted("row", lambda *_: [])
    counted("rows", lambda *_: [])
    return counts


def whoever(house):
    gone = house.newcomer("gone-1")
    house.ws.erase(gone, "rq-1")
    objector = house.newcomer("objects-1")
    house.say(objector, "objected", "marketing", ("*",))
    return {
        "minor": house.newcomer("minor-1", birth_year="2015"), "objector": objector,
        "erased": gone, "unknown": house.desk.new_person(),
    }  # fmt: skip


@pytest.mark.parametrize("actor", [marula.MARKETER, IT, SUPPORT])
def test_a_refused_claim_says_the_same_of_everybody_and_reads_nothing_of_them(house, reads, actor):
    told = {}
    people = whoever(house)
    for name, person in people.items():
        reads.update(personal=0, all=0)
        reading = Reading(person, actor, ("timeline",), "case:T-none", Action.EXPORT)
        no = book_reading(house.desk, reading)
        told[name] = (no.reasons, reads["personal"], reads["all"])
    assert len(set(told.values())) == 1, told
    assert told["minor"][1] == 0


def test_the_count_of_reads_sees_a_look_that_is_allowed(house, reads):
    person = house.newcomer("seen-1")
    ref = opened(house, person)
    reads.update(personal=0)
    assert book_reading(house.desk, Reading(person, SUPPORT, ("timeline",), ref)) is None
    assert reads["personal"] > 0


def test_the_command_line_says_the_same_of_somebody_and_of_nobody(tmp_path):
    folder = cli_shop.copied(cli_shop.built(), tmp_path / "ws")
    for line in (
        ("person", "show"), ("consent", "show"), ("explain", "--purpose", "offers"),
        ("person", "package", "--out", str(tmp_path / "x.zip")),
        ("receipt", "export", "--out", str(tmp_path / "x")),
    ):  # fmt: skip
        told = []
        for who in ("c-agreed", "c-objected", "nobody-here", "nobody@post.example"):
            found = (
                cli_shop.at(folder, *line[:2], who, *line[2:], "--as", f"it:{IT.id}")
                if (line[0] != "explain")
                else cli_shop.at(folder, "explain", who, *line[1:], "--as", f"it:{IT.id}")
            )
            told.append((found.status, found.out, found.err))
        assert len(set(told)) == 1, (line, told)
        assert told[0][0] == 1
