"""The site's page for staff and what its addresses answer besides."""

import re

import pytest
from site_shop import ORIGIN, opened
from starlette.testclient import TestClient

from troth.app import site_place
from troth.engines import signals
from troth.errors import InvalidInput
from troth.surfaces.web import site, site_page
from troth.surfaces.web.site import network_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    found = opened(tmp_path_factory.mktemp("site"))
    yield found
    found.ws.close()


def door(shop, role):
    client = TestClient(shop.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
    assert client.post(f"/doors/{role}").status_code == 303
    return client


@pytest.mark.parametrize("role", ["it", "marketer"])
def test_the_page_says_how_to_install_and_shows_each_slot_at_each_level(shop, role):
    text = door(shop, role).get("/console/site").text
    assert f"/collect.js?v={site.script_digest()}" in text
    assert ORIGIN in text
    assert "Thandeka" in text  # invented
    assert text.count("Uses ") >= 6
    assert "views.13w" not in text  # words, not codes


def test_support_may_not_open_it(shop):
    assert door(shop, "support").get("/console/site").status_code == 403


def test_few_people_give_no_number_of_events(shop):
    browser = shop.browser()
    browser.say()
    browser.look_at("1001", "1002", "1003")
    text = door(shop, "it").get("/console/site").text
    assert "fewer than 10" in text
    assert "not shown" in text
    assert not re.search(r'<td class="figure">3</td>', text)


def test_enough_people_do(shop):
    counts = {("2026-11-20", "people"): 12, ("2026-11-20", "events"): 1234}
    (day,) = site_page._days(counts)
    assert (day.people, day.events) == ("12", "1,234")


def test_the_collector_is_kept_for_ever_under_its_digest_and_shortly_without(shop):
    client = shop.browser().client
    kept = client.get(f"/collect.js?v={site.script_digest()}")
    assert "immutable" in kept.headers["cache-control"]
    assert client.get("/collect.js?v=0").headers["cache-control"] == "max-age=3600"
    assert kept.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "set-cookie" not in kept.headers


def test_a_slot_is_answered_for_one_visitor_and_kept_by_nobody(shop):
    answer = shop.browser().slot()
    assert answer.headers["cache-control"] == "private, no-store"
    assert {"Origin", "Cookie", "Accept"} <= set(answer.headers["vary"].split(", "))
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_slot_comes_as_json_or_as_a_small_piece_of_html(shop):
    browser = shop.browser()
    assert browser.slot().json()["heading"] == "Good things for the house"
    text = browser.slot(accept="text/html").text
    assert text.startswith('<section class="troth-slot"')
    assert "<script" not in text


def test_an_unknown_slot_is_not_found_and_a_broken_batch_says_where_to_look(shop):
    browser = shop.browser()
    assert browser.slot("nope").status_code == 404
    browser.say()
    answer = browser.client.post("/api/v1/site/events", content=b"{", headers=browser.headers())
    assert answer.status_code == 400
    assert "docs/site.md" in answer.json()["remedy"]


@pytest.mark.parametrize(
    "told",
    [{"origins": ["http://shop.example"]}, {"origins": ["https://shop.example/"]}, {"origins": "x"},
     {"origins": ["*"]}, {"origin": []}, {"origins": [3]}],
)  # fmt: skip
def test_origins_that_would_open_too_much_do_not_read(shop, told):
    class Opened:
        settings = type("S", (), {"site": told})

    with pytest.raises(InvalidInput):
        site_place.place(Opened)


def test_a_house_without_origins_lets_no_page_in(tmp_path):
    found = opened(tmp_path)
    path = found.house.folder / "troth.toml"
    path.write_text(re.sub(r"\[site\]\norigins = .*", "", path.read_text()))
    found.house.at(found.house.when())
    from site_shop import REPORT, Site, build_app

    closed = Site(found.house, build_app(found.ws, REPORT, None))
    assert closed.browser().slot().status_code == 403
    assert "None yet" in door(closed, "it").get("/console/site").text
    found.ws.close()


def test_networks_are_cut_before_they_are_counted():
    assert network_of("198.51.100.200") == network_of("198.51.100.1")
    assert network_of("2001:db8::1") == network_of("2001:db8:0:ff::2")
    assert network_of("nonsense") == ""


def test_a_signal_s_share_is_shown_from_ten_requests_on():
    assert site_page._share(site.Tally(9, 9)) == ""
    assert site_page._share(site.Tally(20, 5)) == "25 %"


def test_the_site_says_that_it_honours_the_signal(shop):
    answer = shop.browser().client.get(signals.WELL_KNOWN)
    found = signals.read_support(answer.headers["content-type"], answer.content)
    assert found.gpc is True
    assert found.last_update
