"""The demo's input files: the same everywhere, honest about what is generated."""

import csv
import re
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest

from troth.adapters.sources import open_source
from troth.engines.contact import digest_for_registry, normalise
from troth.engines.intake import ImportReport
from troth.errors import InvalidInput
from troth.kernel.consent import missing_proof
from troth.surfaces.demo import history, material, people, purchases
from troth.surfaces.demo.clock import ZONE, demo_now
from troth.surfaces.demo.draw import Draw
from troth.surfaces.demo.material import write_events_csv, write_material
from troth.terms import Channel, ConsentStatus

NOW = demo_now(())
LEAP = demo_now((), datetime.fromisoformat("2028-02-29T23:30:00+02:00"))
ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+\w")
INCOMPLETE = ("no_notice", "no_time", "no_method", "no_proof", "unpublished")
SENSITIVE = {  # personalisation.md §2 and §4.2, and what the table of products calls them
    "beer": "BEERS/ALES",
    "wine": "DOMESTIC WINE",
    "imported wine": "IMPORTED WINE",
    "liquor": "LIQUOR",
    "cigarettes": "CIGARETTES",
    "cigars": "CIGARS",
    "tobacco": "TOBACCO OTHER",
    "dietary aids": "DIETARY AID PRODUCTS",
    "restricted diet": "RESTRICTED DIET",
    "feminine hygiene": "FEMININE HYGIENE",
    "family planning": "FAMILY PLANNING",
    "pharmacy": "PHARMACY",
    "health": "VITAMINS",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_material(tmp_path_factory.mktemp("demo"), demo_now=NOW)


def rows(made, name):
    with made.paths[name].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def strangers_to_example(text):
    return [found for found in ADDRESS.findall(text) if not found.endswith(".example")]


def test_the_same_moment_gives_the_same_bytes(made, tmp_path):
    again = write_material(tmp_path, demo_now=NOW)
    assert again.counts == made.counts
    first = {p.relative_to(made.folder): p for p in made.folder.rglob("*") if p.is_file()}
    second = {p.relative_to(tmp_path): p for p in tmp_path.rglob("*") if p.is_file()}
    assert first.keys() == second.keys()
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes(), name


def test_on_29_february_all_figures_are_the_same_and_purchases_lie_whole_weeks_later(
    made, tmp_path
):
    leap = write_material(tmp_path, demo_now=LEAP)
    assert leap.counts == made.counts
    sql = 'select epoch(min("at")), epoch(max("at")) from read_parquet(?) where currency = \'ZAR\' group by external_id order by external_id'
    then, now = (
        duckdb.execute(sql, [str(each.paths["events"])]).fetchall() for each in (leap, made)
    )
    moved = timedelta(weeks=leap.weeks - made.weeks).total_seconds()
    assert {(a[0] - b[0], a[1] - b[1]) for a, b in zip(then, now, strict=True)} == {(moved, moved)}


def test_a_sunday_night_gives_the_moment_every_other_day_gives():
    assert demo_now((), datetime.fromisoformat("2026-11-22T23:55:00+02:00")) == NOW


def test_every_published_line_is_there_once_with_its_units_and_amount(made):
    ours = "item::bigint i, store::bigint s, units u, amount_minor c, kind = 'return' r"
    theirs = "product_id, store_id, quantity, round(sales_value * 100)::bigint, quantity <= 0"
    sql = f"""
        with ours as (select {ours} from read_parquet(?)),
             theirs as (select {theirs} from read_parquet(?))
        select (select count(*) from ours), (select count(*) from theirs),
               (select count(*) from (from ours except all from theirs)),
               (select count(*) from ours where r)"""
    paths = [str(made.paths["events"]), str(purchases._source("transactions"))]
    found = duckdb.execute(sql, paths).fetchone()
    assert found == (1_469_307, 1_469_307, 0, 8_869)
    assert (made.counts["lines"], made.counts["returns"]) == (1_469_307, 8_869)


def test_weekday_and_wall_clock_of_each_household_stay_as_published(made):
    zones = {r["external_id"]: r["zone"] or "Africa/Johannesburg" for r in rows(made, "customers")}
    sql = 'select external_id, min("at")::varchar from read_parquet(?) group by 1'
    duckdb.execute("set timezone = 'UTC'")
    first = dict(duckdb.execute(sql, [str(made.paths["events"])]).fetchall())
    source = str(purchases._source("transactions"))
    then = duckdb.execute(
        "select household_id, min(transaction_timestamp) from read_parquet(?) group by 1", [source]
    ).fetchall()
    played = {
        who["household"]: who["id"] for who in people.told("cast")["member"] if "household" in who
    }
    checked = 0
    for household, wall in then:
        who = played.get(household, f"hh-{household:04d}")
        at = datetime.fromisoformat(first[who]).astimezone(ZoneInfo(zones[who]))
        assert at.replace(tzinfo=None) - wall == timedelta(weeks=made.weeks), who
        checked += 1
    assert checked == 2_469


def test_purchases_end_the_day_before_and_144_households_are_silent(made):
    sql = """
        with each as (select max(epoch("at")) t from read_parquet(?) group by external_id)
        select max(t), count(*) filter (t < ?) from each"""
    limit = (NOW - timedelta(days=90)).timestamp()
    last, silent = duckdb.execute(sql, [str(made.paths["events"]), limit]).fetchone()
    assert datetime.fromtimestamp(last, ZONE).date() == NOW.date() - timedelta(days=1)
    assert silent == made.counts["silent"] == 144


def test_a_product_nobody_published_is_in_the_group_unknown_and_only_such(made):
    sql = "select count(*) filter (\"group\" = 'unknown'), count(*) filter (p.item is null), count(*) filter ((\"group\" = 'unknown') != (p.item is null)) from read_parquet(?) e left join (select distinct item::varchar item from read_csv(?)) p using (item)"
    paths = [str(made.paths["events"]), str(made.paths["products"])]
    assert duckdb.execute(sql, paths).fetchone() == (4_836, 4_836, 0)


def test_five_lines_agree_with_another_in_every_column_as_sources_says(made):
    columns = 'external_id, "at", kind, item, "group", amount_minor, currency, units, store'
    twins = f"select count(*) n from read_parquet(?) group by {columns} having n > 1"
    sql = f"select sum(n - 1) from ({twins})"
    assert duckdb.execute(sql, [str(made.paths["events"])]).fetchone() == (5,)
    assert "five lines agree" in made.paths["sources"].read_text()


def test_the_csv_of_events_says_what_the_parquet_says(made):
    path = write_events_csv(made)
    figures = 'count(*), sum(amount_minor), sum(units), count(distinct item), min(epoch("at")), max(epoch("at"))'
    sql = f"select {figures} from"
    duckdb.execute("set timezone = 'UTC'")
    text = duckdb.execute(f"{sql} read_csv('{path}', header=true)").fetchone()
    assert text == duckdb.execute(f"{sql} read_parquet('{made.paths['events']}')").fetchone()
    with path.open("rb") as file:
        head = file.read(200).split(b"\n")
    assert head[0] == b"external_id,at,kind,item,group,amount_minor,currency,units,store"
    assert re.fullmatch(rb"hh-0001,[0-9T:-]{19}Z,purchase,.*", head[1])


@pytest.mark.parametrize("kind", ["customers", "consents", "suppressions", "registry"])
def test_the_importers_take_every_row_without_a_word(made, kind):
    source, report = open_source(made.paths[kind], kind), ImportReport()
    report.note(source.notes)
    for batch in source.batches():
        report.add(batch)
    assert report.outcomes == {"kept": made.counts[kind]}
    assert not report.codes


def test_files_are_utf8_with_plain_line_ends_and_a_heading_row(made):
    for name, columns in material.COLUMNS.items():
        data = made.paths[name].read_bytes()
        assert data.decode().split("\n")[0] == ",".join(columns)
        assert b"\r" not in data
        assert data.endswith(b"\n")


def test_no_address_anywhere_lies_outside_the_reserved_domains(made):
    assert strangers_to_example("write to a.b@shop.example or eve@corp.com") == ["eve@corp.com"]
    for path in made.folder.rglob("*"):
        if path.is_file() and path.suffix not in {".parquet"} and path.name != "events.csv":
            assert not strangers_to_example(path.read_text("utf-8")), path.name


def test_there_is_one_customer_per_household_and_beside_them_cast_and_earlier_buyers(made):
    told = rows(made, "customers")
    cast = people.told("cast")["member"]
    ids = [row["external_id"] for row in told]
    earlier = people.told("mix")["counts"]["earlier_canadians"]
    alone = sum("household" not in who for who in cast) + earlier
    assert len(ids) == len(set(ids)) == 2_469 + alone
    assert {who["id"] for who in cast} <= set(ids)
    assert not any(row["phone"] for row in told)
    here = Counter(row["residence"] for row in told)
    shares = Counter(_region(code) for code in here.elements())
    for region, share in {"ZA": 0.45, "EU": 0.25, "US-CA": 0.15, "CA": 0.15}.items():
        assert abs(shares[region] / len(told) - share) < 0.025, region
    assert 15 < Counter(row["subject"] for row in told)["juristic"] < 40
    assert 5 < here[""] < 40


def _region(residence):
    """The part of the mix a residence belongs to."""
    if residence in {"DE", "FR", "NL", "IE"}:
        return "EU"
    return "CA" if residence.startswith("CA-") else residence


def test_some_californians_send_the_opt_out_signal_and_nobody_else_does(made):
    home = {row["external_id"]: row["residence"] for row in rows(made, "customers")}
    signals = [act for act in rows(made, "consents") if act["given_by"] == "signal"]
    assert {home[act["external_id"]] for act in signals} == {"US-CA"}
    assert {(a["status"], a["purpose"], a["method"]) for a in signals} == {
        ("opted_out", "personalise", "gpc")
    }
    californians = sum(code == "US-CA" for code in home.values())
    assert 0.15 < len(signals) / californians < 0.25


def test_earlier_canadians_bought_within_two_years_or_before_and_said_nothing(made):
    told = {r["external_id"]: r for r in rows(made, "customers")}
    earlier = {name: row for name, row in told.items() if name.startswith("ca-")}
    spoke = {act["external_id"] for act in rows(made, "consents")}
    bought = set(pq.read_table(made.paths["events"])["external_id"].to_pylist())
    assert not earlier.keys() & (spoke | bought)
    assert {row["residence"].partition("-")[0] for row in earlier.values()} == {"CA"}
    ages = [(NOW - datetime.fromisoformat(r["relation_at"])).days for r in earlier.values()]
    assert sum(days < 728 for days in ages) == sum(days > 733 for days in ages) == len(ages) / 2


def test_each_cast_member_has_the_purchases_the_cast_list_says(made):
    bought = Counter(pq.read_table(made.paths["events"])["external_id"].to_pylist())
    for who in people.told("cast")["member"]:
        assert (bought[who["id"]] > 0) == ("household" in who), who["id"]


def test_minors_name_a_competent_person_and_are_minors_under_every_regime(made):
    minors = [row for row in rows(made, "customers") if row["competent_person_email"]]
    assert len(minors) > 10
    assert all(NOW.year - int(row["birth_year"]) <= 15 for row in minors)
    assert all(row["competent_person_email"] != row["email"] for row in minors)


def test_a_few_mailboxes_are_shared_and_the_cast_shares_one(made):
    boxes = Counter(row["email"] for row in rows(made, "customers"))
    assert 10 < sum(count > 1 for count in boxes.values()) < 80
    assert boxes["mqhayi.family@inbox.example"] == 2


def test_every_variant_of_consent_is_there(made):
    acts = rows(made, "consents")
    assert {act["status"] for act in acts} == {
        "given", "refused", "withdrawn", "objected", "requested", "imported", "reaffirmed",
        "opted_out",
    }  # fmt: skip
    assert {act["status"] for act in acts} <= set(ConsentStatus)
    assert {act["method"] for act in acts} == {
        "", "checkbox", "button", "paper", "call_recording", "sms_reply", "one_click",
        "double_opt_in", "gpc",
    }  # fmt: skip
    assert {act["given_by"] for act in acts} == {"self", "competent_person", "staff", "signal"}
    assert {act["level"] for act in acts} == {"", "0", "1", "2", "3", "4", "5"}
    assert set(history.PROFILES) == set(people.told("mix")["profile"])
    assert all(made.counts[f"profile.{name}"] > 0 for name in history.PROFILES)


def test_about_45_in_100_agreed_to_offers_by_email_and_can_prove_it(made):
    agreed = sum(made.counts[f"profile.{name}"] for name in history.AGREED)
    assert 0.42 < agreed / 2_454 < 0.48


def test_the_acts_that_prove_too_little_are_those_meant_to(made):
    published = {
        f"{name}@{version}"
        for name, versions in people.told("mix")["notices"].items()
        for version in versions
    }
    lacking = [
        missing_proof({**act, "time": act["occurred_at"]}, published)
        for act in rows(made, "consents")
        if act["status"] in {"given", "reaffirmed"}
    ]
    found = Counter(missing for missing in lacking if missing)
    counts = {name: made.counts[f"profile.{name}"] for name in INCOMPLETE}
    assert found == {
        ("notice",): counts["no_notice"] + counts["unpublished"],
        ("time",): counts["no_time"],
        ("method",): counts["no_method"],
        ("proof",): counts["no_proof"],
    }


def test_a_grant_names_its_channels_and_only_a_denial_says_all(made):
    for act in rows(made, "consents"):
        named = set(act["channels"].split(";")) - {""}
        assert act["purpose"] == "personalise" or named
        assert named <= {*Channel, "all"}
        assert "all" not in named or act["status"] in {"withdrawn", "objected", "opted_out"}


def test_an_act_lies_in_the_past_and_names_the_notice_shown_that_day(made):
    since = {
        (name, version): history.notice_from(name, version, NOW)
        for name, versions in people.told("mix")["notices"].items()
        for version in versions
    }
    for act in rows(made, "consents"):
        if not act["occurred_at"]:
            continue
        at = datetime.fromisoformat(act["occurred_at"])
        assert at < NOW
        name, _, version = act["notice"].partition("@")
        if name and act["notice"] != "offers@9":
            assert since[name, version] <= at + timedelta(days=1)
        if act["confirmed_at"]:
            assert at < datetime.fromisoformat(act["confirmed_at"]) < NOW


def test_late_papers_stand_at_the_end_and_one_may_be_older_than_a_withdrawal_before_it(made):
    acts = rows(made, "consents")
    late = made.counts["profile.late_paper"] + made.counts["profile.paper_overtaken"]
    body, tail = acts[:-late], acts[-late:]
    assert {(act["method"], act["status"]) for act in tail} == {("paper", "given")}
    stopped = {a["external_id"]: a["occurred_at"] for a in body if a["status"] == "withdrawn"}
    overtaken = [act for act in tail if act["external_id"] in stopped]
    assert len(overtaken) >= made.counts["profile.paper_overtaken"] > 0
    for act in overtaken:
        if body_purpose(body, act) == "offers":
            assert datetime.fromisoformat(act["occurred_at"]) < datetime.fromisoformat(
                stopped[act["external_id"]]
            )


def body_purpose(body, act):
    """The purpose of the last withdrawal of the same customer."""
    mine = [b for b in body if b["external_id"] == act["external_id"]]
    return [b["purpose"] for b in mine if b["status"] == "withdrawn"][-1]


def test_only_where_a_sale_is_the_ground_or_no_ground_is_needed_was_objection_offered(made):
    known = {row["external_id"]: row for row in rows(made, "customers")}
    everybody = people.customers(range(1, 2_501), purchases.age_bands(), NOW, 7)
    for who in everybody:
        if who.profile == "soft":
            assert (
                known.get(who.external_id, {"objection_offered": "yes"})["objection_offered"]
                == "yes"
            )
            assert who.details_from_sale
        if who.profile in {*INCOMPLETE, "imported", "expired", "sms_only", "silent"}:
            assert not who.offered


def test_a_level_opens_its_categories_and_those_below():
    assert history.opened(1) == []
    assert history.opened(2) == ["identity.name", "interests.declared"]
    for level in range(2, 6):
        assert set(history.opened(level - 1)) < set(history.opened(level))


@pytest.mark.parametrize("category", SENSITIVE.values(), ids=SENSITIVE.keys())
def test_no_product_of_a_sensitive_category_is_left_unmarked(made, category):
    table = pq.read_table(
        purchases._source("products"), filters=[("product_category", "=", category)]
    )
    ids = {str(item) for item in table["product_id"].to_pylist()}
    marked = {row["item"]: row["sensitive"] for row in rows(made, "products")}
    assert ids
    assert {marked[item] for item in ids} == {"yes"}


def test_misfiled_sensitive_goods_are_found_by_their_type_and_innocent_ones_left(made):
    shop = material._sensitive(purchases)
    told = {x.name: x for x in shop}
    assert told["alcohol"].holds("MISCELLANEOUS", "", "VODKAS(42 UNDER PROOF)")
    assert told["hygiene"].holds("GROCERY", "CANDY - PACKAGED", "FEM. HYGN. TAMPONS")
    assert not any(x.holds("GROCERY", "COFFEE", "GROUND COFFEE") for x in shop)
    assert not any(x.holds("GROCERY", "SPICES & EXTRACTS", "GINGER") for x in shop)
    listed = Counter(row["sensitive_list"] for row in rows(made, "products"))
    assert {"alcohol", "tobacco", "diet", "hygiene", "family_planning", "health"} <= set(listed)
    assert listed["unclassified"] == 429


def test_product_names_are_plain_words(made):
    for row in rows(made, "products"):
        assert re.fullmatch(r"[A-Z][A-Za-z' ,-]+", row["name"]), row
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row["group"]), row


