"""What an audience means for one person, and what its reader refuses."""

import tomllib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import audience as words
from troth.kernel.audience import Known, Purchase, evaluate, parse_audience
from troth.terms import DAY, Instant, PersonRecord, Relation, instant

TODAY = 20_000
AT = Instant(TODAY * DAY + 5)
EVERYTHING = frozenset({"purchases.13w", "purchases.52w", "interests.declared"})
BEHAVIOUR = [
    {"bought": {"within_days": 30}},
    {"bought_in": {"group": "coffee", "within_days": 30}},
    {"count_at_least": {"n": 1, "within_days": 30}},
    {"spent_at_least": {"minor": 1, "currency": "ZAR", "within_days": 30}},
    {"silent_for": {"days": 30}},
    {"interest": ["coffee"]},
]
FULL = Known(
    agreed=EVERYTHING,
    residence="ZA",
    age="adult",
    language="en",
    level=4,
    relations={"sale": TODAY - 100, "inquiry": TODAY - 10},
    interests=frozenset({"coffee"}),
    purchases=(
        Purchase(TODAY, "coffee", 2, 5_000, "ZAR"),
        Purchase(TODAY - 29, "tea", 1, 3_000, "ZAR"),
        Purchase(TODAY - 30, "tea", 1, 900_000, "ZAR"),
        Purchase(TODAY, "coffee", -1, -2_500, "ZAR"),
        Purchase(TODAY, "coffee", 1, 700, "EUR"),
    ),
)


def audience(where, sensitive=frozenset()):
    return parse_audience({"name": "test", "purpose": "offers", "where": where}, sensitive)


def holds(where, known=FULL, at=AT):
    return evaluate(audience(where), known, at)


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ({"bought": {"within_days": 1}}, True),
        ({"bought_in": {"group": "tea", "within_days": 29}}, False),
        ({"bought_in": {"group": "tea", "within_days": 30}}, True),
        ({"count_at_least": {"n": 3, "within_days": 30}}, True),
        ({"count_at_least": {"n": 4, "within_days": 30}}, False),
        ({"spent_at_least": {"minor": 5_500, "currency": "ZAR", "within_days": 30}}, True),
        ({"spent_at_least": {"minor": 5_501, "currency": "ZAR", "within_days": 30}}, False),
        ({"spent_at_least": {"minor": 701, "currency": "EUR", "within_days": 30}}, False),
        ({"silent_for": {"days": 1}}, False),
        ({"has_sale": {}}, True),
        ({"last_sale_older_than": {"days": 100}}, True),
        ({"last_sale_older_than": {"days": 101}}, False),
        ({"relation": {"kind": "inquiry", "within_months": 1}}, True),
        ({"relation": {"kind": "sale", "within_months": 3}}, False),
        ({"relation": {"kind": "contract", "within_months": 3}}, False),
        ({"residence": ["DE", "ZA"]}, True),
        ({"age_class": ["minor"]}, False),
        ({"language": ["en"]}, True),
        ({"level_at_least": 4}, True),
        ({"level_at_least": 5}, False),
        ({"interest": ["tea"]}, False),
    ],
)
def test_each_word_means_what_its_table_says(where, answer):
    assert holds(where) is answer


@pytest.mark.parametrize("where", BEHAVIOUR)
def test_behaviour_nobody_agreed_to_is_unknown_whatever_the_data_say(where):
    from dataclasses import replace

    unagreed = replace(FULL, agreed=frozenset())
    assert holds(where, unagreed) is None
    assert holds({"none": [where]}, unagreed) is None
    assert holds({"any": [where, {"none": [where]}]}, unagreed) is None
    assert holds(where) is not None


@pytest.mark.parametrize(
    "where",
    [
        {"residence": ["ZA"]},
        {"age_class": ["adult"]},
        {"language": ["en"]},
        {"level_at_least": 0},
        {"last_sale_older_than": {"days": 1}},
        {"interest": ["coffee"]},
    ],
)
def test_a_missing_fact_is_unknown_and_so_is_its_opposite(where):
    nobody = Known(agreed=EVERYTHING)
    assert holds(where, nobody) is None
    assert holds({"none": [where]}, nobody) is None


