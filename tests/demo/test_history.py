"""Each generated history is the story its name tells, as the kernel folds it."""

import tomllib
from datetime import datetime
from importlib.resources import files

import pytest

from troth.kernel.consent import apply_consent, missing_proof, resolve
from troth.surfaces.demo import history, people
from troth.surfaces.demo.clock import demo_now
from troth.terms import (
    GRANTING,
    Act,
    Channel,
    ConsentStatus,
    PersonRecord,
    Purpose,
    PurposeKind,
    instant,
)

NOW = demo_now(())
AT = instant(NOW)
PUBLISHED = {f"{n}@{v}" for n, vs in people.told("mix")["notices"].items() for v in vs}
TELLS = {
    "consent": "given",
    "consent_both": "given",
    "reaffirmed": "reaffirmed",
    "given_again": "given",
    "late_paper": "given",
    "by_call": "given",
    "soft": "unknown",
    "withdrawn": "withdrawn",
    "withdrawn_all": "withdrawn",
    "paper_overtaken": "withdrawn",
    "refused": "refused",
    "objected": "objected",
    "imported": "imported",
    "no_notice": "imported",
    "no_time": "imported",
    "no_method": "imported",
    "no_proof": "imported",
    "unpublished": "imported",
    "expired": "expired",
    "sms_only": "unknown",
    "newsletter_only": "unknown",
    "requested": "requested",
    "silent": "unknown",
}
CAST = {
    "cast-adult": "given",
    "cast-prospect": "unknown",
    "cast-lapsed": "given",
    "cast-gone": "withdrawn",
    "cast-guardian": "given",
    "cast-minor": "requested",
    "cast-organisation": "given",
    "cast-shared-one": "given",
    "cast-shared-two": "refused",
    "cast-withdrawn": "withdrawn",
    "cast-objected": "objected",
    "cast-suppressed": "given",
    "cast-unknown": "given",
    "cast-european": "given",
    "cast-zero": "given",
    "cast-californian": "given",
    "cast-canadian": "unknown",
    "cast-inquirer": "unknown",
}


@pytest.fixture(scope="module")
def purposes():
    found = {}
    for path in (files("troth") / "data" / "demo" / "purposes").iterdir():
        draft = tomllib.loads(path.read_text("utf-8"))
        draft["kind"] = PurposeKind(draft["kind"])
        for name in ("channels", "categories", "goods"):
            draft[name] = frozenset(draft[name])
        found[draft["name"]] = Purpose(**draft)
    return found


@pytest.fixture(scope="module")
def everybody():
    return people.customers(range(1, 2_501), {}, NOW, 7)


def folded(who):
    """The record an honest importer makes of one customer's rows."""
    record = PersonRecord(age="minor" if who.minor else "")
    for n, row in enumerate(history.acts(who, NOW, 7), 1):
        status = ConsentStatus(row.status)
        told = {"notice": row.notice, "time": row.occurred_at, "method": row.method}
        if status in GRANTING and missing_proof({**told, "proof": row.proof}, PUBLISHED):
            status = ConsentStatus.IMPORTED
        at = instant(datetime.fromisoformat(row.occurred_at)) if row.occurred_at else AT
        act = Act(status, at, AT, n, categories=tuple(row.categories.split(";")), by=row.given_by)
        channels = tuple(row.channels.replace("all", "*").split(";")) if row.channels else ()
        record = apply_consent(
            record, kind=status, purpose=row.purpose, channels=channels, act=act
        )
    return record


def standing(who, purposes):
    return resolve(folded(who), purposes["offers"], Channel.EMAIL, AT, purposes).status


@pytest.mark.parametrize("profile", history.PROFILES)
def test_a_profile_comes_to_what_its_story_says(profile, everybody, purposes):
    found = [
        standing(who, purposes) for who in everybody if who.profile == profile and not who.minor
    ]
    assert len(found) > 5
    assert set(found) == {TELLS[profile]}


def test_each_of_the_cast_stands_where_the_story_says(everybody, purposes):
    cast = {who.external_id: standing(who, purposes) for who in everybody if who.profile == "cast"}
    assert cast == CAST


def test_a_minor_s_yes_counts_only_when_a_competent_person_gave_it(everybody, purposes):
    minors = [w for w in everybody if w.minor and w.profile in {"consent", "given_again"}]
    assert minors
    assert {standing(who, purposes) for who in minors} == {"given"}
    assert all(a.given_by == "competent_person" for w in minors for a in history.acts(w, NOW, 7) if a.status == "given")  # fmt: skip


def test_one_person_s_history_does_not_hang_on_who_else_there_is(everybody):
    alone = people.customers([77], {}, NOW, 7)[0]
    among = next(who for who in everybody if who.household == 77)
    assert history.acts(alone, NOW, 7) == history.acts(among, NOW, 7)


def test_going_down_a_level_withdraws_that_level_s_categories_alone(everybody):
    downs = [
        act
        for who in everybody
        for act in history.acts(who, NOW, 7)
        if act.purpose == "personalise" and act.status == "withdrawn"
    ]
    assert downs
    for act in downs:
        level = int(act.level)
        closed = set(history.opened(level + 1)) - set(history.opened(level))
        assert set(act.categories.split(";")) == closed
