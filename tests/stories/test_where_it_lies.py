"""Where it lies: IT sees every place, a grown table raises an alarm, one person's things are found."""

import map_shop
import pytest
from map_shop import IT, MARK, OFFICER, house_chain

from troth.app import datamap, doctor, documents, scans, whereabouts
from troth.capabilities.access.cases import Opening, named_case
from troth.errors import InvalidInput, NotFound
from troth.kernel import events
from troth.terms import Actor, Refusal, Role


@pytest.fixture(scope="module")
def shop():
    with map_shop.opened() as (made, path):
        yield made, path


@pytest.fixture(scope="module")
def scanned(shop):
    """Scanned, grown by its supplier, scanned again."""
    made, path = shop
    first = scans.scan(made.ws, "crm", IT)
    map_shop.grow(path)
    return first, scans.scan(made.ws, "crm", IT)


def read(made):
    return datamap.read(made.ws, doctor.examine(made.ws))


def test_the_map_names_every_step_and_every_file_of_the_house(shop):
    held = read(shop[0])
    assert {each.step for each in held.parts} == {
        "acquired",
        "used",
        "stored",
        "shared",
        "deleted",
    }
    assert held.part("undescribed") is None
    assert held.part("record").undescribed == ()
    assert set(datamap.person_categories()) == set(held.part("record").categories)


def test_a_file_and_a_table_nobody_described_are_shown_as_that(shop):
    made, _ = shop
    stray = made.folder / "data" / "copy-of-everything.bin"
    stray.write_bytes(b"x")
    with map_shop.closing(map_shop.sqlite3.connect(made.ws.settings.record)) as con, con:
        con.execute("CREATE TABLE stray (x)")
    try:
        held = read(made)
        assert held.part("undescribed").undescribed == ("data/copy-of-everything.bin",)
        assert held.part("record").undescribed == ("record.db: stray",)
    finally:
        stray.unlink()
        with map_shop.closing(map_shop.sqlite3.connect(made.ws.settings.record)) as con, con:
            con.execute("DROP TABLE stray")


def test_uses_come_from_the_published_purposes_and_lead_to_whoever_delivers(shop):
    made, _ = shop
    held = read(made)
    with made.ws.store.look() as view:
        purposes = made.ws.desk.house(view).purposes
    shown = {each.name for part in held.parts if part.step == "used" for each in part.holds}
    assert shown == set(purposes)
    assert "recipient:mail" in held.part("use:direct_marketing").into


def test_another_system_stands_where_its_mapping_says_and_feeds_this_house(shop, scanned):
    part = read(shop[0]).part("source:crm")
    assert (part.country, part.processor, part.agreement) == ("DE", "Host GmbH", "2026-01 terms")
    assert part.categories == ("contact.email", "identity.name", "identity.official")
    assert part.claims == ("stored: disk encryption at the host",)
    assert part.into == ("imports",)
    assert part.kept == (("All of it", "3 years"),)


def test_a_scan_that_finds_what_is_mapped_is_quiet(scanned):
    first, _ = scanned
    assert first.drift == ()
    assert (first.tables, first.columns, first.personal) == (1, 3, 2)


def test_a_column_that_grew_is_an_alarm_once_and_an_event_of_the_house(shop, scanned):
    made, _ = shop
    _, second = scanned
    assert [(d.kind, d.column, d.now) for d in second.alarming] == [
        ("unmapped", "cell_number", "contact.phone")
    ]
    scans.scan(made.ws, "crm", IT)
    chain = house_chain(made.ws)
    acts = [p.act for p in chain if isinstance(p, events.MapActed) and p.source == "crm"]
    assert acts == ["mapped", "scanned", "settled", "scanned", "drifted", "scanned", "drifted"]
    alarms = [p for p in chain if isinstance(p, events.AlarmRaised) and p.alarm == "map.drift"]
    assert [(p.ref, p.counts) for p in alarms] == [("crm", {"columns": 1})]


def test_the_doctor_and_the_map_are_red_until_it_is_mapped(shop, scanned):
    made, _ = shop
    (check,) = [c for c in doctor.examine(made.ws) if c.id == "source.crm.drift"]
    assert check.state == "bad"
    held = read(made)
    assert held.part("source:crm").state == "bad"
    assert [each.name for each in held.alarms] == ["crm"]


def test_no_value_of_the_other_system_is_anywhere_in_this_house(shop, scanned):
    made, _ = shop
    held = [p for p in made.folder.rglob("*") if p.is_file() and MARK.encode() in p.read_bytes()]
    assert held == []


def test_a_source_that_went_away_is_no_longer_called_good(shop, scanned):
    made, path = shop
    gone = path.rename(path.with_suffix(".gone"))
    try:
        found = scans.scan(made.ws, "crm", IT)
        assert found.fault
        (check,) = [c for c in doctor.examine(made.ws) if c.id == "source.crm.drift"]
        assert check.state == "unknown"
    finally:
        gone.rename(path)
        scans.scan(made.ws, "crm", IT)


def test_the_daily_round_scans_what_is_due_and_nothing_twice_a_day(shop, scanned):
    made, _ = shop
    assert scans.due(made.ws) == []
    before = len(house_chain(made.ws))
    scans.tend(made.ws)
    assert len(house_chain(made.ws)) == before


