"""An act gives up, and says so, where others never stop writing to the same record."""

import pytest

from troth.adapters.sqlite.record import SqliteTransaction
from troth.capabilities import people, rights
from troth.capabilities.rights import restricting
from troth.errors import Unavailable
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
ACTS = {
    "term": lambda h, p: people.choose_keeping(h.desk, p, "purchases", 3, OFFICER),
    "restriction": lambda h, p: rights.restrict(h.desk, p, "disputed", OFFICER),
    "lift": lambda h, p: rights.lift_restriction(h.desk, p, "settled", OFFICER),
    "erasure": lambda h, p: rights.begin_erasure(h.desk, p, "rq-1", OFFICER),
    "exclusions": lambda h, p: people.set_exclusions(h.desk, p, ["tea"], OFFICER),
}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_ends_unrecorded_where_every_try_meets_another_writer(house, monkeypatch, name):
    person = house.newcomer("busy", {})
    before = len(house.chain(person))
    with monkeypatch.context() as busy:
        busy.setattr(SqliteTransaction, "append", lambda _tx, said: {each.person for each in said})
        busy.setattr(restricting, "book", lambda *_: False)
        with pytest.raises(Unavailable):
            ACTS[name](house, person)
    assert len(house.chain(person)) == before
    assert not house.record(person).erasing
    ACTS[name](house, person)
    assert len(house.chain(person)) == before + 1
