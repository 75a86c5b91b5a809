"""Guided questions: whoever asks a thousand times learns nothing that was masked."""

import string

import pytest
from segment_shop import opened, segment

from troth.capabilities import insight, people
from troth.errors import Fault
from troth.surfaces.web import chart


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


def told(ask):
    """What somebody who asks sees: an answer, or the words of a refusal."""
    try:
        return repr(ask())
    except Fault as fault:
        return f"{type(fault).__name__}: {fault.message}"


def test_two_segments_that_differ_by_few_are_not_both_shown(shop):
    assert isinstance(shop.count({"has_sale": {}}).counted, insight.Counted)
    nearly = {"all": [{"has_sale": {}}, {"none": [{"last_sale_older_than": {"days": 186}}]}]}
    assert shop.count(nearly).counted == insight.Withheld("tracker", 10)
    again = shop.count({"has_sale": {}}).counted
    assert isinstance(again, insight.Counted), "the first answer stays what it was"


def test_a_tracker_that_compares_nothing_is_seen(shop, monkeypatch):
    """The check above can fail."""
    monkeypatch.setattr("troth.capabilities.insight.tracker.near", lambda *_: False)
    with pytest.raises(AssertionError):
        test_two_segments_that_differ_by_few_are_not_both_shown(shop)


def test_complementary_cells_are_not_both_shown():
    for hidden in range(1, 10):
        cells = chart.masked({"a": 40, "b": 12, "c": hidden})
        shown = {cell.code: cell.count for cell in cells}
        total = 52 + hidden
        known = sum(n for n in shown.values() if isinstance(n, int))
        blank = [code for code, n in shown.items() if not isinstance(n, int)]
        assert not blank or len(blank) > 1 or total - known >= 10, shown


def test_one_hidden_cell_alone_is_seen(monkeypatch):
    """The check above can fail: hiding the small cell alone leaves it to a subtraction."""

    def alone(counts, k=10):
        shown = {code: n if n >= k else None for code, n in counts.items()}
        return [chart.Counted(code, code, n, few=n is None) for code, n in shown.items()]

    monkeypatch.setattr(chart, "masked", alone)
    with pytest.raises(AssertionError):
        test_complementary_cells_are_not_both_shown()


def test_a_masked_address_is_not_guessed_by_filter_sort_count_or_join_in_a_thousand_questions(
    shop,
):
    """Prefix by prefix, sign by sign: the right guess is answered as the wrong one is."""
    signs = string.ascii_lowercase + string.digits + ".-_@"
    forms = [
        lambda guess: {"email_starts_with": {"text": guess}},
        lambda guess: {"contact.email": guess},
        lambda guess: {"field": {"name": "contact.email", "like": guess}},
        lambda guess: {"all": [{"has_sale": {}}, {"sort_by": {"field": "contact.email"}}]},
        lambda guess: {"same_as": {"field": "contact.email", "of": guess}},
    ]
    asked = 0
    for form in forms:
        answers = set()
        for prefix in ("", "s", "se"):
            for sign in signs:
                answers.add(told(lambda g=prefix + sign, f=form: segment(f(g))))
                asked += 1
        assert len(answers) == 1, answers
    answers = set()
    desk = shop.ws.desk
    with shop.ws.store.look() as view:
        for prefix in ("s", "sh", "seg", "segment-1", "post.example", "@post.example"):
            for sign in signs:
                for suffix in ("", "@post.example"):
                    guess = f"{prefix}{sign}%{suffix}"
                    answers.add(told(lambda g=guess: people.whom(desk, view, "", g)))
                    asked += 1
    assert len(answers) <= 2, answers  # no address at all, or nobody's
    assert asked >= 1_000


def test_an_answer_that_tells_the_right_guess_is_seen(shop, monkeypatch):
    """The check above can fail: one prefix answered otherwise than the wrong ones is found."""
    real = people.whom

    def leaking(desk, view, outside, address):
        if address.startswith("se%"):
            raise Fault("one of these")
        return real(desk, view, outside, address)

    monkeypatch.setattr(people, "whom", leaking)
    with pytest.raises(AssertionError):
        test_a_masked_address_is_not_guessed_by_filter_sort_count_or_join_in_a_thousand_questions(
            shop
        )
