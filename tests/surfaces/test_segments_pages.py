"""The pages of segments: built without a script, counted, published, restored; who may what."""

import re
import sys

import pytest
from segment_shop import opened, text

from troth import app
from troth.surfaces import segment_words
from troth.surfaces.web import segment_form as forms

SALE = {"has_sale": {}}
NEW = "/console/segments/new"


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def page(shop):
    client = shop.door()
    token = shop.form(client)

    def post(path=NEW, **fields):
        return client.post(path, data={"form": token, "purpose": "offers", **fields})

    post.client, post.token = client, token
    return post


def fields_of(html):
    """Return the fields of the form as a browser without a script would send them."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", html):
        name = re.search(r'name="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or "checked" in tag):
            found[name[1]] = re.search(r'value="([^"]*)"', tag)[1]
    return {k: v for k, v in found.items() if k != "form"}


def test_the_list_says_what_each_segment_means_and_offers_to_build_one(shop):
    answer = shop.door().get("/console/segments")
    assert "People who bought from you at some time" in answer.text
    assert NEW in answer.text
    officer = shop.door("privacy_officer").get("/console/segments").text
    assert NEW not in officer


def test_an_empty_list_says_what_will_be_there(tmp_path, monkeypatch):
    with opened(tmp_path) as shop:
        monkeypatch.setattr(app, "segments", lambda _ws: [])
        assert "No segment is published yet" in shop.door().get("/console/segments").text
        officer = shop.door("privacy_officer").get("/console/segments").text
        assert "What marketers build" in officer


def test_a_segment_is_built_row_by_row_without_a_script(page):
    html = page(do="add:a", **{"add.a": "stage"}).text
    assert 'name="a0.silent_days"' in html
    sent = fields_of(html)
    html = page(**sent, do="add:o", **{"add.o": "bought_in"}).text
    assert "Not complete yet" in html
    assert "is empty" in html
    sent = {**fields_of(html), "o0.group": "Tea"}
    html = page(**sent, do="add:n", **{"add.n": "spent_at_least"}).text
    assert "who fell silent" in html
    assert "bought Tea in the last 13 weeks" in html
    assert "ZAR 500.00" in html
    html = page(**fields_of(html), do="remove:n0").text
    assert "ZAR 500.00" not in html
    assert "o0.group" in html


def test_a_count_shows_three_numbers_why_not_and_fairness(page):
    html = page(**{"a0.word": "has_sale", "a1.word": "silent_for", "a1.days": "90"}).text
    for said in (
        "How many now",
        "in the segment",
        "Why the others are not in it",
        "they did not agree to this being looked at",
        "Fairness",
        "Who can never be in it",
    ):
        assert said in html
    assert 'id="answer"' in html
    assert "Secretname" not in html


def test_a_count_that_would_single_somebody_out_is_kept_back_in_words(page):
    assert "120" in page(**{"a0.word": "has_sale"}).text
    sent = {"a0.word": "has_sale", "n0.word": "last_sale_older_than", "n0.days": "186"}
    html = page(**sent).text
    assert "This count is kept back" in html
    assert "119" not in html


def test_publishing_asks_for_a_reason_where_the_check_says_look_again(page, shop):
    rows = {"name": "babies", "a0.word": "bought_in", "a0.group": "Baby care",
            "a0.within_days": "30"}  # fmt: skip
    answer = page(**rows, do="publish")
    assert answer.status_code == 400
    assert "Look again" in answer.text
    assert "Duhigg" in answer.text
    answer = page(**rows, reason="They asked for it <b>", do="publish")
    assert answer.status_code == 303
    html = page.client.get(answer.headers["location"]).text
    assert "Published." in html
    assert "They asked for it &lt;b&gt;" in html
    assert app.read_audience(shop.ws, "babies").note == "They asked for it <b>"


def test_a_published_segment_is_changed_seen_and_put_back(page, shop):
    path = "/console/segments/winback"
    sent = fields_of(page.client.get(path).text)
    assert sent["seen"] == "1"
    changed = {**sent, "a1.days": "120"}
    assert page(path, **changed, do="publish", reason="later").status_code == 303
    assert page(path, **changed, do="publish").status_code == 409
    html = page.client.get(path).text
    assert "Version 2" in html
    assert "Put version 1 in force again" in html
    answer = page(f"{path}/restore", version="1")
    assert answer.headers["location"] == f"{path}?done=restored"
    assert "Restored." in page.client.get(answer.headers["location"]).text
    assert app.segment_versions(shop.ws, "winback")[-1].version == 3
    assert page(f"{path}/restore", version="x").status_code == 400
    page(path, **fields_of(page.client.get(path).text))
    assert "Size: 10 to 99" in page.client.get("/console/segments").text


def test_text_and_form_are_two_ways_to_the_same_segment(page):
    rows = {"name": "tea", "a0.word": "interest", "a0.": "tea, garden", "n0.word": "level_at_least",
            "n0.": "3"}  # fmt: skip
    html = page(**rows, do="text").text
    written = re.search(r"<textarea[^>]*>(.*?)</textarea>", html, re.DOTALL)[1]
    assert "interest" in written
    import html as entities

    back = page(mode="text", text=entities.unescape(written), do="rows").text
    assert 'value="garden, tea"' in back
    deep = text({"any": [{"all": [SALE, SALE]}, SALE]}, "deep")
    answer = page(mode="text", text=deep, do="rows")
    assert answer.status_code == 400
    assert "keep it as text" in answer.text.lower()
    assert "my-segment" in page(do="text").text
    assert page(mode="text", text=deep, do="publish", reason="x").status_code == 303
    assert 'name="text"' in page.client.get("/console/segments/deep").text


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "new", "a0.word": "has_sale", "do": "publish"},
        {"a0.word": "has_sale", "do": "publish"},
        {"name": "A B", "a0.word": "has_sale", "do": "publish"},
        {"mode": "text", "text": text(SALE, "unnamed"), "do": "publish"},
        {"mode": "text", "text": text(SALE, "other"), "name": "mine", "do": "publish"},
        {"do": "add:x"},
        {"do": "add:a", "add.a": "nonsense"},
    ],
)
def test_what_cannot_be_done_is_said_and_not_done(page, shop, fields):
    assert page(**fields).status_code in {400, 404}
    assert [p.published.name for p in app.segments(shop.ws)] == ["audience:winback"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"a0.word": "level_at_least", "a0.": "x"}, "whole number"),
        ({"a0.word": "spent_at_least", "a0.minor": "1.234", "a0.currency": "ZAR"}, "amount"),
        ({"a0.word": "spent_at_least", "a0.minor": "NaN", "a0.currency": "ZAR"}, "amount"),
        ({"a0.word": "spent_at_least", "a0.minor": "money", "a0.currency": "ZAR"}, "amount"),
        ({"a0.word": "rfm", "a0.recency": "9"}, "scores like"),
        ({"a0.word": "rfm", "a0.recency": "4", "a0.days": "x"}, "four rising"),
        ({"a0.word": "interest", "a0.": " , "}, "is empty"),
        ({"a0.word": "bought_in", "a0.group": "Beer", "a0.within_days": "9"}, "sensitive goods"),
        ({}, "no condition yet"),
    ],
)
def test_a_value_that_does_not_read_names_its_condition(page, row, said):
    html = page(**row).text
    assert said in html.lower() or said in html


def test_without_a_copy_to_count_in_the_page_offers_to_build_it(page, shop):
    import shutil

    shutil.rmtree(shop.folder / "data/reach")
    html = page(**{"a0.word": "has_sale"}).text
    assert "Nothing to count in yet" in html
    assert "How many now" in page(**{"a0.word": "has_sale"}, do="rebuild").text


def test_a_day_of_counting_ends_in_words(page, shop, monkeypatch):
    from troth.capabilities import insight

    limits = insight.Limits(10, 10, 0, 200, 500)
    segments = sys.modules["troth.app.segments"]
    monkeypatch.setattr(segments, "segment_limits", lambda _ws: limits)
    assert "a day&#39;s number" in page(**{"a0.word": "has_sale"}).text or (
        "a day's number" in page(**{"a0.word": "has_sale"}).text
    )


def test_only_a_marketer_counts_and_only_with_their_own_form(page, shop):
    officer = shop.door("privacy_officer")
    seen = officer.get("/console/segments/winback").text
    assert "A marketer builds and counts" in seen
    assert officer.get(NEW).status_code == 403
    token = page.token
    assert officer.post(NEW, data={"form": token, "a0.word": "has_sale"}).status_code == 403
    assert page.client.post(NEW, data={"a0.word": "has_sale"}).status_code == 403
    assert shop.door("support").get("/console/segments").status_code == 403
    assert page.client.get("/console/segments/nothing").status_code == 404
    before = len(shop.house_events("SetProcessed"))
    page.client.get("/console/segments/winback")
    assert len(shop.house_events("SetProcessed")) == before, "a page that is opened counts nobody"


def test_too_many_fields_or_conditions_are_refused(page):
    many = {f"a{n}.word": "has_sale" for n in range(41)}
    assert page(**many).status_code == 400
    assert page(**{f"x{n}": "" for n in range(500)}).status_code == 400
    full = {f"a{n}.word": "has_sale" for n in range(40)}
    assert page(**full, do="add:a", **{"add.a": "has_sale"}).status_code == 400


def test_every_word_of_the_form_loads_back_as_it_was_written(shop):
    filled = {"bought_in": {"group": "Tea"}, "interest": {"": "tea"}}
    for word in forms.WORDS:
        row = forms.fresh("a", word)
        row = forms.Row("a", word, {**row.values, **filled.get(word, {})})
        draft = forms.Draft("x", "offers", (row,))
        wanted = app.read_segment(forms.written(draft))
        back = forms.loaded(wanted, 1)
        assert not back.expert
        assert forms.written(back) == forms.written(draft)
        assert segment_words.sentence(wanted).startswith("People who ")
        assert segment_words.reads(wanted)


@pytest.mark.parametrize(
    "where",
    [
        {"any": [{"any": [SALE]}]},
        {"all": [{"any": [SALE]}, {"any": [{"level_at_least": 2}]}]},
        {"all": [{"silent_for": {"days": n}} for n in range(1, 42)]},
        {"residence": ["ZA"]},
        {"none": [{"all": [SALE, SALE]}]},
    ],
)
def test_a_segment_of_another_shape_is_shown_as_text(where):
    assert forms.loaded(app.read_segment(text(where)), 1).expert


def test_the_command_line_says_the_same(shop):
    import contextlib
    import io
    import json

    from troth.surfaces import cli

    def run(*line):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            status = cli.answer([*line, "-w", str(shop.folder), "--at", "2026-11-17T10:00:00+02:00",
                                 "--as", "marketer:lindiwe@marula.example"])  # fmt: skip
        return status, out.getvalue()

    shop.ws.close()
    told = json.loads(run("audience", "count", "winback", "--json")[1])
    assert told["base"] == 160
    assert told["outside"]
    assert "Not in it" in run("audience", "count", "winback")[1]
    assert "Not in it" in run("audience", "preview", "winback")[1]
    assert "winback@1" in run("audience", "list")[1]
    assert json.loads(run("audience", "show", "winback", "--json")[1])["version"] == 1
    assert "unknown is no" in run("audience", "show", "winback")[1]
    fair = json.loads(run("audience", "fairness", "winback", "--json")[1])
    assert fair["verdict"] in {"fine", "look again"}
    (shop.folder / "audiences/near.toml").write_text(
        text({"all": [SALE, {"last_sale_older_than": {"days": 92}}]}, "near")
    )
    assert run("audience", "count", "near")[0] == 1
    (shop.folder / "audiences/baby.toml").write_text(
        text({"all": [{"bought_in": {"group": "Baby care", "within_days": 30}}, SALE]}, "baby")
    )
    said = run("audience", "fairness", "baby")[1]
    assert "may stand for pregnancy" in said
    assert "did not agree to the use of" in said
    assert run("audience", "show", "near")[0] == 2
