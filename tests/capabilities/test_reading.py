"""Reading a person: a reason, a quota, a second person, an export's mark, canaries; each booked."""

from dataclasses import dataclass, replace

import marula
import pytest

from troth import app
from troth.app import looks
from troth.app.package import build_for
from troth.capabilities import merging
from troth.capabilities.access import canaries, cases, exports, quota, usage
from troth.capabilities.access.cards import open_card
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.reading import Reading, book_reading, may_claim
from troth.capabilities.custody import rebuilding
from troth.capabilities.custody.backup import seal_bundles
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import cases as reasons
from troth.kernel import events, looking
from troth.kernel.pointers import pointers
from troth.terms import DAY, Action, Actor, Instant, Refusal, Role, moment

SUPPORT = Actor(Role.SUPPORT, "fatima@marula.example")
IT = Actor(Role.IT, "gareth@marula.example")
SYSTEM = Actor(Role.SYSTEM, "cli")
ADULT = "cast-agrees"
SHOWN = ("identity.name", "contact.email")


def set_access(house, text):
    """Publish `[access]` of troth.toml."""
    path = house.folder / "troth.toml"
    path.write_text(path.read_text() + f"\n[access]\n{text}\n")
    house.ws.apply()


@pytest.fixture
def adult(house):
    return house.newcomer("adult-1")


def opened(house, person, case="T-1", source="phone", actor=SUPPORT):
    return cases.open_case(house.desk, person, Opening(case, source), actor).ref


def look(house, person, reason, actor=SUPPORT, fields=SHOWN, **more):
    return open_card(house.desk, Reading(person, actor, fields, reason, **more))


def codes(answer):
    assert isinstance(answer, Refusal), answer
    return [str(reason.code) for reason in answer.reasons]


def used(house, person):
    with house.ws.store.look() as view:
        return looking.of_person(view, person)


# Reasons


def test_without_an_open_case_about_this_person_nothing_is_shown(house, adult):
    other = house.newcomer("adult-2")
    assert codes(look(house, adult, "case:T-1")) == ["reason_missing"]
    assert codes(look(house, adult, "she rang")) == ["reason_missing"]
    ref = opened(house, other)
    assert codes(look(house, adult, ref)) == ["reason_without_person"]
    assert house.chain(adult)[-1].type == "use.refused"
    cases.close_case(house.desk, other, "T-1", SUPPORT)
    assert codes(look(house, other, ref)) == ["reason_missing"]
    assert used(house, adult) == used(house, other) == []


def test_a_look_is_in_the_chain_and_in_the_log_in_one_commit(house, adult):
    card = look(house, adult, opened(house, adult))
    assert card.masks == {"identity.name": "full", "contact.email": "last4"}
    told = house.chain(adult)[-1]
    assert (told.type, told.payload.reason) == ("data.read", "case:T-1")
    assert told.payload.masks == {"contact.email": "last4"}
    (use,) = used(house, adult)
    assert (use.n, use.reason, use.action) == (told.n, "case:T-1", "read")
    assert use.categories == card.masks
    assert use.account == house.desk.account(SUPPORT)
    assert "fatima" not in use.account
    day = looking.day_of(use.at)
    with house.ws.store.look() as view:
        assert usage.people_on(view, use.account, day) == {adult}
        assert usage.seen_of(view, use.account, adult, day) == set(SHOWN)


def test_a_cap_narrows_what_is_shown_and_what_is_recorded(house, adult):
    ref, caps = opened(house, adult), {"identity.name": "initial", "contact.email": "full"}
    card = look(house, adult, ref, caps=caps)
    assert card.masks == {"identity.name": "initial", "contact.email": "last4"}
    assert house.chain(adult)[-1].payload.masks == card.masks


def test_a_case_closes_by_itself_and_is_forgotten_later(house, adult):
    ref = opened(house, adult)
    later = house.at(moment(Instant(house.desk.store.mark() and _now(house) + 15 * DAY)))
    assert codes(look(later, adult, ref)) == ["reason_missing"]
    assert cases.forget_closed(later.desk) == 0
    much = later.at(moment(Instant(_now(later) + 100 * DAY)))
    looks.tidy(much.ws)
    with much.ws.store.look() as view:
        assert reasons.standing(view, ref) == "unknown"


