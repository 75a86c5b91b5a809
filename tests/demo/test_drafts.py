"""The workspace drafts that come with the demo: purposes, notices, the template."""

import tomllib
from datetime import date
from importlib.resources import files

import pytest

from troth.engines.mail.frame import Envelope, Frames
from troth.engines.mail.template import parse_template
from troth.surfaces.demo import history, people
from troth.surfaces.demo.clock import demo_now
from troth.surfaces.demo.material import write_drafts
from troth.terms import Channel, Purpose, PurposeKind

NOW = demo_now(())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("drafts")
    write_drafts(made, NOW)
    return made


def test_each_purpose_draft_has_exactly_the_fields_of_a_purpose(folder):
    drafts = {p.stem: tomllib.loads(p.read_text()) for p in (folder / "purposes").iterdir()}
    assert set(drafts) == {
        "marketing", "offers", "newsletter", "personalise", "ask", "service", "operations",
        "site", "recognise", "connections", "measure_clicks", "measure_opens",
    }  # fmt: skip
    for name, draft in drafts.items():
        assert set(draft) == set(Purpose.__dataclass_fields__), name
        assert draft["name"] == name
        assert PurposeKind(draft["kind"])
        assert set(draft["channels"]) <= set(Channel)
        assert draft["parent"] in {"", *drafts}
    opens = {name for names in people.told("mix")["opens"].values() for name in names}
    assert set(drafts["personalise"]["categories"]) == opens
    assert opens <= set(drafts["offers"]["categories"])
    house = tomllib.loads((folder / "troth.toml").read_text())
    assert {name for names in house["levels"].values() for name in names} == opens


@pytest.mark.parametrize("name", ["offers", "newsletter", "personalise", "ask"])
def test_a_notice_draft_lists_its_versions_with_dates_and_texts(folder, name):
    _, front, body = (folder / "notices" / f"{name}.md").read_text().split("+++\n", 2)
    head = tomllib.loads(front)
    known = people.told("mix")["notices"][name]
    assert [each["number"] for each in head["versions"]] == [int(v) for v in known]
    assert head["version"] == int(max(known))
    for each in head["versions"]:
        assert isinstance(each["valid_from"], date)
        assert each["valid_from"] == history.notice_from(name, str(each["number"]), NOW).date()
        if "file" in each:
            assert (folder / "notices" / each["file"]).read_text().startswith("# ")
    assert "Information Regulator" in body
    assert body.lstrip().startswith("# ")


VALUES = {
    "first_name": "Planted-Name",
    "interest_line": "Planted-Interest",
    "year_line": "Planted-Year",
    "alike_line": "Planted-Alike",
    "favourites": [{"title": f"Planted-Item-{n}", "note": f"Planted-Note-{n}"} for n in range(4)],
}
NEEDS = {
    "Planted-Name": "identity.name",
    "Planted-Interest": "interests.declared",
    "Planted-Year": "purchases.52w",
    "Planted-Alike": "cohort.compare",
    "Planted-Item-3": "purchases.13w",
    "Planted-Note-0": "purchases.13w",
}


@pytest.mark.parametrize("level", range(1, 6))
def test_the_message_shows_at_each_level_what_is_agreed_and_nothing_else(level):
    source = (files("troth") / "data" / "demo" / "templates" / "winback.toml").read_text("utf-8")
    frames = Frames(parse_template(source))
    agreed = frozenset(history.opened(level))
    envelope = Envelope(
        "Marula", "hello@marula.example", "a@post.example", "<a@marula.example>", 1
    )
    draft = frames.of(agreed, VALUES).fill(VALUES, envelope)
    whole = draft.subject.encode() + draft.body.replace(b"=\r\n", b"")
    for planted, category in NEEDS.items():
        assert (planted.encode() in whole) == (category in agreed), planted
    assert draft.link_hosts == ("marula.example", "my.marula.example")
    for lasting in (b"Stop these messages", b"Why you get this", b"What we used to write it"):
        assert whole.count(lasting) == 2
    assert len(draft.body) < 20_000


def test_the_template_knows_no_category_beyond_the_levels():
    source = (files("troth") / "data" / "demo" / "templates" / "winback.toml").read_text("utf-8")
    assert parse_template(source).categories == frozenset(history.opened(5))
