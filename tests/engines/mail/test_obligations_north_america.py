"""What US and Canadian rules oblige a message to carry is looked for on the finished message."""

import pytest

from troth.capabilities.outreach import model
from troth.engines.mail import obligations
from troth.terms import DAY

POSTAL = "12 Quiet Street, Cape Town 8001, South Africa"
LINK = "https://my.marula.example/stop/abc"
HEAD = {
    "From": "Marula <hello@marula.example>",
    "Subject": "The kettle is on",
    "List-Unsubscribe": f"<{LINK}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "DKIM-Signature": "v=1; d=marula.example; h=from:list-unsubscribe",
}
FOOT = f"Marula (Pty) Ltd, {POSTAL}. Advertising. Questions: privacy@marula.example. {LINK} {LINK}"
EVERY = (
    "contact_valid_60_days", "header_not_deceptive", "marked_as_advertising", "no_box_ticked",
    "on_behalf_name", "opt_out_in_one_step", "opt_out_works_30_days", "opt_out_works_60_days",
    "postal_address", "sender_contact", "sender_name",
)  # fmt: skip


def mail(foot=FOOT, **head):
    lines = [f"{name}: {value}" for name, value in {**HEAD, **head}.items() if value]
    return "\r\n".join([*lines, "Content-Type: text/html", "", foot, ""]).encode()


def test_a_message_in_order_meets_all_of_them():
    assert obligations.unmet(mail(), EVERY, POSTAL) == ()


@pytest.mark.parametrize(
    ("raw", "lacking"),
    [
        (mail(foot=FOOT.replace(POSTAL, "")), {"postal_address"}),
        (mail(foot=FOOT.replace("Advertising", "")), {"marked_as_advertising"}),
        (
            mail(foot=FOOT.replace("Marula (Pty) Ltd", "").replace("marula.example", "m.example")),
            {"sender_name", "on_behalf_name", "contact_valid_60_days", "opt_out_in_one_step",
             "opt_out_works_30_days", "opt_out_works_60_days"},
        ),
        (mail(Subject="Re: your order"), {"header_not_deceptive"}),
        (mail(Subject=""), {"header_not_deceptive"}),
        (mail(**{"DKIM-Signature": "v=1; d=other.example; h=from"}), {"header_not_deceptive"}),
        (mail(**{"List-Unsubscribe-Post": ""}), {"opt_out_in_one_step"}),
        (mail(foot=FOOT + '<input type="checkbox" checked>'), {"no_box_ticked"}),
        (
            mail(foot=FOOT.replace(LINK, "")),
            {"opt_out_in_one_step", "opt_out_works_30_days", "opt_out_works_60_days"},
        ),
        (
            mail(foot=f"Marula, {POSTAL}. Advertising."),
            {"contact_valid_60_days", "opt_out_in_one_step", "opt_out_works_30_days",
             "opt_out_works_60_days", "sender_contact"},
        ),
    ],
)  # fmt: skip
def test_what_a_message_lacks_is_named(raw, lacking):
    assert set(obligations.unmet(raw, EVERY, POSTAL)) == lacking


def test_a_stop_link_must_work_as_long_as_the_strictest_rule_asks():
    wanted = ("opt_out_works_30_days", "opt_out_works_60_days")
    assert obligations.unmet(mail(), wanted, POSTAL, 60) == ()
    assert obligations.unmet(mail(), wanted, POSTAL, 59) == ("opt_out_works_60_days",)
    assert obligations.unmet(mail(), wanted, POSTAL, 29) == wanted
    assert obligations.unmet(mail(), ("opt_out_works_many_days",), POSTAL, 99)


def test_links_are_made_for_at_least_as_long_as_the_check_takes_for_granted():
    assert model.TOKEN_LIFE >= obligations.STOP_LINK_DAYS * DAY


def test_an_obligation_nobody_knows_is_not_met():
    assert obligations.unmet(mail(), ("sung_aloud",), POSTAL) == ("sung_aloud",)
