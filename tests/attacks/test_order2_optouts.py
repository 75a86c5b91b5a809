"""A no by any way, between booking and hand-over, keeps the message here; merged ids included."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula
import pytest

from troth.app import incoming as wired
from troth.capabilities import merging
from troth.engines.intake import ConsentRow

CUSTOMER = {"relation_kind": "sale", "relation_at": marula.days_ago(200)}


def reader(house, name="probe"):
    return house.newcomer(name, {"idempotency_key": name}, **CUSTOMER)


def stop_row(**told):
    return lambda house, _who: wired.take_stops(house.ws, [wired.StopRow(**told)], "sync:tool")


def registry(house, _who):
    house.take(
        "registry",
        marula.registry_hash("probe@post.example"),
        head=marula.registry_head(marula.days_ago(1)),
    )


def suppressions(house, _who):
    house.take(
        "suppressions",
        {
            "email": "PROBE@post.example ",
            "reason": "unsubscribe",
            "since": marula.days_ago(1),
            "source": "x",
        },
    )


def merged(house, who):
    other = house.newcomer(
        "other",
        {"idempotency_key": "o1"},
        {"idempotency_key": "o2", "status": "objected", "purpose": "marketing", "channels": "all"},
    )
    merging.merge(house.desk, who, other, "one person", marula.OFFICER)


def merged_away(house, who):
    other = house.newcomer("other")
    merging.merge(house.desk, other, who, "one person", marula.OFFICER)


WAYS = {
    "stop by number": stop_row(person="probe"),
    "stop by address": stop_row(address=" Probe@POST.example"),
    "stop of one purpose": stop_row(person="probe", purpose="offers"),
    "complaint": stop_row(address="probe@post.example", reason="complaint"),
    "bounce": stop_row(address="probe@post.example", reason="hard_bounce"),
    "registry": registry,
    "suppression file": suppressions,
    "withdrawn file": lambda h, _w: h.consents(
        "probe",
        {"status": "withdrawn", "occurred_at": marula.days_ago(0, 1), "idempotency_key": "w"},
    ),
    "objected to all": lambda h, w: h.say(w, "objected", "marketing", ("*",)),
    "merge with a no": merged,
    "merged away": merged_away,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_no_between_booking_and_hand_over_keeps_the_message_here(house, way):
    person = reader(house)
    assert house.book([person]).booked == 1
    WAYS[way](house, person)
    totals = house.hand_over()
    assert (totals.handed, house.delivered()) == (0, {}), (way, totals)


MERGED = {
    "stop by the merged number": stop_row(person="other"),
    "stop by the merged number and purpose": stop_row(person="other", purpose="offers"),
    "stop by the merged address": stop_row(address="other@post.example"),
    "stop by the kept number": stop_row(person="probe"),
    "withdrawn file": lambda h, _w: h.consents(
        "other",
        {"status": "withdrawn", "occurred_at": marula.days_ago(0, 1), "idempotency_key": "w"},
    ),
    "consent API": lambda h, _w: wired.take_consents(
        h.ws,
        [
            ConsentRow(
                line=0,
                external_id="other",
                purpose="offers",
                status="withdrawn",
                channels=("email",),
                occurred_at=None,
                notice="",
                method="x",
                proof="y",
                given_by="self",
                idempotency_key="k",
            )
        ],
        b"x",
    ),
    "suppression file": lambda h, _w: h.take(
        "suppressions",
        {
            "email": "other@post.example",
            "reason": "unsubscribe",
            "since": marula.days_ago(0, 1),
            "source": "x",
        },
    ),
    "objection of the address": stop_row(address="other@post.example", reason="objection"),
}


@pytest.mark.parametrize("way", MERGED)
@pytest.mark.parametrize("booked", [True, False], ids=["booked", "not yet"])
def test_a_no_to_the_merged_id_stops_the_one_that_stays(house, way, booked):
    keep, other = reader(house), reader(house, "other")
    merging.merge(house.desk, keep, other, "one person", marula.OFFICER)
    assert house.codes(keep) == []
    if booked:
        assert house.book([keep]).booked == 1
    MERGED[way](house, other)
    if not booked:
        house.book([keep])
    totals = house.hand_over()
    assert (totals.handed, house.delivered()) == (0, {}), (way, totals)
