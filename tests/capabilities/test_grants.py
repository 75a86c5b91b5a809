"""Temporary rights: nobody gives one to themselves, and every end binds at once."""

from dataclasses import replace

import marula
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.adapters.system import FixedClock
from troth.app import access as rights
from troth.capabilities.access import granting, grants, quota, rights_policy, withheld
from troth.capabilities.access.grants import Limits, Wanted
from troth.capabilities.access.withheld import Right
from troth.errors import Conflict, InvalidInput
from troth.kernel import events
from troth.terms import (
    DAY,
    SECOND,
    Action,
    Actor,
    Claim,
    Instant,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
    instant,
)

HOUR = 3600 * SECOND
NOW = Instant(instant(marula.NOW) // SECOND * SECOND)
FATIMA = Actor(Role.SUPPORT, "fatima@marula.example")
GARETH = Actor(Role.IT, "gareth@marula.example")
NOKUTHULA = marula.OFFICER
LINDIWE = marula.MARKETER
LIMITS = Limits(
    8 * HOUR, 14 * DAY, DAY, HOUR, DAY, frozenset({"read", "export"}), (10, 300), frozenset()
)
WHY = "calling back about a delivery"
ASKED = Wanted("support/aa", "service", Action.READ, {"contact.phone": "full"}, "case:T-1", WHY)


def grant(**changes):
    made = grants.asked("g-1", ASKED, "support/aa", NOW, LIMITS)
    return replace(grants.approved(made, "it/bb", NOW), **changes)


# Pure


def test_what_is_asked_for_gives_nothing_until_somebody_agrees():
    made = grants.asked("g-1", ASKED, "support/aa", NOW, LIMITS)
    assert made.waits(NOW)
    assert not made.stands(NOW)
    assert grants.approved(made, "it/bb", NOW).stands(NOW)


def test_the_last_instant_is_the_one_before_its_end():
    held = grant()
    assert held.stands(Instant(held.until - 1))
    assert not held.stands(held.until)


@given(st.sampled_from(sorted(grants.OVER)))
def test_what_is_over_stays_over(state):
    with pytest.raises(Conflict):
        grants.over(grant(state=state), "ended", NOW, "")
    with pytest.raises(Conflict):
        grants.approved(grant(state=state), "it/cc", NOW)


def test_a_request_that_nobody_answered_in_a_day_can_no_longer_be_answered():
    made = grants.asked("g-1", ASKED, "support/aa", NOW, LIMITS)
    with pytest.raises(Conflict):
        grants.approved(made, "it/bb", Instant(NOW + DAY))


@pytest.mark.parametrize(
    "change",
    [
        {"action": Action.SEND},
        {"categories": {}},
        {"categories": {"contact.phone": "loud"}},
        {"length": 14 * DAY + 1},
        {"length": -1},
        {"reason": ""},
        {"why": "short"},
        {"why": "it is about ann@post.example"},
        {"why": "call back on 082 123 4567"},
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_booked(change):
    with pytest.raises(InvalidInput):
        grants.check(replace(ASKED, **change), LIMITS, "jit")


def test_break_glass_lasts_an_hour_at_most_and_is_looked_at_within_a_day():
    made = grants.broken("g-2", replace(ASKED, reason=""), "support/aa", NOW, LIMITS)
    assert (made.until - made.begins, made.due - made.begins) == (HOUR, DAY)
    with pytest.raises(InvalidInput):
        grants.check(replace(ASKED, length=HOUR + 1), LIMITS, "glass")


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(\.[a-z0-9]{1,8})?", fullmatch=True),
                       st.sampled_from(["full", "last4", "initial", "null"])))  # fmt: skip
def test_categories_are_read_as_they_were_written(categories):
    assert grants.read(grants.written(categories)) == categories


# Over the policy's word


NO = Refusal((Reason(ReasonCode.PURPOSE_NOT_PERMITTED, "staff.support", ""),))


def use(*categories, at=NOW, reason="case:T-1", action=Action.READ, purpose="service"):
    return UseRequest(
        FATIMA, None, purpose, action, None, frozenset(categories), at, reason=reason
    )


def test_a_right_widens_what_may_be_claimed_and_the_claim_names_it():
    told = rights_policy.granted(
        Claim({"identity.name": "full"}), [grant()], use("contact.phone"), NOW
    )
    assert (told.categories["contact.phone"], told.grant) == ("full", "g-1")


def test_a_claim_that_needs_no_temporary_right_names_none():
    own = Claim({"identity.name": "full"})
    assert rights_policy.granted(own, [grant()], use("identity.name"), NOW) is own


@pytest.mark.parametrize(
    "asked",
    [
        use("contact.post"),
        use("contact.phone", reason="case:T-2"),
        use("contact.phone", reason=""),
        use("contact.phone", action=Action.EXPORT),
        use("contact.phone", purpose="operations"),
        use("contact.phone", at=Instant(NOW + 8 * HOUR)),
    ],
)
def test_a_right_serves_its_own_purpose_action_data_case_and_time_alone(asked):
    assert rights_policy.granted(NO, [grant()], asked, NOW) is NO


def test_one_agreed_to_goes_before_an_emergency():
    glass = grant(id="g-9", kind="glass", reason="")
    told = rights_policy.granted(NO, [glass, grant()], use("contact.phone"), NOW)
    assert (told.grant, told.emergency) == ("g-1", False)
    assert rights_policy.granted(NO, [glass], use("contact.phone"), NOW).emergency


class Fixed:
    def __init__(self, answer):
        self.answer = answer

    def claim(self, _request):
        return self.answer


def chain(answer, standing, forbids=lambda _use, _category: False):
    return rights_policy.Rights(Fixed(answer), lambda _: standing, lambda _: "support/aa", forbids)


def standing(taken=withheld.EMPTY, *held, at=NOW):
    return rights_policy.Standing(
        at, {"service": PurposeKind.SERVICE}, taken, {"support/aa": held} if held else {}
    )


@pytest.mark.parametrize("code", [ReasonCode.UNKNOWN_ACTOR, ReasonCode.RULE_ERROR])
def test_no_temporary_right_helps_a_stranger_or_a_policy_that_cannot_be_read(code):
    no = Refusal((Reason(code, "x", ""),))
    assert chain(no, standing(withheld.EMPTY, grant())).claim(use("contact.phone")) is no


def test_no_temporary_right_goes_over_a_rule_that_forbids():
    asked = use("contact.phone")
    told = chain(NO, standing(withheld.EMPTY, grant()), lambda _use, name: name == "contact.phone")
    assert told.claim(asked) is NO


def test_what_is_withheld_may_be_given_back_for_a_while():
    taken = withheld.EMPTY.more([Right("support", "kind:service", "read", "contact.phone")])
    own = Claim({"contact.phone": "full"})
    assert isinstance(chain(own, standing(taken)).claim(use("contact.phone")), Refusal)
    assert chain(own, standing(taken, grant())).claim(use("contact.phone")).grant == "g-1"


def test_the_machinery_and_people_themselves_pass_untouched():
    own = Claim({"x": "full"})
    for role in (Role.SYSTEM, Role.PERSON):
        asked = replace(use("x"), actor=Actor(role, "x"))
        assert rights_policy.Rights(Fixed(own), None, None).claim(asked) is own


# Over the record


@pytest.fixture
def bench(house):
    return rights.bench(house.ws)


def wanted(bench, who=FATIMA, **changes):
    return replace(ASKED, account=bench.spelt(who), reason="audience:all", **changes)


def test_a_second_person_agrees_and_the_right_stands_until_its_end(house, bench):
    asked = granting.ask(bench, wanted(bench), FATIMA)
    done = granting.approve(bench, asked.id, GARETH)
    asked_for = use("contact.phone", at=done.begins, reason="audience:all")
    assert house.desk.policy.claim(asked_for).grant == done.id


@pytest.mark.parametrize("who", [FATIMA, LINDIWE, Actor(Role.IT, "nobody@marula.example")])
def test_nobody_but_another_officer_or_it_may_agree_and_the_attempt_is_recorded(house, bench, who):
    asked = granting.ask(bench, wanted(bench), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, who)
    assert house.house_chain()[-1].type == "claim.refused"


def test_nobody_agrees_to_a_right_they_asked_for_on_behalf_of_another(bench):
    asked = granting.ask(bench, wanted(bench), GARETH)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, GARETH)


