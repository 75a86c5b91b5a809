"""The pages: each says what is so, refuses in words, and lets nothing in from elsewhere."""

import re
import socket

import pytest
from hub_shop import REPORT, shop
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from troth.capabilities import rights
from troth.errors import Unavailable
from troth.surfaces.web import chart, levels
from troth.surfaces.web.parts import static_files
from troth.surfaces.web.server import build_app, listen, serve

PAGES = [
    "/", "/levels", "/levels?level=0", "/levels?level=5", "/inbox", "/inbox/1", "/refused",
    "/ledger", "/receipt", "/api",
]  # fmt: skip


def get(path: str, **kwargs):
    return shop().client.get(path, **kwargs)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_by_get_and_by_head_under_the_strict_policy(path):
    answer = get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert shop().client.head(path).status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/nope"])
def test_no_page_holds_script_inline_style_or_an_address_elsewhere(path):
    text = get(path).text
    assert "<script" not in text
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", text)
    assert len(text) < 100_000


def test_the_stylesheet_is_small_and_cached_by_its_content():
    link = re.search(r'href="(/static/hub\.css\?v=[0-9a-f]{12})"', get("/").text)[1]
    answer = get(link)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    sheets = {name: body for name, body in static_files().items() if name.endswith(".css")}
    assert sheets.keys() == {"hub.css", "console.css", "portal.css"}
    assert len(sheets["hub.css"]) + len(sheets["console.css"]) <= 30_000  # a page of staff
    assert len(sheets["portal.css"]) <= 15_000  # a page of a customer, beside the brand's colours
    for sheet in sheets.values():
        assert b"url(" not in sheet
        assert b"@import" not in sheet


def test_the_hub_shows_the_report_and_says_where_purchases_come_from():
    text = get("/").text
    assert "56 of 144 people were mailed" in text
    assert "1,469,302" in text
    assert "planted provenance line" in text
    assert "17 November 2026, 10:00 (Johannesburg)" in text
    assert "Demo time" in text
    numbers = re.search(r'<ul class="numbers">(.*?)</ul>', text, re.DOTALL)[1]
    assert numbers.count("<li>") <= 5
    titles = ("Customer", "Marketer", "Privacy officer", "IT and security", "Support", "Agency")
    for door in titles:
        assert f"<h3>{door}</h3>" in text


def test_each_door_of_the_hub_is_a_form_of_its_own_and_two_marketers_come_in():
    text = get("/").text
    forms = re.findall(
        r'action="/doors/(\w+)"><input type="hidden" name="who" value="([^"]+)"', text
    )
    assert [role for role, _ in forms] == [
        "marketer", "marketer", "privacy_officer", "it", "support",
    ]  # fmt: skip
    for role, who in forms:
        answer = shop().client.post(f"/doors/{role}", data={"who": who}, follow_redirects=False)
        assert answer.headers["location"] == "/console"
        name = who.partition("@")[0].capitalize()
        assert f"Good day, {name}." in shop().client.get("/console").text
    shop().client.post("/sign-out")


def test_without_a_demo_no_door_stands_open_and_staff_sign_in():
    s = shop()
    with TestClient(build_app(s.ws, None, None), base_url="http://localhost") as client:
        text = client.get("/").text
    assert "/doors/" not in text
    assert text.count('href="/signin"') >= 4


def test_the_chart_and_its_table_say_the_same_and_no_small_count():
    text = get("/").text
    drawn = re.search(r"<svg class=\"bars\".*?</svg>", text, re.DOTALL)[0]
    table = re.search(r'<details id="who-table">.*?</details>', text, re.DOTALL)[0]
    counts = re.findall(r'bar-count"[^>]*>([\d,]+)<', drawn)
    assert counts == re.findall(r'class="figure">([\d,]+)<', table)
    assert sum(map(int, counts)) == 144
    assert not {"3", "2"} & set(counts)
    assert "fewer than 10 people withdrew" in text


def test_without_a_demo_the_hub_says_what_will_be_there():
    s = shop()
    with TestClient(build_app(s.ws, None, None), base_url="http://localhost") as client:
        assert "Nothing has been run yet" in client.get("/").text
        for shows_people in ("/inbox", "/inbox/1", "/refused", "/levels", "/levels/1/html"):
            assert client.get(shows_people).status_code == 404
            assert f'href="{shows_people}"' not in client.get("/").text


def test_the_why_not_table_keeps_small_counts_back_and_works_one_case_through():
    text = get("/refused").text
    assert ">26<" in text
    assert ">41<" in text
    assert "fewer than 10" in text
    assert ">3<" not in text
    assert ">2<" not in text
    assert "ZA-7" in text
    assert "An objection stops direct marketing at any time" in text


