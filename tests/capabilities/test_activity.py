"""Activity at a person's wish: what a choice means, that it goes for good, and for nobody else."""

from dataclasses import replace
from datetime import timedelta

import marula
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.capabilities import merging, people, rights
from troth.capabilities.people import activity
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import cutting, vault
from troth.terms import DAY, Actor, PersonId, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
GOODS = {"1001": "tea", "1002": "bread", "1003": "flour"}
WHO = PersonId(b"w" * 16)


def me(person):
    return Actor(Role.PERSON, person.hex())


def bought(house, name, *lines):
    """Take in purchases: `(days ago, item)`."""
    house.take("events", *(
        {"external_id": name, "at": marula.days_ago(days), "kind": "purchase", "item": item,
         "group": GOODS[item], "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for days, item in lines
    ))  # fmt: skip


def held(house, person):
    """Return `(scope, days ago, item)` of all that opens of one id."""
    box, out = house.desk.vault, []
    with house.ws.store.look() as view:
        box.keys.load([person], view.now)
        for row in view.sealed([person], ["purchases/", "views/"]).get(person, ()):
            chunk = box.reopen_chunk(person, row, view.now)
            out += [
                (row.field, (view.now - at) // DAY, chunk.items[item])
                for at, item in zip(chunk.at, chunk.item, strict=True)
            ]
    return sorted(out)


def items(house, person):
    return [item for _, _, item in held(house, person)]


def rows(house, person):
    with house.ws.store.look() as view:
        return view.sealed([person], ["purchases/"]).get(person, [])


def place(house, person, number=0, index=0):
    row = rows(house, person)[number]
    with house.ws.store.look() as view:
        chunk = house.desk.vault.reopen_chunk(person, row, view.now)
    where = people.Place(person, row.field, row.row, row.version, index, "")
    mark = people.mark_of(house.desk.vault.keys.secret("token"), where, chunk)
    return replace(where, mark=mark)


def delete(house, person, choice, actor=None):
    return people.delete(house.desk, person, choice, actor or me(person), house.ws.settle)


@pytest.fixture
def buyer(house):
    person = house.newcomer("buyer", {})
    bought(house, "buyer", (2, "1001"), (3, "1002"), (5, "1003"), (200, "1001"), (201, "1002"))
    return person


def test_one_entry_goes_and_the_rest_of_its_quarter_stays_under_a_newer_key(house, buyer):
    before = rows(house, buyer)
    one = place(house, buyer, number=1, index=1)
    done = delete(house, buyer, people.Choice("entry", one))
    assert (done.count, done.scopes, done.person) == (1, (one.scope,), buyer)
    assert sorted(items(house, buyer)) == ["1001", "1001", "1002", "1003"]
    said = house.chain(buyer)[-1]
    assert (said.n, said.payload.what, said.payload.count) == (done.n, "entry", 1)
    assert said.payload.scopes == {one.scope: 1}
    assert said.payload.chunks == {f"{one.scope}#0": 2}
    with house.ws.store.look() as view:
        assert house.desk.vault.is_gone(buyer, before[1], view.now)
        assert not house.desk.vault.is_gone(buyer, before[0], view.now)
    assert house.ws.verify() == []


def test_what_went_is_journalled_by_quarter_and_key_version_before_the_answer(house, buyer):
    delete(house, buyer, people.Choice("period", since=0, until=activity.NO_END))
    line = list(house.desk.journal.lines())[-1]
    scopes = sorted(set(line["scopes"].split(",")))
    assert (line["act"], line["psid"], line["kver"]) == ("partial", buyer.hex(), "1,1")
    assert len(scopes) == 2


def test_a_kind_a_group_and_a_period_mean_what_they_say(house, buyer):
    delete(house, buyer, people.Choice("kind", group="tea"))
    assert items(house, buyer) == ["1002", "1003", "1002"] or sorted(items(house, buyer)) == [
        "1002",
        "1002",
        "1003",
    ]
    with house.ws.store.look() as view:
        now = view.now
    delete(house, buyer, people.Choice("period", since=now - 30 * DAY, until=now))
    assert items(house, buyer) == ["1002"]
    with pytest.raises(Conflict):
        delete(house, buyer, people.Choice("kind", kind="view"))
    done = delete(house, buyer, people.Choice("kind", kind="purchase"))
    assert (done.count, items(house, buyer), rows(house, buyer)) == (1, [], [])


def test_a_quarter_deleted_whole_takes_new_activity_in_and_never_the_old(house, buyer):
    old = rows(house, buyer)
    delete(house, buyer, people.Choice("kind", categories=("purchases",)))
    assert rows(house, buyer) == []
    house.at(house.when() + timedelta(days=1))
    bought(house, "buyer", (-0.5, "1003"))
    assert items(house, buyer) == ["1003"]
    with house.ws.store.look() as view:
        for row in old:
            with pytest.raises(vault.Shredded):
                house.desk.vault.reopen_chunk(buyer, row, view.now)
    delete(house, buyer, people.Choice("kind"))
    assert house.chain(buyer)[-1].payload.scopes == {max(row.field for row in old): 2}


def test_a_file_that_still_holds_what_was_deleted_does_not_bring_it_back(house, buyer):
    other = house.newcomer("other", {})
    delete(house, buyer, people.Choice("kind", categories=("purchases",)))
    bought(house, "other", (1, "1002"), (200, "1003"))
    bought(house, "buyer", (2, "1001"), (3, "1002"), (4, "1001"), (200, "1001"))
    assert items(house, buyer) == []
    assert house.chain(buyer)[-1].type == "behaviour.deleted"
    assert len(items(house, other)) == 2
    with house.ws.store.look() as view:
        assert set(cutting.closed(view, [buyer, other])) == {buyer}
    house.at(house.when() + timedelta(days=2))
    bought(house, "buyer", (3, "1001"), (-1, "1002"))
    assert items(house, buyer) == ["1002"]
    assert house.chain(buyer)[-2].payload.count == 1


def test_a_month_that_was_emptied_stays_empty_and_the_days_beside_it_come_in(house, buyer):
    with house.ws.store.look() as view:
        now = view.now
    delete(house, buyer, people.Choice("period", since=now - 10 * DAY, until=now - 2 * DAY - 1))
    bought(house, "buyer", (4, "1003"), (1, "1003"), (12, "1003"))
    assert sorted((d, i) for _, d, i in held(house, buyer) if d < 50) == [
        (1, "1003"), (2, "1001"), (12, "1003"),
    ]  # fmt: skip


def test_a_replayed_a_moved_an_altered_and_a_forged_place_are_refused(house, buyer):
    one = place(house, buyer, 1, 0)
    other = house.newcomer("other", {})
    bought(house, "other", (2, "1001"))
    forged = [
        replace(one, index=1), replace(one, version=7), replace(one, row=3), replace(one, index=99),
        replace(one, index=-1), replace(one, mark="00" * 12), replace(one, mark="é"),
        replace(one, scope="purchases/2020Q1"),
    ]  # fmt: skip
    size = len(house.chain(buyer))
    for each in forged:
        with pytest.raises(Conflict):
            delete(house, buyer, people.Choice("entry", each))
    with pytest.raises(InvalidInput):
        delete(house, buyer, people.Choice("entry", replace(one, scope="identity/2020Q1")))
    with pytest.raises(NotFound):
        delete(house, other, people.Choice("entry", one))
    with pytest.raises(NotFound):
        delete(house, buyer, people.Choice("entry", replace(one, person=other)))
    assert len(house.chain(buyer)) == size
    delete(house, buyer, people.Choice("entry", one))
    with pytest.raises(Conflict):
        delete(house, buyer, people.Choice("entry", one))
    assert (len(items(house, buyer)), len(items(house, other))) == (4, 1)


def test_an_entry_whose_quarter_was_added_to_is_refused_until_it_is_looked_at_again(house, buyer):
    one = place(house, buyer, 1, 0)
    bought(house, "buyer", (1, "1001"))
    with pytest.raises(Conflict):
        delete(house, buyer, people.Choice("entry", one))
    delete(house, buyer, people.Choice("entry", place(house, buyer, 1, 0)))


def test_merged_ids_are_deleted_from_together_each_in_its_own_chain(house, buyer):
    other = house.newcomer("other", {})
    bought(house, "other", (4, "1001"), (4, "1002"))
    merging.merge(house.desk, buyer, other, "same person", OFFICER)
    assert delete(house, buyer, people.Choice("entry", place(house, other))).person == other
    done = delete(house, buyer, people.Choice("kind"))
    assert (done.count, done.person) == (6, buyer)
    assert items(house, buyer) == items(house, other) == []
    for each in (buyer, other):
        assert house.chain(each)[-1].type == "behaviour.deleted"
    assert house.chain(other)[-1].payload.count == 1


def test_a_sale_stays_a_sale_and_nothing_is_written_for_nothing(house, buyer):
    before = house.record(buyer).relations
    delete(house, buyer, people.Choice("kind"))
    assert house.record(buyer).relations == before
    size = len(house.chain(buyer))
    with pytest.raises(Conflict):
        delete(house, buyer, people.Choice("kind"))
    assert len(house.chain(buyer)) == size


def test_only_the_person_and_the_officer_delete_and_only_activity(house, buyer):
    for role in (Role.MARKETER, Role.SUPPORT):
        with pytest.raises(InvalidInput):
            delete(house, buyer, people.Choice("kind"), Actor(role, "somebody"))
    for wrong in ((), ("contact.email",)):
        with pytest.raises(InvalidInput):
            delete(house, buyer, people.Choice("kind", categories=wrong))
    with pytest.raises(NotFound):
        delete(house, WHO, people.Choice("kind"), OFFICER)


def test_somebody_who_leaves_is_not_deleted_from_and_takes_open_deletions_along(house, buyer):
    house.ws.erase(buyer, "rq-1")
    with pytest.raises((Conflict, NotFound)):
        delete(house, buyer, people.Choice("kind"), OFFICER)
    assert rights.is_erased(house.desk, buyer)
    with house.ws.store.look() as view:
        assert view.rows(cutting.PENDING, buyer, b"", 10) == []


@pytest.mark.parametrize("step", ["journal", "keys", "settle"])
def test_a_deletion_cut_off_anywhere_is_finished_at_the_next_start(
    house, buyer, monkeypatch, step
):
    from troth.errors import Unavailable

    def cut(*_):
        raise Unavailable("the machine stops")

    old = rows(house, buyer)
    where = {
        "journal": (type(house.desk.journal), "note_all"),
        "keys": (type(house.desk.vault.keys), "shred"),
        "settle": (type(house.ws.store), "truncate_wal"),
    }[step]
    with monkeypatch.context() as broken:
        broken.setattr(*where, cut)
        if step == "settle":
            delete(house, buyer, people.Choice("kind", group="tea"))
        else:
            with pytest.raises(Unavailable):
                delete(house, buyer, people.Choice("kind", group="tea"))
    house.at(house.when())
    assert sorted(items(house, buyer)) == ["1002", "1002", "1003"]
    lines = [line for line in house.desk.journal.lines() if line["act"] == "partial"]
    assert len(lines) == 1
    with house.ws.store.look() as view:
        assert all(house.desk.vault.is_gone(buyer, row, view.now) for row in old)
        assert view.rows(cutting.PENDING, buyer, b"", 10) == []
    assert all(not s.lag for s in house.ws.followers())
    assert house.ws.verify() == []


def test_rows_an_old_copy_brought_back_are_dropped_when_a_deletion_is_finished(house, buyer):
    old = rows(house, buyer)
    delete(house, buyer, people.Choice("kind", group="tea"))
    pending = [(row.field, 1) for row in old]
    with house.ws.store.book() as tx:
        tx.put_sealed(buyer, old)
        told = b"{" + b",".join(f'"{s}":{v}'.encode() for s, v in pending) + b"}"
        tx.put_row(cutting.PENDING, buyer + bytes(8), told)
    people.finish_deletion(house.desk, buyer, house.ws.settle)
    assert rows(house, buyer) == []
    people.finish_deletion(house.desk, buyer, lambda: pytest.fail("nothing was open"))


def test_two_who_delete_at_once_both_get_what_they_asked_for(house, buyer, monkeypatch):
    """The second looks while the first has made a key and booked nothing."""
    real, calls = cutting._fresh, []

    def racing(desk, view, person, scope, used, made):
        if not calls:
            calls.append(1)
            delete(house, buyer, people.Choice("kind", group="tea"))
            calls.append(2)
        return real(desk, view, person, scope, used, made)

    monkeypatch.setattr(cutting, "_fresh", racing)
    delete(house, buyer, people.Choice("kind", group="bread"))
    assert items(house, buyer) == ["1003"]
    assert house.ws.verify() == []


def test_an_import_that_comes_between_is_not_lost(house, buyer, monkeypatch):
    real, calls = cutting._fresh, []

    def racing(desk, view, person, scope, used, made):
        version = real(desk, view, person, scope, used, made)
        if not calls:
            calls.append(1)
            bought(house, "buyer", (1, "1003"))
        return version

    monkeypatch.setattr(cutting, "_fresh", racing)
    delete(house, buyer, people.Choice("kind", group="tea"))
    assert sorted(items(house, buyer)) == ["1002", "1002", "1003", "1003"]


def test_others_who_never_stop_writing_are_told_of(house, buyer, monkeypatch):
    from troth.errors import Unavailable

    monkeypatch.setattr(cutting, "_booked", lambda *_: None)
    with pytest.raises(Unavailable):
        delete(house, buyer, people.Choice("kind"))


def test_a_message_after_the_deletion_uses_none_of_it(house):
    asked = {"purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
             "categories": "identity.name;interests.declared;purchases.13w;purchases.52w"}  # fmt: skip
    person = house.newcomer("reader", {}, asked)
    bought(house, "reader", (2, "1001"), (3, "1001"), (4, "1002"))
    house.send([person])
    assert "Rooibos tea" in house.mails()[-1].path.read_text()
    delete(house, person, people.Choice("kind", group="tea"))
    house.at(house.when() + timedelta(days=8))
    handed = house.send([person], house.campaign("second"))
    assert handed.handed == 1, (handed, house.codes(person))
    text = house.mails()[-1].path.read_text()
    assert "Rooibos tea" not in text
    assert "Seed loaf" in text


def test_a_message_that_waits_and_was_made_from_it_is_held_back(house):
    asked = {"purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
             "categories": "identity.name;interests.declared;purchases.13w;purchases.52w"}  # fmt: skip
    person, plain = house.newcomer("reader", {}, asked), house.newcomer("plain", {})
    for name in ("reader", "plain"):
        bought(house, name, (2, "1001"), (3, "1001"), (4, "1002"))
    assert house.book([person, plain]).booked == 2
    for each in (person, plain):
        delete(house, each, people.Choice("kind", group="tea"))
    handed = house.hand_over()
    assert (handed.handed, sum(handed.withheld.values())) == (1, 1)
    assert "message.withheld" in [e.type for e in house.chain(person)]
    assert house.delivered() == {"plain@post.example": 1}
    assert house.send([person], house.campaign("second")).handed == 1
    assert "Rooibos tea" not in house.mails()[-1].path.read_text()


# How long it is kept


def test_what_is_older_than_chosen_goes_within_a_quarter_and_in_whole_ones(house):
    from troth.capabilities import custody

    person = house.newcomer("keeper", {}, {
        "purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
        "categories": "purchases.13w;purchases.52w"})  # fmt: skip
    bought(house, "keeper", (1, "1001"), (80, "1002"), (100, "1003"), (200, "1001"))
    n = people.choose_keeping(house.desk, person, "purchases", 3, me(person))
    assert house.chain(person)[-1].n == n
    assert house.record(person).keeps == {"purchases": 3}
    planned = [p for p in custody.retention_plan(house.desk, OFFICER) if p.person == person]
    assert len(planned) == 1
    assert not planned[0].leaves
    custody.retention_apply(house.desk, [person], OFFICER, house.ws.settle)
    assert {days for _, days, _ in held(house, person)} == {1, 80}
    custody.retention_apply(house.desk, [person], OFFICER, house.ws.settle)
    assert [e.type for e in house.chain(person)].count("behaviour.deleted") <= 1
    people.choose_keeping(house.desk, person, "purchases", None, me(person))
    assert house.record(person).keeps == {}


@pytest.mark.parametrize(
    ("scope", "months"), [("purchases", 4), ("purchases.sensitive", 3), ("", 3)]
)
def test_only_the_terms_offered_are_taken(house, buyer, scope, months):
    with pytest.raises(InvalidInput):
        people.choose_keeping(house.desk, buyer, scope, months, me(buyer))
    with pytest.raises(InvalidInput):
        people.choose_keeping(house.desk, buyer, "views", 3, Actor(Role.MARKETER, "m"))


# The rules alone


def chunk(lines):
    """Make a chunk of `(at, kind, item)`, each item in a group of its own letter."""
    kinds = sorted({k for _, k, _ in lines})
    things = sorted({i for _, _, i in lines})
    groups = sorted({i[0] for i in things})
    return vault.Chunk(
        [at for at, _, _ in lines], [kinds.index(k) for _, k, _ in lines],
        [things.index(i) for _, _, i in lines], [n for n, _ in enumerate(lines)],
        [1] * len(lines), tuple(kinds), tuple(things), tuple(groups),
        tuple(groups.index(i[0]) for i in things), "ZAR", "t", {"rare": "x"},
    )  # fmt: skip


LINES = st.lists(
    st.tuples(
        st.integers(0, 50), st.sampled_from(["purchase", "return", "view"]),
        st.sampled_from(["a1", "a2", "b1", "c1"]),
    ), max_size=12,
).map(sorted)  # fmt: skip


def told(made):
    return [
        (at, made.kinds[k], made.items[i], made.groups[made.item_group[i]], amount)
        for at, k, i, amount in zip(made.at, made.kind, made.item, made.amount, strict=True)
    ]


@given(LINES, st.sets(st.integers(0, 11)))
def test_what_is_left_says_what_it_said_and_no_word_of_what_went(lines, places):
    made = chunk(lines)
    left = [each for i, each in enumerate(told(made)) if i not in places]
    rest = cutting.without(made, places)
    if rest is None:
        assert left == []
        return
    assert told(rest) == left
    assert set(rest.kinds) == {each[1] for each in left}
    assert set(rest.items) == {each[2] for each in left}
    assert set(rest.groups) == {each[3] for each in left}
    assert rest.tail == {}
    assert vault.unpack_chunk(vault.pack_chunk(rest)).items == rest.items


@given(LINES, st.sampled_from(["", "purchase", "gone"]), st.sampled_from(["", "a", "z"]),
       st.integers(0, 60), st.integers(0, 60))  # fmt: skip
def test_a_choice_of_many_is_the_same_as_asking_each_entry(lines, kind, group, since, until):
    made = chunk(lines)
    choice = people.Choice("kind", None, ("views",), kind, group, since, until)
    expected = [
        i for i, (at, k, _, g, _) in enumerate(told(made))
        if since <= at < until and kind in ("", k) and group in ("", g)
    ]  # fmt: skip
    assert people.chosen(choice, "views/2026Q1", made) == expected
    assert people.chosen(choice, "purchases/2026Q1", made) == []


def test_a_mark_is_of_one_entry_of_one_person_at_one_place():
    made = chunk([(1, "view", "a1"), (1, "view", "a1"), (2, "view", "b1")])
    base = people.Place(WHO, "views/2026Q1", 0, 1, 0, "")
    others = [
        replace(base, index=1), replace(base, row=1), replace(base, version=2),
        replace(base, scope="views/2026Q2"), replace(base, person=PersonId(b"x" * 16)),
    ]  # fmt: skip
    marks = {people.mark_of(b"k" * 32, each, made) for each in (base, *others)}
    assert len(marks) == 6
    assert people.mark_of(b"j" * 32, base, made) not in marks