def _now(house):
    with house.ws.store.look() as view:
        return view.now


def test_opening_twice_is_one_event_and_it_stands_in_their_chain(house, adult):
    before = len(house.chain(adult))
    assert opened(house, adult) == opened(house, adult) == "case:T-1"
    chain = house.chain(adult)
    assert [each.type for each in chain[before:]] == ["case.acted"]
    assert chain[-1].actor.startswith("support/")


def test_who_opened_cases_by_hand_is_counted_and_the_ticket_system_is_not(house, adult):
    opened(house, adult, "T-1")
    opened(house, adult, "T-2")
    opened(house, adult, "T-3", "ticket", SYSTEM)
    with house.ws.store.look() as view:
        assert cases.self_opened(view, Instant(0)) == {house.desk.account(SUPPORT): 2}
        assert [each.ref for each in cases.under_way(view)] == ["case:T-1", "case:T-2", "case:T-3"]


@pytest.mark.parametrize(
    ("case", "source", "actor"),
    [("a b", "phone", SUPPORT), ("", "phone", SUPPORT), ("T-1", "rumour", SUPPORT),
     ("T-1", "phone", marula.MARKETER), ("T-1", "phone", IT)],
)  # fmt: skip
def test_no_case_without_a_number_a_source_and_a_role(house, adult, case, source, actor):
    before = house.chain(adult)
    with pytest.raises(InvalidInput):
        cases.open_case(house.desk, adult, Opening(case, source), actor)
    with pytest.raises(InvalidInput):
        cases.close_case(house.desk, adult, "T-1", IT)
    with pytest.raises(NotFound):
        cases.close_case(house.desk, adult, "T-1", SUPPORT)
    assert house.chain(adult) == before


def test_nobody_has_no_case(house):
    with pytest.raises(NotFound):
        opened(house, house.desk.new_person())


def test_where_cases_come_from_outside_a_look_under_ones_own_is_refused(house, adult):
    mine = opened(house, adult, "T-0")
    set_access(house, 'cases = "ticket"')
    assert codes(look(house, adult, mine)) == ["separation_of_duty"]
    with pytest.raises(InvalidInput, match="ticket system"):
        opened(house, adult, "T-1")
    own = opened(house, adult, "T-2", "ticket")
    assert codes(look(house, adult, own)) == ["separation_of_duty"]
    assert not isinstance(look(house, adult, own, marula.OFFICER), Refusal)
    outside = opened(house, adult, "T-3", "ticket", SYSTEM)
    assert not isinstance(look(house, adult, outside), Refusal)
    named = cases.named_case(house.desk, adult, Opening("T-9", "phone"), SUPPORT)
    assert codes(look(house, adult, named)) == ["reason_missing"]


def test_a_merge_takes_cases_along_and_an_erasure_leaves_none(house, adult):
    other = house.newcomer("adult-2")
    ref = opened(house, other, "T-7")
    merging.merge(house.desk, adult, other, "one person", marula.OFFICER)
    assert not isinstance(look(house, adult, ref), Refusal)
    house.ws.erase(adult, "rq-1")
    with house.ws.store.look() as view:
        assert reasons.standing(view, ref) == "unknown"
        for table in (reasons.TABLE, looking.USED):
            rows = view.rows(table, b"", b"", 100)
            assert not [key for key, _ in rows if adult in key or other in key], table


def test_an_answer_to_a_message_opens_a_case(house, adult):
    said = events.MessageOutcome("replied", ref="ab" * 16)
    house.desk.record(adult, [said], SYSTEM)
    house.ws.follow()
    with house.ws.store.look() as view:
        (told,) = cases.under_way(view)
        assert (told.source, told.person, told.by) == ("reply", adult, "")
    house.ws.follow()
    with house.ws.store.look() as view:
        assert len(cases.under_way(view)) == 1


@dataclass(frozen=True)
class Led:
    """What leads to one person, as a backup takes it."""

    person: bytes
    rows: tuple
    contacts: tuple = ()


