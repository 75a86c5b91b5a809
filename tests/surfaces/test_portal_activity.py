"""My activity: seen, filtered, deleted with its consequence said first, kept as chosen, inferred."""

import csv
import functools
import re
import shutil
import tempfile
import time
from atexit import register
from datetime import timedelta
from pathlib import Path

import hub_shop
import portal_door
from starlette.testclient import TestClient

from troth import app as house
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import instant

NOW = hub_shop.NOW
NAMES = {"100": "Fresh milk", "200": "Ground coffee", "300": "Rose compost", "900": "Red wine"}
COLUMNS = ("external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units")


def line(who, days, item, group, kind="purchase"):
    return {
        "external_id": who, "at": (NOW - timedelta(days=days)).isoformat(), "kind": kind,
        "item": item, "group": group, "amount_minor": 1950, "currency": "ZAR", "units": 1,
    }  # fmt: skip


def write(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


class Small:
    """A shop of its own, since these tests delete."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="troth-activity-"))
        register(shutil.rmtree, self.folder, ignore_errors=True)
        write_drafts(self.folder, NOW)
        people = ["cast-adult", "other", "empty", "big"]
        write(self.folder / "customers.csv", hub_shop.COLUMNS["customers"],
              map(hub_shop._customer, people))  # fmt: skip
        write(self.folder / "consents.csv", hub_shop.COLUMNS["consents"],
              [act for who in people for act in hub_shop._acts(who)])  # fmt: skip
        write(self.folder / "products.csv", hub_shop.COLUMNS["products"], [
            {"item": item, "group": "g", "department": "d", "name": name,
             "sensitive": "yes" if item == "900" else "no"} for item, name in NAMES.items()
        ])  # fmt: skip
        self.lines(self.bought())
        house.init(self.folder)
        self.ws = house.open(self.folder, at=instant(NOW))
        self.ws.apply()
        for kind in ("customers", "consents"):
            house.import_file(self.ws, kind, self.folder / f"{kind}.csv")
        self.take()
        self.app = build_app(self.ws, hub_shop.REPORT, None)
        self.client = TestClient(self.app, base_url=portal_door.BASE)
        self.client.__enter__()
        register(self.ws.close)
        register(self.client.__exit__, None, None, None)

    def bought(self):
        for who in ("cast-adult", "other", "big"):
            yield from (line(who, 7 * n, "100", "dairy") for n in range(1, 5))
            yield from (line(who, 60 + n, "200", "coffee") for n in range(3))
            yield line(who, 70, "200", "coffee", "return")
            yield line(who, 400, "300", "garden")
            yield from (line(who, 9 + n, "900", "wine") for n in range(2))

    def lines(self, lines):
        write(self.folder / "events.csv", COLUMNS, lines)

    def take(self):
        extras = house.Extras(sensitive=frozenset({"900"}))
        house.import_file(self.ws, "events", self.folder / "events.csv", extras)

    def person(self, who):
        with self.ws.store.look() as view:
            return self.ws.desk.find(view, who)

    def door(self, who="cast-adult"):
        return portal_door.enter(self.app, self.person(who))

    def chain(self, who="cast-adult"):
        with self.ws.store.look() as view:
            return [e.event for e in self.ws.desk.scribe.chain(view, self.person(who))]


@functools.cache
def small():
    return Small()


def places(client, path="/my/activity"):
    return re.findall(r'name="place" value="([^"]+)"', client.get(path).text)


def post(client, path, **fields):
    return portal_door.post(client, path, "/my/activity", **fields)


def total(client):
    text = client.get("/my/activity").text
    return int(re.search(r"We keep ([\d\u00a0]+) entr", text)[1].replace("\u00a0", ""))


def test_the_page_shows_what_was_done_by_day_and_sensitive_goods_apart():
    client = small().door("other")
    text = client.get("/my/activity").text
    assert "We keep 9 entries" in text
    assert "Fresh milk" in text
    assert "Ground coffee" in text
    assert "Red wine" not in text
    assert "19.50 ZAR" in text
    assert text.count("<h2>1") >= 1
    assert '<svg class="chart"' in text
    apart = client.get("/my/activity?scope=apart").text
    assert "We never use these." in apart
    assert len(places(client, "/my/activity?scope=apart")) == 2
    assert small().chain("other")[-1].type == "data.read"
    reads = [e for e in small().chain("other") if e.type == "data.read"]
    client.get("/my/activity?page=2")
    assert [e for e in small().chain("other") if e.type == "data.read"] == reads


def test_filters_hold_no_name_and_narrow():
    client = small().door("other")
    text = client.get("/my/activity").text
    links = re.findall(r'href="(/my/activity\?[^"]+)"', text)
    assert links
    assert not any(word in "".join(links) for word in ("milk", "dairy", "100", "Fresh"))
    assert len(places(client, "/my/activity?kind=0")) == 8
    assert len(places(client, "/my/activity?kind=1")) == 1
    assert len(places(client, "/my/activity?group=2")) == 1
    assert len(places(client, "/my/activity?kind=7&page=99&month=nonsense&scope=odd")) == 9
    assert "Nothing matches." in client.get("/my/activity?month=2020-01").text


def test_who_did_nothing_reads_what_will_appear_here():
    text = small().door("empty").get("/my/activity").text
    assert "No activity is kept." in text
    assert "<svg" not in text
    assert "There is nothing to delete." in small().door("empty").get("/my/activity/delete").text


def test_one_entry_is_deleted_with_a_receipt_and_cannot_be_deleted_twice():
    client, before = small().door(), total(small().door())
    place = places(client)[0]
    answer = post(client, "/my/activity/entry", place=place, scope="bought")
    assert (answer.status_code, answer.headers["location"]) == (303, "/my/activity?scope=bought")
    text = client.get(answer.headers["location"]).text
    number = next(e.n for e in small().chain()[::-1] if e.type == "behaviour.deleted")
    assert f"/my/receipts/{number}" in text
    assert "is deleted" in text
    assert total(client) == before - 1
    again = post(client, "/my/activity/entry", place=place)
    assert again.status_code == 409
    assert "Load your activity again" in again.text
    assert total(client) == before - 1


def test_another_persons_place_an_altered_one_and_a_form_of_nobody_delete_nothing():
    mine, theirs = small().door(), small().door("big")
    before = total(mine), total(theirs)
    stolen = places(theirs)[0]
    version = stolen.split("|")
    altered = ["|".join([*version[:3], "9", *version[4:]]), stolen.replace("|0|", "|1|", 1)]
    for wrong in (stolen, *altered):
        assert post(mine, "/my/activity/entry", place=wrong).status_code in (404, 409)
    for wrong in ("", "x", "0|a|b|c|d|e", "9|purchases/2026Q4|0|1|0|00", stolen[:-3]):
        assert post(mine, "/my/activity/entry", place=wrong).status_code in (400, 409)
    assert mine.post("/my/activity/entry", data={"place": places(mine)[0]}).status_code == 403
    bare = TestClient(small().app, base_url=portal_door.BASE, follow_redirects=False)
    for path in ("/my/activity", "/my/activity/delete", "/my/activity/inferred"):
        assert bare.get(path).headers["location"] == "/my/enter"
    assert (total(mine), total(theirs)) == before


def test_looking_at_the_check_page_deletes_nothing_and_a_changed_count_is_shown_again():
    client = small().door()
    before = total(client)
    text = client.get("/my/activity/delete?group=0").text
    seen = re.search(r'name="seen" value="(\d+)"', text)[1]
    assert f"Delete {seen} entr" in text
    assert "What stays" in text
    assert total(client) == before
    answer = post(client, "/my/activity/delete", group="coffee", seen="1")
    assert answer.status_code == 200
    assert "What happens" in answer.text
    assert total(client) == before
    assert post(client, "/my/activity/delete", scope="else", seen="1").status_code == 400
    answer = post(client, "/my/activity/delete", group="coffee", seen=seen)
    assert answer.status_code == 303
    assert total(client) == before - int(seen)
    assert "Ground coffee" not in client.get("/my/activity").text


def test_a_month_takes_everything_of_it_sensitive_goods_too():
    client = small().door("big")
    month = (NOW - timedelta(days=9)).strftime("%Y-%m")
    text = client.get(f"/my/activity/delete?month={month}").text
    seen = re.search(r'name="seen" value="(\d+)"', text)[1]
    assert "Sensitive goods" in text
    assert post(client, "/my/activity/delete", month=month, seen=seen).status_code == 303
    assert places(client, "/my/activity?scope=apart") == []
    assert places(client, f"/my/activity?month={month}") == []
    assert total(client) > 0


def test_a_term_is_checked_then_deletes_what_is_older_at_once_and_has_an_undo():
    client = small().door("other")
    text = client.get("/my/activity/keep?scope=purchases&months=3").text
    assert "This deletes 1 entry from before" in text
    assert total(client) == 9
    assert post(client, "/my/activity/keep", scope="purchases", months="4").status_code == 400
    assert post(client, "/my/activity/keep", scope="purchases", months="3").status_code == 303
    text = client.get("/my/activity").text
    assert "What is older than 3 months goes" in text
    assert "/my/activity/keep" in text
    assert total(client) == 8
    apart = "/my/activity?scope=apart"
    assert len(places(client, apart)) == 2, "a term for purchases takes nothing else along"
    assert '<option value="3" selected>' in text or total(client) == 8
    post(client, "/my/activity/keep", scope="purchases", months="0")
    assert [e.payload.months for e in small().chain("other") if e.type == "retention.chosen"] == [
        3,
        None,
    ]


def test_what_is_inferred_is_said_with_its_source_and_stopped_with_one_click():
    client = small().door("other")
    text = client.get("/my/activity/inferred").text
    assert "What you buy most often now" in text
    assert "Used now" in text
    assert "Fresh milk" in text
    answer = post(client, "/my/activity/close", category="purchases.13w")
    assert answer.status_code == 303
    assert small().chain("other")[-1].type == "consent.withdrawn"
    assert small().chain("other")[-1].payload.categories == ("purchases.13w",)
    card = client.get("/my/activity/inferred").text.split("What you buy most often now")[1]
    assert "Not used" in card.split("</li>")[0]
    assert post(client, "/my/activity/close", category="identity.name").status_code == 400


def test_goods_are_excluded_and_allowed_again():
    client = small().door("big")
    assert "Fresh milk" in client.get("/my/activity/inferred").text
    answer = post(client, "/my/activity/exclude", group="dairy")
    assert answer.status_code == 303
    text = client.get("/my/activity/inferred").text
    assert "May be used again" in text
    assert 'action="/my/activity/include"' in text
    assert "Fresh milk" not in text
    assert "not used, as you said" in text
    assert post(client, "/my/activity/exclude", group="nothing").status_code == 400
    assert post(client, "/my/activity/include", group="dairy").status_code == 303
    assert "Fresh milk" in client.get("/my/activity/inferred").text


def test_ten_thousand_entries_come_in_pages_quickly():
    shop = small()
    shop.lines(
        line("empty", n % 700 + 1 + n / 100_000, str(100 * (n % 3 + 1)), f"g{n % 3}")
        for n in range(10_000)
    )
    client = shop.door("empty")
    try:
        shop.take()
        assert total(client) == 10_000
        assert len(places(client, "/my/activity?page=200")) == 50
        spent = []
        for page in range(1, 21):
            start = time.perf_counter()
            assert client.get(f"/my/activity?page={page * 9}").status_code == 200
            spent.append(time.perf_counter() - start)
        assert sorted(spent)[18] < 1.0, spent
        print(f"p95 of 10,000 entries: {sorted(spent)[18] * 1000:.0f} ms")
    finally:
        seen = "10000"
        start = time.perf_counter()
        assert post(client, "/my/activity/delete", seen=seen).status_code == 303
        print(f"deleting 10,000 entries: {(time.perf_counter() - start) * 1000:.0f} ms")
    assert "No activity is kept." in client.get("/my/activity").text
