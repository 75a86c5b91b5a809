"""Thandeka keeps a receipt of her no. Somebody alters it, later the ledger itself: she sees both."""

import base64
import shutil

import pytest
from marula import House
from verify_pages import bare_page, browser

from troth.app import trail
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events, proof
from troth.kernel.desk import SYSTEM

JUDGE = """async ([policy, receipts]) => {
    const known = await trothProof.parsePolicy(policy), out = [];
    globalThis.held ??= new Map();
    const store = {getItem: k => held.get(k) ?? null, setItem: (k, v) => held.set(k, v)};
    const memory = new trothHistory.Memory(store, known.logs[0].name);
    for (const text of receipts) {
        try {
            const found = await trothProof.readReceipt(trothProof.utf8(text), known);
            out.push([await trothHistory.remember(memory, found.head, found.note,
                async () => { throw new TypeError('no network'); }), found.event]);
        } catch (fault) { out.push([fault.code, null]); }
    }
    return out;
}"""


@pytest.fixture(scope="module")
def her_browser(tmp_path_factory):
    with browser() as opened:
        yield opened


def judged(page, house, *receipts):
    policy = f"log {house.ws.signer.key.vkey}\nquorum none\n"
    return [tuple(each) for each in page.evaluate(JUDGE, [policy, list(receipts)])]


def newest_receipt(house, person):
    house.ws.sign()
    place = trail.places(house.ws, person)[0]
    return trail.receipt(house.ws, person, place.mark)[1]


def test_a_no_turned_into_a_yes_is_refused_by_her_browser_and_by_the_kernel(
    house, her_browser, tmp_path
):
    person = house.newcomer("probe", {})
    house.say(person, "withdrawn", method="button")
    receipt = newest_receipt(house, person)
    page = bare_page(her_browser, tmp_path)
    verdict, event = judged(page, house, receipt)[0]
    assert verdict == "one"
    assert '"type":"consent.withdrawn"' in event

    extra = receipt.split("\n")[1].removeprefix("extra ")
    raw = base64.b64decode(extra).replace(b"consent.withdrawn", b"consent.reaffirme")
    forged = receipt.replace(extra, base64.b64encode(raw).decode())
    assert forged != receipt
    assert judged(page, house, forged) == [("altered", None)]
    with pytest.raises((EvidenceBroken, InvalidInput)):
        proof.verify_receipt(forged, house.ws.signer.policy)
    assert judged(page, house, receipt)[0][0] == "one"


def test_a_receipt_of_another_company_is_not_taken_for_one_of_this(
    house, her_browser, tmp_path, repository
):
    other = (repository / "tests/vectors/worked.tlog-proof").read_text("utf-8")
    page = bare_page(her_browser, tmp_path)
    assert judged(page, house, other) == [("foreign", None)]


def test_a_house_that_signs_a_history_without_her_no_is_caught_by_her_next_receipt(
    house, her_browser, tmp_path
):
    person = house.newcomer("probe", {})
    house.ws.settle()
    house.ws.close()
    yesterday = tmp_path / "yesterday"
    shutil.copytree(house.folder, yesterday)
    house.open()
    house.say(person, "withdrawn", method="button")
    kept = newest_receipt(house, person)
    page = bare_page(her_browser, tmp_path)
    assert judged(page, house, kept)[0][0] == "one"

    insider = House(yesterday)
    size = proof.read_receipt(kept, house.ws.signer.policy).checkpoint.size
    while insider_size(insider) < size:
        insider.desk.record(person, [events.NoticeServed("offers@3", "form", "en")], SYSTEM)
    shown = newest_receipt(insider, person)
    insider.ws.close()
    proof.verify_receipt(shown, house.ws.signer.policy)  # signed by the same key, sound by itself
    assert judged(page, house, shown)[0][0] == "histories"
    assert judged(page, house, kept)[0][0] == "histories"


def insider_size(house):
    with house.ws.store.look() as view:
        return view.log.size