def put_back(house, person):
    """Take what leads to somebody into a bundle, as a backup does, and put it back."""
    with house.ws.store.look() as view:
        rows = tuple(
            (table, key, raw)
            for table, key in pointers(view, person)
            if (raw := view.row(table, key)) is not None
        )
        (rec,) = seal_bundles(house.desk, view, [Led(person, rows)])
    assert rebuilding.put_back(house.desk, [[(person, rec)]]) == {"back": 1, "left": 0}


@pytest.mark.parametrize("where", ["by_hand", "ticket"])
def test_after_a_restore_what_was_opened_by_hand_is_closed_and_tickets_stand(house, adult, where):
    mine = opened(house, adult, "T-1", "phone")
    told = opened(house, adult, "T-2", "ticket")
    outside = opened(house, adult, "T-3", "ticket", SYSTEM)
    complaint = opened(house, adult, "T-4", "complaint", SYSTEM)
    set_access(house, f'cases = "{where}"')
    put_back(house, adult)
    for ref in (mine, told, complaint):
        assert codes(look(house, adult, ref, marula.OFFICER)) == ["reason_missing"], ref
    assert not isinstance(look(house, adult, outside), Refusal)


def test_a_restore_that_puts_cases_back_as_they_were_is_seen(house, adult, monkeypatch):
    monkeypatch.setattr(reasons, "restored", lambda _key, raw: raw)
    with pytest.raises(AssertionError):
        test_after_a_restore_what_was_opened_by_hand_is_closed_and_tickets_stand(
            house, adult, "ticket"
        )


# Quota (test 15)


def test_the_person_beyond_the_days_count_is_refused_and_the_same_one_counts_once(house):
    set_access(house, "people_per_day = 3")
    people = [house.newcomer(f"many-{n}") for n in range(5)]
    refs = [opened(house, p, f"T-{n}") for n, p in enumerate(people)]
    for _ in range(3):
        for person, ref in list(zip(people, refs, strict=True))[:3]:
            assert not isinstance(look(house, person, ref), Refusal)
    assert codes(look(house, people[3], refs[3])) == ["quota"]
    assert [each.type for each in house.chain(people[3])][-1] == "case.acted", "nobody looked"
    assert not isinstance(look(house, people[0], refs[0]), Refusal)
    assert not isinstance(look(house, people[4], refs[4], marula.OFFICER), Refusal)
    blank = Reading(looking.NOBODY, SUPPORT, (), refs[3])
    assert may_claim(house.desk, blank) is None, "before somebody is found no count is asked"
    next_day = house.at(moment(Instant(_now(house) + DAY)))
    assert not isinstance(look(next_day, people[3], refs[3]), Refusal)


def test_a_race_for_the_last_place_is_decided_in_the_booking(house, monkeypatch):
    set_access(house, "people_per_day = 1")
    one, two = house.newcomer("race-1"), house.newcomer("race-2")
    refs = opened(house, one, "T-1"), opened(house, two, "T-2")
    assert not isinstance(look(house, one, refs[0]), Refusal)
    calls = []
    real = quota.over

    def late(view, *given):
        calls.append(1)
        return False if len(calls) == 1 else real(view, *given)

    monkeypatch.setattr(quota, "over", late)
    assert codes(look(house, two, refs[1])) == ["quota"]
    assert used(house, two) == []


