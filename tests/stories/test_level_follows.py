"""The slider in a story: the level changes the message, and the next campaign follows it."""

import functools
import re

import portal_door
import pytest
from hub_shop import MARKETER, make_shop
from portal_door import post

from troth import app as house
from troth.adapters.system import FixedClock
from troth.capabilities import outreach
from troth.engines import ranking
from troth.terms import SECOND, Instant

WHO = "cast-adult"
shop = functools.cache(make_shop)
NOTICE = '<section class="card notice" lang="en" aria-label='
OWN = re.compile(r"Rose compost|Fresh milk|Ground coffee")


def door(outside: str):
    return portal_door.door(outside, at=shop())


def tick() -> None:
    """Let a second pass: a yes within the second of a no does not count."""
    store = shop().ws.store
    store._clock = FixedClock(Instant(store._clock.now() + SECOND))


@pytest.fixture(autouse=True)
def as_before():
    yield
    tick()
    post(door(WHO), "/my/level", "/my/level", level="4", notice="personalise@2")


def campaign_to(who: str, name: str) -> str:
    """Send one campaign to one person over real SMTP; return the mail as it came."""
    s = shop()
    folder = s.folder / f"inbox-{name}"
    with s.ws.store.look() as view:
        template = view.published("template:winback")
        person = s.ws.desk.find(view, who)
    campaign = outreach.Campaign(name, "offers", "00" * 32, template, s.ws.sender())
    shelf = outreach.Shelf({"100": "Fresh milk", "200": "Ground coffee", "300": "Rose compost"},
                           ranking.Alike(0, {}))  # fmt: skip
    renderer = house.renderer(s.ws, campaign, shelf)
    outreach.book(renderer, [person], MARKETER, house.real_seconds)
    inbox = house.local_inbox(folder)
    port = inbox.start()
    try:
        house.deliver(s.ws, campaign, MARKETER, ("127.0.0.1", port))
    finally:
        inbox.stop()
    mails = sorted(folder.glob("*.eml"))
    return mails[-1].read_text("ascii").replace("=\n", "") if mails else ""


def booked(campaign: str):
    return next(
        e.event.payload
        for e in reversed(shop().chain(WHO))
        if getattr(e.event.payload, "campaign", "") == campaign
        and e.event.type in ("message.booked", "use.refused")
    )


def test_thandeka_goes_down_and_the_very_next_campaign_follows():
    client = door(WHO)
    before = campaign_to(WHO, "story-four")
    assert booked("story-four").level == 4
    assert OWN.search(before)
    page = client.get("/my/level?at=1").text
    assert "It uses nothing about you" in page
    answer = post(client, "/my/level", "/my/level?at=1", level="1")
    assert answer.status_code == 303
    assert "You are at level 1 now" in client.get("/my/level").text
    after = campaign_to(WHO, "story-one")
    told = booked("story-one")
    assert (told.level, told.categories) == (1, ())
    assert "Thandeka" not in re.sub(r"(?m)^To: .*$", "", after)
    assert not OWN.search(after)


def test_the_preview_is_the_message_that_comes():
    client = door(WHO)
    shown = client.get("/my/level/4/letter").text
    sent = campaign_to(WHO, "story-shown")
    words = set(re.findall(r"[A-Z][a-z]+ [a-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]+>", " ", shown)))
    said = sent.replace("=\r\n", "").replace("=E2=80=99", "\u2019")
    assert len(words) > 5
    assert sum(each in said for each in words) > len(words) // 2


def press(client, form: str):
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    return client.post(re.search(r'action="([^"]+)"', form)[1], data=fields)


def test_going_up_shows_the_notice_beside_its_button_and_going_down_asks_for_none():
    client = door(WHO)
    post(client, "/my/level", "/my/level?at=2", level="2")
    tick()
    up, down = (client.get(f"/my/level?at={level}").text for level in (4, 1))
    assert NOTICE in up
    assert 'name="notice" value="personalise@2"' in up
    assert NOTICE not in down
    assert 'name="notice"' not in down
    assert shop().chain(WHO)[-1].event.type == "consent.withdrawn"


def test_undo_of_a_step_up_is_one_press():
    client = door(WHO)
    post(client, "/my/level", "/my/level?at=2", level="2")
    tick()
    post(client, "/my/level", "/my/level?at=4", level="4", notice="personalise@2")
    undo = re.search(r'<div class="done-more">.*?</form>', client.get("/my/level").text, re.DOTALL)
    tick()
    assert press(client, undo[0]).status_code == 303
    assert shop().chain(WHO)[-1].event.payload.level == 2


def test_undo_takes_her_back_up_with_the_notice_beside_it():
    client = door(WHO)
    post(client, "/my/level", "/my/level?at=2", level="2")
    page = client.get("/my/level").text
    tick()
    undo = re.search(r'<div class="done-more">.*?</form>', page, re.DOTALL)[0]
    led = press(client, undo)
    beside = client.get(led.headers["location"]).text
    assert NOTICE in beside
    choose = re.search(r'<form[^>]*action="/my/level">.*?</form>', beside, re.DOTALL)[0]
    assert press(client, choose).status_code == 303
    last = shop().chain(WHO)[-1].event.payload
    assert (last.status, last.level, last.notice) == ("given", 4, "personalise@2")
    assert campaign_to(WHO, "story-again")
    assert booked("story-again").level == 4


def test_level_zero_stops_marketing_and_says_so():
    client = door(WHO)
    post(client, "/my/level", "/my/level?at=0", level="0")
    assert campaign_to(WHO, "story-zero") == ""
    assert any(r["code"] == "level_zero" for r in booked("story-zero").reasons)
    assert "no marketing message exists" in client.get("/my/level?at=0").text
