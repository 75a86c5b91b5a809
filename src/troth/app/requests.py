"""What the desk and the portal ask for about requests: deletion with grace, checks, the folder.

A deletion goes in this order, each step repeatable: asked and approved in the person's chain; for
the days of grace nothing but storing; then the erasure, a check of every store, a signature, the
certificate. A note of the erasure under way outlives the person until the certificate is handed
out, so a crash anywhere in between is finished by the next round of the house.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from troth.app import intake, request_letters
from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.rights import certificates, clocks, waiting
from troth.capabilities.rights.certificates import Handed
from troth.capabilities.rights.requests import Asked, Move
from troth.capabilities.rights.requests_rules import Request
from troth.capabilities.rights.waiting import UNDER_WAY
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.desk import everybody
from troth.kernel.proof import parse_checkpoint, parse_note
from troth.ports import View
from troth.terms import DAY, Actor, Channel, Instant, PersonId, Role

HOUSE: Final = Actor(Role.SYSTEM, "requests")
BY_REQUEST: Final = "request"
"""What a deletion of single values names as its rule, where somebody asked for it."""
BY_WORDS: Final = frozenset({"review"})
"""Rights of which no record shows whether they were answered: the answer itself does."""
REMINDED: Final = "reminder"
ACTIVITY: Final = ("purchases", "purchases.sensitive", "views")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a deletion takes and what it leaves, before it is asked for.

    Attributes:
        fields: Fields of the vault that hold something.
        activity: Scope → pieces held.
        channels: Channels with an address.
        events: Entries of the time-line.
        refused: A no of an address stays on the list of those not to be written to.
        held: An order at law that holds it back now.
    """

    fields: tuple[str, ...]
    activity: Mapping[str, int]
    channels: tuple[str, ...]
    events: int
    refused: bool
    held: bool


