"""Laws of the gate, for any record: what no event, preference or rule can ever do."""

from dataclasses import replace

from asking import (
    AGREED,
    CLAIM,
    HOUSE,
    NOON,
    PURPOSES,
    STRANGER,
    act,
    answer,
    ask,
    at_level,
    codes,
    house,
    sale,
    told,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from troth.kernel import consent, gate, grounds
from troth.kernel.consent import apply_consent, resolve
from troth.kernel.merging import merge
from troth.terms import (
    DAY,
    Act,
    Action,
    Block,
    Channel,
    ConsentStatus,
    Instant,
    PersonRecord,
    Refusal,
    Registry,
)

NAMES = ("offers", "news", "marketing", "personalise", "ask_offers")
STOPS = ("withdrawn", "objected", "refused", "revoked", "invalidated", "opted_out")
SETTINGS = settings(max_examples=80, deadline=None)


@st.composite
def acts(draw, kinds):
    kind = ConsentStatus(draw(st.sampled_from(kinds)))
    channels = [("email",), ("sms",), ("email", "sms"), ()]
    if kind not in ("given", "reaffirmed"):
        channels.append(("*",))
    at = NOON - draw(st.integers(0, 8)) * DAY
    said = Act(
        kind,
        Instant(at),
        Instant(at + draw(st.integers(0, 3)) * DAY),
        draw(st.integers(1, 5)),
        until=draw(st.sampled_from([0, 0, NOON - DAY, NOON + DAY])),
        categories=draw(st.sampled_from([(), ("interests",), ("history", "interests")])),
        notice=draw(st.sampled_from(["offers@2", "offers@1", "personalise@1"])),
        confirmed=draw(st.booleans()),
        by=draw(st.sampled_from(["self", "competent_person", "staff"])),
    )
    return draw(st.sampled_from(NAMES)), draw(st.sampled_from(channels)), said


def fold(record, stated):
    for name, channels, said in stated:
        record = apply_consent(record, kind=said.status, purpose=name, channels=channels, act=said)
    return record


GIVEN = ("given", "reaffirmed", "given", *STOPS, "expired", "requested", "imported")


@st.composite
def records(draw):
    record = PersonRecord(
        residence=draw(st.sampled_from(["ZA", "DE", "", "US"])),
        zone=draw(st.sampled_from(["Africa/Johannesburg", ""])),
        subject=draw(st.sampled_from(["natural", "juristic"])),
        age=draw(st.sampled_from(["adult", "", "minor"])),
        competent=draw(st.booleans()),
        restricted=draw(st.sampled_from([False, False, True])),
        relations=draw(st.sampled_from([(), (sale(),), (sale(goods="garden"),)])),
    )
    record = fold(record, draw(st.lists(acts(GIVEN), max_size=5)))
    level = draw(st.sampled_from([-1, 0, 1, 2, 3, 5]))
    return record if level < 0 else at_level(record, level, days=draw(st.integers(1, 9)))


questions = st.fixed_dictionaries(
    {
        "purpose": st.sampled_from(
            ["offers", "news", "ask_offers", "personalise", "orders", "marketing"]
        ),
        "action": st.sampled_from([Action.SEND, Action.PROFILE]),
        "channel": st.sampled_from([Channel.EMAIL, Channel.SMS, None]),
        "categories": st.sampled_from(
            [frozenset(), frozenset({"interests"}), frozenset({"history"})]
        ),
    }
)


def agreed(found):
    return not isinstance(found, Refusal)


@SETTINGS
@given(records(), acts(STOPS), questions)
@example(AGREED, ("offers", ("email",), act("withdrawn", 2)), {})
def test_no_withdrawal_objection_or_refusal_ever_turns_a_no_into_a_yes(record, stop, question):
    after = answer(fold(record, [stop]), **question)
    assert not agreed(after) or agreed(answer(record, **question))


@SETTINGS
@given(
    records(),
    st.sampled_from(["registry_block", "objection", "unsubscribe", "complaint"]),
    questions,
)
def test_no_suppression_ever_turns_a_no_into_a_yes(record, reason, question):
    after = answer(record, blocks=[Block(reason)], **question)
    assert not agreed(after) or agreed(answer(record, **question))
    if question["purpose"] in ("offers", "news", "marketing", "ask_offers"):
        assert not agreed(after)


@SETTINGS
@given(records(), questions)
def test_without_any_act_or_relation_there_is_no_marketing(record, question):
    silent = replace(record, standings={}, relations=(), level=-1)
    if question["purpose"] in ("offers", "news", "marketing"):
        assert not agreed(answer(silent, **question))


@SETTINGS
@given(records(), st.integers(0, 5), questions)
def test_a_preference_can_only_narrow(record, level, question):
    if record.level < 0:
        return
    chosen = consent.apply_level(record, min(level, record.level), act(days=0, n=99))
    assert not agreed(answer(chosen, **question)) or agreed(answer(record, **question))
    opened = consent.level_categories(chosen, HOUSE, NOON)
    assert opened <= consent.level_categories(record, HOUSE, NOON)


@SETTINGS
@given(records(), questions)
def test_a_level_alone_opens_no_data(record, question):
    bare = replace(record, standings={}, level=5)
    assert consent.level_categories(bare, HOUSE, NOON) == frozenset()
    if question["categories"] and question["purpose"] in ("offers", "personalise"):
        assert not agreed(answer(bare, **question))


@SETTINGS
@given(records(), records())
def test_a_merge_opens_nothing_that_either_profile_had_closed(mine, theirs):
    merged = merge(mine, theirs, purposes=PURPOSES, act=act(days=0, n=50))
    for name in ("offers", "news"):
        for channel in ("email", "sms"):
            sides = [
                resolve(side, PURPOSES[name], channel, NOON, PURPOSES) for side in (mine, theirs)
            ]
            closed = [s for s in sides if s.act is not None and s.act.status in STOPS]
            found = resolve(merged, PURPOSES[name], channel, NOON, PURPOSES)
            assert not closed or found.status not in ("given", "reaffirmed")


@SETTINGS
@given(records(), questions)
def test_asking_for_exactly_the_allowed_categories_is_never_too_much(record, question):
    request, facts = ask(record, **question)
    wanted = gate.allowed_categories(request, facts)
    assert "category_not_agreed" not in codes(record, **{**question, "categories": wanted})


@SETTINGS
@given(records(), questions)
def test_a_permit_covers_what_was_asked_for_a_while_and_a_refusal_is_never_empty(record, question):
    found = answer(record, **question)
    if agreed(found):
        assert NOON < found.until <= NOON + gate.PERMIT_LIFE
        assert set(found.categories) == question["categories"]
        assert not record.restricted or question["purpose"] == "orders"
    else:
        order = [gate.RULES.index(reason.code) for reason in found.reasons]
        assert order
        assert order == sorted(order)


@SETTINGS
@given(records(), questions, st.sampled_from(["clock", "registry", "notices", "labels", "claim"]))
def test_whatever_becomes_unknown_never_turns_a_no_into_a_yes(record, question, lost):
    less = {
        "clock": house(clock_sure=False),
        "registry": house(registries={}),
        "notices": house(material={}),
        "labels": house(labels=frozenset()),
        "claim": HOUSE,
    }[lost]
    claim = replace(CLAIM, categories={}) if lost == "claim" else CLAIM
    after = answer(record, within=less, claim=claim, **question)
    assert not agreed(after) or agreed(answer(record, **question))


@SETTINGS
@given(records(), questions)
def test_an_unknown_zone_is_judged_no_more_loosely_than_a_known_one(record, question):
    early = Instant(NOON - 4 * 3600 * 1_000_000)  # 08:00 in Johannesburg, 07:00 in Brussels
    fresh = house(registries={"ZA": Registry(cleansed_at=NOON - 9 * DAY)})
    unknown = answer(replace(record, zone=""), at=early, within=fresh, **question)
    known = answer(replace(record, zone="Africa/Johannesburg"), at=early, within=fresh, **question)
    assert not agreed(unknown) or agreed(known)


def test_the_first_law_can_fail(monkeypatch):
    """Planted: a gate that reads a withdrawal as a consent breaks it, and is seen to."""
    whole = grounds.stands

    def wrong(record, where, at):
        status, said, name = whole(record, where, at)
        return (ConsentStatus.GIVEN if status == "withdrawn" else status, said, name)

    monkeypatch.setattr(grounds, "stands", wrong)
    withdrawn = told(STRANGER, "withdrawn", 5)
    assert agreed(answer(withdrawn))
    assert not agreed(answer(STRANGER))