def test_suppressions_meet_customers_strangers_and_the_cast(made):
    known = {row["email"] for row in rows(made, "customers")}
    blocked = rows(made, "suppressions")
    assert len({row["email"] for row in blocked}) == len(blocked)
    assert {row["reason"] for row in blocked} == {"unsubscribe", "complaint", "hard_bounce"}
    assert 20 < sum(row["email"] in known for row in blocked) < len(blocked) - 50
    assert "camille.fontaine@inbox.example" in {row["email"] for row in blocked}


def test_the_registry_file_is_fresh_says_its_scheme_and_meets_a_few_customers(made):
    source = open_source(made.paths["registry"], "registry")
    assert source.registry is not None
    assert source.registry.scheme == "sha256-lower-trim"
    first, second, _, *digests = made.paths["registry"].read_text().splitlines()
    assert first == "# scheme: sha256-lower-trim"
    as_of = datetime.fromisoformat(second.removeprefix("# as-of: "))
    assert timedelta(0) < NOW - as_of < timedelta(days=28)
    assert digests == sorted(set(digests))
    ours = {
        digest_for_registry(source.registry.scheme, normalise("email", row["email"])).hex()
        for row in rows(made, "customers")
        if row["residence"] == "ZA"
    }
    assert 10 < len(ours & set(digests)) < len(digests) - 100


