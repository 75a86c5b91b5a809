"""The customer's pages: who is in, in which language, and what a form must prove."""

import functools
import re
import tomllib

import portal_door
import pytest
from hub_shop import make_shop
from portal_door import BASE, enter, form, post
from starlette.testclient import TestClient

from troth.capabilities import people
from troth.kernel.desk import SYSTEM
from troth.surfaces.portal import frame
from troth.surfaces.portal.brand import brand_css
from troth.surfaces.portal.catalogue import LANGUAGES, Tongue, preferred
from troth.surfaces.web.server import build_app

shop = functools.cache(make_shop)
"""A shop of this file's own: somebody leaves it, and somebody acts for somebody."""


def door(outside: str = "cast-adult", *, language="en") -> TestClient:
    return portal_door.door(outside, language=language, at=shop())


def stranger() -> TestClient:
    return TestClient(shop().app, base_url=BASE, follow_redirects=False)


def paths(app) -> list[str]:
    return sorted({r.path for r in app.routes if r.path == "/my" or r.path.startswith("/my/")})


# Who is in


def test_whoever_is_not_in_is_led_to_the_way_in():
    answer = stranger().get("/my")
    assert (answer.status_code, answer.headers["location"]) == (303, "/my/enter")


def test_a_made_up_cookie_opens_nothing():
    client = stranger()
    client.cookies.set("troth_my", "ab" * 24)
    assert client.get("/my").status_code == 303


def test_a_session_of_staff_is_no_customer():
    assert shop().door("marketer").get("/my").status_code == 303


def test_a_customer_is_no_staff():
    assert door().get("/console").headers["location"].startswith("/signin")


def test_the_first_screen_says_what_is_known_in_one_sentence():
    text = door().get("/my").text
    told = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)[1]
    assert re.match(r"We know \d+ things about you\. You allowed 2 uses\. Nobody outside", told)
    assert "Thandeka" in text
    cards = re.findall(r'<li class="card">', text)
    assert f"We know {len(cards)} things" in told


def test_each_card_says_what_why_since_from_until_and_who():
    text = door().get("/my").text
    card = next(c for c in text.split('<li class="card">') if "Your e-mail address" in c)
    for label in ("Why", "Since", "From", "Until", "Who can see"):
        assert f"<dt>{label}</dt>" in card, label
    assert "cast-adult@post.example" in card
    for label in ("System", "Country", "Protection", "Backups"):
        assert f"<dt>{label}</dt>" in text


def test_looking_is_written_down_once_a_visit_and_category():
    client = door("shop-07")
    before = shop().chain("shop-07")
    client.get("/my")
    once = shop().chain("shop-07")
    client.get("/my")
    assert len(shop().chain("shop-07")) == len(once) > len(before)
    told = [e.event.payload for e in once[len(before) :]]
    read = [name for said in told for name in getattr(said, "fields", ())]
    assert "identity.name" in read
    assert len(read) == len(set(read))


def test_coming_in_is_written_down():
    door("shop-08")
    assert shop().chain("shop-08")[-1].event.type == "visit.began"


def test_nothing_of_a_person_stands_in_an_address_or_is_kept_by_a_browser():
    client = door()
    answer = client.get("/my")
    assert answer.headers["cache-control"] == "no-store"
    linked = re.findall(r'(?:href|action)="([^"]+)"', answer.text)
    person = shop().person("cast-adult").hex()
    assert not [link for link in linked if person in link or "@" in link or "Thandeka" in link]


# Forms


def test_a_form_without_its_token_does_nothing():
    client = door("shop-09")
    size = shop().size()
    for sent in ({}, {"form": "x"}, {"form": form(door("shop-10"), "/my")}):
        size = shop().size()
        assert client.post("/my/level", data={"level": "1", **sent}).status_code == 403
    assert shop().size() == size


def test_a_form_from_another_site_does_nothing():
    client = door("shop-09")
    token = form(client, "/my")
    size = shop().size()
    for header in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}):
        answer = client.post("/my/level", data={"form": token, "level": "1"}, headers=header)
        assert answer.status_code == 403
    assert shop().size() == size


def test_what_was_done_is_said_once():
    client = door("shop-11")
    answer = post(client, "/my/level", "/my/level", level="1")
    assert answer.status_code == 303
    said = client.get("/my/level").text
    assert "Done." in said
    assert "The very next message follows it." in said
    assert re.search(r'href="/my/receipts/\d+"', said)
    assert "Done." not in client.get("/my/level").text


