"""The data map's pages and commands: picture and words say the same, hostile names stay names."""

import json
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from importlib.resources import files

import hub_shop
import map_shop
import pytest
from hub_shop import listening
from map_shop import MARK
from playwright.sync_api import sync_playwright
from test_pages_look import CHROMIUM, QUIET, SMALL, WIDE

from troth.app import datamap, doctor, scans
from troth.errors import InvalidInput, Unavailable
from troth.settings import read_settings, source_secret
from troth.surfaces import cli
from troth.surfaces.web import map_picture

AT = hub_shop.NOW.isoformat()
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def shop():
    with map_shop.opened() as (made, path):
        map_shop.grow(path)
        with closing(sqlite3.connect(path)) as con, con:
            name = HOSTILE.replace('"', '""')
            con.execute(f'CREATE TABLE "{name}" ("<img src=x onerror=alert(1)> email" TEXT)')
            con.execute(f'INSERT INTO "{name}" VALUES (?)', (f"{MARK}@post.example",))
        yield made, path


@pytest.fixture(scope="module")
def it(shop):
    made, _ = shop
    client = made.door("it")
    form = made.form(client, "/console/map")
    answer = client.post("/console/map/scan", data={"source": "crm", "form": form})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/map/source:crm")
    return client


def run(made, *line):
    made.ws.sign()
    return cli.answer([*line, "-w", str(made.folder), "--at", AT])


# --- the pages


def test_the_map_shows_alarms_on_top_then_the_picture_and_the_same_in_words(shop, it):
    text = it.get("/console/map").text
    order = ["and no mapping says so", "map-svg", "The same in words", "What nobody described"]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    assert "callers.cell_number" in text


def test_picture_and_words_name_the_same_parts_with_the_same_state(shop, it):
    text = it.get("/console/map").text
    held = datamap.read(shop[0].ws, doctor.examine(shop[0].ws))
    svg, _, words = text.partition("The same in words")
    for part in held.parts:
        said = map_picture.PART_STATES[part.state]
        assert f'aria-label="{part.title}: {said}"' in svg
        assert f">{part.title}</a>" in words


def test_filters_keep_what_fits_and_say_so_when_nothing_does(shop, it):
    text = it.get("/console/map?country=DE").text
    assert "Customer service" in text
    assert ">The keys</a>" not in text
    assert ">Customer service</a>" in it.get("/console/map?processor=Host%20GmbH").text
    assert ">Witness folder</a>" not in it.get("/console/map?category=contact.email").text
    assert "Nothing fits this choice" in it.get("/console/map?country=XX").text


def test_a_part_has_a_page_with_what_protects_it_and_what_it_holds(shop, it):
    text = it.get("/console/map/source:crm").text
    for said in (
        "Host GmbH",
        "2026-01 terms",
        "disk encryption at the host",
        "nobody here looked",
        "3 years",
        "not in the mapping",
    ):
        assert said in text, said
    assert it.get("/console/map/record").status_code == 200
    assert it.get("/console/map/planted").status_code == 404


def test_hostile_names_of_tables_and_columns_stay_names(shop, it):
    for path in ("/console/map", "/console/map/source:crm"):
        text = it.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in it.get("/console/map/source:crm").text


def test_no_value_of_a_source_is_on_any_page(shop, it):
    assert MARK not in it.get("/console/map").text + it.get("/console/map/source:crm").text


