"""Banner callbacks: a person's own choice is read, whatever else is refused."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import banners
from troth.errors import InvalidInput

DATA = Path(__file__).parents[2] / "src/troth/data/banners.toml"
TOOLS = banners.read_tools(tomllib.loads(DATA.read_text()))
KLARO = {"changes": {"site": True}, "consents": {"site": True, "recognise": False}, "type": "save"}
VANILLA = {"acceptType": "custom", "acceptedCategories": ["necessary", "site"],
           "rejectedCategories": ["recognise"], "acceptedServices": {}, "rejectedServices": {}}  # fmt: skip
C15T = {"preferences": {"necessary": True, "experience": True, "functionality": False,
                        "marketing": False, "measurement": True},
        "previousPreferences": {"necessary": True}}  # fmt: skip


def test_each_tool_is_read_into_purpose_and_answer():
    assert banners.choices(TOOLS["klaro"], KLARO) == {"site": True, "recognise": False}
    assert banners.choices(TOOLS["vanilla-cookieconsent"], VANILLA) == {
        "necessary": True, "site": True, "recognise": False}  # fmt: skip
    assert banners.choices(TOOLS["c15t"], C15T) == {
        "site": True, "recognise": False, "personalise": False}  # fmt: skip


@pytest.mark.parametrize(("tool", "told"), [
    ("klaro", {**KLARO, "type": "script"}),
    ("klaro", {k: v for k, v in KLARO.items() if k != "type"}),
    ("klaro", {**KLARO, "consents": {"site": "yes"}}),
    ("klaro", {**KLARO, "consents": ["site"]}),
    ("klaro", {**KLARO, "consents": {f"s{n}": True for n in range(99)}}),
    ("klaro", {**KLARO, "type": ["save"]}),
    ("vanilla-cookieconsent", {**VANILLA, "acceptType": ""}),
    ("vanilla-cookieconsent", {**VANILLA, "rejectedCategories": None}),
    ("vanilla-cookieconsent", {**VANILLA, "rejectedCategories": ["site"]}),
    ("vanilla-cookieconsent", {**VANILLA, "acceptedCategories": [7]}),
    ("c15t", {"preferences": C15T["preferences"]}),
    ("c15t", {"previousPreferences": {}}),
])  # fmt: skip
def test_a_default_a_script_and_a_contradiction_are_no_choice(tool, told):
    with pytest.raises(InvalidInput):
        banners.choices(TOOLS[tool], told)


values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from([*KLARO, *VANILLA, *C15T])


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(KEYS, values))
def test_whatever_is_sent_ends_in_booleans_or_a_refusal(tool, told):
    try:
        found = banners.choices(TOOLS[tool], told)
    except InvalidInput:
        return
    assert all(isinstance(yes, bool) for yes in found.values())


@pytest.mark.parametrize("values", [
    {}, {"tool": {"x": {}}}, {"tool": {"x": {"accepted": "a"}}}, {"tool": {"x": {"planted": 1}}},
    {"tool": []},
])  # fmt: skip
def test_rules_of_a_tool_that_do_not_read_are_refused(values):
    with pytest.raises(InvalidInput):
        banners.read_tools(values)
