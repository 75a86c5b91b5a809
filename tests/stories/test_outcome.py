"""What comes of a message: heard where it is about us, unnoticed where nobody agreed to notice."""

import re
from datetime import timedelta
from email import message_from_bytes, policy

import comeback
import marula
import pytest
from starlette.testclient import TestClient

from troth import app
from troth.capabilities import merging, people
from troth.capabilities.outreach import clicks, holdout, plans, steps, waves
from troth.kernel.desk import SYSTEM
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role

SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
LINDIWE = marula.MARKETER


def html(raw):
    mail = message_from_bytes(raw, policy=policy.default)
    return mail.get_body(("html",)).get_content()


def mail_to(house, address):
    found = [m.path.read_bytes() for m in house.mails() if m.rcpt_to == (address,)]
    return found[-1]


def reader(house, external_id="reader", *acts):
    """Somebody who agreed to offers, and whatever else is said, and got one message."""
    person = house.newcomer(external_id, {"idempotency_key": external_id}, *acts)
    house.send([person])
    return person, mail_to(house, f"{external_id}@post.example")


def take(house, raw):
    return app.take_mail(house.ws, raw)


def noting(purpose, category):
    return {"purpose": purpose, "channels": "", "notice": "measure@1", "categories": category,
            "idempotency_key": purpose}  # fmt: skip


def browser(house):
    pages = build_app(house.ws, None, None)
    return TestClient(pages, base_url="http://127.0.0.1:8400", follow_redirects=False)


def types(house, person):
    return [event.type for event in house.chain(person)]


def test_a_message_that_can_never_arrive_closes_the_address(house):
    person, raw = reader(house)
    take(house, comeback.bounce(raw))
    house.at(marula.NOW + timedelta(days=400))
    assert "suppressed_bounce" in house.codes(person)


def test_a_complaint_closes_every_marketing_purpose_and_no_service(house):
    person, raw = reader(house)
    take(house, comeback.complaint(raw))
    for purpose in ("offers", "newsletter", "ask"):
        assert "suppressed_complaint" in house.codes(person, house.campaign("next", purpose))
    assert "suppressed_complaint" not in house.codes(person, house.campaign("parcel", "service"))


@pytest.mark.parametrize(
    "text", ["hou op", "STOP", "Teken my af asseblief", "Please unsubscribe me."]
)
def test_an_answer_that_means_stop_stops(house, text):
    person, raw = reader(house)
    take(house, comeback.reply(raw, text))
    assert "withdrawn" in house.codes(person)
    house.book([person], house.campaign("next"))
    assert house.hand_over(house.campaign("next")).handed == 0


@pytest.mark.parametrize(
    "text",
    [
        "Moenie ophou nie!",
        "When do you stop baking on Saturdays, and is the seed loaf sold out by then? Thank you and best wishes to all of you.",
    ],
)
def test_an_answer_that_means_something_else_stops_nothing(house, text):
    person, raw = reader(house)
    assert take(house, comeback.reply(raw, text)).kind == "question"
    assert not [c for c in house.codes(person, house.campaign("next")) if c != "frequency_cap"]


def test_out_of_office_is_no_answer(house):
    person, raw = reader(house)
    before = types(house, person)
    for headers in (
        "Auto-Submitted: auto-replied\r\n",
        "X-Autoreply: yes\r\n",
        "Precedence: bulk\r\n",
    ):
        away = comeback.reply(raw, "Stop! I am on leave. Unsubscribe.", headers=headers)
        assert take(house, away).became == "ignored"
    assert types(house, person) == before


def test_deleting_what_was_sent_leaves_the_closed_address_closed(house):
    person, raw = reader(house)
    take(house, comeback.bounce(raw))
    house.ws.erase(person, "story")
    again = house.newcomer("returned", {"idempotency_key": "a"}, email="reader@post.example")
    assert again != person
    assert "suppressed_bounce" in house.codes(again)


def test_a_click_counts_and_counts_nobody(house):
    person, raw = reader(house)
    link = re.search(r'href="https://my\.marula\.example(/go/[^"]+)"', html(raw))[1]
    client = browser(house)
    before, size = types(house, person), house.ws.store
    with size.look() as view:
        at = view.log.size
    answer = client.get(link)
    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "https://marula.example/this-week",
    )
    assert "set-cookie" not in answer.headers
    assert types(house, person) == before
    with house.ws.store.look() as view:
        assert view.log.size == at
        counted = clicks.link_counts(view, "winback")
        rows = view.rows("outreach.clicks", b"", b"", 10)
    assert [(each.number, each.count) for each in counted] == [(1, 1)]
    assert [key.split(b"/")[:2] for key, _ in rows] == [[b"winback", b"1"]]


