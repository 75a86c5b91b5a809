"""One-click stop: reading changes nothing, a POST acts at once and binds the next decision."""

import functools

import pytest
from hub_shop import MARKETER, make_shop

from troth.capabilities import outreach
from troth.kernel import gate, proof
from troth.terms import Refusal

shop = functools.cache(make_shop)
"""A shop of this file's own: what others did to theirs is not seen here."""

FORM = {"List-Unsubscribe": "One-Click"}


def judged(outside: str):
    s = shop()
    with s.ws.store.look() as view:
        person = s.ws.desk.find(view, outside)
        return outreach.judge(s.ws.desk, view, s.campaign, [person], MARKETER)[0].answer


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_opening_a_stop_link_changes_nothing_however_often_a_scanner_follows_it(method):
    s = shop()
    _, token = s.mail_of("shop-01")
    before = s.size()
    for _ in range(3):
        answer = s.client.request(method, f"/stop/{token}")
        assert answer.status_code == 200
    assert s.size() == before
    assert isinstance(judged("shop-01"), gate.Permit)


def test_the_page_says_what_stops_and_what_goes_on_and_shows_no_address():
    _, token = shop().mail_of("shop-01")
    text = shop().client.get(f"/stop/{token}").text
    assert "Offers for your household" in text
    assert "You will still get messages about orders" in text
    assert text.count('<button class="button') == 1  # beside it only the languages
    assert "post.example" not in text
    assert "Planted" not in text


@pytest.mark.parametrize(
    ("outside", "kwargs"),
    [
        ("shop-02", {"data": FORM}),
        ("shop-03", {"files": {"List-Unsubscribe": (None, "One-Click")}}),
    ],
)
def test_a_mail_programs_post_stops_at_once_without_cookie_redirect_or_second_step(
    outside, kwargs
):
    s = shop()
    _, token = s.mail_of(outside)
    assert isinstance(judged(outside), gate.Permit)
    answer = s.client.post(f"/stop/{token}", follow_redirects=False, **kwargs)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    refusal = judged(outside)
    assert isinstance(refusal, Refusal)
    assert {str(r.code) for r in refusal.reasons} & {"withdrawn", "suppressed_unsubscribe"}
    assert "consent.withdrawn" in [r.event.type for r in s.chain(outside)]


def test_the_answer_carries_a_receipt_that_verifies_and_proves_the_withdrawal():
    s = shop()
    _, token = s.mail_of("shop-04")
    text = s.client.post(f"/stop/{token}", data=FORM).text
    assert "Done." in text
    receipt = text.split('aria-label="Receipt">')[1].split("</pre>")[0].replace("&#43;", "+")
    found = proof.read_receipt(receipt, s.ws.signer.policy)
    assert b'"consent.withdrawn"' in found.event


def test_stopping_twice_records_no_second_withdrawal():
    s = shop()
    _, token = s.mail_of("shop-05")
    s.client.post(f"/stop/{token}", data=FORM)
    size = s.size()
    assert s.client.post(f"/stop/{token}", data=FORM).status_code == 200
    assert s.size() == size


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=Two-Clicks", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b"\xff\xfe", "multipart/form-data; boundary=x"),
        (b"&".join(b"a=1" for _ in range(50)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_post_that_does_not_ask_for_it_stops_nothing(body, kind):
    s = shop()
    _, token = s.mail_of("shop-06")
    before = s.size()
    answer = s.client.post(f"/stop/{token}", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert s.size() == before
    assert isinstance(judged("shop-06"), gate.Permit)


def test_unknown_expired_and_malformed_tokens_get_one_and_the_same_answer():
    s = shop()
    answers = set()
    for token in ("f" * 32, "0" * 16, "short", "x" * 200, "%C3%A9" * 16):
        for method in ("GET", "POST"):
            told = s.client.request(method, f"/stop/{token}", data=FORM)
            assert told.status_code == 404
            answers.add(told.text)
    assert len(answers) == 1


def test_the_log_never_holds_a_token(capsys):
    s = shop()
    _, token = s.mail_of("shop-06")
    s.client.post(f"/stop/{token}", content=b"")
    written = capsys.readouterr().err
    assert '"status": 400' in written
    assert token not in written
