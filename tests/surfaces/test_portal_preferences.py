"""The page of messages: a no is one click, a yes shows its notice, all of it can be taken back."""

import re
from html.parser import HTMLParser

import pytest
from portal_door import door, form, shop

from troth.capabilities import preferences
from troth.terms import DAY, SECOND, Instant, Wishes

HERE = "/my/preferences"
FORBIDDEN = ("miss out", "are you sure", "sorry to see", "unfortunately", "safe", "100 %")


@pytest.fixture(scope="module", autouse=True)
def own_shop():
    """A shop of this file's own: its people are as the files brought them."""
    shop.cache_clear()
    yield
    shop.cache_clear()


def later(seconds=2):
    """Let a little time pass on the shop's clock, which stands still otherwise."""
    clock = shop().ws.store._clock
    clock.set(Instant(clock.now() + seconds * SECOND))


def post(client, path, page=HERE, **fields):
    later()
    return client.post(path, data={"form": form(client, page), **fields})


def cell(outside, purpose, channel):
    ws = shop().ws
    with ws.store.look() as view:
        found = preferences.matrix(ws.desk, view, ws.desk.find(view, outside))
    row = next(r for r in found.rows if r.purpose.name == purpose)
    return next(c for c in row.cells if c.channel == channel)


def record(outside):
    ws = shop().ws
    with ws.store.look() as view:
        return view.gather([ws.desk.find(view, outside)], None)[0].record


def types(outside, since=0):
    return [r.event.type for r in shop().chain(outside)[since:]]


