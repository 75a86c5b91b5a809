"""Registers and the manual say what the published house says, and name what nobody wrote down."""

import csv
import io
import json
import re
import tomllib
from importlib.resources import files

import pytest

from troth import app
from troth.app import documents
from troth.capabilities import trust
from troth.capabilities.trust import recipients, register
from troth.errors import InvalidInput, NotFound
from troth.settings import read_settings
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
WHOLE = {
    "house": 'registration = "2026/000001/07"\ntelephone = "+27 21 555 0100"\n'
    'officer_registration = "IR-0001"\n',
}
TABLES = (
    '[bases]\noperations = "A legal duty (POPIA s11(1)(c))"\nconnections = "Legitimate interest"\n'
    '[paia]\nother_laws = ["Companies Act", "Consumer Protection Act"]\nrecords = ["Leases"]\n'
)


def rewrite(house, *changes, add=""):
    """Change the drafts of a house and publish them."""
    file = house.folder / "troth.toml"
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text + add)
    return publish(house)


def publish(house):
    house.ws.apply()
    house.ws.sign()
    return house


def complete(house):
    return rewrite(house, ("[house]\n", "[house]\n" + WHOLE["house"]), add=TABLES)


def line(paper, heading, title):
    part = next(part for part in paper.parts if part.heading.startswith(heading))
    return next(line for line in part.lines if line.title == title)


def gaps(house, name):
    return {gap.key for gap in app.document(house.ws, name).gaps}


@pytest.fixture
def signed(house):
    house.ws.sign()
    return house


@pytest.mark.parametrize("name", app.PAPERS)
def test_headings_are_dated_name_their_source_and_only_facts_that_exist(name):
    head = tomllib.loads((files("troth") / f"data/documents/{name}.toml").read_text())
    assert head["source"]
    assert head["source_mark"]
    assert head["checked_on"] < head["review_by"]
    assert head["needs_check"]
    assert {fact for part in head["part"] for fact in part["facts"]} <= register.PRODUCERS.keys()


def test_facts_that_do_not_exist_are_refused(signed):
    raw = b'title="T"\nlaw=""\nlead=""\n[[part]]\nheading="H"\nlaw=""\nfacts=["wealth"]\n'
    with pytest.raises(InvalidInput, match="wealth"):
        trust.make_paper("planted", raw, documents.facts(signed.ws))


def test_every_purpose_stands_in_the_register_with_its_version_and_hash(signed):
    made = app.document(signed.ws, "art30")
    part = next(part for part in made.parts if part.heading == "Purposes of the processing")
    with signed.ws.store.look() as view:
        held = {p.label: p.digest for p in view.published_all("purpose:")}
    assert {line.source.label: line.source.digest for line in part.lines} == held


def test_every_line_names_what_it_was_made_from(signed):
    for name in app.PAPERS:
        for part in app.document(signed.ws, name).parts:
            for each in part.lines:
                assert each.source.label, each
                assert re.fullmatch(r"[0-9a-f]{64}|", each.source.digest)
                assert bool(each.source.digest) == ("@" in each.source.label)


def test_a_changed_purpose_changes_the_register_and_the_documentation(signed):
    file = signed.folder / "purposes/offers.toml"
    before = line(app.document(signed.ws, "art30"), "Purposes", "Offers for your household")
    file.write_text(
        file.read_text()
        .replace('owner = "marketing"', 'owner = "the shop"')
        .replace("retention_days = 1095", "retention_days = 77")
    )
    assert app.unpublished(signed.ws) == ["purpose:offers"]
    same = line(app.document(signed.ws, "art30"), "Purposes", "Offers for your household")
    assert same == before, "a draft that is not published tells nothing"
    publish(signed)
    for name, heading in (("art30", "Time limits"), ("s17", "How long")):
        made = app.document(signed.ws, name)
        kept = line(made, heading, "Offers for your household")
        assert ("Kept for", "77 days while a ground stands") in kept.pairs
    now = line(app.document(signed.ws, "art30"), "Purposes", "Offers for your household")
    assert ("Owner", "the shop") in now.pairs
    assert now.source.digest != before.source.digest


@pytest.mark.parametrize(
    ("old", "key"),
    [
        ('information_officer = "Nokuthula Makeleni"\n', "house.information_officer"),
        ('address = "12 Quiet Street, Cape Town 8001, South Africa"\n', "house.address"),
        ('privacy_contact = "privacy@marula.example"\n', "house.privacy_contact"),
    ],
)
def test_a_missing_fact_is_named_with_file_and_key_and_nothing_is_put_in_its_place(
    signed, old, key
):
    assert key not in gaps(signed, "s17")
    rewrite(signed, (old, ""))
    made = app.document(signed.ws, "s17")
    found = [gap for gap in made.gaps if gap.key == key]
    assert [(gap.file, bool(gap.what)) for gap in found] == [("troth.toml", True)]
    said = {pair[0] for part in made.parts for each in part.lines for pair in each.pairs}
    assert found[0].what not in said


