"""What a column is taken for: measured on a labelled set, and where it must not be fooled."""

import random
import tomllib
from importlib.resources import files

import pytest
from classify import FLOOR, labelled, measure
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import datagraph
from troth.engines.datagraph import shapes

WORDS = datagraph.read_words(
    tomllib.loads((files("troth") / "data/datamap/columns.toml").read_text("utf-8"))
)
MARK = "planted"


def guess(column, values=(), table="customers", regions=("ZA",)):
    return datagraph.classify(WORDS, table, column, values, regions)


def found(*args, **kwargs):
    held = guess(*args, **kwargs)
    return held and held.category


@pytest.mark.parametrize("of", [labelled.columns, labelled.hard], ids=["expected", "hard"])
def test_precision_and_recall_on_the_labelled_sets_do_not_fall(of):
    measured = measure(of)
    precision, recall = FLOOR[of.__name__]
    assert measured["precision"] >= precision, measured["wrong"]
    assert measured["recall"] >= recall, measured["missed"]


def test_the_measure_itself_sees_a_classifier_that_guesses_at_random(monkeypatch):
    import classify as bench

    monkeypatch.setattr(
        bench.datagraph, "classify", lambda *_: datagraph.Guess("contact.email", 60, ())
    )
    assert measure()["precision"] < 0.5


@given(st.lists(st.text(max_size=60), max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_no_value_is_ever_in_a_guess(values, column, table):
    marked = [f"{MARK}{each}" for each in values] + [f"{MARK}@post.example"] * 4
    assert MARK not in repr(datagraph.classify(WORDS, table, column, marked, ("ZA",)))


def test_evidence_is_counts():
    held = guess("email", ["a@post.example"] * 9 + ["rubbish"])
    assert held.evidence == (
        datagraph.Evidence("name", "email", 1, 1), datagraph.Evidence("shape", "email", 9, 10),
    )  # fmt: skip
    assert 90 <= held.sure <= 99


def test_a_name_alone_is_a_weak_guess_and_values_that_speak_against_it_end_it():
    assert guess("email").sure == 60
    assert found("email", ["yes", "no"] * 20) is None


def test_values_speak_where_the_name_says_nothing():
    assert found("x1", ["a@post.example"] * 20) == "contact.email"
    assert found("field7", ["192.0.2.1", "2001:db8::1"] * 10) == "device.ip"


def test_one_address_inside_free_text_is_enough():
    texts = ["call later"] * 400 + ["write to planted@post.example"]
    assert found("history", texts) == "contact.email"
    assert guess("history", texts).evidence[0].hits == 1


@pytest.mark.parametrize(
    "column",
    [
        "email_count",
        "email_sent_at",
        "phone_verified",
        "mail_status",
        "emailTemplate",
        "consent_type",
    ],
)
def test_a_name_that_tells_about_a_thing_is_not_the_thing(column):
    assert found(column, ["12", "7", "3"]) is None


def test_the_longest_words_win_and_a_bare_name_needs_people_about_it():
    assert found("ip_address", ["192.0.2.1"] * 5) == "device.ip"
    assert found("email_address") == "contact.email"
    assert found("name", ["Sipho"] * 5) == "identity.name"
    assert found("name", ["Ground coffee"] * 5, table="products") is None
    assert found("id", ["1", "2", "3"], table="orders") is None


def test_a_hostile_name_is_only_a_name():
    for name in (
        "'; DROP TABLE x; --",
        "<script>",
        "\x00",
        "a" * 100_000,
        "\u202eliame",
        "",
        "_",
        "💥",
    ):
        guess(name, ["1", "2"])


def test_local_numbers_need_a_region_and_a_name():
    local = ["0825550101", "0825550102", "0825550103"]
    assert found("mobile", local) == "contact.phone"
    assert found("x", local) is None
    assert found("x", ["+27 82 555 0101"] * 5) == "contact.phone"


def test_what_only_looks_like_a_checked_number_is_not_taken_for_one():
    rng = random.Random(3)
    numbers = [str(rng.randint(10**15, 10**16 - 1)) for _ in range(300)]
    assert found("order", numbers) is None
    thirteen = [str(rng.randint(10**12, 10**13 - 1)) for _ in range(300)]
    assert found("ean", thirteen, table="orders") is None


@pytest.mark.parametrize(
    ("shape", "text", "is_one"),
    [
        ("za_id", "8001015009087", True), ("za_id", "8001015009088", False), ("za_id", "8013015009087", False),
        ("iban", "GB82 WEST 1234 5698 7654 32", True), ("iban", "GB82WEST12345698765433", False),
        ("card", "4111 1111 1111 1111", True), ("card", "4111111111111112", False), ("card", "1234567812345670", False),
        ("ip", "192.0.2.1", True), ("ip", "2001:db8::1", True), ("ip", "1.2.3", False), ("ip", "42", False),
        ("date", "1980-02-30", False), ("date", "29/02/1980", True), ("date", "1880-01-01", False),
        ("email", "a@b", False), ("email", "o'nobody+x@post.example", True), ("phone", "+", False),
        ("card", "٤١١١١١١١١١١١١١١١", False), ("za_id", "٨٠٠١٠١٥٠٠٩٠٨٧", False),
    ],
)  # fmt: skip
def test_shapes(shape, text, is_one):
    assert shapes.SHAPES[shape](text, ()) is is_one


@given(st.text(max_size=40))
def test_no_text_breaks_a_shape(text):
    for looks in shapes.SHAPES.values():
        looks(text, ("ZA", "DE"))


def test_every_category_of_the_data_file_has_a_fideslang_name_of_its_taxonomy_form():
    for ours, theirs in WORDS.fideslang.items():
        assert ours
        assert theirs.startswith("user")