def scope_of(opened: Workspace, person: PersonId) -> Scope:
    """Say what a deletion would take; opens nothing."""
    desk = opened.desk
    with opened.store.look() as view:
        people = everybody(view, person)
        names = [*desk.vault.fields, *(f"{scope}/" for scope in ACTIVITY)]
        sealed = [row.field for rows in view.sealed(people, names).values() for row in rows]
        fields = tuple(dict.fromkeys(name for name in sealed if "/" not in name))
        kinds = [name.partition("/")[0] for name in sealed if "/" in name]
        found = {c: view.gather(people, c) for c in Channel}
        return Scope(
            fields,
            {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
            tuple(c.value for c, each in found.items() if any(g.contact for g in each)),
            sum(len(view.bodies(each)) for each in people),
            any(g.blocks for each in found.values() for g in each),
            on_hold(view, people),
        )


def on_hold(view: View, people: Sequence[PersonId]) -> bool:
    """Tell whether an order or a claim at law holds a person's data back."""
    return any(
        block.reason == "legal_hold"
        for channel in Channel
        for found in view.gather(people, channel)
        for block in found.blocks
    )


# Deletion


def ask_deletion(
    opened: Workspace, person: PersonId, asked: Asked, actor: Actor, *, wait: bool
) -> Request:
    """Ask for a deletion: in the days of grace nothing but storing, or (`wait` off) at once.

    A deletion that is open already is returned as it stands. One held back by an order at law is
    blocked. `carry_out` does the work of one without grace.

    Raises:
        NotFound: Nothing is held under this id.
        Unavailable: Too many requests today, or a store does not answer.
    """
    desk = opened.desk
    held = _open_deletion(opened, person)
    if held is not None:
        return held
    made = rights.open_request(desk, person, asked, actor)
    if made.state == "verified":
        made = plan(opened, person, made.id, HOUSE)
    if made.state == "planned" and actor.role is Role.PERSON:
        made = approve(opened, person, made.id, HOUSE, wait=wait)
    return made


def _open_deletion(opened: Workspace, person: PersonId) -> Request | None:
    with opened.store.look() as view:
        found = rights.requests_of(opened.desk, view, person)
    return next((r for r in found if r.right == "deletion" and r.open), None)


def plan(opened: Workspace, person: PersonId, request: str, actor: Actor) -> Request:
    """Plan a request; where an order at law holds the person's data back, block it instead."""
    desk = opened.desk
    with opened.store.look() as view:
        held = rights.request_of(desk, view, person, request)
        blocked = held.right in {"deletion", "correction"} and on_hold(
            view, everybody(view, person)
        )
    step = Move("blocked", ground="legal_hold") if blocked else Move("planned")
    return rights.move(desk, person, request, step, actor)


def approve(
    opened: Workspace, person: PersonId, request: str, actor: Actor, *, wait: bool
) -> Request:
    """Approve a deletion: from now on the data is only stored; in the end it is carried out."""
    desk = opened.desk
    with opened.store.look() as view:
        days = clocks.settings()["grace"]["days"] if wait else 0
        due = Instant(view.now + days * DAY)
        right = rights.request_of(desk, view, person, request).right
    if right != "deletion":
        raise InvalidInput("only a deletion is approved for a day", "approve it without one")
    done = rights.move(desk, person, request, Move("approved", due=due), actor)
    if wait:
        request_letters.write(opened, person, done, "grace", certificate_path(opened, request))
    return done


def cancel(opened: Workspace, person: PersonId, request: str, actor: Actor) -> Request:
    """Take a request back; the hold of a deletion's grace ends in the same commit."""
    return rights.move(opened.desk, person, request, Move("withdrawn"), actor)


def asked_by(opened: Workspace, person: PersonId, request: str, actor: Actor) -> bool:
    """Tell whether it was this actor who asked for it.

    Raises:
        NotFound: There is no such request.
    """
    desk = opened.desk
    with opened.store.look() as view:
        held = rights.request_of(desk, view, person, request)
        names = {desk.scribe.actor(actor, each) for each in everybody(view, person)}
    return held.steps[0].by in names


def carry_out(opened: Workspace, person: PersonId, request: str, actor: Actor = HOUSE) -> Handed:
    """Erase, check every store, sign, and hand the certificate out; safe to repeat.

    The days of grace are the person's: nobody but they themselves has it done before these end.

    Raises:
        NotFound: There is no such request.
        InvalidInput: It is not approved, or somebody else cuts the days of grace short.
        Unavailable: A store did not answer, or the check found something left: it stays under
            way, red, and is repeated by the house.
    """
    with opened.store.look() as view:
        raw, whose = view.row(UNDER_WAY, request.encode()), person
        person = opened.desk.keeper(view, person)
        begun = raw is not None and PersonId(raw) in {whose, person}
        held = None if begun else rights.request_of(opened.desk, view, person, request)
        now = view.now
    if held is not None:
        if not (held.right == "deletion" and held.carried_out):
            raise InvalidInput("this request erases nobody yet", "approve the deletion first")
        if actor.role is not Role.PERSON and now < held.carried_out:
            raise InvalidInput("the person's days to think are not over", "wait for their end")
        rights.move(opened.desk, person, request, Move("executing"), HOUSE)
    return _finish(opened, person, request)


def _finish(opened: Workspace, person: PersonId, request: str) -> Handed:
    with opened.store.look() as view:
        people = everybody(view, person)
    done = opened.erase(person, request, HOUSE)
    keys = sum(row.state != "shredded" for row in opened.keys.rows(people))
    with opened.store.look() as view:
        left = certificates.left_of(opened.desk, view, people, keys)
        now = view.now
    if any(left.values()):
        raise Unavailable("the check after the erasure found something left", "repeat it")
    data = certificates.written(done, people[0], left, now)
    data["request"] = request
    made = certificates.hand_out(opened.desk, data, _signed(opened, done.leaf))
    with opened.store.book() as tx:
        tx.put_row(UNDER_WAY, request.encode(), None)
    return made


def _signed(opened: Workspace, leaf: int) -> str:
    """Return a checkpoint over a leaf: the newest if it covers it, else a new one."""
    with opened.store.look() as view:
        note = view.note()
    if note is not None and parse_checkpoint(parse_note(note)[0]).size > leaf:
        return note
    return opened.sign()


def certificate_path(opened: Workspace, request: str) -> str:
    """Return the address at which a deletion's certificate lies once it is done."""
    return f"/my/certificate/{certificates.token_of(opened.desk, request)}"


# What the house does by itself


def tend(opened: Workspace) -> dict[str, int]:
    """Do what is due: deletions whose grace is over, reminders, old rows; counts by kind.

    What does not answer now is tried again at the next round; nothing is raised for it.
    """
    out = {"erased": 0, "reminded": 0}
    with opened.store.look() as view:
        now = view.now
        begun = [(k.decode(), PersonId(raw)) for k, raw in view.rows(UNDER_WAY, b"", b"", 1_000)]
        remind = Instant(now + clocks.settings()["grace"]["remind_days"] * DAY)
        soon = waiting.waiting_deletions(view, remind)
    for request, person in begun:
        with suppress(Conflict, Unavailable, NotFound):
            _finish(opened, person, request)
            out["erased"] += 1
    for at, request, person in soon:
        with suppress(Conflict, Unavailable, InvalidInput, NotFound):
            if at <= now:
                carry_out(opened, person, request)
                out["erased"] += 1
            else:
                out["reminded"] += _remind(opened, person, request)
    with suppress(Conflict, Unavailable):
        out["forgotten"] = intake.forget_old(opened) + certificates.forget_old(opened.desk)
        out["forgotten"] += waiting.forget_closed(opened.desk)
    return out


def overdue(view: View) -> int:
    """Count requests whose day is over, and erasures begun whose certificate is not out."""
    return rights.alarms(view)["red"] + len(view.rows(UNDER_WAY, b"", b"", 1_000))


def _remind(opened: Workspace, person: PersonId, request: str) -> int:
    """Remind once: the note of it follows the letter, so that none is noted and not written."""
    with opened.store.look() as view:
        held = rights.request_of(opened.desk, view, person, request)
    if any(step.act == "noted" and step.text == REMINDED for step in held.steps):
        return 0
    request_letters.write(opened, person, held, "reminder")
    rights.move(opened.desk, person, request, Move("noted", text=REMINDED), HOUSE)
    return 1


# Checking what was done, before a request is called fulfilled


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: what was looked at, and whether it is as asked."""

    facts: Mapping[str, Any]
    passed: bool

    @property
    def paper(self) -> bytes:
        """The canonical bytes whose digest closes the request."""
        return events.canonical(dict(self.facts))


def fulfil(
    opened: Workspace, person: PersonId, request: str, actor: Actor, words: str = ""
) -> Request:
    """Carry a request that is approved through its check to its end.

    Args:
        opened: The workspace.
        person: Whose request.
        request: Its id.
        actor: Who carries it out.
        words: What the person is told; they close nothing but what no program can check.

    Raises:
        InvalidInput: The check does not pass: the request is being done still.
    """
    desk = opened.desk
    with opened.store.look() as view:
        held = rights.request_of(desk, view, person, request)
    if held.right == "deletion" and held.carried_out:
        raise InvalidInput("this deletion takes everything", "carry it out, or take it back")
    for act in ("executing", "verifying"):
        if held.state != act:
            held = rights.move(desk, person, request, Move(act), actor)
    found = check(opened, person, held, words)
    if not found.passed:
        rights.move(desk, person, request, Move("executing", text=words), actor)
        raise InvalidInput("the check does not find what was asked done", "do it, then close it")
    return rights.move(
        desk, person, request, Move("fulfilled", report=found.paper, text=words), actor
    )


def check(opened: Workspace, person: PersonId, held: Request, words: str = "") -> Check:
    """Look whether what was asked is done, as far as the record shows it."""
    with opened.store.look() as view:
        said = [
            r.event.payload
            for each in everybody(view, person)
            for r in opened.desk.scribe.chain(view, each)
            if r.event.at >= held.received
        ]
        record = view.gather([person], None)[0].record
    told = bool(words.strip())
    seen = record.restricted if held.right == "restriction" else _seen(held, said)
    facts = {"request": held.id, "right": held.right, "seen": seen, "told": told}
    by_words = told and held.right in BY_WORDS
    return Check({**facts, "type": "request.check", "v": 1}, seen or by_words)


def _seen(held: Request, said: Sequence[events.Payload]) -> bool:
    """Tell whether events since a request came in are what it asked for."""
    if held.right in {"access", "portability"}:
        return any(isinstance(e, events.DataRead) and "package" in e.fields for e in said)
    if held.right == "correction":
        done = {name for e in said if (name := _corrected(e))}
        return set(held.scope) <= done if held.scope else bool(done)
    if held.right == "objection":
        return any(e.type == "consent.objected" for e in said)
    if held.right == "deletion":  # what only grew too old went by itself
        rules = {BY_REQUEST, held.id}
        return any(
            isinstance(e, events.BehaviourDeleted)
            or (isinstance(e, events.RetentionApplied) and e.rule in rules)
            for e in said
        )
    return False


def _corrected(said: events.Payload) -> str:
    """Return the field an event corrected, "" of any other event."""
    if isinstance(said, events.ValueCorrected):
        return said.field
    if isinstance(said, events.ContactEnded) and said.reason == "changed":
        return said.field
    return ""
