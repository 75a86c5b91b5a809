"""What a batch, an answer and a slot may hold; whatever else comes in is refused, never raised."""

import json
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.capabilities import onsite
from troth.errors import Fault, InvalidInput
from troth.terms import SECOND, Instant

NOW = Instant(1_795_000_000 * SECOND)
RULES = onsite.read_rules(tomllib.loads((files("troth") / "data/site.toml").read_text("utf-8")))
DEMO = (files("troth") / "data/demo/content/home.toml").read_bytes()


def batch(*events, **more):
    return json.dumps({"v": 1, "events": list(events), **more}).encode()


def view(**more):
    return {"kind": "view", "item": "1001", **more}


def test_a_batch_is_read_oldest_first_at_whole_seconds_by_our_own_clock():
    seen = onsite.read_batch(batch(view(ago=1), view(item="a.b-c_1", ago=60)), RULES, NOW)
    assert [(e.item, (NOW - e.at) // SECOND) for e in seen] == [("a.b-c_1", 60), ("1001", 1)]


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "purchase", "item": "1"}, {"kind": "view"}, {"item": "1"}, {"kind": "list"},
        view(item=""), view(item="x" * 65), view(item="https://shop.example/?q=me"),
        view(item="two words"), view(item="ada@post.example"), view(item="/p/1?utm=2"),
        view(group="<b>"), view(text="what I typed"), view(url="x"), view(units=1),
        view(ago=-1), view(ago=3601), view(ago=1.5), view(item=1), view(ip="203.0.113.7"),
        {"kind": "search", "found": -1}, {"kind": "search", "query": "socks"},
        {"kind": "cart", "item": "1", "units": 1000}, {"kind": "checkout", "item": "1"}, None, 3,
    ],
)  # fmt: skip
def test_one_thing_that_is_not_listed_refuses_the_whole_batch(event):
    with pytest.raises(InvalidInput):
        onsite.read_batch(batch(view(), event), RULES, NOW)


def test_a_batch_has_an_end():
    onsite.read_batch(batch(*[view()] * 50), RULES, NOW)
    for raw in (batch(*[view()] * 51), batch(), b" " * 16_385):
        with pytest.raises(InvalidInput):
            onsite.read_batch(raw, RULES, NOW)


