"""Looks of staff, put together: cases that follow from mail, what is tidied, how it stands."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from troth.app.checks import Check
from troth.capabilities.access import canaries, cases, exports
from troth.errors import NotFound
from troth.kernel import following, looking
from troth.kernel.cases import kind_of
from troth.kernel.desk import SYSTEM
from troth.terms import DAY, Instant

if TYPE_CHECKING:
    from troth.app.workspace import Workspace

DAYS = 7
"""Over so many days looks without a reason are counted."""


def reply_cases(opened: "Workspace", due: Sequence[following.Due]) -> None:
    """Open a case for each answer to a message: somebody is to read it, and may look then."""
    for each in due:
        opening = cases.Opening(f"reply-{each.size}", "reply")
        with suppress(NotFound):
            cases.open_case(opened.desk, each.person, opening, SYSTEM)


def tidy(opened: "Workspace") -> None:
    """Drop what is in clear of cases and exports that ended long ago."""
    cases.forget_closed(opened.desk)
    exports.forget_old(opened.desk)


def checks(opened: "Workspace") -> list[Check]:
    """Say how looks of staff stand; opens nothing of anybody."""
    with opened.store.look() as view:
        since = Instant(view.now - DAYS * DAY)
        bare = sum(not kind_of(use.reason) for use in looking.uses(view, since, view.now))
        planted, alarms = len(canaries.ids(view)), canaries.raised(view, since)
        late = exports.counts(view)["overdue"]
    return [
        Check(
            "looks.reasons", "used", "Every look of staff names its reason",
            "bad" if bare else "good",
            f"{bare} looks in {DAYS} days without a case or request.",
            "Ask the privacy officer to look at them." if bare else "",
        ),
        Check(
            "looks.canaries", "used", "Invented people watch over the record",
            "bad" if alarms else "good" if planted else "off",
            f"{planted} planted, {len(alarms)} asked for in {DAYS} days.",
            "Ask who looked, and why." if alarms else "" if planted
            else "Plant some: troth access canaries plant 5",
        ),
        Check(
            "looks.exports", "shared", "What staff took out is deleted in time",
            "bad" if late else "good",
            f"{late} exports are overdue.",
            "Delete them and say so under Exports." if late else "",
        ),
    ]  # fmt: skip
