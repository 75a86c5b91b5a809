"""A rule whose review is overdue still applies, and `troth check` says so."""

import shutil
from importlib.resources import files

import cli_shop as shop


def test_check_names_rules_past_their_review_and_nothing_stops(tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(shop.bare(), folder)
    assert shop.done(shop.at(folder, "check", "--json")).data["overdue_reviews"] == []
    text = (files("troth") / "data" / "regimes" / "us-ca.toml").read_text("utf-8")
    (folder / "regimes").mkdir()
    old = text.replace("review_by = 2027-02-23", "review_by = 2026-11-16")
    (folder / "regimes" / "us-ca.toml").write_text(old, "utf-8")
    told = shop.done(shop.at(folder, "check", "--json")).data
    assert told["overdue_reviews"] == ["CA-1", "CA-2", "CA-3", "CA-3-USE", "CA-4", "CA-5", "CA-6"]
    assert told["ok"] is True
    assert "still applied: CA-1, CA-2" in shop.done(shop.at(folder, "check")).out