def test_sources_uses_the_agreed_wording_and_the_figures_of_this_run(made):
    text = made.paths["sources"].read_text()
    assert (
        "published household purchases; the package's README calls them simulated and gives "
        "801 households, the data holds 2,469" in text
    )
    assert "1,469,307 lines, 2,469 households" in text
    assert "144 households" in text
    assert "$" not in text


def test_a_draw_depends_on_seed_person_and_question_only():
    draw = Draw(7, "somebody")
    assert draw.share("x") == Draw(7, "somebody").share("x")
    assert len({draw.share("x"), draw.share("y"), Draw(8, "somebody").share("x")}) == 3
    drawn = Counter(Draw(7, str(n)).weigh("w", {"a": 3, "b": 1, "c": 0}) for n in range(4_000))
    assert 0.72 < drawn["a"] / 4_000 < 0.78
    assert drawn["c"] == 0
    assert {Draw(7, str(n)).whole("n", 2, 4) for n in range(100)} == {2, 3, 4}
    assert len(set(draw.sample("s", "abcdef", 3))) == 3


def test_a_moment_without_a_zone_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InvalidInput, match="zone"):
        write_material(tmp_path / "demo", demo_now=datetime(2026, 11, 17, 10))
    assert not (tmp_path / "demo").exists()
