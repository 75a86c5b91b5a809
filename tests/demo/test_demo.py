"""The main job on published data: what its figures promise, and that they can be checked."""

import json
import runpy
import subprocess
import sys
from collections import Counter
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from troth import app, crypto
from troth.kernel import proof
from troth.surfaces.demo.recount import recount
from troth.surfaces.demo.run import PROVENANCE, run_demo

STANDING = {
    "people": 2497,
    "behaviour_rows": 1_469_302,
    "behaviour_rows_identical_skipped": 5,
    "candidates": 169,
}


def test_the_figures_add_up_and_nobody_is_mailed_without_an_agreement(whole_demo):
    _, told = whole_demo
    assert {name: told[name] for name in STANDING} == STANDING
    assert told["sent_without_agreement"] == 0
    assert told["doubled"] == told["unknown"] == told["failed"] == 0
    assert sum(told["refused"].values()) == told["refused_people"]
    assert told["sent"] + told["refused_people"] == told["candidates"]
    assert sum(told["sent_by_level"].values()) == told["sent"] == told["received"]
    assert told["withdrawn_between_preview_and_send"] == {"people": 5, "sent": 0}
    assert told["reachable"] == told["sent"] + 5
    assert "0" not in told["sent_by_level"]
    assert told["ledger"]["verified"] is True
    assert told["provenance"] == PROVENANCE


def test_the_receipt_it_writes_verifies_under_the_policy_it_writes(whole_demo):
    folder, told = whole_demo
    text = (folder / told["receipt"]["file"]).read_bytes()
    policy_text = (folder / "receipts" / "policy").read_text("utf-8")
    trusted = proof.parse_policy(policy_text, crypto.ed25519_verify)
    assert proof.read_receipt(text, trusted).event is not None


def test_the_receipt_verifies_with_the_one_file_that_needs_no_troth(
    whole_demo, repository, tmp_path
):
    folder, told = whole_demo
    made = runpy.run_path(str(repository / "tools" / "verify_tool.py"))["build"]()
    (tmp_path / "v.py").write_text(made, "utf-8")
    line = [sys.executable, "-I", str(tmp_path / "v.py"), str(folder / told["receipt"]["file"])]
    line.append(str(folder / "receipts" / "policy"))
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    forged = tmp_path / "forged.tlog-proof"
    text = (folder / told["receipt"]["file"]).read_text("utf-8")
    forged.write_text(text.replace("index ", "index 1", 1), "utf-8")
    line[3] = str(forged)
    assert subprocess.run(line, capture_output=True, check=False, cwd=tmp_path).returncode != 0


def test_every_mail_carries_the_one_click_stop_and_two_signatures(whole_demo):
    folder, told = whole_demo
    mails = sorted((folder / "inbox").glob("*.eml"))
    assert len(mails) == told["sent"]
    for path in mails:
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Unsubscribe"].startswith("<https://")
        assert len(mail.get_all("DKIM-Signature")) == 2


def test_no_sensitive_goods_reach_any_mail(whole_demo):
    import csv

    folder, _ = whole_demo
    with (folder / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    plain = {row["name"] for row in rows if row["sensitive"] == "no"}
    sensitive = {row["name"] for row in rows if row["sensitive"] == "yes"} - plain
    assert sensitive
    for path in (folder / "inbox").glob("*.eml"):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        text = mail.get_body(("plain",)).get_content()
        shown = {line[2:].strip() for line in text.splitlines() if line.startswith("* ")}
        assert not shown & sensitive


def test_the_recount_can_fail(whole_demo):
    """A planted mail to somebody who said no, and one to nobody, are both found."""
    folder, told = whole_demo
    now = datetime.fromisoformat(told["demo_time"])
    refused = _address(folder, "cast-withdrawn")
    assert recount(folder, [refused], now).without_agreement == 1
    assert recount(folder, ["nobody@mail.example"], now).unknown_address == 1
    assert recount(folder, [_address(folder, "cast-lapsed")], now).without_agreement == 0


def _address(folder: Path, outside: str) -> str:
    import csv

    with (folder / "customers.csv").open(encoding="utf-8", newline="") as file:
        return next(r["email"] for r in csv.DictReader(file) if r["external_id"] == outside)


def test_a_damaged_record_of_the_demo_does_not_verify(whole_demo, tmp_path):
    import shutil
    import sqlite3

    folder, _ = whole_demo
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    con = sqlite3.connect(copy / "data" / "record.db")
    con.execute("UPDATE entry SET data = zeroblob(33) WHERE seq = 100")
    con.commit()
    con.close()
    opened = app.open(copy)
    try:
        assert opened.verify()
    finally:
        opened.close()


FIGURES = [
    "people", "behaviour_rows", "candidates", "reachable", "refused", "sent", "sent_by_level",
    "sent_without_agreement", "withdrawn_between_preview_and_send", "doubled", "unknown",
]  # fmt: skip


@pytest.mark.parametrize("day", ["2026-11-22T23:30:00+02:00", "2028-02-29T12:00:00+02:00"])
def test_the_figures_are_the_same_on_a_sunday_night_and_on_29_february(
    whole_demo, tmp_path, day, monkeypatch
):
    """The machine's clock is moved; the demo's own stands where it stands."""
    moved = int(datetime.fromisoformat(day).timestamp())
    monkeypatch.setattr(app, "real_seconds", lambda: moved)
    monkeypatch.setattr("troth.adapters.system.time.time_ns", lambda: moved * 1_000_000_000)
    told = run_demo(tmp_path / "moved")
    _, standing = whole_demo
    assert {k: told[k] for k in FIGURES} == {k: standing[k] for k in FIGURES}


def test_a_second_run_replaces_the_first_and_spares_what_is_no_demo(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "troth", "demo", "--no-serve", "--json", "--folder", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "thesis.txt").read_text("utf-8") == "years of work"


def test_the_report_is_kept_beside_the_demo(whole_demo):
    folder, told = whole_demo
    kept = json.loads((folder / "demo.json").read_text("utf-8"))
    assert Counter(kept["refused"]) == Counter(told["refused"])