class Forms(HTMLParser):
    """Every form of a page: its address and method, its fields, its buttons."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag == "form":
            self.found.append({**told, "fields": [], "buttons": [], "ticked": []})
        elif self.found and tag in ("input", "select", "textarea"):
            kind = told.get("type", "text")
            if kind != "hidden":
                self.found[-1]["fields"].append(told)
            if "checked" in told:
                self.found[-1]["ticked"].append(told)
        elif self.found and tag == "button":
            self.found[-1]["buttons"].append(told)


def forms(client, path=HERE):
    reader = Forms()
    reader.feed(client.get(path).text)
    return reader.found


# --- what stands there -----------------------------------------------------------------------------


def test_each_row_says_what_stands_why_since_until_and_what_was_told():
    text = door("shop-01").get(HERE).text
    offers = text.split(">Offers for your household</h3>")[1].split("</section>")[0]
    for said in ("You said yes", "you agreed", "Since", "Until", "What you were told then"):
        assert said in offers, said
    assert re.search(r'href="/notices/offers/\d+"', offers)
    letter = text.split(">The Marula letter")[1].split("</section>")[0]
    assert "You were not asked, or did not answer" in letter


def test_service_messages_stand_there_greyed_with_their_reason_and_no_button():
    text = door("shop-01").get(HERE).text
    service = text.split("Messages about your orders and questions")[1].split("</section>")[0]
    assert "you asked for them" in service
    assert "button" not in service
    assert 'class="card greyed"' in text


def test_looking_at_ones_choices_is_written_down_once_a_visit():
    client = door("shop-30")
    before = len(shop().chain("shop-30"))
    client.get(HERE)
    client.get(HERE)
    assert types("shop-30", before).count("data.read") == 1


def test_nobody_looks_or_writes_without_a_session():
    client = door("shop-30")
    token = form(client, HERE)
    client.cookies.clear()
    assert client.get(HERE).headers["location"] == "/my/enter"
    assert client.post("/my/stop", data={"form": token}).headers["location"] == "/my/enter"


# --- no pattern that pushes ------------------------------------------------------------------------


def test_a_no_takes_no_more_clicks_fields_or_screens_than_a_yes():
    found = forms(door("shop-31"))
    yes = [f for f in found if f["action"].endswith("/agree")]
    no = [f for f in found if f["action"].endswith("/no")]
    assert yes
    assert no
    assert {f["method"] for f in yes} == {"get"}  # shows the notice first: one screen more
    assert {f["method"] for f in no} == {"post"}  # done with the click
    assert not any(f["fields"] for f in no)
    stop = next(f for f in found if f["action"] == "/my/stop")
    assert stop["method"] == "post"
    assert not stop["fields"]


def test_yes_and_no_are_of_equal_size_and_weight():
    text = door("shop-31").get(HERE).text
    pairs = re.findall(r'<div class="either">(.*?)</div>', text, re.DOTALL)
    both = [pair for pair in pairs if pair.count("<button") == 2]
    assert both
    for pair in both:
        assert len(set(re.findall(r"<button([^>]*)>", pair))) == 1
    agree = door("shop-31").get(f"{HERE}/agree?purpose=newsletter&channel=email").text
    either = re.search(r'<form class="either".*?</form>', agree, re.DOTALL)[0]
    assert either.count('class="button"') == 2


def test_nothing_is_ticked_or_pressed_before_somebody_chose_it():
    for each in forms(door("shop-32")):
        assert not each["ticked"]
        assert not any("aria-pressed" in button for button in each["buttons"])


def test_stop_everything_stands_above_all_that_is_finer():
    text = door("shop-01").get(HERE).text
    assert 0 < text.index("Stop all marketing") < text.index("Kinds of messages")


def test_no_word_of_the_page_pushes():
    for path in (HERE, f"{HERE}/agree?purpose=offers&channel=email", f"{HERE}/topics"):
        text = door("shop-33").get(path).text.lower()
        assert not [word for word in FORBIDDEN if word in text]


# --- acts ------------------------------------------------------------------------------------------


def test_stopping_one_thing_is_one_click_and_is_taken_back_with_its_notice():
    client = door("shop-02")
    answer = post(client, f"{HERE}/no", purpose="offers", channel="email")
    assert (answer.status_code, answer.headers["location"]) == (303, HERE)
    assert cell("shop-02", "offers", "email").state == "withdrawn"
    text = client.get(HERE).text
    done = re.search(r'<div class="done".*?</div>\s*</div>', text, re.DOTALL)[0]
    assert "The very next message follows it" in done
    n = re.search(r'name="n" value="(\d+)"', done)[1]
    assert f"/my/receipts/{n}" in done
    asked = post(client, f"{HERE}/undo", n=n)
    assert asked.status_code == 200
    assert "What we would use" in asked.text
    assert cell("shop-02", "offers", "email").state == "withdrawn"
    notice = re.search(r'name="notices" value="([^"]+)"', asked.text)[1]
    assert post(client, f"{HERE}/undo", n=n, notices=notice).status_code == 303
    assert cell("shop-02", "offers", "email").state == "given"


def test_agreeing_shows_the_notice_and_is_bound_to_its_version():
    client, before = door("shop-34"), len(shop().chain("shop-34"))
    shown = client.get(f"{HERE}/agree?purpose=newsletter&channel=email").text
    assert types("shop-34", before).count("consent.given") == 0
    notice = re.search(r'name="notice" value="([^"]+)"', shown)[1]
    wanted = {"purpose": "newsletter", "channel": "email"}
    assert post(client, f"{HERE}/agree", **wanted, notice="newsletter@9").status_code == 400
    assert post(client, f"{HERE}/agree", **wanted, notice=notice).status_code == 303
    told = [r.event.payload for r in shop().chain("shop-34")[before:]]
    acts = [p for p in told if p.type in ("notice.served", "consent.given")]
    assert [p.type for p in acts] == ["notice.served", "consent.given"]
    given = acts[1]
    assert (given.notice, given.method) == (notice, "button")
    assert given.proof.startswith("form:preferences:")


def test_stop_everything_from_any_page_stops_all_and_says_what_stays():
    client = door("shop-03")
    post(client, "/my/stop")
    assert not cell("shop-03", "offers", "email").open
    text = client.get(HERE).text
    assert "Messages about what you order or ask still come" in text
    assert "No marketing message may come to you now" not in text
    assert "Only you can change that" in text
    post(client, "/my/stop")
    assert "It stays so" in client.get(HERE).text


def test_a_pause_a_limit_and_quiet_hours_are_set_shown_and_ended():
    client, wish = door("shop-04"), f"{HERE}/wishes"
    post(client, wish, pause="2w")
    assert "Paused until 1 December 2026" in client.get(HERE).text
    post(client, wish, most="1")
    post(client, wish, quiet_from="21:00", quiet_to="07:30")
    held = record("shop-04").wishes
    assert (held.most, held.quiet) == (1, (1260, 450))
    assert held.pause_until
    text = client.get(HERE).text
    assert "from 21:00 to 07:30 on your clock" in text
    assert "at most 1 marketing messages" in text
    for fields in ({"pause": "end"}, {"most": "none"}, {"quiet": "none"}):
        post(client, wish, **fields)
    assert record("shop-04").wishes is None
    assert "consent.given" not in types("shop-04")[-4:]


def test_a_pause_until_a_day_lasts_to_the_end_of_it_where_the_reader_lives():
    client = door("shop-05")
    post(client, f"{HERE}/wishes", pause="until", until="2026-12-24")
    held = record("shop-05").wishes
    assert held == Wishes(pause_until=held.pause_until)
    assert held.pause_until % DAY == 22 * 3600 * SECOND  # midnight in Johannesburg
    assert "24 December 2026" in client.get(HERE).text


@pytest.mark.parametrize(
    "fields",
    [
        {"pause": "until", "until": "tomorrow"},
        {"pause": "until", "until": "2020-01-01"},
        {"pause": "until", "until": "9999-12-31"},
        {"most": "3"},
        {"most": "x"},
        {"quiet_from": "25:00", "quiet_to": "07:00"},
        {"quiet_from": "07:00", "quiet_to": "07:00"},
        {"quiet_from": "07:00"},
        {},
    ],
)
def test_what_makes_no_sense_changes_nothing_and_says_so(fields):
    client, before = door("shop-35"), record("shop-35").wishes
    answer = post(client, f"{HERE}/wishes", **fields)
    assert answer.status_code == 400
    assert record("shop-35").wishes == before


def test_a_wish_is_taken_back_with_one_click():
    client = door("shop-06")
    post(client, f"{HERE}/wishes", most="2")
    post(client, f"{HERE}/wishes", most="1")
    n = re.search(r'name="n" value="(\d+)"', client.get(HERE).text)[1]
    assert post(client, f"{HERE}/undo", n=n).status_code == 303
    assert record("shop-06").wishes == Wishes(most=2)


@pytest.mark.parametrize("n", ["", "0", "1", "99999", "-1", "x"])
def test_only_an_act_of_ones_own_is_taken_back(n):
    client, before = door("shop-36"), len(shop().chain("shop-36"))
    assert post(client, f"{HERE}/undo", n=n).status_code in (404, 400)
    assert not [t for t in types("shop-36", before) if t.startswith("consent")]


@pytest.mark.parametrize(
    ("path", "fields"),
    [("no", {"purpose": "service", "channel": "email"}), ("no", {"purpose": "nothing"}),
     ("agree", {"purpose": "nothing"}), ("language", {"language": "xx"})],
)  # fmt: skip
def test_a_form_that_names_nothing_real_is_refused(path, fields):
    assert post(door("shop-36"), f"{HERE}/{path}", **fields).status_code == 400


def test_a_form_of_another_page_does_nothing():
    client = door("shop-37")
    assert client.post("/my/stop", data={"form": "x" * 24}).status_code == 403
    assert not [t for t in types("shop-37") if t == "consent.withdrawn"]


@pytest.mark.parametrize("query", ["", "?purpose=service", "?purpose=offers&channel=fax"])
def test_there_is_a_page_of_agreeing_only_for_what_can_be_agreed_to(query):
    assert door("shop-37").get(f"{HERE}/agree{query}").status_code == 404


def test_the_language_of_messages_is_chosen_here():
    client = door("shop-08")
    post(client, f"{HERE}/language", language="zu")
    assert record("shop-08").language == "zu"


def test_topics_are_told_kept_dropped_and_taken_back():
    client, topics = door("shop-09"), f"{HERE}/topics"
    post(client, topics, topics, more="tea, bread")
    text = client.get(topics).text
    assert 'value="tea" checked' in text
    assert 'value="bread" checked' in text
    post(client, topics, topics, keep_01="bread")
    page = client.get(topics).text
    assert 'value="tea" checked' not in page
    done = re.search(r'<div class="done".*?</form>', page, re.DOTALL)[0]
    back = dict(re.findall(r'name="(keep_\d+)" value="([^"]+)"', done))
    assert sorted(back.values()) == ["bread", "tea"]
    post(client, topics, topics, **back)
    assert 'value="tea" checked' in client.get(topics).text


# --- signals and looking ----------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "honoured"), [("1", True), ("0", False), ("true", False)])
def test_a_browsers_opt_out_is_honoured_on_the_very_request_and_shown(value, honoured):
    outside = {"1": "shop-10", "0": "shop-11", "true": "shop-12"}[value]
    client, before = door(outside), len(shop().chain(outside))
    text = client.get(HERE, headers={"Sec-GPC": value}).text
    assert ("Opt-out signal honoured" in text) is honoured
    assert ("consent.opted_out" in types(outside, before)) is honoured
    assert cell(outside, "offers", "email").state == "given"
    client.get(HERE, headers={"Sec-GPC": value})
    assert types(outside, before).count("consent.opted_out") == int(honoured)
    assert ("Opt-out signal honoured" in client.get(HERE).text) is honoured


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_changes_nothing(method):
    client = door("shop-38")
    client.get(HERE)
    before = len(shop().chain("shop-38"))
    for path in (HERE, f"{HERE}/agree?purpose=offers&channel=email"):
        assert getattr(client, method)(path).status_code == 200
    for path in ("/my/stop", f"{HERE}/no", f"{HERE}/wishes", f"{HERE}/undo"):
        assert getattr(client, method)(path).status_code in (404, 405)
    assert len(shop().chain("shop-38")) == before


def test_the_page_is_light_and_holds_no_script():
    text = door("shop-39").get(HERE).text
    assert len(text) < 60_000
    assert "<script" not in text
    assert not re.search(r"\sstyle=", text)
