"""What a package carries over to another house, in one spelling."""

from collections.abc import Mapping
from typing import Any, Final

from troth.kernel import events

ACTIVITY: Final = ("at", "kind", "item", "group", "amount_minor", "currency", "units")
"""Columns by which activity is compared."""
FACTS: Final = ("subject", "residence", "zone", "language")


def portable(data: Mapping[str, Any]) -> bytes:
    """Return, in one spelling, what a package carries over to another house.

    That is what the person told (facts, values, addresses) and what was seen of them (activity):
    not who recorded it when, under which number, in which category, nor what this house did.
    Dealings and consents are carried and are no part of it: they were with one house. A house of
    the same ledger takes dealings over; a yes counts only as far as it is proven there. The age
    class is worked out anew, and what names another person is left out.
    """
    values: dict[str, str] = {}
    for row in data["values"]:
        if row.get("value"):
            values.setdefault(row["field"], row["value"])
    return events.canonical(
        {
            "person": {name: data["person"][name] for name in FACTS},
            "values": values,
            "activity": sorted([row[name] for name in ACTIVITY] for row in data["activity"]),
        }
    )