def test_more_than_a_day_allows_needs_somebody_elses_yes(house):
    set_access(house, "people_per_day = 1")
    people = [house.newcomer(f"bulk-{n}") for n in range(3)]
    refs = [opened(house, p, f"B-{n}") for n, p in enumerate(people)]
    asked = quota.ask_bulk(house.desk, 1, "list for the auditors", SUPPORT)
    assert not isinstance(look(house, people[0], refs[0]), Refusal)
    assert codes(look(house, people[1], refs[1])) == ["quota"]
    for actor, word in ((SUPPORT, "approved"), (marula.MARKETER, "approved"), (IT, "maybe"),
                        (Actor(Role.OFFICER, SUPPORT.id), "approved")):  # fmt: skip
        with pytest.raises(InvalidInput):
            quota.answer_bulk(house.desk, asked.id, actor, word)
    done = quota.answer_bulk(house.desk, asked.id, IT, "approved")
    assert not isinstance(look(house, people[1], refs[1]), Refusal)
    assert codes(look(house, people[2], refs[2])) == ["quota"], "as many as were agreed to"
    with pytest.raises(Conflict):
        quota.answer_bulk(house.desk, asked.id, IT, "refused")
    with pytest.raises(NotFound):
        quota.answer_bulk(house.desk, "bulk-none", IT, "approved")
    with pytest.raises(InvalidInput):
        quota.ask_bulk(house.desk, 0, "x", SUPPORT)
    told = [e.payload for e in house.house_chain() if e.type == "access.acted"]
    assert [(t.act, t.counts) for t in told] == [
        ("requested", {"people": 1}), ("approved", {"people": 1}),
    ]  # fmt: skip
    with house.ws.store.look() as view:
        (kept,) = quota.bulks(view)
        assert (kept.used, kept.standing(view.now)) == (1, "used up")
        assert done.standing(done.until) == "ended"


def bulk_of(house, people, reason, **more):
    asked = quota.ask_bulk(house.desk, people, reason, SUPPORT, **more)
    return quota.answer_bulk(house.desk, asked.id, IT, "approved")


def test_what_was_agreed_for_one_purpose_or_reason_serves_no_other(house):
    set_access(house, "people_per_day = 0")
    one, two = house.newcomer("tied-1"), house.newcomer("tied-2")
    refs = [opened(house, p, f"B-{n}") for n, p in enumerate((one, two))]
    bulk_of(house, 5, "offers for the auditors", purpose="offers")
    assert codes(look(house, one, refs[0])) == ["quota"], "agreed for offers alone"
    bulk_of(house, 5, refs[1])
    assert codes(look(house, one, refs[0])) == ["quota"], "agreed for another case"
    assert not isinstance(look(house, two, refs[1]), Refusal)
    with house.ws.store.look() as view:
        assert sorted(b.used for b in quota.bulks(view)) == [0, 1]
    with pytest.raises(InvalidInput, match="purpose"):
        quota.ask_bulk(house.desk, 1, "x", SUPPORT, "nothing-published")


def test_what_was_agreed_to_is_over_with_its_time_and_serves_no_second_day(house):
    set_access(house, "people_per_day = 0")
    people = [house.newcomer(f"days-{n}") for n in range(2)]
    refs = [opened(house, p, f"D-{n}") for n, p in enumerate(people)]
    done = bulk_of(house, 1, "list for the auditors")
    assert not isinstance(look(house, people[0], refs[0]), Refusal)
    assert not isinstance(look(house, people[0], refs[0]), Refusal), "the same person is one"
    with house.ws.store.look() as view:
        midnight = Instant((looking.day_of(view.now) + 1) * DAY)
    assert midnight < done.until
    tomorrow = house.at(moment(midnight))
    assert codes(look(tomorrow, people[1], refs[1])) == ["quota"], "not as many again each day"
    again = bulk_of(tomorrow, 1, "list for the auditors")
    late = tomorrow.at(moment(again.until))
    assert codes(look(late, people[1], refs[1])) == ["quota"], "the yes ended"


def test_one_human_in_two_roles_has_one_count_and_one_bulk(house):
    set_access(house, "people_per_day = 2")
    both = Actor(Role.SUPPORT, marula.OFFICER.id)
    settings = house.folder / "troth.toml"
    text = settings.read_text()
    settings.write_text(text.replace(SUPPORT.id, f'{SUPPORT.id}", "{both.id}'))
    house.at(marula.NOW)
    people = [house.newcomer(f"human-{n}") for n in range(4)]
    refs = [opened(house, p, f"H-{n}") for n, p in enumerate(people)]
    asked = list(zip(people, refs, strict=True))
    assert not isinstance(look(house, *asked[0], marula.OFFICER), Refusal)
    assert not isinstance(look(house, *asked[1], both), Refusal)
    for actor in (marula.OFFICER, both):
        assert codes(look(house, *asked[2], actor)) == ["quota"]
    assert not isinstance(look(house, *asked[1], marula.OFFICER), Refusal), "seen in the other"
    assert not isinstance(look(house, *asked[2]), Refusal), "another human"
    done = quota.ask_bulk(house.desk, 1, "list for the auditors", both)
    with pytest.raises(InvalidInput, match="own"):
        quota.answer_bulk(house.desk, done.id, marula.OFFICER, "approved")
    quota.answer_bulk(house.desk, done.id, IT, "approved")
    assert not isinstance(look(house, *asked[2], marula.OFFICER), Refusal)
    assert codes(look(house, *asked[3], both)) == ["quota"]