def test_scanners_and_prefetching_programs_are_led_on_and_not_counted(house):
    _, raw = reader(house)
    link = re.search(r'href="https://my\.marula\.example(/go/[^"]+)"', html(raw))[1]
    client = browser(house)
    assert client.head(link).status_code == 302
    for headers in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"},
                    {"X-Purpose": "preview"}, {"X-Moz": "prefetch"}):  # fmt: skip
        assert client.get(link, headers=headers).status_code == 302
    with house.ws.store.look() as view:
        assert clicks.link_counts(view, "winback")[0].count == 0


def test_every_reader_without_a_yes_gets_the_very_same_links(house):
    _, one = reader(house, "one")
    _, two = reader(house, "two")
    pattern = r'href="https://my\.marula\.example/go/[^"]+"'
    assert re.findall(pattern, html(one)) == re.findall(pattern, html(two)) != []


def test_an_opened_message_is_not_noticed_without_its_own_yes(house):
    person, raw = reader(house)
    assert "<img" not in html(raw)
    assert b"/o/" not in raw
    assert "message.opened" not in types(house, person)
    with house.ws.store.look() as view:
        assert not view.rows("outreach.mark", b"", b"", 10)


def test_with_a_yes_to_it_an_open_is_noted_once_and_after_a_no_never(house):
    person, raw = reader(house, "reader", noting("measure_opens", "engagement.opens"))
    mark = re.search(r"https://my\.marula\.example(/o/[a-z2-7]+)", html(raw))[1]
    assert "/go/winback/1" in html(raw)
    assert not re.search(r"/go/winback/1\.[0-9a-f]+\.", html(raw))
    client = browser(house)
    assert client.head(mark).status_code == 200
    assert "message.opened" not in types(house, person)
    assert client.get(mark).headers["content-type"] == "image/gif"
    client.get(mark)
    assert types(house, person).count("message.opened") == 1
    booked = types(house, person)
    assert booked.index("use.permitted") < booked.index("message.booked")


def test_a_yes_taken_back_makes_the_marks_that_left_mute(house):
    person, raw = reader(
        house, "reader", noting("measure_opens", "engagement.opens"),
        noting("measure_clicks", "engagement.clicks"),
    )  # fmt: skip
    mark = re.search(r"https://my\.marula\.example(/o/[a-z2-7]+)", html(raw))[1]
    link = re.search(r'href="https://my\.marula\.example(/go/[^"]+)"', html(raw))[1]
    assert link.count(".") == 2
    house.at(marula.NOW + timedelta(minutes=5))
    for purpose in ("measure_opens", "measure_clicks"):
        house.say(person, "withdrawn", purpose, ("*",))
    before = types(house, person)
    client = browser(house)
    assert client.get(mark).status_code == 200
    assert client.get(link).status_code == 302
    assert types(house, person) == before


def test_a_yes_to_clicks_notes_which_link_and_nothing_else(house):
    person, raw = reader(house, "reader", noting("measure_clicks", "engagement.clicks"))
    assert "<img" not in html(raw)
    link = re.search(r'href="https://my\.marula\.example(/go/[^"]+)"', html(raw))[1]
    client = browser(house)
    client.get(link)
    client.get(link)
    noted = [e.payload for e in house.chain(person) if e.type == "message.clicked"]
    assert [(n.detail, n.campaign, n.channel) for n in noted] == [("1", "winback", None)]


def test_a_yes_taken_back_between_booking_and_hand_over_holds_the_message_back(house):
    person = house.newcomer(
        "reader", {"idempotency_key": "r"}, noting("measure_opens", "engagement.opens")
    )
    house.book([person])
    house.say(person, "withdrawn", "measure_opens", ("*",))
    told = house.hand_over()
    assert (told.handed, dict(told.withheld)) == (0, {"category_not_agreed": 1})
    assert not house.mails()


def test_erasure_takes_along_every_mark_by_which_a_reader_was_known(house):
    person, raw = reader(house, "reader", noting("measure_opens", "engagement.opens"))
    mark = re.search(r"https://my\.marula\.example(/o/[a-z2-7]+)", html(raw))[1]
    client = browser(house)
    client.get(mark)
    assert left_of(house) == {"outreach.mark", "outreach.noted"}
    house.ws.erase(person, "story")
    assert left_of(house) == set()
    assert client.get(mark).status_code == 200