def test_a_year_of_purchases_is_not_opened_by_thirteen_weeks():
    recent = Known(agreed=frozenset({"purchases.13w"}), purchases=FULL.purchases)
    assert holds({"bought": {"within_days": 91}}, recent) is True
    assert holds({"bought": {"within_days": 92}}, recent) is None


def test_who_never_bought_is_silent_and_has_no_last_sale():
    prospect = Known(agreed=EVERYTHING)
    assert holds({"silent_for": {"days": 90}}, prospect) is True
    assert holds({"has_sale": {}}, prospect) is False
    assert holds({"last_sale_older_than": {"days": 90}}, prospect) is None


TRUTH = {
    True: {"has_sale": {}},
    False: {"residence": ["DE"]},
    None: {"bought": {"within_days": 9}},
}
HALF = Known(residence="ZA", relations={"sale": 0})


@pytest.mark.parametrize("a", [True, False, None])
@pytest.mark.parametrize("b", [True, False, None])
def test_groups_follow_the_three_valued_tables(a, b):
    parts = [TRUTH[a], TRUTH[b]]
    rank = {False: 0, None: 1, True: 2}
    low, high = sorted([a, b], key=rank.get)
    assert holds({"all": parts}, HALF) is low
    assert holds({"any": parts}, HALF) is high
    assert holds({"none": parts}, HALF) is (None if high is None else not high)


@given(st.integers(0, 60_000), st.integers(1, 1_200))
def test_months_back_lands_on_the_same_day_or_the_months_last(day, months):
    start = date(1970, 1, 1).toordinal()
    before, after = (date.fromordinal(d + start) for d in (words.months_back(day, months), day))
    assert (after.year - before.year) * 12 + after.month - before.month == months
    assert before.day == after.day or (
        before.day < after.day and date.fromordinal(before.toordinal() + 1).day == 1
    )


def test_relations_come_from_the_record_with_their_newest_day():
    record = PersonRecord(
        relations=(
            Relation("sale", instant(datetime(2026, 1, 5, 23, tzinfo=UTC))),
            Relation("sale", instant(datetime(2025, 1, 5, tzinfo=UTC))),
        )
    )
    assert words.newest_relations(record) == {"sale": (date(2026, 1, 5) - date(1970, 1, 1)).days}


def test_categories_name_what_is_read_and_facts_need_no_level():
    found = words.categories(
        audience(
            {
                "all": [
                    {"last_sale_older_than": {"days": 90}},
                    {"bought": {"within_days": 91}},
                    {"any": [{"silent_for": {"days": 92}}, {"interest": ["tea"]}]},
                    {"none": [{"residence": ["DE"]}, {"level_at_least": 2}]},
                ]
            }
        )
    )
    assert found - words.FACTS == EVERYTHING
    assert found & words.FACTS == {"relation.sale", "residence", "level"}


def test_the_digest_ignores_order_and_name_and_nothing_else():
    one = {"any": [{"residence": ["ZA", "DE"]}, {"has_sale": {}}]}
    same = {"any": [{"has_sale": {}}, {"residence": ["DE", "ZA", "ZA"]}]}
    assert words.digest(audience(one)) == words.digest(audience(same))
    others = [
        {"all": one["any"]},
        {"any": [{"residence": ["ZA"]}, {"has_sale": {}}]},
        {"has_sale": {}},
        {"last_sale_older_than": {"days": 1}},
        {"last_sale_older_than": {"days": 2}},
    ]
    assert len({words.digest(audience(each)) for each in [one, *others]}) == len(others) + 1
    other = parse_audience({"name": "test", "purpose": "news", "where": one})
    assert words.digest(other) != words.digest(audience(one))


