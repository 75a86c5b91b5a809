"""Reviews of standing rights: somebody says of each that it is still needed, or it ends.

A round lists who may see what. Each line is approved, revoked, put off once or handed up by
somebody who is not the holder; a line nobody answered by its due date is revoked by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

import msgspec

from troth import crypto
from troth.capabilities.access import withholding
from troth.capabilities.access.exposure import Held, Use
from troth.capabilities.access.granting import APPROVERS, Bench, hand
from troth.capabilities.access.withheld import KIND, NAME, Right, Withheld
from troth.capabilities.access.withholding import Rows
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.ports import Transaction, View
from troth.terms import DAY, SECOND, Actor, Instant, Role, zulu

ROUNDS: Final = "access.review"
ITEMS: Final = "access.review.item"
"""Round, a slash, digest of account and category → the line as it stands."""
Decision = Literal["pending", "approved", "revoked", "deferred", "escalated", "silent"]
OPEN: Final = frozenset({"pending", "deferred", "escalated"})
WORDS: Final = ("approve", "revoke", "defer", "escalate")
_PAGE = 500
NEVER = Instant(0)


@dataclass(frozen=True, slots=True)
class Round:
    """One review of everybody's standing rights.

    Attributes:
        left: Lines nobody settled yet.
        closed: When the last line was settled; 0 while one is open.
    """

    id: str
    opened: Instant
    due: Instant
    by: str
    lines: int
    left: int
    closed: Instant = NEVER


@dataclass(frozen=True, slots=True)
class Item:
    """One line: an account and a category it may see.

    Attributes:
        uses: For what, as `kind action`.
        mask: How much of it is shown.
        due: Without an answer it ends then.
        by: Who answered last.
        deferred: It was put off once already.
    """

    round: str
    key: str
    account: str
    category: str
    uses: tuple[str, ...]
    mask: str
    due: Instant
    state: Decision = "pending"
    by: str = ""
    deferred: bool = False

    def rights(self) -> list[Right]:
        """Return what ends where it is revoked."""
        pairs = (use.split(" ") for use in self.uses)
        return [Right(self.account, f"{KIND}{k}", action, self.category) for k, action in pairs]


# Reading


def rounds(view: View) -> list[Round]:
    """Return every round, the newest first."""
    found = [msgspec.json.decode(raw, type=Round) for _, raw in view.rows(ROUNDS, b"", b"", _PAGE)]
    return sorted(found, key=lambda r: -r.opened)


def items(view: View, ident: str) -> list[Item]:
    """Return a round's lines, by category and account."""
    out: list[Item] = []
    prefix = after = ident.encode() + b"/"
    while page := view.rows(ITEMS, prefix, after, _PAGE):
        out += [msgspec.json.decode(raw, type=Item) for _, raw in page]
        after = page[-1][0]
    return sorted(out, key=lambda item: (item.category, item.account))


def overdue(view: View) -> int:
    """Count open lines whose time is over, which housekeeping has not ended yet."""
    open_ = (r for r in rounds(view) if not r.closed)
    return sum(i.state in OPEN and i.due <= view.now for r in open_ for i in items(view, r.id))


# A round


