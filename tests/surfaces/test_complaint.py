"""A complaint is answered: the whole time-line, each entry proved, and only by who may."""

import io
import json
import re
import subprocess
import sys
import zipfile

import pytest
from hub_shop import shop

from troth import crypto
from troth.capabilities import trust
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import events, proof
from troth.kernel.facts import House
from troth.surfaces import answering, timeline
from troth.terms import PersonId


def ask(client, **form):
    token = shop().form(client, "/console/complaint")
    return client.post("/console/complaint", data={"form": token, **form})


def answered(outside="shop-03", case="C-17"):
    client = shop().door("privacy_officer")
    return client, ask(client, outside=outside, case=case)


def test_the_officer_types_an_address_and_reads_the_whole_time_line():
    client = shop().door("privacy_officer")
    page = ask(client, address="shop-03@post.example", case="C-17").text
    for sentence in (
        "We began to hold data about you",
        "You agreed: Offers for your household",
        "A message was decided on, written and signed: Offers for your household",
        "A message was handed to the mail system",
        "A copy of your data was taken out",
    ):
        assert sentence in page, sentence
    assert "shop-03@post.example" not in page
    assert "Secretname" not in page


def test_every_entry_of_the_answer_has_a_receipt_that_anybody_can_check():
    client, page = answered(case="C-18")
    name = re.search(r"/console/complaint/([a-z0-9]+)/answer\.zip", page.text)[1]
    files = zipfile.ZipFile(
        io.BytesIO(client.get(f"/console/complaint/{name}/answer.zip").content)
    )
    receipts = [n for n in files.namelist() if n.startswith("receipts/")]
    assert len(receipts) == len(shop().chain("shop-03"))
    policy = proof.parse_policy(files.read("policy").decode(), crypto.ed25519_verify)
    kinds = set()
    for each in receipts:
        found = proof.read_receipt(files.read(each), policy)
        kinds.add(events.decode(found.event).type)
    assert {"consent.given", "message.booked", "message.handed", "data.read"} <= kinds
    assert files.read("answer.pdf").startswith(b"%PDF-1.7")


def test_the_notice_the_person_saw_is_attached_word_for_word():
    client, page = answered(case="C-19")
    name = re.search(r"/console/complaint/([a-z0-9]+)/answer\.zip", page.text)[1]
    files = zipfile.ZipFile(
        io.BytesIO(client.get(f"/console/complaint/{name}/answer.zip").content)
    )
    with shop().ws.store.look() as view:
        shown = {p.name: p.data for p in view.published_all("notice:")}["notice:offers@3"]
    assert files.read("notices/offers-3.md") == shown


def test_the_reading_is_in_the_persons_own_chain_before_anything_is_shown():
    _, page = answered("shop-05", "C-20")
    assert page.status_code == 200
    last = shop().chain("shop-05")[-1].event
    assert last.type == "data.read"
    assert last.payload.reason == "case:C-20"
    assert last.actor.startswith("privacy_officer/")


@pytest.mark.parametrize("role", ["marketer", "it", "support"])
def test_nobody_but_the_officer_may_answer(role):
    client, before = shop().door(role), shop().size()
    assert client.get("/console/complaint").status_code == 403
    assert shop().size() == before


def test_an_answer_is_fetched_only_by_the_session_that_made_it():
    _, page = answered(case="C-21")
    path = re.search(r"/console/complaint/[a-z0-9]+/answer\.pdf", page.text)[0]
    assert shop().door("privacy_officer").get(path).status_code == 404
    assert shop().client.get(path, follow_redirects=False).status_code == 303


def test_a_post_without_the_sessions_own_token_does_nothing():
    client, before = shop().door("privacy_officer"), shop().size()
    data = {"outside": "shop-03", "case": "C-22", "form": "0" * 24}
    assert client.post("/console/complaint", data=data).status_code == 403
    assert shop().size() == before


def test_an_unknown_address_and_a_missing_reference_are_told_plainly():
    client = shop().door("privacy_officer")
    nobody = ask(client, address="nobody@post.example", case="C-23")
    assert nobody.status_code == 400
    assert "Nobody is known under this" in nobody.text
    assert "nobody@post.example" not in nobody.text
    assert "needs its reference" in ask(client, outside="shop-03", case=" ").text


def test_the_command_writes_the_same_answer_into_a_folder(tmp_path):
    out = tmp_path / "answer"
    line = ["complaint", "shop-07", "--case", "C-24", "--out", str(out), "--json"]
    line += ["-w", str(shop().folder), "--at", "2026-11-17T10:00:00+02:00"]
    done = subprocess.run([sys.executable, "-m", "troth", *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["proved"] == len(told["entries"])
    assert (out / "answer.pdf").stat().st_mode & 0o777 == 0o600
    assert not re.search(r"Planted|Secretname|@post", done.stdout)
    again = subprocess.run([sys.executable, "-m", "troth", *line], capture_output=True, text=True)
    assert again.returncode == 2
    assert "holds something already" in again.stderr
    alone = tmp_path / "alone"
    line = ["complaint", "shop-07", "--pdf", "--out", str(alone), *line[-4:]]
    done = subprocess.run([sys.executable, "-m", "troth", *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in alone.iterdir()] == ["answer.pdf"]


def test_a_ledger_that_does_not_verify_gives_no_answer_at_all():
    ws = shop().ws
    other = proof.parse_policy(f"log {ws.signer.key.vkey}\nquorum none\n", lambda *_: False)
    with pytest.raises(EvidenceBroken):
        trust.dossier(ws.desk, shop().person("shop-03"), ws.sign(), other)
    with pytest.raises(NotFound):
        trust.dossier(ws.desk, PersonId(b"\x01" * 16), ws.sign(), ws.signer.policy)


def test_every_event_family_has_words():
    house = House(1, "ZA", "Africa/Johannesburg", {}, None)
    spoken = set(timeline._SAID)
    about_people = {
        cls for cls, _ in events.FAMILIES.values()
        if cls not in (
            events.SetProcessed, events.ImportFinished, events.RegistryApplied,
            events.RegistryWaived, events.HouseRefused, events.HousePublished,
            events.StaffActed, events.CampaignActed, events.ConnectionActed,
            events.AccessActed, events.ExportMade, events.AlarmRaised, events.KeyActed,
            events.BackupActed, events.LogActed, events.MapActed,
        )
    }  # fmt: skip
    assert spoken == about_people
    for cls in spoken:
        assert timeline._SAID[cls] is not None
    assert house.version == 1


def test_the_paper_is_the_same_bytes_for_the_same_answer():
    ws = shop().ws
    made = answering.compose(ws, shop().person("shop-09"), "C-25")
    assert answering.paper(made) == answering.paper(made)
