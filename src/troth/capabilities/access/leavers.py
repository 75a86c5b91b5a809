"""Who leaves the house, and when: their accounts end on that day, nobody has to remember it.

A feed names ids and days. An id that is not listed is told, never guessed: a capital letter is
another id. What a day brings is an act on the account like a colleague's own, an event first.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from troth.capabilities.access import accounts, rules
from troth.capabilities.access.model import Office
from troth.errors import InvalidInput
from troth.terms import Actor

ROWS_MAX: Final = 100_000
HEAD: Final = ("id", "leaves")
State = Literal["now", "later", "stays", "done", "unknown", "unclear"]
Ends = Sequence[Callable[[Actor], None]]
"""What else ends with an account, told after its sessions are over."""


@dataclass(frozen=True, slots=True)
class Leaver:
    """One line of the feed.

    Attributes:
        day: The first day without an account; None where the line takes an earlier day back.
    """

    line: int
    name: str
    day: date | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a line comes to.

    Attributes:
        state: now, the account ends; later, on its day; stays, a day set before is dropped;
            done, it is suspended already; unknown, nobody of this id is listed; unclear, the file
            names two days for them: nothing is done.
    """

    leaver: Leaver
    state: State
    accounts: tuple[Actor, ...] = ()


def read_leavers(text: str) -> list[Leaver]:
    """Read a feed: CSV with the columns `id` and `leaves` (YYYY-MM-DD), others are not looked at.

    Raises:
        InvalidInput: No such columns, too long, or a line that does not read; names the line.
            Nothing of the file counts then.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in rows.fieldnames or ()]
        if any(names.count(each) != 1 for each in HEAD):
            raise InvalidInput("the file has no columns id and leaves", "name them in line 1")
        rows.fieldnames = names
        found = [_leaver(rows.line_num, row) for row in rows if any(row.values())]
    except csv.Error:
        raise InvalidInput(f"line {rows.line_num} does not read", "correct the file") from None
    if len(found) > ROWS_MAX:
        raise InvalidInput(f"a file has at most {ROWS_MAX} lines", "send it in parts")
    return found


def _leaver(line: int, row: dict[str, str | None]) -> Leaver:
    name, told = ((row[key] or "").strip() for key in HEAD)
    if not name:
        raise InvalidInput(f"line {line} names nobody", "correct the file")
    try:
        day = date.fromisoformat(told) if told else None
    except ValueError:
        day = None
    if told and (day is None or len(told) != len("2026-01-31")):
        raise InvalidInput(f"line {line} has no day", "write it as 2026-01-31")
    return Leaver(line, name, day)


def plan_leaving(office: Office, told: Sequence[Leaver], today: date) -> list[Leaving]:
    """Say what each line comes to; changes nothing."""
    days: dict[str, set[date | None]] = {}
    for each in told:
        days.setdefault(each.name, set()).add(each.day)
    return [_planned(office, each, today, len(days[each.name])) for each in told]


def _planned(office: Office, told: Leaver, today: date, days: int) -> Leaving:
    listed = tuple(rules.holders(office.listed.items(), told.name))
    if not listed:
        return Leaving(told, "unknown")
    if days > 1:
        return Leaving(told, "unclear", listed)
    if told.day is None:
        return Leaving(told, "stays", listed)
    if told.day > today:
        return Leaving(told, "later", listed)
    left = tuple(actor for actor in listed if not is_suspended(office, actor))
    return Leaving(told, "now", left) if left else Leaving(told, "done", listed)


def is_suspended(office: Office, actor: Actor) -> bool:
    """Tell whether an account is suspended."""
    found = office.store.account(accounts.key_of(office, actor))
    return found is not None and found.state == "suspended"


def carry_out(office: Office, planned: Sequence[Leaving], by: Actor, ends: Ends) -> int:
    """Do what was planned; return how many accounts ended."""
    count = 0
    for each in planned:
        for actor in each.accounts:
            if each.state == "now":
                leave(office, actor, by, ends)
                count += 1
            elif each.state in {"later", "stays"}:
                _set(office, actor, str(each.leaver.day or ""), by)
            elif each.state == "done":  # whoever suspended them: the directory opens them no more
                office.store.next_round(accounts.key_of(office, actor))
    return count


def _set(office: Office, actor: Actor, day: str, by: Actor) -> None:
    key = accounts.key_of(office, actor)
    if dict(office.store.due()).get(key, "") == day:
        return
    act = "leaving_set" if day else "leaving_dropped"
    accounts.note(office, act, accounts.spelt(office, actor), by)
    office.store.put_due(key, day)


def leave(office: Office, actor: Actor, by: Actor, ends: Ends) -> None:
    """End an account at once: sessions, then whatever else hangs on it."""
    accounts.suspend(office, actor, by)
    office.store.put_due(accounts.key_of(office, actor), "")
    for end in ends:
        end(actor)


def tend_leaving(office: Office, today: date, by: Actor, ends: Ends) -> int:
    """End the accounts whose day is reached; return how many. Repeatable."""
    count = 0
    for key, day in office.store.due():
        if day > str(today):
            break
        actor = accounts.holder(office, key)
        if actor is None:  # no longer listed: nothing opens for them any more
            office.store.put_due(key, "")
            continue
        leave(office, actor, by, ends)
        count += 1
    return count
