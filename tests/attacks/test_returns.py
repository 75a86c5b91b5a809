"""Mails that lie about coming back, links that were altered: nothing happens to anybody."""

import shutil
import smtplib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stories"))

import comeback
import marula
from starlette.testclient import TestClient

from troth import app
from troth.capabilities.outreach import clicks
from troth.engines import mail
from troth.errors import InvalidInput
from troth.surfaces.web.server import build_app

VICTIM = "victim@post.example"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forged") / "house"
    marula.make(folder)
    house = marula.House(folder)
    for each in ("victim", "other"):
        house.newcomer(each, {"idempotency_key": each})
    house.send(house.everybody("victim", "other"))
    house.ws.close()
    return folder


@pytest.fixture
def house(made, tmp_path):
    shutil.copytree(made, tmp_path / "house")
    opened = marula.House(tmp_path / "house")
    yield opened
    opened.ws.close()


def sent_to(house, address):
    return next(m.path.read_bytes() for m in house.mails() if m.rcpt_to == (address,))


def size(house):
    with house.ws.store.look() as view:
        return view.log.size, len(view.rows("outreach.return", b"", b"", 1_000))


GUESSES = [
    "<00000000000000000000000000000000@marula.example>",
    "<someone-elses-id@relay.example>",
    "<" + "a" * 32 + "@evil.example>",
    "<" + "A" * 32 + "@marula.example>",
    "<../../" + "0" * 32 + "@x>",
    "<%@x>",
]


@pytest.mark.parametrize("guess", GUESSES)
def test_a_report_that_does_not_know_our_reference_changes_and_keeps_nothing(house, guess):
    before = size(house)
    for forged in (
        comeback.bounce(b"", named=guess),
        comeback.complaint(b"", named=guess),
        comeback.reply(b"", "STOP", sender=VICTIM, named=guess),
        comeback.complaint(b"", token="t" + "0" * 31),
    ):
        assert app.take_mail(house.ws, forged).became == "unknown"
    assert size(house) == before
    assert not house.codes(house.person("victim"))


def test_a_stop_in_somebody_elses_name_stops_only_the_message_it_answers(house):
    other = sent_to(house, "other@post.example")
    app.take_mail(house.ws, comeback.reply(other, "stop", sender=f"Victim <{VICTIM}>"))
    assert not house.codes(house.person("victim"))
    assert "withdrawn" in house.codes(house.person("other"))


def test_an_address_named_inside_a_report_is_nobodys_business(house):
    raw = comeback.bounce(sent_to(house, "other@post.example")).replace(
        b"somebody.else@post.example", VICTIM.encode()
    )
    app.take_mail(house.ws, raw)
    assert not house.codes(house.person("victim"))


def test_a_replayed_report_is_one_event_however_it_is_dressed(house):
    raw = comeback.complaint(sent_to(house, VICTIM))
    app.take_mail(house.ws, raw)
    before = size(house)
    for n in range(5):
        again = f"Received: from relay{n}.example\r\n".encode() + raw
        assert app.take_mail(house.ws, again).became == "again"
    assert size(house) == before


def test_mails_made_to_hurt_a_reader_are_left_alone(house):
    before = size(house)
    deep = b""
    for n in range(150):
        deep += b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
    wide = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 250
    long_head = b"X-A: " + b"a" * 300_000 + b"\r\n\r\n"
    many = (
        "References: " + " ".join(f"<{n:032x}@x>" for n in range(5_000)) + "\r\n\r\nstop"
    ).encode()
    for raw in (deep, wide, long_head, many, b"", b"\x00\xff" * 1_000, b"\r\n" * 1_000):
        try:
            became = app.take_mail(house.ws, raw).became
        except InvalidInput:
            continue
        assert became in {"unknown", "ignored"}
    assert size(house) == before


def test_a_report_naming_many_messages_is_about_the_first_alone(house):
    ids = [
        comeback.message_id(sent_to(house, f"{who}@post.example")) for who in ("other", "victim")
    ]
    app.take_mail(house.ws, comeback.reply(b"", "stop", named=" ".join(ids)))
    stopped = [who for who in ("other", "victim") if house.codes(house.person(who))]
    assert len(stopped) == 1