def test_a_purpose_nobody_answers_for_or_without_an_end_is_a_gap_of_its_own_file(signed):
    file = signed.folder / "purposes/newsletter.toml"
    file.write_text(
        file.read_text()
        .replace('owner = "marketing"', 'owner = ""')
        .replace("retention_days = 1095", "retention_days = 0")
    )
    publish(signed)
    found = {(gap.file, gap.key) for gap in app.document(signed.ws, "art30").gaps}
    assert {
        ("purposes/newsletter.toml", "owner"), ("purposes/newsletter.toml", "retention_days"),
    } <= found  # fmt: skip


def test_a_purpose_that_is_asked_for_and_of_which_no_notice_speaks_is_a_gap(signed):
    assert not any("purposes =" in key for key in gaps(signed, "s17"))
    copy = (signed.folder / "purposes/newsletter.toml").read_text().replace("newsletter", "extra")
    (signed.folder / "purposes/extra.toml").write_text(copy)
    publish(signed)
    assert 'purposes = ["extra"]' in gaps(signed, "s17")


def test_a_ground_the_company_wrote_stands_before_the_usual_one(signed):
    assert "bases.operations" in gaps(signed, "art30")
    complete(signed)
    made = app.document(signed.ws, "art30")
    found = line(made, "Purposes", "Running the shop: stock, accounts, fraud checks")
    assert ("Legal basis", "A legal duty (POPIA s11(1)(c))") in found.pairs
    assert made.gaps == []


def test_a_category_in_use_has_its_iri_and_the_purposes_that_may_open_it(signed):
    made = app.document(signed.ws, "art30")
    held = dict(line(made, "Categories of data", "E-mail address").pairs)
    assert held["DPV"] == "https://w3id.org/dpv/pd#EmailAddress"
    assert "service" in held["Used for"]
    window = dict(line(made, "Categories of data", "Purchases of the last 52 weeks").pairs)
    assert window["DPV"].startswith("https://w3id.org/dpv/pd#")


# Recipients and transfers


ABROAD = (
    '[channels.sms]\nprovider = "https://sms.provider.example/send"\ncountry = "IE"\n'
    'transfer = "Agreement of 1 May 2026 (POPIA s72(1)(a))"\n'
    '[connections.crm]\npurpose = "offers"\nchannel = "email"\n'
    'url = "https://crm.tool.example/in"\ncountry = "ZA"\n'
)


def test_who_gets_data_stands_with_country_and_safeguard(signed):
    rewrite(signed, add=ABROAD)
    made = app.document(signed.ws, "art30")
    crm = line(made, "Recipients", "Connected system crm")
    assert ("Country", "ZA") in crm.pairs
    assert ("Place", "crm.tool.example") in crm.pairs
    abroad = line(made, "Transfers", "Provider of text message messages")
    assert ("To", "IE") in abroad.pairs
    assert not abroad.gaps
    manual = app.document(signed.ws, "paia-manual")
    text = trust.as_json(manual).decode()
    assert "Provider of text message messages" in text
    assert "crm.tool.example" not in text


@pytest.mark.parametrize(
    ("left_out", "key"),
    [('country = "IE"\n', "channels.sms.country"),
     ('transfer = "Agreement of 1 May 2026 (POPIA s72(1)(a))"\n', "channels.sms.transfer")],
)  # fmt: skip
def test_a_country_or_safeguard_nobody_wrote_down_is_a_gap_never_none_abroad(
    signed, left_out, key
):
    rewrite(signed, add=ABROAD.replace(left_out, ""))
    made = app.document(signed.ws, "art30")
    assert key in {gap.key for gap in made.gaps}
    transfers = next(part for part in made.parts if part.heading.startswith("Transfers"))
    assert recipients._NONE not in str(transfers)


def test_a_house_that_gives_data_to_nobody_abroad_says_so(signed):
    assert recipients._NONE in str(app.document(signed.ws, "art30").parts)


def test_a_record_stored_abroad_is_a_transfer_and_needs_its_safeguard(signed):
    rewrite(signed, ('country = "ZA"', 'country = "DE"'))
    made = app.document(signed.ws, "art30")
    stored = line(made, "Transfers", "The record itself")
    assert ("Stored in", "DE") in stored.pairs
    assert [gap.key for gap in stored.gaps] == ["storage.transfer"]


# What protects it: only what is true


def titles(house):
    made = app.document(house.ws, "art30")
    return [each.pairs[0][1] for each in made.parts[-1].lines if each.pairs]


def test_a_ledger_that_was_never_signed_is_not_called_signed(house):
    with house.ws.store.look() as view:
        assert view.note() is None
    assert not any("Its head is signed" in said for said in titles(house))
    assert "troth sign" in gaps(house, "art30")
    house.ws.sign()
    assert any("Its head is signed" in said for said in titles(house))


