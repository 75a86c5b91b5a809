"""A retention run over a real house: said first, then done, resumable, and not by a backup undone."""

from datetime import timedelta

import pytest

from troth.capabilities import custody, rights
from troth.errors import Unavailable
from troth.kernel import vault
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
AGREED = {
    "purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
    "categories": "identity.name;interests.declared;purchases.13w;purchases.52w",
}  # fmt: skip


def bought(house, name, *days):
    from marula import days_ago

    house.take("events", *(
        {"external_id": name, "at": days_ago(each), "kind": "purchase", "item": "1001",
         "group": "bread", "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for each in days
    ))  # fmt: skip


def fields(house, person):
    with house.ws.store.look() as view:
        found = view.sealed([person], [*house.desk.vault.fields, "purchases/"])
    return {row.field for row in found.get(person, ())}


def planned(house, person):
    return next(
        (p for p in custody.retention_plan(house.desk, OFFICER) if p.person == person), None
    )


def apply(house, *people):
    return custody.retention_apply(house.desk, people, OFFICER, house.ws.settle)


def scopes(house, person):
    return sorted(name for name in fields(house, person) if "/" in name)


@pytest.fixture
def buyer(house):
    person = house.newcomer("buyer", {}, AGREED)
    bought(house, "buyer", 20, 700)
    return person


def test_a_plan_deletes_nothing_and_is_one_event_of_the_house(house, buyer):
    before, chain = fields(house, buyer), len(house.chain(buyer))
    found = planned(house, buyer)
    assert [name for name in found.fields("delete") if "/" in name] == scopes(house, buyer)[:1]
    assert not found.leaves
    assert fields(house, buyer) == before
    assert len(house.chain(buyer)) == chain
    told = house.house_chain()[-1].payload
    assert (told.work, told.counts["people"] >= 1) == ("report", True)


def test_an_old_quarter_goes_with_its_key_and_its_journal_line_and_the_rest_stays(house, buyer):
    old, new = scopes(house, buyer)
    assert apply(house, buyer) == {"fields": 0, "scopes": 1, "leave": 0}
    assert scopes(house, buyer) == [new]
    said = house.chain(buyer)[-1].payload
    assert (said.type, said.scopes, said.rule) == ("retention.applied", (old,), "ZA-20")
    line = list(house.desk.journal.lines())[-1]
    assert (line["act"], line["psid"], line["scopes"]) == ("partial", buyer.hex(), old)
    with house.ws.store.look() as view, pytest.raises(vault.Shredded):
        house.desk.vault.keys.key(buyer, view.now, old)
    assert house.codes(buyer) == []
    assert planned(house, buyer) is None
    assert apply(house, buyer) == {"fields": 0, "scopes": 0, "leave": 0}
    assert house.ws.verify() == []


@pytest.mark.parametrize("step", ["journal", "keys", "rows"])
def test_a_run_cut_off_anywhere_is_finished_at_the_next_start(house, buyer, monkeypatch, step):
    old = scopes(house, buyer)[0]

    def cut(*_):
        raise Unavailable("the machine stops")

    place = {
        "journal": (type(house.desk.journal), "note_all"),
        "keys": (type(house.desk.vault.keys), "shred"),
        "rows": (type(house.ws.store), "truncate_wal"),
    }[step]
    with monkeypatch.context() as broken:
        broken.setattr(*place, cut)
        with pytest.raises(Unavailable):
            apply(house, buyer)
    house.at(house.when())
    assert old not in scopes(house, buyer)
    lines = [line for line in house.desk.journal.lines() if line["act"] == "partial"]
    assert len(lines) == 1
    with house.ws.store.look() as view, pytest.raises(vault.Shredded):
        house.desk.vault.keys.key(buyer, view.now, old)
    assert all(not s.lag for s in house.ws.followers())


def test_behaviour_that_arrives_late_for_a_destroyed_quarter_is_left_out_alone(house, buyer):
    old, new = scopes(house, buyer)
    apply(house, buyer)
    other = house.newcomer("other", {}, AGREED)
    bought(house, "buyer", 700, 19)
    bought(house, "other", 700)
    assert scopes(house, buyer) == [new]
    assert scopes(house, other) == [old]


def test_a_withdrawal_of_personalisation_takes_the_purchases_no_purpose_may_use(house):
    operations = house.folder / "purposes/operations.toml"
    operations.write_text(operations.read_text().replace('["purchases.52w"]', "[]"))
    offers = house.folder / "purposes/offers.toml"
    offers.write_text(offers.read_text().replace('"purchases.13w", "purchases.52w", ', ""))
    house.ws.apply()
    person = house.newcomer("buyer", {}, AGREED)
    bought(house, "buyer", 20)
    assert planned(house, person) is None
    house.say(person, "withdrawn", "personalise", ("*",))
    assert list(planned(house, person).fields("delete")) == scopes(house, person)
    apply(house, person)
    assert scopes(house, person) == []
    assert "contact.email" in fields(house, person)


def test_under_a_restriction_nothing_is_deleted(house, buyer):
    rights.restrict(house.desk, buyer, "disputed", OFFICER)
    assert planned(house, buyer) is None
    assert apply(house, buyer)["scopes"] == 0


def test_who_would_have_nothing_left_is_named_for_erasure_and_not_emptied(house):
    person = house.newcomer("gone", relation_at="2015-01-01T00:00:00Z")
    before = fields(house, person)
    assert planned(house, person).leaves
    assert apply(house, person)["leave"] == 1
    assert fields(house, person) == before
    house.ws.erase(person, "rq-1")
    assert planned(house, person) is None


def test_a_year_later_the_run_finds_what_is_over_by_then(house, buyer):
    apply(house, buyer)
    house.at(house.when() + timedelta(days=500))
    assert scopes(house, buyer)
    assert set(scopes(house, buyer)) <= set(planned(house, buyer).fields("delete"))