def test_nothing_that_comes_back_is_ever_answered(house):
    raw = sent_to(house, VICTIM)
    before = len(house.mails())
    listening = app.listener(house.ws)
    port = listening.start()
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            for each in (
                comeback.bounce(raw),
                comeback.reply(raw, "stop"),
                b"Subject: loop\r\n\r\nx",
            ):
                assert smtp.sendmail("<>", ["hello@marula.example"], each) == {}
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                smtp.sendmail("<>", ["hello@marula.example"], b"X-A: " + b"a\r\n b" * 99_999)
    finally:
        listening.stop()
    assert refused.value.smtp_code in {500, 552}
    assert len(house.mails()) == before
    with house.ws.store.look() as view:
        assert view.jobs("outreach.mail/winback", "ready") == 0


# Links


def pages(house):
    app_ = build_app(house.ws, None, None)
    return TestClient(app_, base_url="http://127.0.0.1:8400", follow_redirects=False)


def link_of(house):
    url = "https://marula.example/this-week"
    return f"/go/winback/1.{clicks.tag(house.desk, 'winback', 1, url)}"


def test_a_link_altered_in_any_part_leads_nowhere(house):
    good, client = link_of(house), pages(house)
    assert client.get(good).headers["location"] == "https://marula.example/this-week"
    turned = good[:-1] + ("0" if good[-1] != "0" else "1")
    for bad in (
        turned,
        good.replace("winback", "spring"),
        good.replace("/1.", "/2."),
        good.replace("/1.", "/01."),
        good.replace("/1.", "/\u0661."),
        good[:-2],
        "/go/winback/1.",
        "/go/winback/https:%2F%2Fevil.example",
        f"{good}.{'m' * 99}",
    ):
        answer = client.get(bad)
        assert answer.status_code in {400, 404}, bad
        assert "location" not in answer.headers
    assert client.get(f"{good}?to=https://evil.example").headers["location"] == (
        "https://marula.example/this-week"
    )
    assert client.post(good).status_code == 405


def test_a_target_altered_in_the_record_is_not_led_to(house):
    url = "https://marula.example/this-week"
    proof = clicks.tag(house.desk, "winback", 1, url)
    with house.ws.store.book() as tx:
        tx.put_row("outreach.target", f"winback/1/{proof}".encode(), b"https://evil.example/")
    assert pages(house).get(link_of(house)).status_code == 400


def test_a_guessed_mark_shows_the_picture_and_notes_nothing(house):
    before, client = size(house), pages(house)
    for mark in ("a" * 24, "x", "a" * 400, "%00", "t" + "0" * 31):
        answer = client.get(f"/o/{mark}")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    client.get(link_of(house) + "." + "a" * 24)
    assert size(house) == before


def test_many_clicks_are_few_writes_and_touch_no_chain(house):
    client, good = pages(house), link_of(house)
    before = size(house)
    for _ in range(200):
        client.get(good)
    client.app.state.hub.kept["clicks"].flush()
    assert size(house) == before
    with house.ws.store.look() as view:
        assert clicks.link_counts(view, "winback")[0].count == 200


def test_no_template_can_name_the_slots_that_tell_readers_apart():
    source = (
        Path(mail.__file__).parents[2] / "data" / "demo" / "templates" / "winback.toml"
    ).read_text("utf-8")
    link = 'href="https://marula.example/this-week"'
    planted = source.replace(link, link[:-1] + '/{{click_mark}}"')
    with pytest.raises(InvalidInput, match="click_mark"):
        mail.parse_template(planted)
    slot = (
        '\n[slots.click_mark]\ncategory = ""\nescaping = "part"\nfallback = "x"\nmax_chars = 40\n'
    )
    with pytest.raises(InvalidInput, match="click_mark is a name of the house's own"):
        mail.parse_template(planted + slot)
