"""Who used my data: every entry, in words, by day, with its proof; and what counts at the top."""

import re
import time
from datetime import timedelta

import pytest
from hub_shop import MARKETER, NOW
from portal_door import door, enter, shop
from starlette.testclient import TestClient

from troth.app import trail
from troth.errors import EvidenceBroken
from troth.kernel import events
from troth.kernel.scribe import Recorded
from troth.surfaces import timeline
from troth.surfaces.portal.uses import FILTERS
from troth.terms import Actor, Role

SUPPORT = Actor(Role.SUPPORT, "support@marula.example")
CODES = ({"code": "objected", "rule": "ZA-9", "remedy": "none"},)


def sample():
    """One event of each kind that a use can be."""
    return [
        events.DataRead("service", ("contact.email",), "case C-1"),
        events.UseRefused("offers", "send", CODES, "ab" * 32, "cd" * 32, "email", "winback-2"),
        events.UsePermitted(
            "offers", "share", ("purchases.52w",), "consent", "ab" * 32, "cd" * 32,
            "2026-11-18T00:00:00Z",
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def client() -> TestClient:
    desk, person = shop().ws.desk, shop().person("shop-27")
    for said in sample():
        desk.record(person, [said], SUPPORT if said.TYPE == "data.read" else MARKETER)
    return enter(shop().app, person)


def entries(client, query=""):
    """The sentences of the list."""
    text = client.get(f"/my/uses{query}").text
    return re.findall(r"<li><div class=\"grow\"><p><strong>(.*?)</strong>", text)


def test_each_use_says_who_why_what_and_on_which_ground_and_can_be_asked_about(client):
    text = client.get("/my/uses").text
    assert "A use was asked for and refused: Offers for your household" in text
    assert "They objected (ZA-9)" in text or "(ZA-9)" in text
    assert "by support of the company" in text
    assert "your e-mail address" in text
    assert "case C-1" in text
    assert "your own agreement" in text
    assert "handed outside 1 time" in text
    assert "staff looked 1 time," in text
    assert "1 message, 1 use refused" in text
    asked = re.search(r'href="(/my/uses/ask\?about=\d+)"', text)[1]
    page = client.get(asked).text
    assert 'action="/my/requests"' in page
    assert re.search(r">About entry \d+ of 17 November 2026: ", page)
    assert client.get("/my/uses/ask?about=999").status_code == 404


def test_nobody_is_named(client):
    text = client.get("/my/uses?group=all").text
    assert "lindiwe" not in text
    assert "support@marula" not in text


def test_filters_divide_the_entries_and_their_counts_add_up(client):
    every = {key: entries(client, f"?group={key}") for key in FILTERS}
    assert len(every["uses"]) == sum(len(every[key]) for key in ("message", "decision", "staff"))
    assert len(every["all"]) > len(every["uses"])
    assert every["staff"] == [
        "Your data was looked at: Messages about what you ordered or asked for"
    ]
    assert len(every["decision"]) == 2
    assert "You came in to see and steer your data" in every["own"]
    assert entries(client, "?group=nonsense&month=1999-01&page=-3") == every["uses"]
    text = client.get("/my/uses?group=decision").text
    assert f"({len(every['decision'])})" in text


def test_every_shown_entry_was_proven_under_the_signature_and_its_receipt_is_its_own(client):
    text = client.get("/my/uses?group=all").text
    marks = re.findall(r'badge-good" href="/my/receipts/([0-9-]+)"', text)
    assert len(marks) == len(entries(client, "?group=all")) > 8
    assert "not signed yet" not in text
    for mark in marks[:3]:
        assert client.get(f"/my/receipts/{mark}").status_code == 200


def test_an_entry_that_does_not_lead_to_the_signed_root_stops_the_page(client):
    ws, person = shop().ws, shop().person("shop-27")
    place, each = trail.Trail().look(ws, person)[-1]
    false = Recorded(each.event, each.salt, each.raw, b"\x01" * 32, each.seq)
    with pytest.raises(EvidenceBroken):
        trail.proven(ws, trail.signed(ws), [(place, false)])
    assert trail.proven(ws, trail.signed(ws), [(place, each)]) == [True]


def test_the_trail_reads_only_what_is_new_and_is_the_checked_chain(client, monkeypatch):
    ws, person = shop().ws, shop().person("shop-27")
    held = trail.Trail()
    first = held.look(ws, person)
    assert [each.raw for _, each in reversed(first)] == [
        each.raw for each in shop().chain("shop-27")
    ]
    opened = []
    read = type(ws.desk.scribe).read
    monkeypatch.setattr(
        type(ws.desk.scribe), "read", lambda *given: opened.append(1) or read(*given)
    )
    assert held.look(ws, person) == first
    assert opened == []
    ws.desk.record(person, [events.NoticeServed("offers@3", "form", "en")], MARKETER)
    assert len(held.look(ws, person)) == len(first) + 1
    assert opened == [1]


def test_looking_at_the_list_is_itself_recorded_once_a_visit():
    client = door("shop-28")
    before = len(shop().chain("shop-28"))
    client.get("/my/uses")
    client.get("/my/uses?group=all")
    found = shop().chain("shop-28")[before:]
    assert [each.event.payload.fields for each in found] == [("timeline",)]
    assert "You looked at your own data" in client.get("/my/uses?group=own").text


def test_an_empty_list_says_what_will_appear_here():
    text = door("shop-31").get("/my/uses?group=staff").text
    assert "Nothing here" in text
    assert "As soon as somebody of the company looks at your data" in text


def test_pages_of_thirty_hold_everything_once():
    desk, person = shop().ws.desk, shop().person("shop-29")
    said = [events.UseRefused("offers", "send", CODES, "ab" * 32, "cd" * 32) for _ in range(70)]
    for each in said:
        desk.record(person, [each], MARKETER)
    client = enter(shop().app, person)
    lengths = [len(entries(client, f"?group=decision&page={n}")) for n in (1, 2, 3, 4)]
    assert lengths == [30, 30, 10, 10]
    assert "Page 1 of 3" in client.get("/my/uses?group=decision").text


def test_sentences_can_be_said_in_another_language_with_the_words_within_them():
    house = None
    words = {
        "%(what)s: %(purpose)s": "%(purpose)s — %(what)s",
        "You agreed": "Jy het ingestem",
        "%(n)s entries of your activity were taken in": "%(n)s inskrywings",
        "%(first)s and %(last)s": "%(first)s en %(last)s",
        "your first name": "jou voornaam",
        "Covers": "Dek",
    }
    say = lambda text: words.get(text, text)  # noqa: E731
    from troth.kernel.facts import House

    house = House(1, "ZA", "Africa/Johannesburg", {}, None)
    act = events.ConsentAct("given", "offers", ("email", "sms"), categories=("identity.name",))
    told = timeline._SAID[events.ConsentAct](act, house)
    assert told.sentence == "You agreed: offers"
    assert told.sentence.in_(say) == "offers — Jy het ingestem"
    pairs = {str(label): text for label, text in told.particulars}
    assert pairs["Channels"] == "by e-mail and by text message"
    assert pairs["Channels"].in_(say) == "by e-mail en by text message"
    assert pairs["Covers"].in_(say) == "jou voornaam"
    took = events.BehaviourRecorded(
        1234, ("purchase",), "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "x", "00", {}
    )
    told = timeline._SAID[events.BehaviourRecorded](took, house)
    assert told.sentence == "1,234 entries of your activity were taken in"
    assert told.sentence.in_(say) == "1,234 inskrywings"
    assert told.sentence.in_(say, lambda one, many, n: f"{n} x") == "1234 x"
    assert f"{told.sentence}." == "1,234 entries of your activity were taken in."


@pytest.mark.soak
def test_the_list_of_three_hundred_entries_answers_quickly():
    """Told as a figure, not judged: see docs; p95 of 40 answers."""
    desk, person = shop().ws.desk, shop().person("shop-30")
    for n in range(300):
        said = events.UseRefused("offers", "send", CODES, "ab" * 32, "cd" * 32, campaign=f"c-{n}")
        desk.record(person, [said], MARKETER)
    client = enter(shop().app, person)
    spent = []
    for n in range(40):
        begun = time.perf_counter()
        assert client.get(f"/my/uses?page={n % 10 + 1}").status_code == 200
        spent.append(time.perf_counter() - begun)
    first, rest = spent[0], sorted(spent[1:])
    print(f"first {first * 1e3:.0f} ms, p50 {rest[19] * 1e3:.0f} ms, p95 {rest[37] * 1e3:.0f} ms")
    assert NOW - timedelta(days=1) < NOW


def test_a_question_about_an_entry_becomes_a_request(client):
    page = client.get("/my/uses/ask?about=3").text
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[1]
    fields = dict(re.findall(r'name="(form|key|right)" value="([^"]+)"', page))
    answer = client.post("/my/requests", data={**fields, "text": f"{text} Why?"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/my/requests")
    asked = [each.event.payload for each in shop().chain("shop-27")]
    opened = [each for each in asked if isinstance(each, events.RequestActed)]
    assert opened[0].right == "access"
    assert "About entry 3" in opened[0].text


def test_every_word_the_list_takes_from_elsewhere_is_marked_for_the_catalogues():
    from troth.surfaces import words
    from troth.surfaces.portal.marked import MARKED
    from troth.terms import ReasonCode

    tables = (words.CHANNELS, words.CATEGORIES, words.EVENTS, words.OUTSIDE)
    said = {text for table in tables for text in table.values()}
    said |= {name.lower() for name in words.ROLES.values()}
    said |= {words.title(str(code)) for code in ReasonCode}
    assert said == set(MARKED)
