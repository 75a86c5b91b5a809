"""A deletion of activity that is killed at any step is finished by the next start, once."""

import shutil

import killing
import marula
import pytest

from troth.kernel import cutting

WHO = "c000"


@pytest.fixture(scope="session")
def bought(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash") / "bought"
    shutil.copytree(made, folder)
    house = marula.House(folder)
    house.take("events", *(
        {"external_id": name, "at": marula.days_ago(days), "kind": "purchase", "item": item,
         "group": item, "amount_minor": "100", "currency": "ZAR", "units": "1", "store": "1"}
        for name in (WHO, "c001") for days, item in ((3, "1001"), (4, "1002"), (200, "1001"))
    ))  # fmt: skip
    house.ws.close()
    (folder / "candidates").write_text(WHO)
    return folder


def chunks(house, person):
    """Return what opens and what does not of the rows at hand."""
    box, found, gone = house.desk.vault, [], 0
    with house.ws.store.look() as view:
        for row in view.sealed([person], ["purchases/"]).get(person, ()):
            if box.is_gone(person, row, view.now):
                gone += 1
                continue
            chunk = box.reopen_chunk(person, row, view.now)
            found += [chunk.items[i] for i in chunk.item]
    return sorted(found), gone


def check(steps, finished):
    house = steps.house()
    try:
        person, other = house.person(WHO), house.person("c001")
        told = [e for e in house.chain(person) if e.type == "behaviour.deleted"]
        lines = [line for line in house.desk.journal.lines() if line["act"] == "partial"]
        expected = (["1002"], 0) if finished else (["1001", "1001", "1002"], 0)
        assert chunks(house, person) == expected
        assert (len(told), len(lines)) == ((1, 1) if finished else (0, 0))
        with house.ws.store.look() as view:
            assert view.rows(cutting.PENDING, b"", b"", 10) == []
            states = {
                (r.scope, r.kver): r.state for r in house.ws.keys.rows([person]) if "/" in r.scope
            }
        if finished:
            newest = {scope: max(v for s, v in states if s == scope) for scope, _ in states}
            for (scope, kver), state in states.items():
                assert state == ("active" if kver == newest[scope] else "shredded")
        assert chunks(house, other) == (["1001", "1001", "1002"], 0)
        assert all(not s.lag for s in house.ws.followers())
        assert house.ws.verify() == []
    finally:
        house.ws.close()


@pytest.mark.parametrize(
    ("cut", "recorded"),
    [("make", False), ("book", False), ("journal", True), ("shred", True), ("drop", True)],
)
def test_a_deletion_killed_after_each_step_is_whole_or_nothing(bought, tmp_path, cut, recorded):
    steps = killing.Steps(bought, tmp_path / "house", "delete")
    steps.die_at(cut)
    check(steps, recorded)
    steps.finish()
    check(steps, finished=True)