def left_of(house):
    tables = ("outreach.mark", "outreach.noted", "outreach.return", "outreach.held")
    with house.ws.store.look() as view:
        return {table for table in tables if view.rows(table, b"", b"", 1)}


# The holdout


def shop_with_holdout(house, share=50):
    path = house.folder / "troth.toml"
    one = '["lindiwe@marula.example"]'
    path.write_text(path.read_text().replace(one, f'{one[:-1]}, "{SIPHO.id}"]'))
    house.at(marula.NOW)
    house.ws.apply()
    rows = [
        {**marula.BLANK, "external_id": f"h{n}", "email": f"h{n}@post.example",
         "relation_kind": "sale", "relation_at": marula.days_ago(200)}
        for n in range(24)
    ]  # fmt: skip
    house.take("customers", *rows)
    for row in rows:
        house.consents(row["external_id"], {"idempotency_key": row["external_id"]})
    everybody = house.everybody(*(row["external_id"] for row in rows))
    held = [p for p in everybody if holdout.held_out(house.desk, p, share)]
    return everybody, held


def run(house, name, share=50):
    app.rebuild_reach(house.ws, LINDIWE)
    asked = app.Asked(name, "winback", "winback", plans.When(), share)
    app.draft_campaign(house.ws, asked, LINDIWE)
    life = app.submit_campaign(house.ws, name, LINDIWE)
    steps.approve(house.desk, name, life.plan, SIPHO)
    steps.schedule(house.desk, name, LINDIWE)
    with house.inbox() as port:
        sending = app.Sending(house.ws, ("127.0.0.1", port))
        for _ in range(8):
            assert not [fault for _, fault in app.tick(sending) if fault]


def test_held_out_people_stay_unmailed_through_merges_and_a_second_import(house):
    everybody, held = shop_with_holdout(house)
    assert 3 < len(held) < len(everybody) - 3
    told = [p for p in everybody if p not in held]
    keeper = told[0]
    merging.merge(house.desk, keeper, held[0], "same household card", SYSTEM)
    shared = f"h{everybody.index(held[1])}@post.example"
    house.take("customers", {
        **marula.BLANK, "external_id": "second", "email": shared, "relation_kind": "sale",
        "relation_at": marula.days_ago(200),
    })  # fmt: skip
    house.consents("second", {"idempotency_key": "second"})
    run(house, "spring")
    mailed = set(house.delivered())
    addresses = {f"h{everybody.index(p)}@post.example" for p in held}
    assert not mailed & addresses
    assert f"h{everybody.index(keeper)}@post.example" not in mailed
    assert {f"h{everybody.index(p)}@post.example" for p in told[1:]} <= mailed
    run(house, "autumn")
    assert not set(house.delivered()) & addresses


def test_results_compare_who_got_it_with_who_would_have_and_name_nobody(house):
    everybody, held = shop_with_holdout(house)
    run(house, "spring")
    buyers = [p for p in everybody if p not in held][:5]
    house.at(marula.NOW + timedelta(days=3))
    for person in buyers:
        people.relate(
            house.desk, person,
            people.Dealing("sale", goods="household", at=house_now(house) - 86_400_000_000),
            "till", SYSTEM,
        )  # fmt: skip
    found = app.count_results(house.ws, "spring", LINDIWE)
    assert found.effect.mailed.people >= len(everybody) - len(held)
    assert found.effect.mailed.did >= 5
    assert found.effect.held_out.people == len(held)
    assert found.came["handed"] == len(house.mails())
    said = [e.payload for e in house.house_chain() if e.type == "set.processed"]
    report = [s for s in said if s.work == "report" and s.campaign == "spring"]
    assert [set(s.counts) for s in report] == [{"mailed", "held_out"}]


def house_now(house):
    with house.ws.store.look() as view:
        return view.now


def test_a_held_out_person_who_may_not_be_written_to_anyway_is_in_no_comparison(house):
    _, held = shop_with_holdout(house)
    house.say(held[0], "withdrawn")
    run(house, "spring")
    with house.ws.store.look() as view:
        _, compared = holdout.groups(view, "spring")
        assert waves.read_tally(view, "spring").held_out >= len(held)
    assert held[0] not in compared
    announced = [
        list(e.payload.counts)
        for e in house.house_chain()
        if e.type == "set.processed" and e.payload.campaign == "spring"
    ]
    assert announced.index(["held_out"]) < announced.index(["candidates", "held_out"])
    house.ws.erase(held[1], "story")
    with house.ws.store.look() as view:
        assert held[1] not in holdout.groups(view, "spring")[1]
    assert set(compared) >= set(held[1:])