@pytest.mark.parametrize(
    ("relay", "said"),
    [
        ('"localhost:2525"', "on the same machine"),
        ('"relay.marula.example:587"', "not encrypted"),
        ('"relay.marula.example:587"\nsecurity = "tls"', "(TLS)"),
    ],
)
def test_the_way_to_the_relay_is_told_as_it_is(signed, relay, said):
    rewrite(signed, ('relay = "localhost:2525"', f"relay = {relay}"))
    assert [said in each for each in titles(signed) if "relay" in each.lower()] == [True]


def test_a_waived_second_person_is_not_claimed(signed):
    assert any("second person does" in said for said in titles(signed))
    rewrite(signed, add='[approval]\nsecond_person = false\nreason = "One marketer"\n')
    assert not any("second person does" in said for said in titles(signed))


# As table, data and paper


def test_table_and_data_say_the_same_lines_and_the_same_gaps(signed):
    made = app.document(signed.ws, "s17")
    rows = list(csv.DictReader(io.StringIO(trust.as_csv(made).decode(), newline="")))
    data = json.loads(trust.as_json(made))
    said = [pair for part in data["parts"] for each in part["lines"] for pair in each["said"]]
    assert [[row["what"], row["said"]] for row in rows if not row["missing_key"]] == said
    missing = {row["missing_key"] for row in rows} - {""}
    assert missing == {gap["key"] for gap in data["missing"]} != set()
    assert trust.as_json(made) == trust.as_json(app.document(signed.ws, "s17"))
    assert app.render(made, "pdf", str).startswith(b"%PDF")
    with pytest.raises(InvalidInput, match="pdf, csv or json"):
        app.render(made, "song", str)
    with pytest.raises(NotFound):
        app.document(signed.ws, "wealth")


# The manual, a published version of its own


def test_a_manual_with_a_gap_is_not_published(signed):
    with pytest.raises(InvalidInput, match="facts are missing") as refused:
        app.publish_manual(signed.ws, OFFICER)
    assert "troth.toml" in refused.value.remedy
    assert app.manuals(signed.ws) == []


def test_only_the_officer_publishes_the_manual(signed):
    complete(signed)
    with pytest.raises(InvalidInput, match="this role"):
        app.publish_manual(signed.ws, MARKETER)


def test_a_published_manual_is_a_leaf_of_the_ledger_and_stays_as_it_was(signed):
    complete(signed)
    first = app.publish_manual(signed.ws, OFFICER)
    assert first.label == "document:paia-manual@1"
    held = app.manual_paper(app.manuals(signed.ws)[0])
    assert trust.as_json(held) == first.data
    listed = {d.name: d for d in app.list_documents(signed.ws)}["paia-manual"]
    assert (listed.published, listed.stale, list(listed.gaps)) == (1, False, [])
    rewrite(signed, ("+27 21 555 0100", "+27 21 555 0199"))
    assert {d.name: d for d in app.list_documents(signed.ws)}["paia-manual"].stale
    app.publish_manual(signed.ws, OFFICER)
    one, two = (trust.as_json(app.manual_paper(p)).decode() for p in app.manuals(signed.ws))
    assert ("0100" in one, "0100" in two, "0199" in two) == (True, False, True)
    assert signed.ws.verify() == []


def test_where_data_is_stored_is_what_the_settings_say(signed):
    with signed.ws.store.look() as view:
        house = signed.desk.house(view)
    stored = app.storage_of(signed.ws.settings, house)
    assert (stored.country, stored.abroad, stored.backup_days) == ("ZA", False, 35)
    assert "AES-256-GCM" in stored.protection
    file = signed.folder / "troth.toml"
    text = file.read_text()
    file.write_text(text.replace('country = "ZA"', 'country = "DE"'))
    assert app.storage_of(read_settings(signed.folder), house).abroad
    file.write_text(text.replace("[storage]", "[elsewhere]"))
    nothing = app.storage_of(read_settings(signed.folder), house)
    assert (nothing.country, nothing.system, nothing.backup_days) == ("", "", 0)


@pytest.mark.parametrize("wrong", ["backup_days = -1", 'backup_days = "x"', "country = 27"])
def test_storage_that_does_not_read_is_refused(signed, wrong):
    file = signed.folder / "troth.toml"
    key = wrong.partition(" ")[0]
    file.write_text(re.sub(rf"(?m)^{key} = .*$", wrong, file.read_text(), count=1))
    with pytest.raises(InvalidInput, match="storage"):
        read_settings(signed.folder)


def test_the_public_manual_leaves_out_what_helps_nobody_but_an_attacker(signed):
    rewrite(signed, ('relay = "localhost:2525"', 'relay = "relay.marula.example:587"'))
    register_, manual = (
        trust.as_json(app.document(signed.ws, name)).decode() for name in ("art30", "paia-manual")
    )
    for told in ("not encrypted", "relay.marula.example", "hardware module"):
        assert told in register_
        assert told not in manual