@pytest.mark.parametrize("boss", ["fatima@marula.example", "head@marula.example"])
def test_nobody_agrees_who_reports_to_whoever_asks(bench, boss):
    under = {GARETH.id: boss, "head@marula.example": FATIMA.id}
    asked = granting.ask(bench, wanted(bench), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(replace(bench, reports=under), asked.id, GARETH)
    assert granting.approve(replace(bench, reports=under), asked.id, NOKUTHULA).approver


def test_who_published_the_policy_agrees_to_no_right_under_it(house, bench):
    rights.note_policy(house.ws, GARETH)
    asked = granting.ask(bench, wanted(bench), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, GARETH)


def test_no_right_goes_beyond_the_purposes_of_the_house(bench):
    for change in ({"purpose": "nothing"}, {"categories": {"purchases.52w": "full"}}):
        with pytest.raises(InvalidInput):
            granting.ask(bench, wanted(bench, **change), FATIMA)


def test_a_right_needs_a_reason_that_is_open(bench):
    with pytest.raises(InvalidInput):
        granting.ask(bench, replace(wanted(bench), reason="case:none"), FATIMA)


def test_a_leaver_loses_every_right_and_request(house, bench):
    one = granting.ask(bench, wanted(bench), FATIMA)
    granting.approve(bench, one.id, GARETH)
    granting.ask(bench, wanted(bench), FATIMA)
    assert rights.end_all(house.ws, GARETH, bench.spelt(FATIMA)) == 2
    with house.ws.store.look() as view:
        assert {g.state for g in granting.every(view)} == {"revoked"}
        assert granting.of_account(view, bench.spelt(FATIMA)) == []


def test_the_rows_are_what_the_house_chain_says(house, bench):
    one = granting.ask(bench, wanted(bench), FATIMA)
    granting.approve(bench, one.id, GARETH)
    granting.end(bench, one.id, FATIMA)
    two = granting.ask(bench, wanted(bench, length=2 * HOUR), FATIMA)
    granting.refuse(bench, two.id, NOKUTHULA, "not needed")
    glass = granting.break_glass(bench, replace(wanted(bench), reason=""), FATIMA)
    granting.review(bench, glass.id, NOKUTHULA, "justified")
    told = [
        (e.payload, e.actor, instant_of(e))
        for e in house.house_chain()
        if isinstance(e.payload, events.AccessActed)
    ]
    with house.ws.store.look() as view:
        assert granting.rebuilt(told) == {g.id: g for g in granting.every(view)}


def instant_of(event):
    return Instant(event.at // SECOND * SECOND)


def test_a_second_glass_waits_for_the_first(bench):
    granting.break_glass(bench, replace(wanted(bench), reason=""), FATIMA)
    with pytest.raises(Conflict):
        granting.break_glass(bench, replace(wanted(bench), reason=""), FATIMA)


def test_nobody_looks_back_at_their_own_emergency(bench):
    made = granting.break_glass(bench, replace(wanted(bench, NOKUTHULA), reason=""), NOKUTHULA)
    with pytest.raises(Conflict):
        granting.review(bench, made.id, NOKUTHULA, "justified")
    assert granting.review(bench, made.id, GARETH, "unjustified").verdict == "unjustified"


def test_housekeeping_writes_down_what_time_did(house):
    clock = FixedClock(NOW)
    house.ws.close()
    house.ws = rights_open(house, clock)
    house.desk = house.ws.desk
    bench = rights.bench(house.ws)
    granting.ask(bench, wanted(bench), FATIMA)
    granting.approve(bench, granting.ask(bench, wanted(bench), FATIMA).id, GARETH)
    clock.set(Instant(NOW + 2 * DAY))
    assert granting.tend(rights.bench(house.ws)) == {"lapsed": 1, "ended": 1, "alarms": 0}
    assert granting.tend(rights.bench(house.ws)) == {"lapsed": 0, "ended": 0, "alarms": 0}


def rights_open(house, clock):
    from troth import app

    return app.open(house.folder, clock=clock)


def test_who_wrote_a_campaign_agrees_to_no_right_for_its_purpose(house, bench):
    def duties(_view, hand, _grant):
        return frozenset({"campaign"} if hand == granting.hand(bench.spelt(GARETH)) else ())

    asked = granting.ask(bench, wanted(bench), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(replace(bench, duties=duties), asked.id, GARETH)


def test_a_pair_of_duties_nobody_knows_does_not_load(house):
    text = (house.folder / "troth.toml").read_text()
    (house.folder / "troth.toml").write_text(text + '\n[access]\nexclusive = [["fun", "grant"]]\n')
    house.ws.apply()
    with pytest.raises(InvalidInput):
        rights.bench(house.ws)


def test_whom_somebody_reports_to_is_read_from_what_is_published(house):
    text = (house.folder / "troth.toml").read_text()
    told = f'\n[access.reports_to]\n"{GARETH.id}" = "{FATIMA.id}"\n'
    (house.folder / "troth.toml").write_text(text + told)
    house.ws.apply()
    bench = rights.bench(house.ws)
    asked = granting.ask(bench, wanted(bench), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, GARETH)


@pytest.mark.parametrize("note", ["ask ann@post.example", "she is on 082 555 0101"])
def test_a_note_that_seems_to_name_somebody_is_never_booked(house, bench, note):
    made = granting.ask(bench, wanted(bench), FATIMA)
    with house.ws.store.look() as view:
        before = view.log.size
    for step in (granting.refuse, granting.end):
        with pytest.raises(InvalidInput) as told:
            step(bench, made.id, GARETH, note)
        assert note not in str(told.value)
    with house.ws.store.look() as view:
        assert view.log.size == before


def test_a_bulk_export_asked_for_in_words_that_name_somebody_is_never_booked(house):
    with pytest.raises(InvalidInput):
        quota.ask_bulk(house.desk, 5, "for ann@post.example", FATIMA)
    with house.ws.store.look() as view:
        assert quota.bulks(view) == []
    assert quota.ask_bulk(house.desk, 5, "case:T-20261124", FATIMA).people == 5