def test_the_digest_of_a_known_audience_never_changes():
    winback = audience({"all": [{"last_sale_older_than": {"days": 90}}, {"residence": ["ZA"]}]})
    assert words.digest(winback) == (
        "680b450eb906efc27895ff2d37bd6fac443e973204943dfde7b8947abbe84ef2"
    )


def test_what_is_spelt_out_reads_back_as_the_same_audience():
    source = """
    name = "winback"
    purpose = "offers"
    [where]
    all = [
      { last_sale_older_than = { days = 90 } },
      { any = [ { bought_in = { group = "coffee", within_days = 91 } }, { interest = ["tea"] } ] },
      { none = [ { residence = ["DE", "FR"] } ] },
      { level_at_least = 2 },
    ]
    """
    first = parse_audience(tomllib.loads(source))
    again = audience(words.spelt(first.where))
    assert words.digest(again) == words.digest(first)
    assert words.spelt(again.where) == words.spelt(first.where)


@pytest.mark.parametrize("name", ["Beer", "beer", " BEER "])
def test_sensitive_groups_and_interests_are_refused_in_any_spelling(name):
    sensitive = frozenset({"bEEr"})
    for where in (
        {"bought_in": {"group": name, "within_days": 30}},
        {"interest": ["tea", name]},
        {"none": [{"any": [{"interest": [name]}]}]},
    ):
        audience(where)
        with pytest.raises(InvalidInput, match="sensitive"):
            audience(where, sensitive)


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ({}, "where"),
        ({"all": []}, r"where\.all"),
        ({"all": [{"has_sale": {}}, {"wrong": 1}]}, r"where\.all\[2\]"),
        ({"has_sale": {}, "bought": {"within_days": 3}}, "where"),
        ({"bought": {"within_days": 0}}, r"where\.bought\.within_days"),
        ({"bought": {"within_days": 365}}, r"where\.bought\.within_days"),
        ({"bought": {"within_days": True}}, r"where\.bought\.within_days"),
        ({"bought": {"within_days": 3.0}}, r"where\.bought\.within_days"),
        ({"bought": {}}, r"where\.bought"),
        ({"bought": {"within_days": 3, "group": "x"}}, r"where\.bought"),
        ({"spent_at_least": {"minor": 1, "currency": "zar", "within_days": 1}}, "currency"),
        ({"relation": {"kind": "friend", "within_months": 1}}, r"where\.relation\.kind"),
        ({"residence": []}, r"where\.residence"),
        ({"residence": "ZA"}, r"where\.residence"),
        ({"residence": ["South Africa"]}, r"where\.residence\[1\]"),
        ({"age_class": ["child"]}, r"where\.age_class\[1\]"),
        ({"level_at_least": 6}, r"where\.level_at_least"),
        ({"interest": [""]}, r"where\.interest\[1\]"),
        ({"bought_in": {"group": "x" * 201, "within_days": 1}}, "group"),
    ],
)
def test_a_fault_names_its_place_and_a_remedy(where, place):
    with pytest.raises(InvalidInput, match=place) as fault:
        audience(where)
    assert fault.value.remedy
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    "raw", [{}, {"name": "x", "where": {}}, {"name": "", "purpose": "p", "where": {}}]
)
def test_an_audience_without_a_purpose_or_name_is_refused(raw):
    with pytest.raises(InvalidInput):
        parse_audience(raw)


def test_an_expression_that_is_too_deep_or_too_long_is_refused():
    deep = {"has_sale": {}}
    for _ in range(5_000):
        deep = {"all": [deep]}
    for where in (deep, {"any": [{"has_sale": {}}] * 500}):
        with pytest.raises(InvalidInput, match="too deep or too long"):
            audience(where)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "all",
                        "any",
                        "none",
                        "bought",
                        "within_days",
                        "residence",
                        "interest",
                        "has_sale",
                    ]
                )
                | st.text(max_size=3),
                inner,
                max_size=2,
            )
        ),
    )
)
def test_anything_else_is_refused_as_invalid_input_and_nothing_worse(raw):
    try:
        made = audience(raw)
    except InvalidInput:
        return
    assert audience(words.spelt(made.where)) is not None
