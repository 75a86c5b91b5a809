"""A generation groups people as the plain way does, and a preview by groups counts as one by one."""

import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula

from troth.adapters.reach import Groups, PersonRow, Reach, ReachWriter
from troth.app import audiences
from troth.capabilities import outreach
from troth.errors import NotFound
from troth.kernel import ledger, profiles
from troth.kernel.audience import Known
from troth.kernel.profiles import NOBODY
from troth.terms import (
    DAY,
    NO_HEAD,
    Act,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Relation,
    Standing,
)

TODAY = 20_000
AT = Instant(TODAY * DAY)
ACT = Act(ConsentStatus.GIVEN, AT, AT, 1)
CUTS = ((), (50,), (0, 100), (0, 50, 100), (50, 200))
SPLIT = [profiles.split(each) for each in (
    Gathered(NOBODY, NO_HEAD, PersonRecord(), None, ()),
    Gathered(NOBODY, NO_HEAD, PersonRecord(
        standings={"a|b": Standing(grant=ACT, deny=ACT)}, relations=(Relation("sale", AT),),
        sends={"email": (AT, AT)},
    ), None, ()),
    Gathered(NOBODY, NO_HEAD, PersonRecord(standings={"a|b": Standing(grant=ACT)}), None, ()),
)]  # fmt: skip


def row(drawn):
    shape, held = drawn.choice(SPLIT)
    moments = tuple(drawn.choice((0, 1, 49, 50, 51, 100, 150, 199, 201)) for _ in held)
    person = PersonId(drawn.randbytes(16))
    return PersonRow(person, Known(), split=(shape, moments), member=drawn.randbytes(32))


def plain(split):
    shape, held = split
    how = profiles.plan(shape)
    sides = tuple(
        sum((c < m) + (c <= m) for c in CUTS[kind])
        for m, kind in zip(held, how.kinds, strict=True)
    )
    return shape, sides, tuple((held[a] > held[b]) - (held[a] < held[b]) for a, b in how.pairs)


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_those_of_the_plain_way_and_strangers_are_named(tmp_path, seed):
    drawn = random.Random(seed)
    rows = [row(drawn) for _ in range(3_000)]
    ReachWriter(tmp_path).rebuild([rows], [], AT, 7)
    stranger = PersonId(bytes(16))
    asked = [each.person for each in rows[:2_500]] + [stranger]
    grouping = Groups(Reach.open(tmp_path))
    assert grouping.ledger_size == 7
    found, unknown, root = grouping.groups(asked, CUTS)
    assert unknown == [stranger]
    wanted = Counter(plain(each.split) for each in rows[:2_500])
    assert Counter({plain((g.shape, tuple(g.moments))): g.people for g in found}) == wanted
    assert len(found) == len(wanted)
    digests = sorted(each.member for each in rows[:2_500])
    runs = [b"".join(digests[n : n + 256]) for n in range(0, len(digests), 256)]
    assert root == ledger.subtree_root(ledger.leaf_hashes(runs)).hex()


def test_nobody_asked_about_is_no_group(tmp_path):
    ReachWriter(tmp_path).rebuild([[row(random.Random(1))]], [], AT, 7)
    found, unknown, _ = Groups(Reach.open(tmp_path)).groups([], CUTS)
    assert (found, unknown) == ([], [])


def test_without_a_generation_there_is_nothing_to_group(tmp_path):
    with pytest.raises(NotFound):
        Groups(Reach.open(tmp_path))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups") / "house"
    marula.make(folder)
    made = marula.House(folder)
    names = [f"g{number:03}" for number in range(240)]
    made.take("customers", *[
        {**marula.BLANK, "external_id": name, "email": f"{name}@post.example",
         "residence": ("ZA", "DE", "CA")[n % 3], "relation_at": marula.days_ago(n * 3),
         "relation_kind": ("sale", "inquiry")[n % 2], "details_from_sale": ("yes", "no")[n % 2],
         "objection_offered": "yes", "birth_year": ("1980", "2015")[n % 11 == 0]}
        for n, name in enumerate(names)
    ])  # fmt: skip
    made.take("consents", *[
        {"external_id": name, "idempotency_key": f"{name}-{n}", **marula.YES,
         "status": ("given", "given", "withdrawn", "refused")[n % 4],
         "occurred_at": marula.days_ago(n * 7 % 1_500)}
        for n, name in enumerate(names) if n % 5
    ])  # fmt: skip
    made.people = made.everybody(*names)
    yield made
    made.ws.close()
    shutil.rmtree(folder)


def both(house, monkeypatch, people):
    campaign = house.campaign()
    one_by_one = outreach.preview(house.desk, campaign, people, marula.MARKETER)
    monkeypatch.setattr(outreach.views, "MANY", 1)
    by_group = outreach.preview(house.desk, campaign, people, marula.MARKETER)
    assert (by_group.candidates, by_group.reachable, by_group.by_level, by_group.refused) == (
        one_by_one.candidates,
        one_by_one.reachable,
        one_by_one.by_level,
        one_by_one.refused,
    )
    return by_group


def test_a_preview_by_groups_counts_as_one_by_one(house, monkeypatch):
    audiences.rebuild_reach(house.ws, marula.MARKETER)
    judged = []
    whole = outreach.views._judge_one
    found = both(house, monkeypatch, house.people)
    assert len(found.refused) > 2
    assert found.reachable > 10
    monkeypatch.setattr(
        outreach.views, "_judge_one", lambda *given: judged.append(1) or whole(*given)
    )
    outreach.preview(house.desk, house.campaign(), house.people, marula.MARKETER)
    assert len(judged) < len(house.people)


def test_who_changed_since_the_generation_is_judged_as_they_are_now(house, monkeypatch):
    audiences.rebuild_reach(house.ws, marula.MARKETER)
    before = both(house, monkeypatch, house.people)
    monkeypatch.undo()
    gone = [
        name for name in ("g001", "g005", "g009", "g013") if not house.codes(house.person(name))
    ]
    assert gone
    house.take("consents", *[
        {"external_id": name, "idempotency_key": f"{name}-no", **marula.YES, "status": "withdrawn",
         "occurred_at": marula.days_ago(0)}
        for name in gone
    ])  # fmt: skip
    after = both(house, monkeypatch, house.people)
    assert after.reachable == before.reachable - len(gone)