def begin(bench: Bench, held: Held, actor: Actor, days: int) -> Round:
    """Open a round over everybody's standing rights.

    Raises:
        Conflict: Their role may not, or a round is open.
        InvalidInput: Nobody may see anything: there is nothing to review.
    """
    if actor.role not in APPROVERS:
        raise Conflict("only the privacy officer or IT may open a review", "ask one of them")
    desk = bench.desk
    ident = f"r-{desk.randomness.take(6).hex()}"
    while True:
        with desk.store.look() as view:
            if any(not each.closed for each in rounds(view)):
                raise Conflict("a review is open already", "finish it first")
            at = Instant(view.now // SECOND * SECOND)
            due = Instant(at + days * DAY)
            lines = list(_lines(ident, held, due))
            if not lines:
                raise InvalidInput("nobody may see anything", "there is nothing to review")
            made = Round(ident, at, due, bench.spelt(actor), len(lines), len(lines))
            told = events.AccessActed(
                "requested", ident, "standing", due=zulu(due), note="review",
                counts={"lines": len(lines), "accounts": len({i.account for i in lines})},
            )  # fmt: skip
            prepared = desk.house_event(view, told, actor)
        with desk.store.book() as tx:
            if tx.append(prepared):
                continue
            tx.put_row(ROUNDS, ident.encode(), msgspec.json.encode(made))
            for item in lines:
                _put(tx, item)
            return made


def _lines(ident: str, held: Held, due: Instant) -> Iterable[Item]:
    for account, rights in held.by_account().items():
        by_category: dict[str, list[tuple[Use, str]]] = {}
        for use, shown in rights.items():
            by_category.setdefault(use.category, []).append((use, shown))
        for category, uses in by_category.items():
            key = crypto.sha256(f"{account} {category}".encode()).hex()[:16]
            told = tuple(sorted(f"{use.kind} {use.action}" for use, _ in uses))
            mask: str = "full" if any(m == "full" for _, m in uses) else uses[0][1]
            yield Item(ident, key, account, category, told, mask, due)


def _put(tx: Transaction, item: Item) -> None:
    tx.put_row(ITEMS, f"{item.round}/{item.key}".encode(), msgspec.json.encode(item))


def find(view: View, ident: str, key: str) -> Item:
    """Return one line.

    Raises:
        NotFound: There is none.
    """
    raw = view.row(ITEMS, f"{ident}/{key}".encode())
    if raw is None:
        raise NotFound("there is no such line", "look at the review again")
    return msgspec.json.decode(raw, type=Item)


def decide(  # noqa: PLR0913 - a line and an answer
    bench: Bench, ident: str, key: str, actor: Actor, word: str, days: int = 0
) -> Item:
    """Answer one line: approve, revoke, defer or escalate.

    Args:
        bench: What steps are judged with.
        ident: The round.
        key: The line.
        actor: Who answers.
        word: The answer.
        days: The longest it may be put off; only to defer.

    Raises:
        Conflict: The line is settled, its time is over, it was put off before, or this person may
            not answer it: their own right, or handed up and they are not the officer.
        InvalidInput: The word is none of the four.
    """
    if word not in WORDS:
        raise InvalidInput("this is no answer", f"say one of {', '.join(WORDS)}")
    if word == "revoke":
        return _revoke(bench, ident, key, actor)
    desk = bench.desk
    while True:
        with desk.store.look() as view:
            before = find(view, ident, key)
            _may(bench, before, actor, view.now)
            after = _answered(before, word, bench.spelt(actor), view.now, days)
            prepared = desk.house_event(view, _told(after), actor)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                _put(tx, after)
                _settle(tx, after)
                return after


def _answered(item: Item, word: str, by: str, at: Instant, days: int) -> Item:
    if word == "approve":
        return replace(item, state="approved", by=by)
    if word == "escalate":
        return replace(item, state="escalated", by=by)
    if item.deferred:
        raise Conflict("it was put off once already", "approve or revoke it")
    due = Instant(max(item.due, at // SECOND * SECOND + days * DAY))
    return replace(item, state="deferred", by=by, deferred=True, due=due)


def _may(bench: Bench, item: Item, actor: Actor, at: Instant) -> None:
    if item.state not in OPEN:
        raise Conflict("this line is settled", "open a new review")
    if at >= item.due:
        raise Conflict("its time is over: the right ends", "ask for a right if it is needed")
    own = bench.spelt(actor)
    if actor.role not in APPROVERS or own not in bench.listed:
        raise Conflict("only the privacy officer or IT may answer", "ask one of them")
    if hand(own) == hand(item.account):
        raise Conflict("it is a right of your own", "ask another colleague")
    if item.state == "escalated" and (
        actor.role is not Role.OFFICER or hand(own) == hand(item.by)
    ):
        raise Conflict("it was handed up to the privacy officer", "they answer it")


def _told(item: Item) -> events.AccessActed:
    act = "reviewed" if item.state == "approved" else item.state
    return events.AccessActed(
        act, item.round, "standing", account=item.account, categories=(item.category,),
        due=zulu(item.due), note=item.state,
    )  # fmt: skip


def _revoke(bench: Bench, ident: str, key: str, actor: Actor) -> Item:
    out: list[Item] = []

    def change(view: View, now: Withheld) -> tuple[Withheld, events.AccessActed, Rows]:
        before = find(view, ident, key)
        _may(bench, before, actor, view.now)
        after = replace(before, state="revoked", by=bench.spelt(actor))
        out[:] = [after]

        def rows(tx: Transaction) -> None:
            _put(tx, after)
            _settle(tx, after)

        return now.more(after.rights()), _told(after), rows

    withholding.publish(bench.desk, actor, change)
    return out[0]


def tend(bench: Bench) -> int:
    """End the rights whose lines nobody answered in time; return how many lines. Repeatable."""
    done = 0
    while True:
        with bench.desk.store.look() as view:
            if not _late(view):
                return done
        done += _silence(bench)


def _silence(bench: Bench) -> int:
    ended: list[Item] = []

    def change(view: View, now: Withheld) -> tuple[Withheld, events.AccessActed, Rows]:
        ended[:] = [replace(item, state="silent") for item in _late(view)]
        gone = [right for item in ended for right in item.rights()]
        counts = {"lines": len(ended), "rights": len(gone)}
        ident = ended[0].round if ended else NAME

        def rows(tx: Transaction) -> None:
            for item in ended:
                _put(tx, item)
                _settle(tx, item)

        said = events.AccessActed("ended", ident, "standing", counts=counts, note="silence")
        return now.more(gone), said, rows

    withholding.publish(bench.desk, SYSTEM, change)
    return len(ended)


def _late(view: View) -> list[Item]:
    """Return lines whose time is over, a batch of them."""
    late = (
        item
        for each in rounds(view)
        if not each.closed
        for item in items(view, each.id)
        if item.state in OPEN and item.due <= view.now
    )
    return list(islice(late, _PAGE))


def _settle(tx: Transaction, item: Item) -> None:
    """Count a line that was settled; the last one closes the round."""
    raw = tx.row(ROUNDS, item.round.encode())
    if raw is None or item.state in OPEN:
        return
    held = msgspec.json.decode(raw, type=Round)
    left = held.left - 1
    done = replace(held, left=left, closed=held.closed if left else tx.now)
    tx.put_row(ROUNDS, item.round.encode(), msgspec.json.encode(done))


def tally(lines: Sequence[Item]) -> dict[str, int]:
    """Count a round's lines by state."""
    out: dict[str, int] = {}
    for item in lines:
        out[item.state] = out.get(item.state, 0) + 1
    return out