def test_the_worked_case_is_one_recorded_decision_however_often_it_is_read():
    s = shop()
    get("/refused")
    before = s.size()
    get("/refused")
    assert s.size() == before
    assert "use.refused" in [r.event.type for r in s.chain("cast-objected")]


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.integers(0, 60), max_size=12)
)
def test_no_count_under_ten_can_be_worked_out_from_a_table_and_its_total(counts):
    found = chart.masked(counts)
    total = sum(counts.values())
    shown = {c.code: c.count for c in found if c.count is not None}
    assert all(n >= chart.K and counts[code] == n for code, n in shown.items())
    hidden = {code: n for code, n in counts.items() if n and code not in shown}
    rest = total - sum(shown.values())
    if hidden:
        small = min(hidden.values()) < chart.K
        assert small, "nothing is hidden without need"
        everything = not shown
        assert everything or (len(hidden) >= 2 and rest >= chart.K)


# Inbox


def test_the_inbox_lists_what_arrived_and_pages_through_it():
    text = get("/inbox").text
    assert "30 mails arrived" in text
    assert text.count('href="/inbox/') == 30
    assert get("/inbox?start=999").status_code == 200
    assert get("/inbox?start=-5").status_code == 200


def test_a_mail_shows_who_signed_it_its_level_and_its_stop_link():
    number, token = shop().mail_of("shop-20")
    text = get(f"/inbox/{number}").text
    assert text.count("the signature holds") == 2
    assert "✓ The mail tells the mail program how to stop it" in text
    assert f'href="/stop/{token}"' in text
    assert "my.marula.example/stop" not in text.split("<pre")[0]
    level = 1 + sum(map(ord, "shop-20")) % 4
    assert f"Written at level {level}" in text
    assert f'<iframe class="letter" sandbox src="/inbox/{number}/html"' in text


def test_the_html_part_is_caged():
    number, _ = shop().mail_of("shop-20")
    answer = get(f"/inbox/{number}/html")
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "img-src 'none'", "frame-ancestors 'self'", "sandbox"):
        assert rule in policy
    assert "allow-" not in policy
    assert "script-src" not in policy
    assert "Hello" in answer.text


def test_an_altered_mail_is_shown_as_not_signed_by_the_shop():
    s = shop()
    number, _ = s.mail_of("shop-21")
    raw = (s.folder / "inbox" / f"{number:06}.eml").read_bytes()
    (s.folder / "inbox" / "000900.eml").write_bytes(raw.replace(b"kettle", b"kittle"))
    (s.folder / "inbox" / "000901.eml").write_bytes(
        b"From: x@y.example\r\nSubject: <b>bold</b>\r\n\r\n<script>alert(1)</script>"
    )
    try:
        assert get("/inbox/900").text.count("does not hold") == 2
        bare = get("/inbox/901").text
        assert "(nobody)" in bare
        assert "None" not in bare
        assert "carries no signature" in bare
        assert "<b>bold</b>" not in bare
        assert "<script>" not in bare
    finally:
        for name in ("000900.eml", "000901.eml"):
            (s.folder / "inbox" / name).unlink()


@pytest.mark.parametrize(
    "path", ["/inbox/0", "/inbox/-1", "/inbox/99999", "/inbox/x", "/inbox/1e3", "/inbox/..%2f1",
             "/inbox/0/html", "/inbox?start=x", "/levels?level=9", "/levels?level=x",
             "/levels/0/html", "/levels/6/html", "/static/../hub.css", "/static/nope.css"],
)  # fmt: skip
def test_what_is_not_there_is_said_in_words_with_a_reference(path):
    answer = get(path)
    assert answer.status_code == 404
    assert "Error 404" in answer.text
    assert re.search(r"reference <code>[A-Z2-7]{8}</code>", answer.text)


# Levels


def message(level: int) -> str:
    return get(f"/levels/{level}/html").text


def test_each_level_shows_what_it_may_use_and_nothing_of_the_next():
    assert "Thandeka" not in message(1)
    assert "baking" not in message(1)
    assert "Thandeka" in message(2)
    assert "baking" in message(2)
    assert "Fresh milk" not in message(2)
    assert "Fresh milk" in message(3)
    assert "Rose compost" not in message(3)
    assert "Your year with us" not in message(3)
    assert "Your year with us" in message(4)
    assert "Rose compost" in message(4)


def test_a_level_above_the_choice_uses_no_more_than_was_agreed():
    person = shop().person("cast-adult")
    _, (four, five) = levels.at_levels(shop().app.state.hub, person, lambda _: [4, 5])
    assert five.used == four.used
    assert five.missing == ("cohort.compare",)
    assert message(5) == message(4)
    assert "So it stays out of the message" in get("/levels?level=5").text


