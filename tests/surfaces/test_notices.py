"""Notices: rendered safely, kept word for word, compared in words, checked for what law wants."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import marula
import msgspec
import portal_door
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from troth import crypto
from troth.app import notices
from troth.engines import notices as craft
from troth.kernel import gate
from troth.surfaces.web.server import build_app

DUTIES = notices.duties()
DEMO = Path(__file__).parents[2] / "src/troth/data/demo"
FACTS = tomllib.loads((DEMO / "troth.toml").read_text())["house"]
OFFERS = (DEMO / "notices/offers.md").read_text().split("+++\n", 2)[2]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.links = set(), set()

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        assert {name for name, _ in attrs} <= {"href", "scope"}, attrs
        self.links |= {value for name, value in attrs if name == "href"}


PIECES = [*"<>&\"'*#|-[]()/:\n az\u00e9!", "javascript:", "https://a.example", "**", "\n\n"]
MARKS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@given(MARKS)
def test_whatever_a_text_holds_only_a_few_harmless_tags_come_out(text):
    tags = Tags()
    tags.feed(craft.render(text))
    assert tags.found <= {"h1", "h2", "h3", "h4", "p", "strong", "ul", "li", "a", "table", "thead",
                          "tbody", "tr", "th", "td"}  # fmt: skip
    assert all(re.match(r"https?://|mailto:|/", link) for link in tags.links)
    assert craft.render(text) == craft.render(text)


def test_markdown_becomes_what_a_reader_expects():
    made = craft.render(
        "# A\n\n- one\n- **two**\n\n| a | b |\n|---|---|\n| 1 | <2> |\n\n<!-- covers: x -->"
    )
    assert made == (
        "<h1>A</h1>\n<ul><li>one</li><li><strong>two</strong></li></ul>\n"
        '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
        "<tbody><tr><td>1</td><td>&lt;2&gt;</td></tr></tbody></table>\n"
    )
    assert "javascript" not in craft.render("[x](javascript:alert)").partition("<a")[2]


@given(st.lists(st.sampled_from(["we keep it", "a year", "or two", "not sold", "ask us"]), max_size=6),
       st.lists(st.sampled_from(["we keep it", "a year", "or two", "not sold", "ask us"]), max_size=6))  # fmt: skip
def test_the_old_words_and_the_new_ones_can_both_be_read_from_what_changed(old, new):
    found = craft.changes("\n\n".join(old), "\n\n".join(new))
    gone = " ".join(w for b in found.blocks for k, w in b if k in ("same", "gone")).split()
    come = " ".join(w for b in found.blocks for k, w in b if k in ("same", "new")).split()
    assert sorted(gone + " ".join(_kept(old, new)).split()) == sorted(" ".join(old).split())
    assert sorted(come + " ".join(_kept(old, new)).split()) == sorted(" ".join(new).split())


def _kept(old, new):
    from difflib import SequenceMatcher

    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [old[b.a + i] for b in blocks for i in range(b.size)]


@pytest.mark.parametrize("path", sorted((DEMO / "notices").glob("*.md")), ids=lambda p: p.stem)
def test_each_notice_of_the_demo_tells_what_both_laws_want_told(path):
    body = path.read_text().split("+++\n", 2)[2]
    assert craft.lacks(body, "en", DUTIES, FACTS) == []


@pytest.mark.parametrize("duty", DUTIES, ids=lambda d: d.id)
def test_a_notice_without_the_paragraph_of_a_duty_is_named_with_that_duty(duty):
    parts = re.split(r"\n\s*\n", OFFERS)
    starts = [s.casefold() for s in duty.headings["en"]]
    left = [p for p in parts if not any(
        (m := re.match(r"\*\*(.+?)\*\*", p)) and s in m[1].casefold() for s in starts)]  # fmt: skip
    assert len(left) < len(parts)
    assert duty.id in {
        lack.duty.id for lack in craft.lacks("\n\n".join(left), "en", DUTIES, FACTS)
    }


@pytest.mark.parametrize(("gone", "duty"), [
    ("12 Quiet Street", "ZA-18-b"), ("privacy@marula.example", "EU-13-1a"),
    ("inforegulator.org.za", "ZA-18-h5"), ("object", "ZA-18-h3"), ("standard contract clauses", "EU-13-1f"),
    ("data protection authority", "EU-13-2d"), ("No law and no contract", "EU-13-2e"),
])  # fmt: skip
def test_a_notice_that_leaves_a_needed_word_out_is_named(gone, duty):
    assert gone in OFFERS
    broken = OFFERS.replace(gone, "planted")
    assert duty in {lack.duty.id for lack in craft.lacks(broken, "en", DUTIES, FACTS)}


def test_an_empty_paragraph_meets_no_duty_and_a_mark_meets_one():
    empty = re.sub(r"(\*\*How to stop\.\*\*).*", r"\1", OFFERS)
    assert "EU-13-2c" in {lack.duty.id for lack in craft.lacks(empty, "en", DUTIES, FACTS)}
    other = OFFERS.replace("**How to stop.**", "<!-- covers: EU-13-2c -->\n**Stopping.**")
    assert craft.lacks(other, "en", DUTIES, FACTS) == []


def test_check_says_which_file_and_line_lacks_what(house):
    path = house.folder / "notices/offers.md"
    lines = path.read_text().splitlines()
    at = next(n for n, line in enumerate(lines, 1) if line.startswith("**Who we are."))
    path.write_text(
        path.read_text().replace("12 Quiet Street, Cape Town 8001, South Africa", "here")
    )
    found = notices.missing(house.folder, (house.folder / "troth.toml").read_bytes())
    assert [(m.file, m.line, m.duty) for m in found] == [("notices/offers.md", at, "ZA-18-b")]
    only = (
        (house.folder / "troth.toml")
        .read_text()
        .replace('["za", "eu", "us", "us-ca", "ca"]', '["eu"]')
    )
    assert notices.missing(house.folder, only.encode()) == []


# Published, in languages


@pytest.fixture
def house(tmp_path, _made):
    import shutil

    folder = tmp_path / "house"
    shutil.copytree(_made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


@pytest.fixture(scope="session")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notices") / "house"
    marula.make(folder)
    return folder


AF = "# Mag ons vir jou aanbiedings stuur?\n\n**Wie ons is.** Geplant.\n"


def site(house):
    return TestClient(build_app(house.ws, None, None), base_url="http://127.0.0.1:8400")


def test_publishing_keeps_the_rendered_bytes_and_their_hash(house):
    with house.ws.store.look() as view:
        told = msgspec.json.decode(view.published("notice:offers@3").data)
    assert told["html"] == craft.render(told["text"])
    assert told["rendered"] == crypto.sha256(told["html"].encode()).hex()


def test_a_variant_is_the_same_version_in_another_language_and_a_consent_says_which(house):
    (house.folder / "notices/offers.af.md").write_text('+++\ntitle = "Aanbiedings"\n+++\n\n' + AF)
    house.ws.apply()
    with house.ws.store.look() as view:
        assert notices.version(view, "offers", 3).language == "en"
        shown = notices.version(view, "offers", 3, "af")
    assert (shown.label, shown.language, shown.title) == ("offers@3", "af", "Aanbiedings")
    person = house.newcomer("speaker")
    yes = {"notice": "offers@3", "method": "button", "proof": "form:1"}
    house.say(person, "given", language="af", **yes)
    from troth.app import records
    from troth.engines import dpv

    raw = records.mine(house.ws, person)[0][2]
    assert dpv.load(raw)["dpv:hasNotice"][0]["troth:sha256"] == shown.digest
    assert dpv.read(raw).languages == ("af",)


def test_anybody_reads_each_version_and_what_changed_without_coming_in(house):
    client = site(house)
    listed = client.get("/notices").text
    assert "/notices/offers/3" in listed
    assert "/notices/offers/1" in listed
    page = client.get("/notices/offers/3").text
    assert "Yes or no, both are fine." in page
    assert "What changed since version 2" in page
    assert "<ins>" in page
    assert "new:" in page  # the mark has words, too
    assert client.get("/notices/offers/1").text.count("There is a newer version.") == 1
    for path in (
        "/notices/offers/99",
        "/notices/planted/1",
        "/notices/offers/x",
        "/notices/offers/-1",
    ):
        assert client.get(path).status_code == 404, path


def test_a_variant_is_read_under_its_own_address_and_marked_with_its_language(house):
    (house.folder / "notices/offers.af.md").write_text(AF)
    house.ws.apply()
    page = site(house).get("/notices/offers/3?lang=af").text
    assert '<article class="notice" lang="af">' in page
    assert "Mag ons vir jou" in page


# A changed notice asks again


@pytest.fixture
def changed(house):
    person = house.newcomer("reader")
    house.say(person, "given", notice="offers@3", method="button", proof="form:1")
    path = house.folder / "notices/offers.md"
    (house.folder / "notices/earlier/offers-3.md").write_text(OFFERS)
    text = path.read_text().replace(
        'change = "SMS can be chosen on its own; plainer words"\n',
        'change = "SMS can be chosen on its own; plainer words"\nfile = "earlier/offers-3.md"\n\n'
        '[[versions]]\nnumber = 4\nvalid_from = 2026-11-16\nmaterial = true\nchange = "planted"\n',
    )
    path.write_text(text.replace("At most four messages", "At most nine messages"))
    house.ws.apply()
    return house, person


def test_after_a_material_change_the_old_yes_rests_and_the_page_asks_with_the_difference(changed):
    house, person = changed
    assert house.codes([person][0]) == ["notice_outdated"]
    client = portal_door.enter(build_app(house.ws, None, None), person)
    page = client.get("/my/notices").text
    assert re.search(r"<del><span class=\"mark\">taken out:</span> four</del>", page)
    assert re.search(r"<ins><span class=\"mark\">new:</span> nine</ins>", page)
    form = page[page.index('<form class="either" method="post" action="/my/notices"') :]
    buttons = re.findall(r'<button class="([^"]*)" name="answer" value="(yes|no)"', form)
    assert [kind for kind, _ in buttons] == ["button", "button"]
    assert [value for _, value in buttons] == ["yes", "no"]


FORM = {"purpose": "offers", "held": "offers@3", "now": "offers@4"}


def test_a_yes_to_the_new_version_counts_at_the_next_decision_and_has_a_record(changed):
    house, person = changed
    client = portal_door.enter(build_app(house.ws, None, None), person)
    answer = portal_door.post(client, "/my/notices", "/my/notices", answer="yes", **FORM)
    assert answer.status_code == 303
    assert isinstance(house.decide(person), gate.Permit)
    assert "You agreed to the new version." in client.get("/my/notices").text
    types = [e.type for e in house.chain(person)]
    assert types[-3:-1] == ["notice.served", "consent.reaffirmed"] or "notice.served" in types
    from troth.app import records

    assert records.mine(house.ws, person)[0][1].act.notice == "offers@4"


def test_a_no_ends_it_in_as_many_steps(changed):
    house, person = changed
    client = portal_door.enter(build_app(house.ws, None, None), person)
    assert (
        portal_door.post(client, "/my/notices", "/my/notices", answer="no", **FORM).status_code
        == 303
    )
    assert "withdrawn" in house.codes(person)
    assert "Nothing to answer" in client.get("/my/notices").text


def test_an_answer_to_something_else_or_sent_twice_records_nothing(changed):
    house, person = changed
    client = portal_door.enter(build_app(house.ws, None, None), person)
    n = len(house.chain(person))
    for told, code in (
        ({**FORM, "answer": "yes", "now": "offers@3"}, 409),
        ({**FORM, "answer": "yes", "purpose": "newsletter"}, 409),
        ({**FORM, "answer": "perhaps"}, 400),
    ):
        assert portal_door.post(client, "/my/notices", "/my/notices", **told).status_code == code
    assert len(house.chain(person)) == n
    token = portal_door.form(client, "/my/notices")
    for code in (303, 409):
        told = {"form": token, **FORM, "answer": "yes"}
        assert client.post("/my/notices", data=told).status_code == code


def test_a_minor_sees_the_difference_and_may_end_it_but_not_agree(changed):
    house, _ = changed
    child = house.newcomer("child", birth_year="2014")
    old = {"notice": "offers@3", "method": "button", "proof": "form:2"}
    house.say(child, "given", given_by="competent_person", **old)
    client = portal_door.enter(build_app(house.ws, None, None), child)
    page = client.get("/my/notices").text
    assert 'name="answer" value="no"' in page
    assert 'name="answer" value="yes"' not in page
    told = {**FORM, "answer": "yes"}
    assert portal_door.post(client, "/my/notices", "/my/notices", **told).status_code == 400


def test_the_command_names_what_a_notice_lacks_and_blocks_nothing(house, capsys):
    import json

    from troth.surfaces import cli

    path = house.folder / "notices/offers.md"
    path.write_text(path.read_text().replace("inforegulator.org.za", "planted"))
    house.ws.close()
    line = ["check", "--json", "-w", str(house.folder)]
    assert cli.answer(line) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(u["file"], u["duty"]) for u in told["untold"]] == [("notices/offers.md", "ZA-18-h5")]
    assert told["ok"] is True
    assert cli.answer(["apply", "--json", "-w", str(house.folder)]) == 0
    capsys.readouterr()
    path.write_text(path.read_text().replace("planted", "inforegulator.org.za"))
    assert cli.answer(line) == 0
    assert json.loads(capsys.readouterr().out)["untold"] == []
    house.open()