# Languages


def test_a_page_speaks_the_readers_language():
    for code in LANGUAGES:
        answer = door(language=code).get("/my")
        assert answer.headers["content-language"] == code
        assert f'<html lang="{code}">' in answer.text


def test_the_language_of_the_record_is_spoken_unless_another_is_chosen():
    assert preferred("de, en;q=0.4, af;q=0.9") == "af"
    assert preferred("de", "zu") == "zu"
    assert preferred("") == "en"
    assert preferred(",;q=,;;q=x, zu-ZA;q=0.1.1") in LANGUAGES


def test_a_language_is_chosen_without_coming_in():
    client = stranger()
    answer = client.post("/my/language", data={"language": "zu", "back": "/my/enter"})
    assert answer.headers["location"] == "/my/enter"
    assert client.cookies["troth_language"] == "zu"


@pytest.mark.parametrize("back", ["https://elsewhere.example", "//elsewhere", "/my//x", "/my\\x"])
def test_choosing_a_language_leads_nowhere_else(back):
    answer = stranger().post("/my/language", data={"language": "af", "back": back})
    assert answer.headers["location"] == "/my"


def test_numbers_and_days_are_written_for_people():
    said = Tongue("en", "Africa/Johannesburg")
    assert said.number(1469302) == "1\u00a0469\u00a0302"
    assert said.moment(1_795_000_000_000_000) == "18 November 2026, 13:06"
    assert said.joined(["a", "b", "c"]) == "a, b and c"
    assert said.joined([]) == ""


def test_what_is_named_in_a_sentence_is_escaped_on_pages():
    from troth.surfaces.portal.catalogue import InPage

    said = InPage(Tongue("en", "UTC")).gettext("Hello %(name)s.", name="<b>")
    assert str(said) == "Hello &lt;b&gt;."


# The brand


def test_the_pages_wear_the_published_colours():
    css = stranger().get("/my/brand.css").text
    folder = shop().folder
    colours = tomllib.loads((folder / "troth.toml").read_text())["brands"]["marula"]["colours"]
    assert f"--band:{colours['band']};" in css
    assert f"--accent:{colours['dark_accent']};" in css


def test_colours_nobody_could_read_are_not_worn():
    from troth.surfaces.portal import brand

    plain = brand._colours({})
    assert brand._colours({"ink": "#fafafa", "sheet": "#ffffff"}) == plain
    assert brand._colours({"ink": "#444444", "ground": "#555555"}) == plain
    assert brand_css(shop().app.state.hub).count("--on-accent") == 2


# Acting for somebody


def test_a_form_from_before_one_acted_for_another_does_nothing_to_that_one():
    s = shop()
    child, parent = s.person("shop-10"), s.person("shop-11")
    people.link(s.ws.desk, child, parent, "agent", "test", SYSTEM)
    client = enter(s.app, parent)
    own = portal_door.form(client, "/my/level")
    session = [
        v[0] for v in s.app.state.hub.kept["portal"]._held.values() if v[0].viewer == parent
    ][-1]
    assert frame.act_for(s.app.state.hub, session, child)
    before = len(s.chain("shop-10"))
    assert client.post("/my/level", data={"form": own, "level": "0"}).status_code == 403
    assert len(s.chain("shop-10")) == before
    assert portal_door.form(client, "/my/level") != own


def test_a_mandate_opens_and_its_end_closes():
    s = shop()
    child, parent = s.person("shop-12"), s.person("shop-13")
    client = enter(s.app, parent)
    hub = s.app.state.hub
    session = next(v[0] for v in hub.kept["portal"]._held.values() if v[0].viewer == parent)
    assert not frame.act_for(hub, session, child)
    people.link(s.ws.desk, child, parent, "agent", "test", SYSTEM)
    assert frame.act_for(hub, session, child)
    text = client.get("/my").text
    assert "You act for somebody else" in text
    assert "shop-12@post.example" in text
    people.unlink(s.ws.desk, child, parent, "test", SYSTEM)
    text = client.get("/my").text
    assert "shop-12@post.example" not in text
    assert "shop-13@post.example" in text
    last = [e.event.payload for e in s.chain("shop-12")]
    assert any(getattr(p, "relation", "") == "agent" for p in last)


def test_somebody_erased_is_out_with_the_next_click():
    s = shop()
    client = enter(s.app, s.person("shop-14"))
    assert client.get("/my").status_code == 200
    s.ws.erase(s.person("shop-14"), "request-test")
    assert client.get("/my").status_code == 303


