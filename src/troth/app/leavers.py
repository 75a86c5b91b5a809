"""Leavers, wired: by whose calendar a day is reached, and what ends with an account."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from troth.app.staff import office
from troth.capabilities import access
from troth.kernel.calendars import local_date
from troth.terms import Actor, Role

if TYPE_CHECKING:
    from troth.app.workspace import Workspace

KEEPER = Actor(Role.SYSTEM, "housekeeping")


def ends(opened: "Workspace", by: Actor) -> access.Ends:
    """Return what else ends with an account: every right it was granted for a time."""
    from troth.app.access import end_all

    def rights(left: Actor) -> None:
        end_all(opened, by, access.spelt(office(opened), left))

    return (rights,)


def plan_leavers(opened: "Workspace", text: str) -> list[access.Leaving]:
    """Say what a feed of leavers comes to; changes nothing.

    Raises:
        InvalidInput: The file does not read; names the line.
    """
    where = office(opened)
    return access.plan_leaving(where, access.read_leavers(text), today(opened))


def carry_leavers(opened: "Workspace", planned: Sequence[access.Leaving], by: Actor) -> int:
    """Do what was planned; return how many accounts ended."""
    return access.carry_out(office(opened), planned, by, ends(opened, by))


def tend(opened: "Workspace") -> int:
    """End the accounts whose day is reached; return how many."""
    return access.tend_leaving(office(opened), today(opened), KEEPER, ends(opened, KEEPER))


def today(opened: "Workspace") -> date:
    """Return the day by the house's own zone and the machine's clock."""
    return local_date(office(opened).clock.now(), opened.settings.zone)