def test_a_count_by_role_is_seen_to_let_a_human_look_twice(house, monkeypatch):
    """The check above can fail: where accounts were counted alone, two roles were two counts."""
    monkeypatch.setattr(quota, "accounts_of", lambda account: [account])
    with pytest.raises(AssertionError):
        test_one_human_in_two_roles_has_one_count_and_one_bulk(house)


@pytest.mark.parametrize(
    "forgot",
    [
        ("troth.capabilities.access.quota.over", lambda *_: False),
        ("troth.kernel.looking.note", lambda *_: None),
    ],
)
def test_a_count_that_is_not_asked_or_not_kept_is_seen(house, monkeypatch, forgot):
    """The checks of the day's people can fail."""
    monkeypatch.setattr(*forgot)
    with pytest.raises(AssertionError):
        test_the_person_beyond_the_days_count_is_refused_and_the_same_one_counts_once(house)


def test_a_bulk_that_is_not_spent_is_seen(house, monkeypatch):
    monkeypatch.setattr(quota, "spend", lambda *_: None)
    with pytest.raises(AssertionError):
        test_more_than_a_day_allows_needs_somebody_elses_yes(house)


# Combination


def test_two_harmless_looks_are_not_put_together_in_one_day(house, adult):
    set_access(house, '[access.together]\nx = [["identity.name"], ["contact.email"]]')
    ref = opened(house, adult)
    assert codes(look(house, adult, ref)) == ["combination"]
    assert not isinstance(look(house, adult, ref, fields=("identity.name",)), Refusal)
    assert codes(look(house, adult, ref, fields=("contact.email",))) == ["combination"]
    assert not isinstance(
        look(house, adult, ref, marula.OFFICER, fields=("contact.email",)), Refusal
    )
    tomorrow = house.at(moment(Instant(_now(house) + DAY)))
    assert not isinstance(look(tomorrow, adult, ref, fields=("contact.email",)), Refusal)


# Exports


def test_what_leaves_has_a_house_event_first_and_a_mark(house, adult):
    ref = opened(house, adult, actor=marula.OFFICER)
    reading = Reading(adult, marula.OFFICER, (), ref, Action.EXPORT,
                      export=exports.new_id(house.desk), what="package")  # fmt: skip
    assert not isinstance(build_for(house.ws, reading), Refusal)
    told = next(e.payload for e in house.house_chain() if e.type == "export.made")
    assert (told.export, told.counts, told.what) == (reading.export, {"people": 1}, "package")
    mine = house.chain(adult)[-1].payload
    assert (mine.action, mine.export) == ("export", reading.export)
    with house.ws.store.look() as view:
        (left,) = exports.listed(view)
        assert exports.counts(view) == {"open": 1, "overdue": 0}
    assert reading.export in left.mark()
    assert "privacy officer" in left.mark()
    assert left.named("a", "zip").startswith(f"a.{left.id}.for-privacy-officer.until-20")


def test_a_refused_export_leaves_no_export_behind(house, adult):
    ref = opened(house, adult)
    other = house.newcomer("adult-3")
    reading = Reading(other, marula.OFFICER, (), ref, Action.EXPORT,
                      export=exports.new_id(house.desk))  # fmt: skip
    assert codes(book_reading(house.desk, reading)) == ["reason_without_person"]
    with house.ws.store.look() as view:
        assert exports.listed(view) == []
    assert "export.made" not in [e.type for e in house.house_chain()]


