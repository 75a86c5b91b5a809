"""How staff may look at people: what the house allows a day, and what was seen already.

The log of looks lies under the UTC day of the record, by account and person. A row is written in
the commit that books the look it tells of and goes with the person; it holds an account's keyed
digest, never a name. Quotas and combinations are asked of it, and it is never asked whom to trust.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from troth import crypto
from troth.errors import InvalidInput
from troth.kernel.pointers import pointers, put_pointer
from troth.ports import Transaction, View
from troth.terms import DAY, PERSON_BYTES, Action, Instant, Mask, PersonId, Role, UseRequest

USED: Final = "access.used"
"""Day, account, person, number of the look's event → what was seen of whom, what for."""
STAFF: Final = frozenset({Role.MARKETER, Role.SUPPORT, Role.OFFICER, Role.IT, Role.AGENCY})
"""Who must say why they look; the person, and the machine's own work, need not."""
LOOKS: Final = frozenset({Action.READ, Action.EXPORT})
SPECIAL: Final = "special"
"""Stands, in a group, for every category no purpose may open."""
BY_HAND, TICKET = "by_hand", "ticket"
NOBODY: Final = PersonId(bytes(PERSON_BYTES))
"""Stands for whoever is not searched for yet: a claim is judged before anybody is."""
_OF_RIGHTS: Final = frozenset({"exclusive", "reports_to"})
"""Keys of `[access]` that are about temporary rights, read where those are."""
_KEYS: Final = _OF_RIGHTS | {"cases", "case_days", "export_days", "people_per_day", "together"}
_DAY_BYTES, _ACCOUNT_BYTES, _N_BYTES = 4, 16, 8
_PAGE = 1_000


def is_look(request: UseRequest) -> bool:
    """Tell whether somebody of the staff wants to see or take out a named person's data."""
    return request.action in LOOKS and request.actor.role in STAFF and request.person is not None


@dataclass(frozen=True, slots=True)
class Looks:
    """What the house allows its staff when they look at people.

    Attributes:
        cases: by_hand: whoever takes a call opens its case; ticket: cases come from outside.
        case_days: A case closes by itself after so many days.
        export_days: What was taken out is to be deleted after so many days.
        people_per_day: Role → how many different people one account sees in a UTC day; a role
            not named sees none.
        together: Name → sides: one account never sees something of every side of one person in
            one day.
    """

    cases: str = BY_HAND
    case_days: int = 14
    export_days: int = 30
    people_per_day: Mapping[str, int] = field(default_factory=dict)
    together: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)


def read_looks(shipped: Mapping[str, Any], published: Mapping[str, Any]) -> Looks:
    """Read `[access]` of `troth.toml` over what is shipped.

    Raises:
        InvalidInput: A key is unknown or of the wrong kind; names it, never a value.
    """
    if unknown := published.keys() - _KEYS:
        raise _wrong(f"has no {min(map(str, unknown))}", f"use one of {', '.join(sorted(_KEYS))}")
    told = {name: shipped[name] for name in _KEYS & shipped.keys()} | dict(published)
    cases = told.get("cases", BY_HAND)
    if cases not in (BY_HAND, TICKET):
        raise _wrong("cases is not known", f"write {BY_HAND} or {TICKET}")
    return Looks(
        cases=cases,
        case_days=_whole(told, "case_days", 14),
        export_days=_whole(told, "export_days", 30),
        people_per_day=_quotas(shipped.get("people_per_day", {}), told.get("people_per_day", {})),
        together={str(n): _sides(s) for n, s in _table(told, "together").items()},
    )


def _wrong(said: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"troth.toml: [access] {said}", remedy)


def _whole(told: Mapping[str, Any], key: str, default: int) -> int:
    value = told.get(key, default)
    if type(value) is not int or value < 1:
        raise _wrong(f"{key} is no whole number of days", "write 14, say")
    return value


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key, {})
    if not isinstance(value, Mapping):
        raise _wrong(f"{key} is no table", "compare with docs/staff-access.md")
    return value


def _quotas(shipped: Mapping[str, int], told: object) -> dict[str, int]:
    """One number is for every role; a table changes the roles it names."""
    if type(told) is int:
        told = dict.fromkeys(map(str, STAFF), told)
    if not isinstance(told, Mapping):
        raise _wrong("people_per_day is no number", "write 200, or one number a role")
    out = {**shipped, **told}
    if any(type(most) is not int or most < 0 for most in out.values()):
        raise _wrong("people_per_day is no number", "write 200, or one number a role")
    if unknown := out.keys() - set(map(str, STAFF)):
        raise _wrong("people_per_day names no role of staff", f"not {min(unknown)}")
    return out


def _sides(value: object) -> tuple[tuple[str, ...], ...]:
    sides = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    good = [
        tuple(side)
        for side in sides
        if isinstance(side, Sequence)
        and not isinstance(side, str)
        and side
        and all(isinstance(each, str) for each in side)
    ]
    if len(good) < 2 or len(good) != len(sides):  # noqa: PLR2004 - a pair at least
        raise _wrong(
            "together has a group that is no list of two lists",
            'write [["identity.name"], ["special"]]',
        )
    return tuple(good)