def test_a_session_ends_by_itself():
    s = shop()
    app = build_app(s.ws, {"x": 1}, None)
    hub = app.state.hub

    class Later:
        def now(self):
            return hub.kept["office"].clock.now() + frame.IDLE + 1

    client = enter(app, s.person("shop-15"))
    assert client.get("/my").status_code == 200
    hub.kept["portal"].clock = Later()
    assert client.get("/my").status_code == 303


# The demo's door


def test_a_demo_lets_one_be_five_people_and_a_real_house_nobody():
    s = shop()
    client = TestClient(s.app, base_url=BASE, follow_redirects=False)
    answer = client.post("/my/door", data={"who": "cast-adult"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/my")
    assert client.get("/my").status_code == 200
    assert client.post("/my/door", data={"who": "shop-01"}).status_code == 404
    real = TestClient(build_app(s.ws, None, None), base_url=BASE, follow_redirects=False)
    assert real.post("/my/door", data={"who": "cast-adult"}).status_code in (404, 405)


# Levels


def test_looking_at_a_level_changes_nothing_but_the_note_that_one_looked():
    client = door()
    client.get("/my/level?at=2")
    size = shop().size()
    assert client.get("/my/level?at=3").status_code == 200
    assert client.get("/my/level/3/letter").status_code == 200
    types = {e.event.type for e in shop().chain("cast-adult")[-(shop().size() - size) or None :]}
    assert "consent.given" not in types or shop().size() == size


def test_the_message_at_a_level_is_ones_own_and_uses_no_more_than_that_level():
    client = door()
    two, four = (client.get(f"/my/level/{k}/letter").text for k in (2, 4))
    assert "Thandeka" in two
    assert "Rose compost" not in two
    assert "Rose compost" in four or "Fresh milk" in four or "coffee" in four


def test_level_zero_has_no_message_and_says_so():
    client = door()
    assert client.get("/my/level/0/letter").status_code == 404
    assert "no marketing message exists" in client.get("/my/level?at=0").text


@pytest.mark.parametrize("wrong", ["6", "-1", "x", "", "\u0663", "99999"])
def test_a_level_that_does_not_exist_is_not_chosen(wrong):
    client = door("shop-16")
    size = shop().size()
    post_token = form(client, "/my")
    size = shop().size()
    answer = client.post("/my/level", data={"form": post_token, "level": wrong})
    assert answer.status_code == 400
    assert shop().size() == size


# Every address


def guarded() -> list[tuple[str, str]]:
    """Every write of somebody who is in; those for anybody have tests of their own."""
    from troth.surfaces.web.server import public

    return sorted(
        {
            (method, route.path)
            for route in shop().app.routes
            if route.path.startswith("/my") and route.path not in public()
            for method in set(getattr(route, "methods", ()) or ()) - {"HEAD", "OPTIONS"}
        }
    )


def test_no_write_is_taken_without_its_own_sessions_token():
    client, other = door("shop-17"), door("shop-18")
    foreign = form(other, "/my")
    leaving = {"/my/out"}  # ends a visit and nothing else, from an own page alone
    writes = [p for method, p in guarded() if method != "GET" and p not in leaving]
    assert len(writes) > 20
    size, taken = shop().size(), []
    for path in writes:
        for sent in ({}, {"form": ""}, {"form": foreign}):
            answer = client.post(re.sub(r"\{[^}]+\}", "1", path), data=sent)
            if answer.status_code not in {400, 403, 404} or shop().size() != size:
                taken.append((path, sent, answer.status_code))
                size = shop().size()
    assert taken == []


def test_looking_a_second_time_changes_nothing():
    client = door("shop-19")
    pages = [path for method, path in guarded() if method == "GET" and "{" not in path]
    for path in pages:
        client.get(path)
    size = shop().size()
    grown = []
    for path in pages:
        for method in ("HEAD", "GET"):
            answer = client.request(method, path)
            assert answer.status_code < 500, path
            if shop().size() != size:
                grown.append(path)
                size = shop().size()
    assert grown == []


def test_a_browser_that_opts_out_is_heard_on_any_page():
    client = door("shop-20")
    client.headers["sec-gpc"] = "1"
    client.get("/my")
    told = [e.event.payload for e in shop().chain("shop-20")]
    assert [p.method for p in told if getattr(p, "status", "") == "opted_out"] == ["gpc"]
    client.get("/my/uses")
    assert len(shop().chain("shop-20")) <= len(told) + 1