def test_the_message_at_the_chosen_level_is_the_message_that_would_be_sent():
    s = shop()
    number, token = s.mail_of("shop-22")
    sent = get(f"/inbox/{number}/html").text.replace(token, levels.NO_TOKEN)
    hub = s.app.state.hub
    _, (mine,) = levels.at_levels(hub, s.person("shop-22"), lambda chosen: [chosen])
    from troth.surfaces.web.inbox import part

    counted = re.compile(r"https://my\.marula\.example/go/winback-1/1\.[0-9a-f]{24}")
    assert counted.search(sent)
    sent = counted.sub("https://marula.example/this-week", sent)
    assert part(mine.mail, "html").strip() == sent.strip()


def test_at_level_zero_no_marketing_message_exists_and_the_page_says_so():
    assert "At level 0 no marketing message exists" in get("/levels?level=0").text


def test_showing_own_data_is_recorded_before_once_a_visit():
    s = shop()
    get("/levels")
    read = [r.event.payload for r in s.chain("cast-adult") if r.event.type == "data.read"]
    assert [p.purpose for p in read] == ["personalise"]
    assert "purchases.52w" in read[0].fields


# Ledger and receipt


def test_the_ledger_page_shows_the_signed_head_and_no_witness_that_does_not_run():
    s = shop()
    text = get("/ledger").text
    assert s.ws.settings.origin in text
    assert s.ws.signer.key.vkey.replace("+", "&#43;") in text or s.ws.signer.key.vkey in text
    assert "None yet" in text


def receipt() -> str:
    s = shop()
    return rights.receipts(s.ws.desk, s.person("shop-30"), s.ws.sign())[-1].text


@pytest.mark.parametrize("way", ["file", "text"])
def test_a_receipt_that_holds_is_said_to_hold_and_then_shown(way):
    given_text = receipt()
    sent = {"files": {"file": ("r.tlog-proof", given_text)}} if way == "file" else {
        "data": {"text": given_text.replace("\n", "\r\n")}}  # fmt: skip
    text = shop().client.post("/receipt", **sent).text
    assert "✓ Verified" in text
    assert "message to you was handed" in text


def test_a_receipt_that_does_not_hold_shows_none_of_its_content():
    lines = receipt().split("\n")
    place = next(n for n, line in enumerate(lines) if line.startswith("index "))
    altered = "\n".join([*lines[:place], "index 0", *lines[place + 1 :]])
    text = shop().client.post("/receipt", data={"text": altered}).text
    assert "✕ Not verified" in text
    assert "message.handed" not in text
    assert "What it proves" not in text


@pytest.mark.parametrize("given_text", ["planted-nonsense-77", "c2sp.org/tlog-proof@v1\n\n"])
def test_what_is_no_receipt_is_refused_without_repeating_it(given_text):
    text = shop().client.post("/receipt", data={"text": given_text}).text
    assert "✕ Not verified" in text
    assert "planted-nonsense" not in text


def test_an_empty_form_asks_again_and_no_form_is_refused():
    client = shop().client
    assert (
        "Choose a file or paste the text first" in client.post("/receipt", data={"text": ""}).text
    )
    assert client.post("/receipt", content=b"x").status_code == 400
    assert client.post("/receipt", content=b"x" * (2 << 20)).status_code == 400


# Doors and crashes


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "", "localhost.", "[::2]"]
)
def test_another_hosts_name_is_not_served_here(name):
    for path in ("/api", "/nope"):
        answer = get(path, headers={"host": name})
        assert answer.status_code == 400
        assert shop().app.state.hub.shown_key not in answer.text


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost:8400", "[::1]:8400", "[::1]"])
def test_the_loopback_names_are_served(name):
    assert get("/receipt", headers={"host": name}).status_code == 200


def test_a_wrong_method_is_refused_in_words_and_names_the_right_ones():
    answer = shop().client.delete("/")
    assert answer.status_code == 405
    assert "Error 405" in answer.text
    assert "GET" in answer.headers["allow"]


def test_a_crash_is_answered_in_words_and_its_cause_stays_in_the_log(monkeypatch, capsys):
    def broken(_hub):
        raise RuntimeError("planted-secret-99")

    monkeypatch.setattr("troth.surfaces.web.pages.figures", broken)
    answer = get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    log = capsys.readouterr().err
    reference = re.search(r"<code>([A-Z2-7]{8})</code>", answer.text)[1]
    assert reference in log
    assert "RuntimeError" in log
    assert "planted-secret" not in answer.text + log


def test_a_page_that_cannot_even_be_made_still_answers(monkeypatch):
    def broken(*_given, **_named):
        raise RuntimeError

    monkeypatch.setattr("troth.surfaces.web.pages.page", broken)
    monkeypatch.setattr("troth.surfaces.web.parts.page", broken)
    answer = get("/")
    assert answer.status_code == 500
    assert "Nothing was lost" in answer.text


def test_a_busy_port_is_refused_with_the_next_one_as_remedy():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(Unavailable, match=f"PORT={port + 1} make demo"):
            serve(shop().ws, REPORT, None, port)


def test_the_server_listens_on_this_machine_alone():
    with listen(0) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