class _Well(HTMLParser):
    void = frozenset({"meta", "link", "input", "br", "img", "path", "rect", "circle"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        assert not {name for name, _ in attrs} & {"style", "onclick"}
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


def test_the_pages_are_well_formed_and_hold_no_inline_style(shop, it):
    for path in (
        "/console/map",
        "/console/map/record",
        "/console/map/source:crm",
        "/console/map/where",
        "/console/doctor",
    ):
        read = _Well()
        read.feed(it.get(path).text)
        assert read.open == []


@pytest.mark.parametrize("role", ["marketer", "support"])
def test_others_do_not_see_the_map(shop, role):
    made, _ = shop
    client = made.door(role)
    for path in ("/console/map", "/console/map/where", "/console/map/record"):
        assert client.get(path).status_code == 403
    assert client.post("/console/map/scan", data={"source": "crm"}).status_code == 403


def test_a_scan_from_elsewhere_is_not_believed(shop):
    made, _ = shop
    assert (
        made.door("it").post("/console/map/scan", data={"source": "crm", "form": "x"}).status_code
        == 403
    )


# --- where is … of …


def asked(made, role, **fields):
    client = made.door(role)
    form = made.form(client, "/console/map/where")
    return client.post("/console/map/where", data={"form": form, **fields})


def test_the_officer_is_told_where_it_lies_and_the_person_sees_the_question(shop, it):
    made, _ = shop
    answer = asked(
        made, "privacy_officer", outside="cast-adult", category="contact.email", case="T-9"
    )
    assert answer.status_code == 200
    assert "The record, sealed values" in answer.text
    assert "key column customer_id, email; not asked" in answer.text
    assert "cast-adult@post.example" not in answer.text
    last = made.chain("cast-adult")[-1].event
    assert (last.type, last.payload.reason) == ("data.read", "case:T-9")


def test_it_may_see_the_map_and_not_the_person(shop):
    made, _ = shop
    before = len(made.chain("shop-07"))
    answer = asked(made, "it", outside="shop-07", category="contact.email", case="T-9")
    assert answer.status_code == 403
    assert "This may not be looked at" in answer.text
    assert len(made.chain("shop-07")) == before


def test_without_a_ticket_or_with_nobody_it_says_what_is_missing(shop):
    made, _ = shop
    assert "Give its ticket number" in asked(made, "privacy_officer", outside="shop-07").text
    answer = asked(made, "privacy_officer", outside="nobody-here", case="T-9")
    assert answer.status_code == 400
    assert "nobody-here" not in answer.text


# --- the commands


def test_the_map_is_shown_on_the_command_line(shop, it, capsys):
    made, _ = shop
    assert run(made, "map", "show") == 0
    told = capsys.readouterr().out
    assert "STORED" in told
    assert "ALARM crm" in told
    assert run(made, "map", "show", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert {each["step"] for each in data["parts"]} == set(doctor.STEPS)


def test_a_scan_that_finds_an_alarm_ends_with_one(shop, it, capsys):
    made, _ = shop
    assert run(made, "map", "scan", "crm") == 1
    told = capsys.readouterr().out
    assert "ALARM unmapped callers.cell_number: contact.phone" in told
    assert MARK not in told
    assert run(made, "map", "scan", "planted") == 2


def test_where_is_asked_on_the_command_line_under_a_case(shop, it, capsys):
    made, _ = shop
    officer = "privacy_officer:nokuthula@marula.example"
    case = ["case", "open", "cast-adult", "--ticket", "C-5", "--source", "phone"]
    assert run(made, *case, "--as", officer) == 0
    line = ["map", "where", "cast-adult", "contact.email", "--as", officer]
    assert run(made, *line, "--reason", "case:C-5", "--json") == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"record", "keys", "source:crm"} <= {each["part"] for each in data["places"]}
    assert run(made, *line) == 1
    assert run(made, "map", "where", "cast-adult", "planted", "--as", officer) == 2


def test_the_map_leaves_and_enters_as_a_fides_file(shop, it, capsys, tmp_path):
    made, _ = shop
    out = tmp_path / "map.yml"
    assert run(made, "map", "export", "--fides", str(out)) == 0
    assert "crm_db" in out.read_text("utf-8")
    assert run(made, "map", "export", "--fides", str(tmp_path / "map.txt")) == 2
    fine = tmp_path / "loyalty.yml"
    fine.write_text("dataset: [{fides_key: loyalty, collections: []}]\n")
    assert run(made, "map", "import", str(fine)) == 0
    bad = tmp_path / "bad.yml"
    bad.write_text("dataset: [{fides_key: 'pla nted'}]\n")
    capsys.readouterr()
    assert run(made, "map", "import", str(bad)) == 2
    assert "planted" not in capsys.readouterr().err
    assert run(made, "map", "import", str(tmp_path / "gone.yml")) == 2


def test_a_draft_mapping_that_does_not_read_stops_apply_with_its_place(shop, capsys):
    made, _ = shop
    draft = made.folder / "map" / "broken.yml"
    draft.write_text("dataset: [{fides_key: a, collections: [{name: t, fields: [{}]}]}]\n")
    try:
        assert run(made, "check") == 2
        assert "dataset.0.collections.0.fields.0.name is missing" in "".join(capsys.readouterr())
    finally:
        draft.unlink()


# --- the picture itself


def test_ten_thousand_columns_do_not_make_a_long_page(shop, it):
    made, _ = shop
    drift = tuple(
        scans.Drift("unmapped", "t", f"c{n}", True, "", "contact.email") for n in range(scans.KEPT)
    )
    with made.ws.store.book() as tx:
        before = tx.row(scans.TABLE, b"crm")
        kept = scans.Standing("crm", tx.now, drift, 1, 10_000, 10_000, guarded="here", alarms="x")
        tx.put_row(scans.TABLE, b"crm", scans.msgspec.json.encode(kept))
    try:
        assert len(it.get("/console/map").content) < 100_000
        assert len(it.get("/console/map/source:crm").content) < 100_000
    finally:
        with made.ws.store.book() as tx:
            tx.put_row(scans.TABLE, b"crm", before)


def test_boxes_never_overlap_and_every_line_joins_two_of_them(shop):
    parts = datamap.read(shop[0].ws, doctor.examine(shop[0].ws)).parts
    drawn = map_picture.picture(parts)
    assert len(drawn.boxes) == len(parts)
    for one in drawn.boxes:
        for other in drawn.boxes:
            if one is not other and one.x == other.x:
                assert one.y + one.tall <= other.y or other.y + other.tall <= one.y
        assert one.x + drawn.box <= drawn.width
        assert one.y + one.tall <= drawn.height
    assert all(re.fullmatch(r"M-?\d+ \d+C[-\d ]+", path) for path in drawn.flows)
    assert map_picture.picture([]).boxes == ()


# --- in a browser


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


FAULTS = """async () => (await axe.run(document, {iframes: false, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes[0].html)"""
PAGES = ("/console/map", "/console/map/source:crm", "/console/map/where", "/console/doctor")


def test_the_pages_are_sound_in_light_and_dark_wide_and_narrow(shop, it, browser):
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    wrong = []
    with listening(shop[0].app) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.request.post(f"{address}/doors/it", max_redirects=0)
        page = context.new_page()
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        for path in PAGES:
            page.goto(address + path)
            page.evaluate(axe)
            for width, scheme in ((1280, "light"), (360, "dark")):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                wrong += [
                    f"{path} {width}: {f}" for f in [*page.evaluate(FAULTS), *page.evaluate(SMALL)]
                ]
            page.set_viewport_size({"width": 320, "height": 900})
            if page.evaluate(WIDE) > 0:
                wrong.append(f"{path}: wider than 320 px")
        page.goto(address + "/console/map")
        first = "e => e.getBoundingClientRect().top"
        assert page.locator(".map-words").evaluate(first) < page.locator(".map-picture").evaluate(
            first
        )
        page.set_viewport_size({"width": 1280, "height": 900})
        page.locator(".map-svg a").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/map/people")
        context.close()
    assert wrong == []


# --- what troth.toml may say of a source


def written(folder, text):
    toml = folder / "troth.toml"
    toml.write_text(re.sub(r"\[sources\.crm\].*", text, toml.read_text("utf-8"), flags=re.DOTALL))
    return read_settings(folder)


@pytest.mark.parametrize(
    "text",
    [
        '[sources.crm]\nkind = "postgres"\npassword = "planted"',
        '[sources.crm]\nkind = "postgres"\nurl = "postgresql://u:planted@h/db"',
        "[sources.crm]\nkind = 7",
        "[sources.crm]\nevery_days = 0",
        '[sources.crm]\nrows = "many"',
        '[sources."planted/../x"]\nkind = "sqlite"',
        '[sources]\ncrm = "planted"',
    ],
)
def test_a_source_that_is_written_wrong_is_refused_and_no_secret_may_stand_there(
    shop, tmp_path, text
):
    (tmp_path / "troth.toml").write_bytes((shop[0].folder / "troth.toml").read_bytes())
    with pytest.raises(InvalidInput) as told:
        written(tmp_path, text)
    assert "planted" not in str(told.value)


def test_how_a_server_is_reached_comes_from_a_file_or_a_variable_and_is_never_told(
    shop, tmp_path, monkeypatch
):
    (tmp_path / "troth.toml").write_bytes((shop[0].folder / "troth.toml").read_bytes())
    held = written(
        tmp_path,
        '[sources.crm]\nkind = "postgres"\n[sources.far]\nkind = "mysql"\nenv = "PLANTED_URL"',
    )
    with pytest.raises(Unavailable, match="keys/sources/crm"):
        source_secret(held, "crm")
    (tmp_path / "keys" / "sources").mkdir(parents=True)
    (tmp_path / "keys" / "sources" / "crm").write_text("postgresql://u:secret@h/db\n")
    assert source_secret(held, "crm") == "postgresql://u:secret@h/db"
    monkeypatch.setenv("PLANTED_URL", "mysql://u:secret@h/db")
    assert source_secret(held, "far") == "mysql://u:secret@h/db"
    assert "secret@" not in repr(scans.source(held, "crm"))