def fault_of(read):
    """Run a reader; return what its fault says, None without one. Anything else is raised."""
    try:
        read()
    except Fault as fault:
        return str(fault)
    return None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["view", "cart", "item", "1001"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["kind", "item", "group", "ago", "units", "found", "events", "v", "x"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_come_in_only_a_fault_comes_out(raw):
    for read in (
        lambda: onsite.read_batch(raw, RULES, NOW),
        lambda: onsite.read_answer(raw, RULES),
    ):
        said = fault_of(read)
        assert said is None or "1001" not in said


@given(st.lists(st.fixed_dictionaries(
    {"kind": st.just("view"), "item": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)},
    optional={"ago": st.integers(0, 3600), "group": st.from_regex(r"[a-z]{1,9}", fullmatch=True)},
), min_size=1, max_size=50))  # fmt: skip
def test_every_listed_event_is_read_back_as_it_was_sent(sent):
    raw = batch(*sent)
    seen = onsite.read_batch(raw, RULES, NOW) if len(raw) <= 16_384 else []
    told = sorted((e["item"], e.get("group", ""), e.get("ago", 0)) for e in sent)
    if seen:
        assert sorted((s.item, s.group, (NOW - s.at) // SECOND) for s in seen) == told


def test_sensitive_goods_are_left_out_by_item_and_by_group():
    seen = onsite.read_batch(
        batch(view(), view(item="666"), {"kind": "search", "group": "wine"}), RULES, NOW
    )
    left = onsite.kept(seen, frozenset({"666"}), frozenset({"wine"}))
    assert [e.item for e in left] == ["1001"]


def test_rules_that_name_a_field_nobody_has_do_not_read():
    for values in ({}, {"kind": [], "consent": [], "limits": {"a": "b"}},
                   {"kind": [{"name": "x", "needs": ["url"], "may": []}], "consent": [], "limits": {}}):  # fmt: skip
        with pytest.raises(InvalidInput):
            onsite.read_rules(values)


def answer(**change):
    told = {
        "purpose": "site",
        "given": True,
        "notice": "site@1",
        "session": "0" * 32,
        "token": "t",
    }
    return json.dumps({**told, **change}).encode()


@pytest.mark.parametrize(
    "change",
    [{"purpose": "offers"}, {"session": "0"}, {"given": "yes"}, {"more": 1}, {"method": "a b"},
     {"forget": True}, {"notice": "n" * 81}, {"token": "t" * 201}],
)  # fmt: skip
def test_an_answer_of_another_shape_is_refused(change):
    onsite.read_answer(answer(), RULES)
    with pytest.raises(InvalidInput):
        onsite.read_answer(answer(**change), RULES)


# Slots


def test_the_demo_s_slot_reads_and_ends_with_what_everybody_sees():
    slot = onsite.read_slot("home", "content:home@1", DEMO)
    assert slot.variants[-1].uses == frozenset()
    assert onsite.choose(slot, frozenset(), onsite.SAMPLE).used == ()


@given(st.sets(st.sampled_from(sorted(onsite.read_slot("home", "", DEMO).uses))))
def test_a_slot_never_shows_a_value_of_a_category_that_is_not_permitted(permitted):
    slot = onsite.read_slot("home", "", DEMO)
    planted = {n: f"planted-{n}" if isinstance(v, str) else (f"planted-{n}",)
               for n, v in onsite.SAMPLE.items()}  # fmt: skip
    shown = onsite.choose(slot, frozenset(permitted), planted)
    text = onsite.fragment(shown, "")
    for name in planted:
        assert (f"planted-{name}" not in text) or onsite.category_of(name) in permitted
    assert set(shown.used) <= permitted


def test_a_wording_with_nothing_to_say_gives_way_to_the_next():
    slot = onsite.read_slot("home", "", DEMO)
    every = slot.uses
    assert onsite.choose(slot, every, {"first_name": "Ada"}).heading == "Hello Ada"
    assert onsite.choose(slot, every, {"viewed": ()}).used == ()


GOOD = 'name = "s"\n[default]\nheading = "h"\n'


@pytest.mark.parametrize(
    "raw",
    [
        'name = "t"\n[default]\nheading = "h"', 'name = "s"', "name = ", GOOD + "x = 1",
        GOOD.replace('"h"', '"{{first_name}}"'), GOOD.replace('"h"', '""'),
        GOOD + 'link = "https://evil.example/"', GOOD + 'link = "/{{first_name}}"',
        GOOD + 'uses = ["identity.name"]', GOOD + '[[variant]]\nheading = "{{first_name}}"',
        GOOD + '[[variant]]\nuses = ["identity.name"]\nheading = "{{secret}}"',
        GOOD + '[[variant]]\nuses = ["views.13w"]\nheading = "{{viewed}}"',
        GOOD + '[[variant]]\nuses = ["identity.name"]\nheading = "h"\nitems = "viewed"',
        GOOD + '[[variant]]\nuses = "identity.name"\nheading = "h"',
        GOOD + '[[variant]]\nlevel = 9\nheading = "h"', GOOD + "[[variant]]\nheading = 3",
        GOOD + '[[variant]]\nheading = "h"\nitems = "goods"', "variant = 3\n" + GOOD,
        GOOD.replace('"h"', '"' + "h" * 401 + '"'), "more = 1\n" + GOOD,
    ],
)  # fmt: skip
def test_a_draft_that_could_show_more_than_it_says_does_not_read(raw):
    onsite.read_slot("s", "", GOOD.encode())
    with pytest.raises(InvalidInput):
        onsite.read_slot("s", "", raw.encode())


@given(st.binary(max_size=120))
def test_whatever_a_draft_holds_only_a_fault_comes_out(raw):
    said = fault_of(lambda: onsite.read_slot("s", "", GOOD.encode() + raw))
    assert said is None or said