def test_a_marketer_scans_nothing_and_a_source_nobody_listed_is_not_found(shop):
    made, _ = shop
    with pytest.raises(InvalidInput):
        scans.scan(made.ws, "crm", Actor(Role.MARKETER, "lindiwe@marula.example"))
    with pytest.raises(NotFound):
        scans.scan(made.ws, "other", IT)


# --- where is X of person Y


def ask(made, outside, category, actor=OFFICER, number="T-1"):
    person = made.person(outside)
    reason = named_case(made.ws.desk, person, Opening(number, "phone"), OFFICER)
    return whereabouts.where(made.ws, person, category, actor, reason)


def test_where_is_the_address_of_a_person_exactly_here_and_by_mapping_elsewhere(shop, scanned):
    made, _ = shop
    found = ask(made, "cast-adult", "contact.email")
    told = {each.title: (each.sure, each.count) for each in found.places}
    assert told["The record, sealed values"] == ("holds", 1)
    assert told["The record, address digests"] == ("holds", 1)
    (theirs,) = [each for each in found.places if each.part == "source:crm"]
    assert theirs.sure == "may"
    assert theirs.said == "may hold it in email; key column customer_id, email; not asked"


def test_everything_of_a_person_is_quarters_events_keys_and_index_rows(shop):
    made, _ = shop
    found = {each.title: each for each in ask(made, "cast-adult", whereabouts.ALL).places}
    assert found["The record, behaviour by quarter"].said == "quarters 2026Q2, 2026Q3, 2026Q4"
    assert found["The record, events"].count == len(made.chain("cast-adult"))
    assert found["The keys"].count == 4
    assert "people.external 1" in found["The record, index rows"].said


def test_a_category_that_nobody_holds_of_them_is_said_to_be_nowhere_in_the_record(shop):
    made, _ = shop
    found = ask(made, "cast-objected", "purchases.13w")
    assert [(p.title, p.sure) for p in found.places if p.part == "record"] == [
        ("The record", "none")
    ]


def test_the_question_is_in_the_chain_of_the_person_before_it_is_answered(shop):
    made, _ = shop
    ask(made, "shop-02", "contact.email", number="T-77")
    last = made.chain("shop-02")[-1].event.payload
    assert isinstance(last, events.DataRead)
    assert (last.fields, last.reason) == ((), "case:T-77")


def test_nobody_is_told_who_may_not_look_and_the_refusal_is_recorded(shop):
    made, _ = shop
    before = made.size()
    found = ask(made, "shop-03", "contact.email", actor=IT)
    assert isinstance(found, Refusal)
    assert made.size() > before


def test_a_look_without_a_case_is_refused(shop):
    made, _ = shop
    found = whereabouts.where(made.ws, made.person("shop-04"), "contact.email", OFFICER, "")
    assert isinstance(found, Refusal)


def test_a_category_that_does_not_exist_is_refused_before_anybody_is_looked_at(shop):
    made, _ = shop
    before = len(made.chain("shop-05"))
    with pytest.raises(InvalidInput):
        whereabouts.where(made.ws, made.person("shop-05"), "planted", OFFICER, "case:T-1")
    assert len(made.chain("shop-05")) == before


# --- out and in


def test_the_whole_map_leaves_as_fides_reads_it_and_comes_back(shop):
    made, _ = shop
    from troth.adapters import mapfiles

    held = datamap.fides(made.ws)
    assert mapfiles.read_map(mapfiles.write_map(held), "out.yml") == held
    assert {each.key for each in held.stores} == {"crm_db", "troth_record"}
    (us,) = [each for each in held.systems if each.key == "troth"]
    assert {use.name for use in us.uses} >= {"Offers by e-mail"} or len(us.uses) == 12


def test_a_mapping_is_taken_in_published_and_named_in_the_house_chain(shop, tmp_path):
    made, _ = shop
    file = tmp_path / "Loyalty Cards.yml"
    file.write_text("dataset: [{fides_key: loyalty, collections: []}]\n")
    name, told = scans.import_file(made.ws, file, IT)
    assert (name, told["stores"]) == ("loyalty-cards", 1)
    assert read(made).part("store:loyalty") is not None
    last = house_chain(made.ws)[-1]
    assert (last.act, last.source) == ("mapped", "loyalty-cards")
    file.write_text("dataset: [{fides_key: crm_db, collections: []}]\n")
    with pytest.raises(InvalidInput, match="one store"):
        scans.import_file(made.ws, file, IT)
    assert read(made).part("store:loyalty") is not None


def test_the_registers_tell_other_systems_from_their_mappings_and_what_is_missing(shop):
    made, _ = shop
    for name in ("art30", "s17"):
        paper = documents.document(made.ws, name)
        (line,) = [
            each for part in paper.parts for each in part.lines if each.title == "Customer service"
        ]
        assert dict(line.pairs)["Country"] == "DE"
        assert line.source.label == "map:crm@1"
        assert line.gaps == ()
    gaps = {gap.key for gap in documents.document(made.ws, "art30").gaps}
    assert "meta.troth.country" in gaps  # of the loyalty cards, which nobody finished


def test_a_mapping_that_does_not_read_here_is_a_gap_of_the_register_and_not_left_out(
    shop, monkeypatch
):
    made, _ = shop
    monkeypatch.setattr(scans, "read_mapping", lambda _each: None)
    titles = [e.title for p in documents.document(made.ws, "s17").parts for e in p.lines]
    assert "Mapping map:crm, which does not read here" in titles
