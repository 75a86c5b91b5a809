"""Saying no is never harder than saying yes: counted in clicks, weighed in looks, read in words."""

import re
from pathlib import Path

import pytest
from portal_door import door, form, shop

from troth.kernel import consent
from troth.surfaces import web
from troth.terms import DENYING

TEMPLATES = Path(web.__file__).parent / "templates"
LINT = (
    "are you sure", "miss out", "hurry", "last chance", "no thanks, i", "don't want to save",
    "100 % secure", "100% secure", "perfectly safe", "you will lose", "sadly", "unfortunately",
    "only today", "regret",
)  # fmt: skip
"""Wordings that push, blame or promise what nobody can."""


def customers_templates() -> list[Path]:
    return [p for p in TEMPLATES.glob("*.html") if p.name.startswith(("my_", "portal", "embed_"))]


def pushes(text: str) -> list[str]:
    plain = re.sub(r"\s+", " ", text.lower().replace("\u2019", "'"))
    return [word for word in LINT if word in plain]


def test_no_page_pushes_blames_or_promises_too_much():
    found = {p.name: pushes(p.read_text("utf-8")) for p in customers_templates()}
    assert {name: words for name, words in found.items() if words} == {}
    assert len(found) > 20


def test_the_word_list_finds_a_planted_push():
    assert pushes("<p>Are you\n sure you want to miss out?</p>") == ["are you sure", "miss out"]


def steps_to(client, answer: str) -> int:
    """How many pages and clicks it takes from the first page to a recorded answer on offers."""
    clicks, size = 1, None  # to the page of messages
    page = client.get("/my/preferences").text
    assert page
    size = shop().size()
    for fields, action in forms(page):
        if fields.get("purpose") == "newsletter" and wants(fields, action, answer):
            clicks += 1
            sent = client.post(action, data=fields)
            if shop().size() == size or _asks_again(sent):
                clicks += 1
            return clicks
    for link in re.findall(r'href="(/my/preferences/[^"]+)"', page):
        if answer in link:
            return clicks + 2
    return clicks + 2


def forms(page: str):
    for found in re.finditer(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', page, re.DOTALL):
        inner = found[2]
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', inner))
        yield fields, found[1]


def wants(fields, action, answer) -> bool:
    words = " ".join([action, *fields.values()])
    return ("no" in words.split() or "decline" in words or "stop" in words) == (answer == "no")


def _asks_again(sent) -> bool:
    return sent.status_code == 200


def test_no_takes_no_more_steps_than_yes():
    no, yes = steps_to(door("shop-27"), "no"), steps_to(door("shop-28"), "yes")
    assert no <= yes


def test_everything_stops_with_one_click_from_every_page():
    client = door("shop-29")
    for path in ("/my", "/my/level", "/my/activity", "/my/uses", "/my/receipts", "/my/delete"):
        assert 'action="/my/stop"' in client.get(path).text, path
    token = form(client, "/my")
    answer = client.post("/my/stop", data={"form": token})
    assert answer.status_code == 303
    told = [e.event.payload for e in shop().chain("shop-29")]
    assert any(getattr(p, "status", "") in ("withdrawn", "refused") for p in told)
    desk = shop().ws.desk
    with shop().ws.store.look() as view:
        house = desk.house(view)
        record = view.gather([shop().person("shop-29")], None)[0].record
        stands = {
            consent.resolve(record, house.purposes["offers"], way, view.now, house.purposes).status
            for way in house.purposes["offers"].channels
        }
    assert stands <= DENYING


@pytest.mark.parametrize("path", ["/my/preferences", "/my/notices", "/my/delete"])
def test_nothing_is_ticked_for_whoever_was_never_asked(path):
    text = door("shop-31").get(path).text
    boxes = re.findall(r"<input[^>]+type=\"checkbox\"[^>]*>", text)
    assert not [box for box in boxes if " checked" in box]
