"""Scores, stages, places; sensitive names in disguise; the text of a segment."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import audience as words
from troth.kernel.audience import Known, Purchase, evaluate, parse_audience, read_text, written
from troth.terms import DAY, Instant

TODAY = 20_000
AT = Instant(TODAY * DAY)
AGREED = frozenset({"purchases.13w", "purchases.52w"})
RECENT = {"days": [14, 30, 60, 120]}
OFTEN = {"lines": [2, 4, 8, 16]}
MUCH = {"minor": [100, 200, 300, 400], "currency": "ZAR"}


def audience(where, sensitive=frozenset()):
    return parse_audience({"name": "test", "purpose": "offers", "where": where}, sensitive)


def holds(where, known):
    return evaluate(audience(where), known, AT)


def buyer(*ago, minor=100, agreed=AGREED):
    lines = (Purchase(TODAY - days, "coffee", 1, minor, "ZAR") for days in ago)
    return Known(agreed=agreed, purchases=tuple(lines))


def score_of(known, score, bounds):
    return [n for n in range(1, 6) if holds({"rfm": {score: [n, n], **bounds}}, known)]


@pytest.mark.parametrize(
    ("ago", "score"), [(0, 5), (13, 5), (14, 4), (30, 3), (60, 2), (119, 2), (120, 1), (363, 1)]
)
def test_recency_counts_the_days_since_the_last_purchase(ago, score):
    assert score_of(buyer(ago, 300), "recency", RECENT) == [score]


@pytest.mark.parametrize(("lines", "score"), [(0, 1), (1, 1), (2, 2), (7, 3), (8, 4), (16, 5)])
def test_frequency_counts_the_thresholds_that_are_reached(lines, score):
    assert score_of(buyer(*[5] * lines), "frequency", OFTEN) == [score]


@pytest.mark.parametrize(("spent", "score"), [(0, 1), (100, 2), (250, 3), (399, 4), (400, 5)])
def test_monetary_counts_what_was_spent_in_one_currency(spent, score):
    assert score_of(buyer(5, minor=spent), "monetary", MUCH) == [score]


def test_who_never_bought_scores_one_and_who_did_not_agree_scores_nothing():
    assert score_of(buyer(), "recency", RECENT) == [1]
    assert score_of(buyer(1, agreed=frozenset()), "recency", RECENT) == []
    lowest = {"rfm": {"recency": [1, 4], **RECENT}}
    assert holds({"none": [lowest]}, buyer(1, agreed=frozenset())) is None
    assert holds({"none": [lowest]}, buyer(1)) is True


def test_scores_together_are_all_of_them_and_read_the_categories_of_their_thresholds():
    both = {"rfm": {"recency": [4, 5], **RECENT, "frequency": [2, 5], **OFTEN}}
    assert holds(both, buyer(1, 2)) is True
    assert holds(both, buyer(1)) is False
    assert words.categories(audience(both)) == AGREED
    assert words.categories(audience({"rfm": {"recency": [4, 5], **RECENT}})) == {"purchases.13w"}


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ({"rfm": {}}, r"where\.rfm"),
        ({"rfm": []}, r"where\.rfm"),
        ({"rfm": {"speed": [1, 2]}}, r"where\.rfm"),
        ({"rfm": {"recency": [4, 5]}}, "belong together"),
        ({"rfm": {"days": [1, 2, 3, 4]}}, "belong together"),
        ({"rfm": {"currency": "ZAR"}}, "minor needs its currency"),
        ({"rfm": {"monetary": [4, 5], "minor": [1, 2, 3, 4]}}, "minor needs its currency"),
        ({"rfm": {"recency": [1, 5], **RECENT}}, "leaves out nobody"),
        ({"rfm": {"recency": [5, 4], **RECENT}}, "does not rise"),
        ({"rfm": {"recency": [0, 4], **RECENT}}, r"recency\[1\]"),
        ({"rfm": {"recency": "4", **RECENT}}, "is no list"),
        ({"rfm": {"recency": [4, 5], "days": [1, 2, 2, 4]}}, "does not rise"),
        ({"rfm": {"recency": [4, 5], "days": [1, 2, 3, 365]}}, r"days\[4\]"),
        ({"rfm": {**MUCH, "monetary": [4, 5], "currency": "rand"}}, "currency"),
        ({"stage": ["lapsed"]}, r"where\.stage"),
        ({"stage": {"values": ["gone"], "silent_days": 9, "ended_days": 10}}, r"values\[1\]"),
        ({"stage": {"values": ["ended"], "silent_days": 9, "ended_days": 9}}, "ended_days"),
        ({"place": ["South Africa"]}, r"where\.place\[1\]"),
    ],
)
def test_a_fault_in_a_new_word_names_its_place_and_a_remedy(where, place):
    with pytest.raises(InvalidInput, match=place) as fault:
        audience(where)
    assert fault.value.remedy


def stage_of(**relations):
    known = Known(relations={kind: TODAY - days for kind, days in relations.items()})
    given = {"silent_days": 90, "ended_days": 365}
    return [
        name
        for name in words.STAGES
        if holds({"stage": {"values": [name], **given}}, known)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("relations", "stage"),
    [
        ({}, ["prospect"]),
        ({"inquiry": 3}, ["prospect"]),
        ({"sale": 0}, ["customer"]),
        ({"sale": 89}, ["customer"]),
        ({"sale": 90}, ["lapsed"]),
        ({"sale": 364}, ["lapsed"]),
        ({"sale": 365}, ["ended"]),
        ({"sale": 400, "donation": 10}, ["customer"]),
        ({"contract": 10}, ["customer"]),
        ({"contract": 400}, []),
        ({"sale": 400, "membership": 400}, []),
    ],
)
def test_a_stage_is_worked_out_of_days_and_unknown_where_a_contract_may_run_on(relations, stage):
    assert stage_of(**relations) == stage


def test_a_country_holds_its_parts_and_a_plain_country_does_not_tell_its_part():
    ontario, canada, nobody = Known(residence="CA-ON"), Known(residence="CA"), Known()
    assert holds({"place": ["CA"]}, ontario) is holds({"place": ["CA"]}, canada) is True
    assert holds({"place": ["CA-ON"]}, ontario) is True
    assert holds({"place": ["CA-QC"]}, ontario) is False
    assert holds({"place": ["CA-ON"]}, canada) is None
    assert holds({"place": ["ZA"]}, canada) is False
    assert holds({"place": ["CA"]}, nobody) is None
    assert words.country("CA-ON") == "CA"


@pytest.mark.parametrize(
    "name",
    [
        "beer", "BEER", " Beer ", "b\u0435er", "\uff22\uff25\uff25\uff32", "be\u200ber", "bee\u0301r",
        "craft beer & more", "beer/wine", "B E E R", "be-er beer", "\u0432eer wine",
    ],
)  # fmt: skip
def test_a_sensitive_name_is_refused_in_any_disguise(name):
    sensitive = frozenset({"Beer", "wine"})
    assert words.sensitive_word(name, frozenset(map(words.folded, sensitive)))
    for where in (
        {"bought_in": {"group": name, "within_days": 30}},
        {"none": [{"interest": ["tea", name]}]},
    ):
        with pytest.raises(InvalidInput, match=r"where\..*sensitive"):
            audience(where, sensitive)


@pytest.mark.parametrize("name", ["beersheba", "ginger ale free", "tea", "winery"])
def test_a_name_that_only_begins_alike_is_not_refused(name):
    assert not words.sensitive_word(name, frozenset({"beer", "gin", "wine"}))


EVERY_WORD = {
    "all": [
        {"has_sale": {}},
        {"rfm": {"recency": [4, 5], **RECENT, "monetary": [2, 3], **MUCH}},
        {"stage": {"values": ["lapsed", "ended"], "silent_days": 90, "ended_days": 365}},
        {"any": [{"place": ["CA-ON", "ZA"]}, {"level_at_least": 2}]},
        {"none": [{"interest": ['quo"te\\ and \x7f', "th\u00e9"]}]},
        {"bought_in": {"group": "tea \U0001f375\n'''", "within_days": 91}},
    ]
}


@pytest.mark.parametrize("where", [EVERY_WORD, {"has_sale": {}}, {"residence": ["ZA"]}])
def test_written_text_reads_back_as_the_same_audience(where):
    from dataclasses import replace

    first = replace(audience(where), note='because "of" this')
    again = read_text("x", written(first))
    assert words.digest(again) == words.digest(first)
    assert again.note == first.note
    assert written(again) == written(first)
    assert words.spelt(again.where) == words.spelt(first.where)


def test_a_note_does_not_change_the_digest_and_must_be_text():
    raw = {"name": "a", "purpose": "p", "where": {"has_sale": {}}}
    noted = parse_audience({**raw, "note": "why"})
    assert words.digest(noted) == words.digest(parse_audience(raw))
    with pytest.raises(InvalidInput, match="note"):
        parse_audience({**raw, "note": 7})


@given(st.text())
def test_any_group_name_survives_being_written(name):
    where = {"bought_in": {"group": name, "within_days": 5}}
    try:
        made = audience(where)
    except InvalidInput:
        return
    assert tomllib.loads(written(made))["where"]["bought_in"]["group"] == made.where.group


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 9_000, "nested too deeply|no TOML"),
        ("x = " + "{a=" * 4_000, "nested too deeply|no TOML"),
        ("a" + ".a" * 8_000 + " = 1", "wrong keys|nested|no TOML"),
        ("x = " + "9" * 16_000, "no TOML|wrong keys"),
        ("#" * 16_385, "longer than"),
        ("name = ", "no TOML"),
        ('name = "a"', "wrong keys"),
        ("", "wrong keys"),
    ],
)
def test_a_text_that_is_a_bomb_is_refused_by_name_and_costs_nothing(text, said):
    with pytest.raises(InvalidInput, match=f"(?s)segment: .*({said})"):
        read_text("segment", text)


def test_facts_are_asked_before_behaviour_and_each_condition_once():
    bought, sale = {"bought": {"within_days": 9}}, {"has_sale": {}}
    made = audience({"all": [bought, {"all": [sale, {"all": [bought]}]}, {"level_at_least": 1}]})
    kinds = [type(each).__name__ for each in words.musts(made.where)]
    assert kinds == ["HasSale", "LevelAtLeast", "Bought", "Bought"]
    assert words.needs(made.where) == {"purchases.13w"}
    assert not words.is_plain(made.where)


def test_what_keeps_people_out_is_named_by_place_and_state():
    where = audience(
        {"all": [{"interest": ["tea"]}, {"residence": ["ZA"]}, {"bought": {"within_days": 9}}]}
    )
    told = frozenset({"interests.declared", "purchases.13w"})
    tea = frozenset({"tea"})
    bought = (Purchase(TODAY, "tea", 1, 1, "ZAR"),)
    for known, answer in (
        (Known(residence="DE"), (0, "no")),
        (Known(), (0, "untold")),
        (Known(residence="ZA"), (1, "unagreed")),
        (Known(told, residence="ZA"), (2, "no")),
        (Known(told, residence="ZA", purchases=bought), (1, "untold")),
        (Known(told, residence="ZA", purchases=bought, interests=frozenset()), (1, "no")),
        (Known(told, residence="ZA", purchases=bought, interests=tea), None),
    ):
        assert words.outside(where, known, AT) == answer
