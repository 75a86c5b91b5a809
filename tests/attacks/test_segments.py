"""What somebody with a marketer's seat may try: isolate one person, name the unnamed, inject."""

import itertools

import pytest
from segment_shop import MARKETER, opened, segment, text

from troth import app
from troth.adapters.reach import Reach
from troth.adapters.reach.standing import tally
from troth.app.audiences import narrow_to
from troth.capabilities import insight
from troth.errors import Fault, InvalidInput
from troth.kernel import audience
from troth.kernel.house import parse_toml


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


def test_no_chain_of_overlapping_segments_isolates_one_person(shop):
    """Every day a little more: no two answers shown differ by fewer than ten people."""
    shown = []
    for days in range(1, 200, 9):
        where = {"all": [{"has_sale": {}}, {"last_sale_older_than": {"days": days}}]}
        counted = shop.count(where).counted
        if isinstance(counted, insight.Counted) and counted.inside is not None:
            people = set(narrow_to(shop.ws, segment(where)))
            assert counted.inside == len(people)
            shown.append(people)
    assert len(shown) > 3
    for one, other in itertools.combinations(shown, 2):
        assert len(one ^ other) == 0 or len(one ^ other) >= 10


def test_other_words_around_the_same_difference_do_not_help(shop):
    base = {"has_sale": {}}
    nearly = {"last_sale_older_than": {"days": 186}}
    assert isinstance(shop.count(base).counted, insight.Counted)
    disguises = [
        {"all": [base, {"none": [nearly]}]},
        {"all": [base, {"none": [nearly, nearly]}]},
        {"none": [{"any": [{"none": [base]}, nearly]}]},
        {"all": [base, {"none": [{"all": [nearly, base]}]}]},
    ]
    for where in disguises:
        assert shop.count(where).counted == insight.Withheld("tracker", 10), where
    renamed = app.count_audience(shop.ws, segment(disguises[0], name="other"), MARKETER)
    assert renamed.counted == insight.Withheld("tracker", 10)
    elsewhere = app.count_audience(shop.ws, segment(disguises[0], purpose="newsletter"), MARKETER)
    assert elsewhere.counted == insight.Withheld("tracker", 10)


def test_the_rule_outlives_the_process(shop):
    import segment_shop

    from troth.terms import instant

    shop.count({"has_sale": {}})
    shop.ws.close()
    shop.ws = app.open(shop.folder, at=instant(segment_shop.NOW))
    nearly = {"all": [{"has_sale": {}}, {"none": [{"last_sale_older_than": {"days": 186}}]}]}
    assert shop.count(nearly).counted == insight.Withheld("tracker", 10)


@pytest.mark.parametrize(
    "name",
    ["Wine", "WINE ", "wi\u200bne", "\uff37\uff29\uff2e\uff25", "w\u0456ne", "red wine", "wine/cheese",
     "H\u0430lal meat", "R X", "Insul\u00edn", "vitamins-and-more"],
)  # fmt: skip
def test_a_sensitive_group_is_refused_under_every_spelling_and_in_every_place(shop, name):
    for where in (
        {"bought_in": {"group": name, "within_days": 30}},
        {"none": [{"any": [{"interest": ["tea", name]}]}]},
    ):
        raw = {"name": "x", "purpose": "offers", "where": where}
        written = audience.written(audience.parse_audience(raw))
        with pytest.raises(InvalidInput, match="sensitive"):
            app.read_segment(written)
        with pytest.raises(InvalidInput, match="sensitive"):
            app.publish_audience(shop.ws, "x", app.Edition(written, 0, "please"), MARKETER)
        (shop.folder / "audiences/x.toml").write_text(written, "utf-8")
        with pytest.raises(InvalidInput, match="sensitive"):
            app.read_draft(shop.ws, "x")


HOSTILE = ["'); DROP TABLE person; --", "x' OR '1'='1", "${7*7}{{7*7}}", "$1", "?", "\x00", "a\nb"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_read_as_sql_or_markup(shop, name):
    where = {"any": [{"bought_in": {"group": name, "within_days": 30}}, {"interest": [name]}]}
    wanted = segment(where)
    assert isinstance(shop.count(where).counted, insight.Counted)
    reach = Reach.open(shop.ws.settings.reach)
    with shop.ws.store.look() as view:
        groups = list(tally(reach, wanted, view.now))
    reach.close()
    assert sum(group.people for group in groups) == 160
    assert not any(group.why is None for group in groups)
    client = shop.door()
    html = client.post(
        "/console/segments/new",
        data={"form": shop.form(client), "purpose": "offers", "mode": "text",
              "text": audience.written(wanted).replace("\n", "\r\n"), "do": "rows"},
    ).text  # fmt: skip
    assert "<script>alert" not in html
    assert "49" not in html.partition("<main")[2].partition("bought")[0]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 16_000,
        "x = [" + "[1]," * 4_000 + "]",
        "[where]\nall = [" + "{all=[" * 2_000,
        "a = 1\n" * 2_700,
        "\ufeff" + "x" * 20_000,
        '"\\ud800" = 1',
        "name = 1\npurpose = 2\nwhere = 3",
        "name = 'x'\npurpose = 'offers'\n[where]\nhas_sale = 1979-05-27",
    ],
)
def test_a_hostile_text_is_one_line_of_refusal(shop, text):
    with pytest.raises(InvalidInput) as fault:
        app.read_segment(text)
    assert "\n" not in str(fault.value)
    client = shop.door()
    fields = {"form": shop.form(client), "mode": "text", "text": text, "do": "publish"}
    answer = client.post("/console/segments/new", data=fields)
    assert answer.status_code in {400, 413}
    assert [each.published.name for each in app.segments(shop.ws)] == ["audience:winback"]


def test_the_house_may_raise_k_and_never_lower_it(shop):
    assert app.segment_limits(shop.ws).k == 10
    path = shop.folder / "troth.toml"
    for asked, k in ((3, 10), (25, 25)):
        raw = path.read_text("utf-8")
        said = next(line for line in raw.splitlines() if line.startswith("segment_k ="))
        path.write_text(raw.replace(said, f"segment_k = {asked}"), "utf-8")
        shop.ws.apply()
        assert app.segment_limits(shop.ws).k == k
    assert parse_toml("troth.toml", path.read_bytes())["limits"]["segment_k"] == 25


def test_nobody_publishes_or_counts_in_anothers_name(shop):
    client = shop.door("privacy_officer")
    for path in ("/console/segments/new", "/console/segments/winback"):
        answer = client.post(path, data={"form": "guess", "a0.word": "has_sale", "do": "publish"})
        assert answer.status_code == 403
    stranger = client.post("/console/segments/winback/restore", data={"version": "1"})
    assert stranger.status_code == 403


@pytest.mark.parametrize("name", ["../x", "a b", "A", "", "x" * 65, "new/x", "%2e%2e"])
def test_a_name_never_leads_elsewhere(shop, name):
    with pytest.raises(Fault):
        app.publish_audience(
            shop.ws, name, app.Edition(text({"has_sale": {}}, name or "x")), MARKETER
        )
