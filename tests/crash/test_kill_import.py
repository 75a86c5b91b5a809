"""An import that is killed anywhere and begun again loses nothing and doubles nothing."""

from collections import Counter

import killing
import marula
import pytest

PEOPLE = killing.names(300)
STOPPED = set(PEOPLE[::3])
SUPPRESSED = PEOPLE[1::25]


@pytest.fixture(scope="session")
def waiting(empty, tmp_path_factory):
    """A house with files to take in that nobody has taken in yet."""
    import shutil

    folder = tmp_path_factory.mktemp("crash") / "waiting"
    shutil.copytree(empty, folder)
    lines = [
        {"external_id": name, "at": marula.days_ago(days), "kind": "purchase", "item": "1001",
         "group": "tea", "amount_minor": "100", "currency": "ZAR", "units": "1", "store": "1"}
        for name in PEOPLE for days in (3, 40, 130)
    ]  # fmt: skip
    acts = [act for name in PEOPLE
            for act in (killing.given(name), *([killing.stopped(name)] * (name in STOPPED)))]  # fmt: skip
    blocks = [{"email": f"{name}@post.example", "reason": "complaint",
               "since": marula.days_ago(9), "source": "list"} for name in SUPPRESSED]  # fmt: skip
    inbox = folder / "in"
    killing.write(inbox, "1-customers.csv", "customers", map(killing.customer, PEOPLE))
    killing.write(inbox, "2-consents.csv", "consents", acts)
    killing.write(inbox, "3-suppressions.csv", "suppressions", blocks)
    killing.write(inbox, "4-events.csv", "events", lines)
    return folder


def check(steps):
    house = steps.house()
    try:
        assert house.ws.verify() == []
        with house.ws.store.look() as view:
            everybody = view.people(None, 10_000)
            people = {name: house.desk.find(view, name) for name in PEOPLE}
        assert None not in people.values()
        assert len(set(everybody)) == len(everybody)
        assert len(everybody) - len(marula.cast_members()) - 1 == len(PEOPLE)
        for name, person in people.items():
            check_one(house, name, person)
        check_journal(house, people)
        house.ws.sign()
        assert house.ws.verify() == []
    finally:
        house.ws.close()


def check_one(house, name, person):
    chain = house.chain(person)
    told = Counter(e.type for e in chain)
    assert told["person.created"] == told["consent.given"] == told["contact.added"] == 1
    assert told["consent.withdrawn"] == (name in STOPPED)
    assert told["suppression.added"] == (name in SUPPRESSED)
    counted = sum(e.payload.count for e in chain if e.type == "behaviour.recorded")
    assert counted == 3
    codes = house.codes(person)
    assert ("withdrawn" in codes) == (name in STOPPED)
    assert ("suppressed_complaint" in codes) == (name in SUPPRESSED)
    assert bool(codes) == (name in STOPPED or name in SUPPRESSED)


def check_journal(house, people):
    """Whatever a restore must not undo is in the journal, however the import was cut."""
    lines = list(house.desk.journal.lines())
    noted = {line["psid"] for line in lines if line.get("status") == "withdrawn"}
    assert {people[name].hex() for name in STOPPED} <= noted
    blocked = {line["sup"] for line in lines if line["act"] == "suppression"}
    assert len(blocked) >= len(SUPPRESSED)


def rounds(waiting, tmp_path, seed, kills):
    def make(attempt):
        return killing.Steps(waiting, tmp_path / f"house{attempt}", "import")

    steps = killing.interrupt(make, seed, kills)
    steps.finish()
    check(steps)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_import_goes_on_where_it_stopped(waiting, tmp_path, seed):
    rounds(waiting, tmp_path, seed, 2)


def test_a_kill_between_commit_and_journal_loses_no_restriction(waiting, tmp_path):
    steps = killing.Steps(waiting, tmp_path / "house", "import")
    steps.die_at("journal")
    steps.finish()
    check(steps)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_imports_killed_many_times(waiting, tmp_path, seed):
    rounds(waiting, tmp_path, seed, 5)