def test_an_export_is_open_until_somebody_who_may_says_it_is_deleted(house, adult):
    taking = exports.Taking("list", "service", [adult], "case:1")
    left = exports.begin(house.desk, taking, SUPPORT)
    with pytest.raises(InvalidInput):
        exports.confirm(house.desk, left.id, marula.MARKETER)
    assert not exports.confirm(house.desk, left.id, SUPPORT).open
    with pytest.raises(Conflict):
        exports.confirm(house.desk, left.id, IT)
    with pytest.raises(NotFound):
        exports.confirm(house.desk, "ex-none", IT)
    open_one = exports.begin(house.desk, replace(taking, count=5), SUPPORT)
    late = house.at(moment(Instant(open_one.until)))
    with late.ws.store.look() as view:
        assert exports.counts(view) == {"open": 1, "overdue": 1}
    states = {c.id: c.state for c in looks.checks(late.ws)}
    assert states == {"looks.reasons": "good", "looks.canaries": "off", "looks.exports": "bad"}
    much = late.at(moment(Instant(_now(late) + 500 * DAY)))
    assert exports.forget_old(much.desk) == 1
    with much.ws.store.look() as view:
        assert [e.id for e in exports.listed(view)] == [open_one.id]


# Canaries


def test_canaries_are_in_no_count_and_look_like_others(house):
    before = _counted(house)
    assert canaries.plant(house.desk, 3, marula.OFFICER) == 3
    assert _counted(house) == before
    with house.ws.store.look() as view:
        for person in canaries.ids(view):
            types = [r.event.type for r in house.desk.scribe.chain(view, person)]
            assert types[0] == "person.created"
            assert not any("canar" in kind for kind in types)
    for actor, count in ((SUPPORT, 1), (marula.OFFICER, 0), (marula.OFFICER, 101)):
        with pytest.raises(InvalidInput):
            canaries.plant(house.desk, count, actor)


def _counted(house):
    """How many people every walk over the record finds: segments' copy, retention."""
    from troth.capabilities import custody
    from troth.capabilities.insight import facts

    with house.ws.store.look() as view:
        paged = sum(len(page) for page in facts.pages(house.desk, view, facts.EVERYBODY))
        kept = sum(len(page) for page in custody.keeping._pages(house.desk, view))
    return paged, kept


def test_a_planted_walk_that_forgets_canaries_is_seen(house, monkeypatch):
    before = _counted(house)
    canaries.plant(house.desk, 2, marula.OFFICER)
    monkeypatch.setattr("troth.kernel.canaries.without", lambda _view, people: list(people))
    assert _counted(house) != before


def test_asking_for_a_canary_raises_an_alarm_and_says_nothing(house, adult):
    canaries.plant(house.desk, 1, marula.OFFICER)
    with house.ws.store.look() as view:
        (hidden,) = canaries.ids(view)
    size = len(house.house_chain())
    assert isinstance(look(house, hidden, "case:T-1"), Refusal)
    assert [e.type for e in house.house_chain()[size:]] == ["alarm.raised", "claim.refused"]
    assert not isinstance(look(house, hidden, opened(house, hidden)), Refusal)
    with house.ws.store.look() as view:
        found = canaries.raised(view, Instant(0))
        assert len(found) == 3
        assert {account for _, account in found} == {house.desk.account(SUPPORT)}
    assert next(c for c in looks.checks(house.ws) if c.id == "looks.canaries").state == "bad"
    ordinary = len(house.house_chain())
    look(house, adult, opened(house, adult, "T-5"))
    assert "alarm.raised" not in [e.type for e in house.house_chain()[ordinary:]]


def test_previews_draw_no_canary_and_show_whom_they_drew_alone(house, monkeypatch):
    drawn = house.newcomer("drawn-1", {})
    other = house.newcomer("other-1", {})
    source = app.read_message(house.ws, "winback").source
    asked = app.Look(source, "winback", marula.MARKETER)
    monkeypatch.setattr("troth.app.previews._chosen", lambda *_: [drawn])
    assert app.masked(house.ws, asked, house.shelf()).faces
    assert house.chain(drawn)[-1].payload.reason == "campaign:winback"
    assert [u.purpose for u in used(house, drawn)] == ["offers"]
    sly = Reading(other, marula.MARKETER, (), "campaign:winback", purpose="offers", drawn=[drawn])
    assert codes(book_reading(house.desk, sly)) == ["reason_without_person"]
