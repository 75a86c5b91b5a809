"""A temporary right of staff to ask: what it is, and every step it may take.

    requested → approved, which begins it │ refused │ lapsed, nobody answered
    began     → ended, by time or with its reason │ revoked
    a break-glass right begins at once and stays to be reviewed when it is over

Pure: moments and people are given. What a step needs of the record lies in `granting`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from troth.errors import Conflict, InvalidInput
from troth.kernel import events, masks
from troth.terms import SECOND, Action, Instant, Mask, UseRequest, from_zulu, zulu

Kind = Literal["jit", "glass"]
State = Literal["requested", "active", "refused", "lapsed", "ended", "revoked"]
OVER: Final = frozenset({"refused", "lapsed", "ended", "revoked"})
NEVER = Instant(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths and limits, from `data/access_grants.toml`; durations in microseconds.

    Attributes:
        exclusive: Pairs of duties one person may not have both of.
    """

    default: int
    most: int
    lapse: int
    glass: int
    review: int
    actions: frozenset[str]
    why: tuple[int, int]
    exclusive: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for.

    Attributes:
        account: Whose right it is to be, as actors are written in the house chain.
        reason: The case, request, campaign or audience it is for, as `kind:id`; a use must name
            the same one. "" of a break-glass right alone: any.
        why: In a few words, naming nobody.
        length: How long it is to last, microseconds; 0 takes the usual length.
    """

    account: str
    purpose: str
    action: Action
    categories: Mapping[str, Mask]
    reason: str = ""
    why: str = ""
    length: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """A temporary right as it stands, whether or not anybody noted yet that its time is over.

    Attributes:
        by: Who asked for it; `approver` who agreed, "" of a break-glass right.
        begins: When it began; 0 not yet.
        until: When it ends by itself; of a request, when it lapses.
        due: When its review is due; 0 where it needs none.
        reviewed: Who looked back at it, "" nobody yet; `verdict` is what they found.
        alarmed: Its overdue review was raised.
    """

    id: str
    kind: Kind
    state: State
    account: str
    purpose: str
    action: Action
    categories: Mapping[str, Mask]
    by: str
    asked: Instant
    length: int
    reason: str = ""
    why: str = ""
    approver: str = ""
    begins: Instant = NEVER
    until: Instant = NEVER
    ended: Instant = NEVER
    note: str = ""
    due: Instant = NEVER
    reviewed: str = ""
    verdict: str = ""
    alarmed: bool = False

    def stands(self, at: Instant) -> bool:
        """Tell whether it gives anything at an instant; its last one is the one before `until`."""
        return self.state == "active" and self.begins <= at < self.until

    def waits(self, at: Instant) -> bool:
        """Tell whether somebody may still answer it."""
        return self.state == "requested" and at < self.until

    def unreviewed(self, at: Instant) -> bool:
        """Tell whether a review is owed and late."""
        return bool(self.due) and not self.reviewed and at >= self.due

    def serves(self, request: UseRequest, at: Instant) -> bool:
        """Tell whether it is a right to this use: now, and at the moment the use is judged for."""
        return (
            self.stands(at)
            and request.at < self.until
            and request.purpose == self.purpose
            and request.action is self.action
            and (not self.reason or request.reason == self.reason)
        )


# Steps


def check(wanted: Wanted, limits: Limits, kind: Kind) -> None:
    """Judge the words of what is wanted, before anything is booked.

    Raises:
        InvalidInput: An action, category, mask, length or reason will not do; says which.
    """
    if wanted.action.value not in limits.actions:
        raise InvalidInput("a temporary right is for reading or exporting", "ask for one of them")
    if not wanted.categories:
        raise InvalidInput("it names no data", "choose at least one category")
    if any(m not in masks.MASKS for m in wanted.categories.values()):
        raise InvalidInput("this is no mask", f"use one of {', '.join(sorted(masks.MASKS))}")
    most = limits.most if kind == "jit" else limits.glass
    if not 0 <= wanted.length <= most:
        raise InvalidInput(
            "it is asked for longer than it may last", f"ask for at most {_long(most)}"
        )
    if kind == "jit" and not wanted.reason:
        raise InvalidInput("it names no reason", "name the open case or request, as case:ID")
    least, longest = limits.why
    if not least <= len(wanted.why.strip()) <= longest:
        raise InvalidInput("why is missing", f"write {least} to {longest} characters")
    require_nameless(wanted.why)


def require_nameless(text: str) -> None:
    """Refuse words with an address or a long number: the house chain keeps them for ever.

    A bare name is not recognised; forms ask to leave it out.

    Raises:
        InvalidInput: They seem to name somebody; the text is not repeated.
    """
    if "@" in text or any(len(w) > 5 for w in _numbers(text)):  # noqa: PLR2004 - digits
        raise InvalidInput(
            "the text seems to name somebody", "leave out names, addresses and long numbers"
        )


def _numbers(text: str) -> list[str]:
    kept = "".join(sign if sign.isdigit() else " " for sign in text if sign not in " -()+.")
    return kept.split()


def _long(length: int) -> str:
    hours = length // (3600 * SECOND)
    return f"{hours // 24} days" if hours >= 48 else f"{max(hours, 1)} hours"  # noqa: PLR2004 - two days


def asked(ident: str, wanted: Wanted, by: str, at: Instant, limits: Limits) -> Grant:
    """Return a request that waits for somebody else."""
    return _of(ident, "jit", wanted, by, at, wanted.length or limits.default, limits)


def broken(ident: str, wanted: Wanted, by: str, at: Instant, limits: Limits) -> Grant:
    """Return a break-glass right, which stands at once and is looked at afterwards."""
    made = _of(ident, "glass", wanted, by, at, wanted.length or limits.glass, limits)
    return replace(
        made,
        state="active",
        begins=at,
        until=Instant(at + made.length),
        due=Instant(at + limits.review),
    )


def _of(  # noqa: PLR0913 - a grant's parts
    ident: str, kind: Kind, wanted: Wanted, by: str, at: Instant, length: int, limits: Limits
) -> Grant:
    return Grant(
        ident,
        kind,
        "requested",
        wanted.account,
        wanted.purpose,
        wanted.action,
        dict(wanted.categories),
        by,
        at,
        length,
        reason=wanted.reason,
        why=wanted.why.strip(),
        until=Instant(at + limits.lapse),
    )


def approved(grant: Grant, by: str, at: Instant) -> Grant:
    """Let a request stand from now on.

    Raises:
        Conflict: It was answered already, or nobody did in time.
    """
    _waiting(grant, at)
    until = Instant(at + grant.length)
    return replace(grant, state="active", approver=by, begins=at, until=until)


def refused(grant: Grant, by: str, at: Instant, note: str) -> Grant:
    """Refuse a request; as `approved`."""
    _waiting(grant, at)
    return replace(grant, state="refused", approver=by, ended=at, note=note)


def _waiting(grant: Grant, at: Instant) -> None:
    if not grant.waits(at):
        raise Conflict("this request does not wait any more", "ask again")


def over(grant: Grant, state: State, at: Instant, note: str) -> Grant:
    """Close a request or right; what is over stays over.

    Raises:
        Conflict: It is over already.
    """
    if grant.state in OVER:
        raise Conflict("it is over already", "nothing is left to end")
    return replace(grant, state=state, ended=at, note=note)


def reviewed(grant: Grant, by: str, verdict: str) -> Grant:
    """Look back at a break-glass right.

    Raises:
        Conflict: It needs no review, or had one.
        InvalidInput: The verdict is none of `VERDICTS`.
    """
    if not grant.due or grant.reviewed:
        raise Conflict("no review of this is due", "see: troth access grants")
    if verdict not in VERDICTS:
        raise InvalidInput("this is no verdict", f"say one of {', '.join(sorted(VERDICTS))}")
    return replace(grant, reviewed=by, verdict=verdict)


VERDICTS: Final = frozenset({"justified", "unjustified"})


# As events


def written(categories: Mapping[str, Mask]) -> tuple[str, ...]:
    """Write categories as an event holds them: the name alone means in full.

    >>> written({"contact.email": "last4", "identity.name": "full"})
    ('contact.email:last4', 'identity.name')
    """
    return tuple(
        name if mask == "full" else f"{name}:{mask}" for name, mask in sorted(categories.items())
    )


def read(categories: tuple[str, ...]) -> dict[str, Mask]:
    """Read what `written` wrote.

    Raises:
        InvalidInput: A mask is unknown.
    """
    out: dict[str, Mask] = {}
    for each in categories:
        name, _, mask = each.partition(":")
        if (mask or "full") not in masks.MASKS:
            raise InvalidInput("this is no mask", f"use one of {', '.join(sorted(masks.MASKS))}")
        out[name] = cast("Mask", mask or "full")
    return out


def said(before: Grant | None, after: Grant) -> events.AccessActed:
    """Return the event of a step, written before the step binds."""
    return events.AccessActed(
        act=_act(before, after),
        grant=after.id,
        kind=after.kind,
        account=after.account,
        purpose=after.purpose,
        action=after.action.value,
        categories=written(after.categories),
        reason=after.reason or None,
        until=zulu(after.until),
        due=zulu(after.due) if after.due else None,
        note=_note(before, after),
        counts={"seconds": after.length // SECOND} if before is None else None,
    )


def _act(before: Grant | None, after: Grant) -> str:
    if before is None:
        return "began" if after.kind == "glass" else "requested"
    if after.reviewed != before.reviewed:
        return "reviewed"
    if after.alarmed != before.alarmed:
        return "escalated"
    return "approved" if after.state == "active" else after.state


def _note(before: Grant | None, after: Grant) -> str | None:
    if before is None:
        return after.why or None
    return (after.verdict if after.reviewed != before.reviewed else after.note) or None


def step(before: Grant | None, told: events.AccessActed, by: str, at: Instant) -> Grant:
    """Return a right after one event of the house chain: what the table holds can be made again.

    Args:
        before: The right before it; None at its first event.
        told: The event.
        by: Who acted, as the event names them.
        at: When it was recorded.
    """
    until = from_zulu(told.until) if told.until else NEVER
    if before is None:
        return _first(told, by, at, until)
    if told.act == "approved":
        return replace(before, state="active", approver=by, begins=at, until=until)
    if told.act == "reviewed":
        return replace(before, reviewed=by, verdict=told.note or "")
    if told.act == "escalated":
        return replace(before, alarmed=True)
    approver = by if told.act == "refused" else before.approver
    state = cast("State", told.act)
    return replace(before, state=state, ended=at, note=told.note or "", approver=approver)


def _first(told: events.AccessActed, by: str, at: Instant, until: Instant) -> Grant:
    glass = told.act == "began"
    return Grant(
        told.grant,
        "glass" if glass else "jit",
        "active" if glass else "requested",
        told.account or "",
        told.purpose or "",
        Action(told.action or ""),
        read(told.categories or ()),
        by,
        at,
        (told.counts or {}).get("seconds", 0) * SECOND,
        reason=told.reason or "",
        why=told.note or "",
        begins=at if glass else NEVER,
        until=until,
        due=from_zulu(told.due) if told.due else NEVER,
    )
