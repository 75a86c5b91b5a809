"""What an attack on the finished house once got through, each as the promise it broke."""

import pytest
from marula import days_ago

from troth import app
from troth.errors import EvidenceBroken, NotFound

LEVEL_2 = {
    "purpose": "personalise",
    "channels": "",
    "level": "2",
    "categories": "identity.name;interests.declared",
    "notice": "personalise@2",
}
SALE = {
    "relation_kind": "sale",
    "relation_goods": "household",
    "details_from_sale": "yes",
    "objection_offered": "yes",
}


@pytest.mark.parametrize("status", ["objected", "withdrawn", "refused"])
def test_a_no_outlives_the_erasure_of_who_said_it(house, status):
    person = house.newcomer("back", **SALE)
    house.say(person, status)
    house.ws.erase(person, f"rq-{status}")
    again = house.newcomer("back", relation_at=days_ago(299), **SALE)
    assert house.codes(again)


def test_who_never_said_no_is_reachable_again_after_an_erasure(house):
    person = house.newcomer("back", **SALE)
    assert not house.codes(person)
    house.ws.erase(person, "rq-never")
    assert not house.codes(house.newcomer("back", relation_at=days_ago(299), **SALE))


def test_an_objection_binds_its_address_under_another_outside_id(house):
    house.say(house.newcomer("one", **SALE), "objected")
    assert house.codes(house.newcomer("two", email="ONE@post.example", **SALE))


def test_a_long_interest_holds_up_nobody(house):
    house.newcomer("long", {}, LEVEL_2, interests="x" * 900)
    house.newcomer("plain", {})
    assert house.send(house.everybody("long", "plain")).handed == 2


def test_a_name_that_is_a_link_leaves_its_place_to_the_fallback(house):
    house.newcomer("link", {}, LEVEL_2, given_name="http://evil.example/x")
    house.send(house.everybody("link"))
    (mail,) = house.mails()
    assert b"evil.example" not in mail.path.read_bytes()


def test_a_journal_cut_at_its_end_is_refused_at_start(house):
    house.say(house.newcomer("one", {}), "withdrawn")
    house.ws.follow()
    path = house.ws.settings.witness / "restrictions"
    lines = path.read_bytes().splitlines(keepends=True)
    house.ws.close()
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(EvidenceBroken, match="restriction journal"):
        app.open(house.ws.settings.folder)
    path.write_bytes(b"".join(lines))


def test_the_name_of_an_audience_is_no_path(house):
    with pytest.raises(NotFound):
        app.read_audience(house.ws, "../troth")


def test_a_registry_file_with_one_line_that_is_no_hash_refreshes_nothing(house):
    before = house.desk.house
    with house.ws.store.look() as view:
        cleansed = before(view).registries["ZA"].cleansed_at
    path = house.folder / "reg.csv"
    path.write_text(
        "# scheme: sha256-lower-trim\n# as-of: 2026-11-16T00:00:00+02:00\nhash\nfoo\n", "utf-8"
    )
    app.import_file(house.ws, "registry", path)
    with house.ws.store.look() as view:
        now = before(view).registries["ZA"]
    assert cleansed
    assert not now.usable
