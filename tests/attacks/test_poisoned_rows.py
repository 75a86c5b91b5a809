"""One row of a file that would stop everybody else's import or message, or outlive an erasure."""

import json
from email import message_from_bytes, policy

import pytest
from marula import MARKETER, days_ago

from troth import app
from troth.adapters.smtp import HandoverJournal
from troth.capabilities import preferences, rights
from troth.terms import Block, Channel, instant

LEVEL_2 = {
    "purpose": "personalise", "channels": "", "notice": "personalise@2", "level": "2",
    "categories": "identity.name;interests.declared",
}  # fmt: skip
NAMES = [
    "<img src=x onerror=alert(1)>", "{{7*7}}", "a" * 3000, "=?utf-8?q?x=0d=0aBcc:_a?=",
    "'\"><a href=//evil.example>", "Eve\nBcc: z@evil.example", "\u202elive", "x\u2028y\x85z",
]  # fmt: skip
PURCHASE = {
    "external_id": "ok",
    "at": days_ago(20),
    "kind": "purchase",
    "item": "1001",
    "group": "bread",
}


def take_lines(house, kind, *rows):
    path = house.folder / f"{kind}-{next(house.files)}.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return app.import_file(house.ws, kind, path)


def test_names_inject_no_header_and_no_markup_and_hold_up_nobody(house):
    ids = [f"evil{n}" for n in range(len(NAMES))]
    for each, name in zip(ids, NAMES, strict=True):
        house.newcomer(each, {}, LEVEL_2, given_name=name, interests="<b>x</b>")
    assert house.send(house.everybody(*ids)).handed == len(NAMES)
    for mail in house.mails():
        read = message_from_bytes(mail.path.read_bytes(), policy=policy.default)
        assert read["bcc"] is None
        page = read.get_body(("html",)).get_content()
        assert not any(sign in page for sign in ("<img src=x", "<b>x", "<a href=//evil"))


@pytest.mark.parametrize("row", [
    {**PURCHASE, "units": 99_999_999_999}, {**PURCHASE, "at": "9999-12-31T23:59:59Z"},
    {**PURCHASE, "at": "0001-01-01T00:00:00Z"}, '{"external_id": ' + "[" * 50_000,
    '{"external_id": "ok", "at": "2026-01-01T00:00:00Z", "kind": "purchase", "item": "\\ud800"}',
])  # fmt: skip
def test_a_row_no_chunk_has_room_for_does_not_stop_the_file(house, row):
    house.newcomer("ok")
    report = take_lines(house, "events", row, PURCHASE)
    assert report.outcomes["kept"] >= 1


def test_more_kinds_of_behaviour_than_a_chunk_can_name_go_into_several(house):
    person = house.newcomer("ok")
    take_lines(house, "events", *({**PURCHASE, "kind": f"k{n}"} for n in range(300)))
    take_lines(house, "events", *({**PURCHASE, "kind": f"j{n}"} for n in range(300)))
    with house.ws.store.look() as view:
        rows = view.sealed([person], ["purchases/"])[person]
        chunks = [house.desk.vault.reopen_chunk(person, row, view.now) for row in rows]
    assert sum(len(chunk.at) for chunk in chunks) == 600
    assert {kind for chunk in chunks for kind in chunk.kinds} >= {"k0", "k299", "j0", "j299"}


def test_files_that_name_somebody_whose_erasure_has_begun_leave_nothing_and_stop_nobody(house):
    gone, stays = (
        house.newcomer("gone", {}),
        house.newcomer("stays", {}, email="gone@post.example"),
    )
    rights.begin_erasure(house.desk, gone, "rq", MARKETER)
    head = len(house.chain(gone))
    house.desk.vault.keys.shred(gone, None, instant(house.when()))
    bought = {**PURCHASE, "external_id": "gone"}
    take_lines(house, "events", bought, {**bought, "external_id": "stays"})
    take_lines(house, "consents", *(
        {"external_id": each, "purpose": "offers", "channels": "email", "status": "refused"}
        for each in ("gone", "stays")
    ))  # fmt: skip
    block = Block("complaint", "all")
    assert preferences.suppress(house.desk, Channel.EMAIL, "gone@post.example", block, "x") == 1
    with house.ws.store.look() as view:
        assert len(view.bodies(gone)) == head
        assert not view.sealed([gone], ["purchases/"]).get(gone)
    assert {"refused", "suppressed_complaint"} <= set(house.codes(stays))


def test_a_second_worker_keeps_a_journal_of_its_own_and_nobody_is_mailed_twice(house):
    person = house.newcomer("twice", {})
    house.book([person])
    with HandoverJournal(house.folder / "data/handover.log"):
        assert house.hand_over().handed == 1
    assert house.hand_over().handed == 0
    assert sum(house.delivered().values()) == 1


def test_received_mails_lie_in_a_folder_of_their_owner_alone(house):
    house.send([house.newcomer("kept", {})])
    assert (house.folder / "inbox").stat().st_mode & 0o077 == 0
