"""The tour's sample list: every answer of the list check is in it, the same on any day."""

import csv
from datetime import datetime

import pytest

from troth import app
from troth.surfaces.demo import people, purchases, sample
from troth.surfaces.demo.clock import demo_now
from troth.terms import instant

NOW = demo_now(())
LEAP = demo_now((), datetime.fromisoformat("2028-02-29T23:30:00+02:00"))
TOLD = app.ListTold(zone="Africa/Johannesburg", sender="ZA")


def check(folder, now):
    path = folder / sample.FILE
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sample.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sample.rows(now, 7))
    source = app.look_at_list(path, path.name, TOLD)
    return source, app.check_list(source, TOLD, instant(now)).outcome


@pytest.mark.parametrize("now", [NOW, LEAP], ids=["the demo's day", "29 February"])
def test_the_list_check_gives_the_figures_the_tour_tells(tmp_path, now):
    source, outcome = check(tmp_path, now)
    assert {str(g): n for g, n in outcome.groups.items()} == {
        "may_mail": 387, "ask_once": 275, "not": 214,
    }  # fmt: skip
    assert source.tool == "mailerlite"


def test_every_address_is_reserved_and_nobody_of_the_list_is_a_customer():
    rows = list(sample.rows(NOW, 7))
    assert 500 <= len(rows) <= 1_000
    assert {row["Subscriber"].rpartition(".")[2] for row in rows} == {"example"}
    everybody = people.customers(range(1, 2_501), purchases.age_bands(), NOW, 7)
    known = {who.email for who in everybody} | {who.email for who in people.earlier(7)}
    assert not known & {row["Subscriber"] for row in rows}
    networks = {row["Signup IP"].rpartition(".")[0] for row in rows if row.get("Signup IP")}
    assert networks == {"192.0.2"}, "the network reserved for documents"
