"""Segments counted, checked and published: exact inside, harmless outside."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_shop import MARKETER, PEOPLE, opened, segment, text

from troth import app
from troth.app.audiences import narrow_to
from troth.capabilities import insight
from troth.capabilities.insight import counting, fairness, tracker
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import audience
from troth.kernel.audience import Crowd, Known, Outside
from troth.terms import Actor, Instant, Role

LIMITS = insight.Limits(10, 10, 400, 200, 500)
BOUNDS = insight.Bounds(0.8, 1.25, 1.96, 50, 10)
HAS_SALE = {"has_sale": {}}
OTHER = Actor(Role.MARKETER, "other@marula.example")


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


# Numbers that give nobody away


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 60), max_size=8), st.integers(2, 12))
def test_what_is_kept_back_can_never_be_worked_out_from_the_total(counts, k):
    free = insight.hide(counts, k)
    assert free.keys() == counts.keys()
    hidden = [name for name, n in free.items() if n is None]
    assert all(n == 0 or n >= k for n in free.values() if n is not None)
    assert all(free[name] in (None, counts[name]) for name in counts)
    if hidden and len(hidden) < len([n for n in counts.values() if n]):
        assert len(hidden) > 1
        assert sum(counts[h] for h in hidden) >= k


def test_the_cell_that_matters_most_goes_last():
    free = insight.hide({"in": 12, "a": 3, "b": 30, "c": 40}, 10, frozenset({"in"}))
    assert free == {"in": 12, "a": None, "b": None, "c": 40}
    assert insight.hide({"in": 12, "a": 3}, 10, frozenset({"in"})) == {"in": None, "a": None}


def crowd(why, people, **facts):
    held = {"residence": "ZA", "age": "adult", "language": "en", "subject": "natural"} | facts
    level, agreed = held.pop("level", 1), held.pop("agreed", frozenset())
    return Crowd(why, **held, level=level, agreed=agreed, people=people)


NO = Outside(0, "no")


def test_an_answer_shows_three_numbers_and_what_keeps_the_rest_out():
    found = counting.shown(
        [crowd(None, 50), crowd(NO, 123), crowd(Outside(1, "untold"), 88)],
        38, {"no_consent": 12}, Instant(7), LIMITS,
    )  # fmt: skip
    assert (found.base, found.inside, found.reachable, found.refused) == (261, 50, 38, 12)
    assert found.reasons == {"no_consent": 12}
    assert found.outside == (insight.WhyNot(0, "no", 120), insight.WhyNot(1, "untold", 90))
    assert insight.band(found) == "10 to 99"


def test_a_small_segment_shows_nothing_but_that_it_is_small():
    found = counting.shown(
        [crowd(None, 9), crowd(NO, 100)], 9, {}, Instant(0), LIMITS
    )  # fmt: skip
    assert (found.inside, found.reachable, found.refused, found.few) == (None, None, None, True)
    assert [row.people for row in found.outside] == [None]
    assert insight.band(found) == "fewer than 10"


def test_a_lone_refusal_hides_the_exact_number_beside_it_and_tells_its_tens():
    found = counting.shown([crowd(None, 57)], 56, {"objected": 1}, Instant(0), LIMITS)
    assert (found.inside, found.reachable, found.about) == (57, None, 50)
    assert found.reasons == {"objected": None}
    assert found.refused is None


def test_bands_name_powers_of_ten_and_nobody():
    empty = insight.Counted(5, 0, 0, {}, (), Instant(0))
    huge = insight.Counted(5, 3_000_000, 0, {}, (), Instant(0))
    hidden = insight.Counted(5, None, None, {}, (), Instant(0))
    assert insight.band(empty) == "nobody"
    assert insight.band(huge) == "1,000,000 or more"
    assert insight.band(hidden) == "not shown"


# Counting


def test_the_count_is_of_whom_the_kernel_means_and_of_whom_the_gate_lets_through(shop):
    where = {"all": [HAS_SALE, {"bought": {"within_days": 30}}]}
    found = shop.count(where).counted
    with shop.ws.store.look() as view:
        people = [p for p in view.people(None, 10_000) if p != shop.ws.desk.scribe.house]
        needed = frozenset({"purchases.13w"})
        rows = insight.rows_of(shop.ws.desk, view, people, MARKETER, needed)
        one_by_one = Counter(audience.outside(segment(where), r.known, view.now) for r in rows)
    assert len(rows) == found.base == PEOPLE
    assert found.inside == one_by_one[None] == 48
    assert found.reachable is None or found.reachable + sum(found.reasons.values()) == 48
    told = {(row.place, row.state): row.people for row in found.outside if row.people}
    for why, people in one_by_one.items():
        assert why is None or told.get(why) in (None, insight.rounded(people, 10))


def test_people_with_newer_events_are_judged_from_the_record_behaviour_and_all(shop):
    where = {"all": [{"bought_in": {"group": "Tea", "within_days": 30}}, HAS_SALE]}
    before = shop.count(where).counted.inside
    from troth.capabilities import preferences
    from troth.terms import ConsentStatus

    people = [shop.person(n) for n in range(PEOPLE) if n % 5 == 4 and n % 4]
    assert before == len(people) == 24
    for person in people[:12]:
        choice = preferences.Choice(ConsentStatus("withdrawn"), "personalise", (), method="button")
        preferences.record_choice(shop.ws.desk, person, choice, Actor(Role.PERSON, person.hex()))
    assert shop.count(where).counted.inside == before - 12
    still = {"all": [{"interest": ["tea"]}, {"silent_for": {"days": 5}}]}
    fresh = shop.count(still, OTHER).counted
    app.rebuild_reach(shop.ws, MARKETER)
    third = Actor(Role.MARKETER, "lindiwe@marula.example")
    assert shop.count(still, third).counted.inside == fresh.inside


def test_each_count_is_one_event_of_the_house_before_it_and_names_nobody(shop):
    before = len(shop.house_events("SetProcessed"))
    shop.count(HAS_SALE)
    added = shop.house_events("SetProcessed")[before:]
    assert [each.work for each in added] == ["count", "preview"]
    assert added[0].expression == audience.digest(segment(HAS_SALE))
    assert added[0].counts == {}


def test_interests_select_who_told_them_and_agreed(shop):
    found = shop.count({"interest": ["tea"]}).counted
    assert found.inside == sum(n % 3 > 0 and n % 5 >= 2 for n in range(PEOPLE))


# The tracker


def test_a_second_segment_that_differs_by_one_person_is_kept_back(shop):
    first = shop.count(HAS_SALE)
    assert (first.counted.inside, bool(first.fairness.shares)) == (120, True)
    nearly = {"all": [HAS_SALE, {"none": [{"last_sale_older_than": {"days": 186}}]}]}
    second = shop.count(nearly)
    assert second.counted == insight.Withheld("tracker", 10)
    assert second.fairness.shares == (), "shares of groups would tell the one person too"
    assert isinstance(shop.count(nearly, OTHER).counted, insight.Counted)


def test_the_same_people_by_other_words_are_shown_again(shop):
    first = shop.count(HAS_SALE).counted
    same = shop.count({"all": [HAS_SALE, {"last_sale_older_than": {"days": 1}}]}).counted
    assert first.inside == same.inside == 120
    assert not same.kept


def test_where_few_people_changed_the_earlier_answer_is_shown_again(shop):
    older = {"last_sale_older_than": {"days": 100}}
    first = shop.count(older).counted
    limits = app.segment_limits(shop.ws)
    digest = audience.digest(segment(older))
    others = [shop.person(n) for n in range(4)]
    from troth.adapters.reach.standing import sketch

    key = insight.sketch_key(shop.ws.desk)
    people = narrow_to(shop.ws, segment(older))
    fewer = sketch([*people[4:], *others], key)
    admitted = insight.admit(shop.ws.desk, MARKETER, (digest, fewer), first, limits)
    assert (admitted.inside, admitted.kept) == (first.inside, True)
    kept = insight.admit(shop.ws.desk, MARKETER, ("00" * 32, fewer), first, limits)
    assert kept == insight.Withheld("tracker", 10)


def test_old_results_are_forgotten_and_none_names_anybody(shop):
    limits = insight.Limits(10, 10, 400, 3, 500)
    some = insight.Counted(5, 0, 0, {}, (), Instant(0))
    for n in range(6):
        sketch = bytes([n]) * 8192
        insight.admit(shop.ws.desk, MARKETER, (f"{n:064x}", sketch), some, limits)
    with shop.ws.store.look() as view:
        rows = view.rows(tracker.RESULTS, b"", b"", 100)
    assert len(rows) == 3
    assert {raw[: tracker.DIGEST_BYTES].hex() for _, raw in rows} == {
        f"{n:064x}" for n in (3, 4, 5)
    }
    again = insight.admit(shop.ws.desk, MARKETER, (f"{5:064x}", b"\5" * 8192), some, limits)
    assert again == some
    everybody = b"".join(raw for _, raw in rows)
    assert not any(shop.person(n) in everybody for n in range(PEOPLE))


def test_a_days_counts_end(shop):
    limits = insight.Limits(10, 10, 2, 200, 500)
    told = [insight.spend(shop.ws.desk, MARKETER, limits) for _ in range(3)]
    assert told == [None, None, insight.Withheld("quota", 2)]
    assert insight.spend(shop.ws.desk, OTHER, limits) is None


def test_two_at_once_by_one_person_are_not_both_shown(shop):
    from troth.adapters.reach.standing import sketch

    people = [shop.person(n) for n in range(40)]
    key, limits = insight.sketch_key(shop.ws.desk), app.segment_limits(shop.ws)
    some = insight.Counted(40, 40, 40, {}, (), Instant(0))
    sets = [("11" * 32, sketch(people, key)), ("22" * 32, sketch(people[1:], key))]
    out = []
    threads = [
        threading.Thread(
            target=lambda seen=seen: out.append(
                insight.admit(shop.ws.desk, MARKETER, seen, some, limits)
            )
        )
        for seen in sets
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(type(each).__name__ for each in out) == ["Counted", "Withheld"]


# Fairness


def check(where, crowds, levels=()):
    return insight.check(segment(where), crowds, app.proxies(), BOUNDS, levels)


def test_goods_that_stand_for_a_trait_are_named_with_their_source():
    found = check({"bought_in": {"group": "Baby care", "within_days": 30}}, [crowd(None, 100)])
    assert found.verdict == "look again"
    (stand,) = found.stands
    assert (stand.named, stand.trait) == ("Baby care", "pregnancy or a small child at home")
    assert stand.why
    assert stand.source


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ({"language": ["af"]}, {"language"}),
        ({"all": [{"place": ["ZA"]}, {"language": ["af"]}]}, {"language", "place + language"}),
        ({"none": [{"age_class": ["minor"]}]}, {"age_class"}),
        ({"has_sale": {}}, set()),
    ],
)
def test_words_that_stand_for_a_trait_are_found_alone_and_together(where, named):
    assert {s.named for s in check(where, [crowd(None, 100)]).stands} == named


def test_a_planted_proxy_is_measured_though_no_list_knows_it():
    crowds = [
        crowd(None, 180, language="af"), crowd(NO, 20, language="af"),
        crowd(None, 60), crowd(NO, 340),
    ]  # fmt: skip
    found = check({"bought_in": {"group": "zibbit", "within_days": 30}}, crowds)
    apart = {share.group: share for share in found.apart}
    assert found.verdict == "look again"
    assert not found.stands
    assert apart.keys() == {"af", "en"}
    assert apart["af"].ratio == 6.0
    assert apart["af"].low < 6 < apart["af"].high
    assert (apart["af"].percent, apart["en"].percent) == (90, 15)


def test_a_difference_that_chance_explains_is_not_held_against_it():
    crowds = [crowd(None, 12, language="af"), crowd(NO, 18, language="af"), crowd(None, 100)]
    crowds.append(crowd(NO, 200))
    assert check(HAS_SALE, crowds).verdict == "fine"


def test_a_fact_the_segment_asks_for_itself_is_no_surprise():
    crowds = [crowd(None, 200), crowd(NO, 200, residence="DE")]
    found = check({"residence": ["ZA"]}, crowds)
    chosen = [s for s in found.shares if s.fact == "residence"]
    assert all(s.chosen for s in chosen)
    assert found.verdict == "fine"


def test_shares_of_small_groups_are_kept_back():
    crowds = [crowd(None, 3, language="af"), crowd(NO, 40, language="af"), crowd(None, 300)]
    crowds += [crowd(NO, 5, language="zu"), crowd(None, 40, language="de")]
    shares = {s.group: s for s in check(HAS_SALE, crowds).shares if s.fact == "language"}
    assert shares["af"].percent is None
    assert shares["de"].percent is None, "or the total would tell the other"
    assert shares["en"].percent == 100
    assert "zu" not in shares


def test_who_can_never_be_in_it_is_counted_by_what_they_did_not_agree_to():
    purchases = frozenset({"purchases.13w"})
    crowds = [crowd(None, 39, agreed=purchases, level=3), crowd(NO, 61)]
    levels = (frozenset(), frozenset(), frozenset(), purchases)
    found = check({"bought": {"within_days": 30}}, crowds, levels)
    assert found.left_out == (insight.LeftOut("purchases.13w", 3, 61, True),)
    assert found.verdict == "look again"
    either = {"any": [{"bought": {"within_days": 30}}, HAS_SALE]}
    assert check(either, crowds, levels).left_out == ()


def test_nobody_at_all_is_fine():
    assert check({"bought": {"within_days": 30}}, []).verdict == "fine"


@given(st.integers(0, 99), st.integers(1, 99), st.integers(100, 300), st.integers(100, 300))
def test_an_interval_holds_its_middle_and_has_two_ends(a, b, n, m):
    _, low, high = fairness.disparity(((a, n), (b, m)), 1.96)
    middle = ((a + 0.5) / (n + 0.5)) / ((b + 0.5) / (m + 0.5))
    assert 0 < low <= middle <= high


# Publishing


def test_a_version_is_published_with_its_event_and_never_changes(shop):
    made = app.publish_audience(shop.ws, "test", app.Edition(text(HAS_SALE)), MARKETER)
    assert made.label == "audience:test@1"
    told = shop.house_events("HousePublished")[-1]
    assert (told.thing, told.digest) == ("audience:test@1", made.digest)
    other = {"all": [HAS_SALE, {"last_sale_older_than": {"days": 60}}]}
    app.publish_audience(shop.ws, "test", app.Edition(text(other), 1), MARKETER)
    assert app.read_audience(shop.ws, "test@1").where == segment(HAS_SALE).where
    assert app.read_audience(shop.ws, "audience:test").where == segment(other).where
    assert shop.ws.verify() == []


def test_who_began_from_an_older_version_is_told_and_nothing_is_lost(shop):
    edition = app.Edition(text(HAS_SALE))
    app.publish_audience(shop.ws, "test", edition, MARKETER)
    with pytest.raises(Conflict):
        app.publish_audience(shop.ws, "test", edition, MARKETER)
    with pytest.raises(Conflict):
        insight.publish(shop.ws.desk, segment(HAS_SALE), 0, MARKETER)
    assert len(app.segment_versions(shop.ws, "test")) == 1


def test_look_again_needs_a_written_reason_which_stands_in_the_version(shop):
    baby = text({"bought_in": {"group": "Baby care", "within_days": 30}})
    with pytest.raises(InvalidInput, match="look again"):
        app.publish_audience(shop.ws, "test", app.Edition(baby), MARKETER)
    with pytest.raises(InvalidInput, match="500"):
        app.publish_audience(shop.ws, "test", app.Edition(baby, reason="x" * 501), MARKETER)
    reason = "They  asked for\nnappy offers."
    app.publish_audience(shop.ws, "test", app.Edition(baby, reason=reason), MARKETER)
    assert app.read_audience(shop.ws, "test").note == "They asked for nappy offers."
    (row,) = [each for each in app.segments(shop.ws) if each.published.name == "audience:test"]
    assert row.size.verdict == "look again"


def test_a_reason_nobody_asked_for_is_not_kept(shop):
    edition = app.Edition(text(HAS_SALE), reason="just so")
    app.publish_audience(shop.ws, "test", edition, MARKETER)
    assert app.read_audience(shop.ws, "test").note == ""


def test_an_earlier_version_comes_into_force_again_as_the_next(shop):
    app.publish_audience(shop.ws, "test", app.Edition(text(HAS_SALE)), MARKETER)
    other = {"last_sale_older_than": {"days": 60}}
    app.publish_audience(shop.ws, "test", app.Edition(text(other), 1), MARKETER)
    assert app.restore_audience(shop.ws, "test", 1, MARKETER).version == 3
    assert app.read_audience(shop.ws, "test").where == segment(HAS_SALE).where
    with pytest.raises(NotFound):
        app.restore_audience(shop.ws, "test", 9, MARKETER)


def test_drafts_are_published_by_apply_and_drafts_alone_are_never_used(shop):
    assert app.read_audience(shop.ws, "winback").purpose == "offers"
    (shop.folder / "audiences/newer.toml").write_text(text(HAS_SALE, "newer"))
    with pytest.raises(NotFound, match="not published"):
        app.read_audience(shop.ws, "newer")
    assert app.read_draft(shop.ws, "newer").name == "newer"
    assert [p.label for p in shop.ws.apply()] == ["audience:newer@1"]
    assert app.read_audience(shop.ws, "newer").name == "newer"
    for missing in ("other", "../troth", "newer@7"):
        with pytest.raises(NotFound):
            app.read_audience(shop.ws, missing)
    with pytest.raises(NotFound):
        app.read_draft(shop.ws, "other")
    (shop.folder / "audiences/newer.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="UTF-8"):
        app.read_draft(shop.ws, "newer")


@pytest.mark.parametrize(
    ("edition", "name", "fault"),
    [
        (app.Edition(text(HAS_SALE, "other")), "test", InvalidInput),
        (app.Edition(text(HAS_SALE, purpose="nothing")), "test", NotFound),
        (app.Edition("nonsense"), "test", InvalidInput),
        (app.Edition(text(HAS_SALE)), "../test", NotFound),
        (
            app.Edition(text({"bought_in": {"group": "Wine", "within_days": 9}})),
            "test",
            InvalidInput,
        ),
    ],
)
def test_what_cannot_be_published_is_not(shop, edition, name, fault):
    with pytest.raises(fault):
        app.publish_audience(shop.ws, name, edition, MARKETER)
    assert [p.published.name for p in app.segments(shop.ws)] == ["audience:winback"]


def test_a_published_version_that_names_what_may_not_be_named_any_more_is_not_used(shop):
    raw = {"name": "old", "purpose": "offers", "where": {"interest": ["wine"]}}
    wine = audience.written(audience.parse_audience(raw))
    (shop.folder / "audiences/old.toml").write_text(wine)
    (shop.folder / "audiences/bytes.toml").write_bytes(b"\xff")
    shop.ws.apply()
    with pytest.raises(InvalidInput, match="sensitive"):
        app.read_audience(shop.ws, "old")
    rows = {each.published.name: each for each in app.segments(shop.ws)}
    assert rows["audience:old"].wanted is None
    assert "sensitive" in rows["audience:old"].fault
    assert "UTF-8" in rows["audience:bytes"].fault


def test_what_a_list_says_of_size_is_a_band_of_the_published_words_alone(shop):
    app.note_band(shop.ws, shop.count({"last_sale_older_than": {"days": 90}}))
    winback = app.read_audience(shop.ws, "winback")
    assert app.segments(shop.ws)[0].size is None
    app.note_band(shop.ws, app.count_audience(shop.ws, winback, OTHER))
    assert app.segments(shop.ws)[0].size.band == "10 to 99"


def test_without_a_generation_the_answer_names_the_rebuild(shop):
    import shutil

    shutil.rmtree(shop.folder / "data/reach")
    with pytest.raises(NotFound, match="audience rebuild"):
        shop.count(HAS_SALE)


def test_an_unknown_person_stays_out_of_a_row():
    row = insight.joined([], [(Known(), "natural")], segment(HAS_SALE), Instant(0))
    assert (row[0].why, row[0].people) == ((0, "no"), 1)