def combined(
    looks: Looks, special: frozenset[str], asked: frozenset[str], seen: frozenset[str]
) -> bool:
    """Tell whether what is asked, beside what was seen, would bring all sides of a group together.

    >>> two = Looks(together={"care": (("identity.*",), ("special",))})
    >>> combined(two, frozenset({"diet"}), frozenset({"diet"}), frozenset({"identity.name"}))
    True
    >>> combined(two, frozenset({"diet"}), frozenset({"views"}), frozenset({"identity.name"}))
    False
    """
    both = asked | seen
    return any(
        all(_met(side, special, both) for side in sides)
        and any(_met(side, special, asked) for side in sides)
        for sides in looks.together.values()
    )


def _met(side: Sequence[str], special: frozenset[str], names: frozenset[str]) -> bool:
    for pattern in side:
        if pattern == SPECIAL:
            if names & special:
                return True
        elif pattern.endswith(".*"):
            if any(name.startswith(pattern[:-1]) for name in names):
                return True
        elif pattern in names:
            return True
    return False


# The log of looks


@dataclass(frozen=True, slots=True)
class Use:
    """One look as logged.

    Attributes:
        account: Who looked, as the house chain names them.
        n: Number of the look's event in the person's chain.
        categories: What was seen, and under which mask.
    """

    at: Instant
    account: str
    person: PersonId
    n: int
    purpose: str
    action: str
    categories: Mapping[str, Mask] = field(default_factory=dict)
    reason: str = ""
    grant: str = ""


def note(tx: Transaction, use: Use) -> None:
    """Log a look, in the commit that books its event."""
    value = [use.at, use.account, use.purpose, use.action, dict(use.categories), use.reason,
             use.grant]  # fmt: skip
    key = _prefix(day_of(use.at), use.account) + use.person + use.n.to_bytes(_N_BYTES, "big")
    put_pointer(tx, use.person, USED, key, msgspec.json.encode(value))


def day_of(at: Instant) -> int:
    """Return the UTC day of an instant, counted from 1970."""
    return at // DAY


def uses(view: View, since: Instant, until: Instant) -> Iterator[Use]:
    """Yield the looks of a span, day by day; costs what the days hold."""
    if until <= since:
        return
    for day in range(day_of(since), day_of(Instant(until - 1)) + 1):
        for use in _under(view, day.to_bytes(_DAY_BYTES, "big")):
            if since <= use.at < until:
                yield use


def people_on(view: View, account: str, day: int) -> frozenset[PersonId]:
    """Return whom an account looked at on a day, each once; costs what it looked at."""
    place = _DAY_BYTES + _ACCOUNT_BYTES
    out: set[PersonId] = set()
    prefix = after = _prefix(day, account)
    while page := view.rows(USED, prefix, after, _PAGE):
        out.update(PersonId(key[place : place + PERSON_BYTES]) for key, _ in page)
        after = page[-1][0]
    return frozenset(out)


def looked_at(view: View, account: str, day: int, person: PersonId) -> bool:
    """Tell whether an account looked at somebody on a day; one look-up."""
    prefix = _prefix(day, account) + person
    return bool(view.rows(USED, prefix, prefix, 1))


def seen_of(view: View, account: str, person: PersonId, day: int) -> frozenset[str]:
    """Return the categories an account saw of a person on a day, whatever was left closed out."""
    found = _under(view, _prefix(day, account) + person)
    return frozenset(
        name for use in found for name, mask in use.categories.items() if mask != "null"
    )


def of_person(view: View, person: PersonId) -> list[Use]:
    """Return every look at one id of a person that is still logged, the newest first."""
    found = [
        use
        for table, key in pointers(view, person)
        if table == USED and (raw := view.row(USED, key)) is not None
        for use in (_use(key, raw),)
    ]
    return sorted(found, key=lambda use: (-use.at, -use.n))


def _prefix(day: int, account: str) -> bytes:
    whose = crypto.sha256(account.encode())[:_ACCOUNT_BYTES]
    return day.to_bytes(_DAY_BYTES, "big") + whose


def _under(view: View, prefix: bytes) -> Iterator[Use]:
    after = prefix
    while page := view.rows(USED, prefix, after, _PAGE):
        yield from (_use(key, raw) for key, raw in page)
        after = page[-1][0]


def _use(key: bytes, raw: bytes) -> Use:
    at, account, purpose, action, categories, reason, grant = msgspec.json.decode(raw)
    person = PersonId(key[-_N_BYTES - PERSON_BYTES : -_N_BYTES])
    n = int.from_bytes(key[-_N_BYTES:], "big")
    return Use(Instant(at), account, person, n, purpose, action, categories, reason, grant)
