"""What is withheld, published: a new version for each act, one click to the version before it."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from troth import crypto
from troth.capabilities.access import withheld as taking
from troth.capabilities.access.exposure import Held, Use
from troth.capabilities.access.granting import APPROVERS, hand
from troth.capabilities.access.tighten import Known
from troth.capabilities.access.withheld import KIND, NAME, Right, Withheld
from troth.errors import Conflict
from troth.kernel import events
from troth.kernel.desk import SYSTEM, Desk, public
from troth.ports import Transaction, View
from troth.terms import SECOND, Actor, Instant, Published

FIRST: Final = "access.first"
"""Role or account, and right → when it was first seen to exist; and when the log began."""
POLICY: Final = "access.policy"
"""`last` → the hand that last published a staff policy, or what is withheld of it."""
TAKER: Final = b"withheld"
"""Key in `POLICY`: the hand that published what is withheld now, the house's own where it did."""
_LOG = b"\xfflog"
_GAP = "\0"
_PAGE = 1_000
Rows = Callable[[Transaction], None]
Change = Callable[[View, Withheld], tuple[Withheld, events.AccessActed, Rows]]


@dataclass(frozen=True, slots=True)
class Done:
    """What was published: version 0 where nothing had to be."""

    version: int
    rights: int


def current(view: View) -> tuple[Withheld, int]:
    """Return what is withheld, and its version; 0 where nothing ever was."""
    found = view.published(NAME)
    return (taking.read(found.data), found.version) if found else (taking.EMPTY, 0)


def before(view: View) -> Withheld:
    """Return the version before the newest."""
    every = versions(view)
    return taking.read(every[-2].data) if len(every) > 1 else taking.EMPTY


def versions(view: View) -> list[Published]:
    """Return every version, oldest first."""
    return [p for p in view.published_all(NAME) if p.name == NAME]


def publish(desk: Desk, actor: Actor, change: Change) -> Done:
    """Publish a changed version with its event in one commit; the house version rises.

    Args:
        desk: The house's desk.
        actor: Who does it, the officer, IT or the house itself.
        change: Given what is withheld now, returns what is to be, the event, and what else is
            written in the same commit. Asked again where others acted meanwhile.

    Raises:
        Conflict: Their role may not.
    """
    if actor.role not in APPROVERS and actor != SYSTEM:
        raise Conflict("only the privacy officer or IT may do this", "ask one of them")
    own = hand(desk.scribe.actor(actor, desk.scribe.house))
    while True:
        with desk.store.look() as view:
            now, version = current(view)
            after, said, rows = change(view, now)
            prepared = desk.house_event(view, said, actor)
        with desk.store.book() as tx:
            if current(tx)[1] != version or tx.append(prepared):
                continue
            raw = taking.written(after)
            digest = crypto.sha256(raw).hex()
            made = tx.publish(NAME, digest, raw)
            told = {"type": "policy.published", "name": made.label, "hash": f"sha256:{digest}"}
            tx.state(public(dict(told), tx.now))
            if actor != SYSTEM:
                tx.put_row(POLICY, b"last", own.encode())
            tx.put_row(POLICY, TAKER, own.encode())
            rows(tx)
            return Done(made.version, len(after) - len(now))


def _nothing(_tx: Transaction) -> None:
    return None


def tighten(
    desk: Desk, actor: Actor, rights: Iterable[Right], counts: dict[str, int], note: str = ""
) -> Done:
    """Take rights away from now on."""
    gone = list(rights)

    def change(_view: View, now: Withheld) -> tuple[Withheld, events.AccessActed, Rows]:
        return now.more(gone), _said("tightened", counts, note), _nothing

    return publish(desk, actor, change)


def pin(desk: Desk, actor: Actor, rights: Iterable[Right], until: Instant) -> Done:
    """Keep rights from being proposed before an instant."""
    kept = list(rights)

    def change(_view: View, now: Withheld) -> tuple[Withheld, events.AccessActed, Rows]:
        said = _said("deferred", {"rights": len(kept)}, "pinned")
        return now.pin(kept, until), said, _nothing

    return publish(desk, actor, change)


def restore(desk: Desk, actor: Actor, version: int, roles: Collection[str] = ()) -> Done:
    """Undo: publish the version before `version`, which must be the newest.

    What is given back counts as new again: it is not proposed at once. `roles` are all those the
    actor is listed under, not the one alone in which they act.

    Raises:
        Conflict: Something else was changed since; or whoever undoes it would give back to
            themselves what somebody else took.
    """
    own = desk.scribe.actor(actor, desk.scribe.house)

    def change(view: View, now: Withheld) -> tuple[Withheld, events.AccessActed, Rows]:
        if not version or current(view)[1] != version:
            raise Conflict("something was changed since", "look at the page again")
        then = before(view)
        back = sorted(set(now.rights()) - set(then.rights()))
        _not_own(view, own, {own.partition("/")[0], *roles}, back)
        at = view.now

        def rows(tx: Transaction) -> None:
            for right in back:
                use = Use(right.purpose.removeprefix(KIND), right.action, right.category)
                tx.put_row(FIRST, _key(right.whom, use), at.to_bytes(8, "big"))

        return then, _said("restored", {"rights": len(back)}, f"{NAME}@{version}"), rows

    return publish(desk, actor, change)


def _not_own(view: View, own: str, roles: Collection[str], back: Iterable[Right]) -> None:
    took = (view.row(POLICY, TAKER) or b"").decode()
    if took != hand(own) and any(
        r.whom in roles or ("/" in r.whom and hand(r.whom) == hand(own)) for r in back
    ):
        raise Conflict("it would give back a right of your own", "ask a colleague")


def _said(act: str, counts: dict[str, int], note: str) -> events.AccessActed:
    return events.AccessActed(act, NAME, "standing", counts=counts, note=note or None)


# Since when things are known


def _key(whom: str, use: Use | None) -> bytes:
    parts = (whom, use.kind, use.action, use.category) if use else (whom,)
    return _GAP.join(parts).encode()


def known(view: View) -> tuple[Known, Instant]:
    """Return since when accounts and rights are known, and the log is kept; 0 never."""
    accounts: dict[str, Instant] = {}
    rights: dict[tuple[str, Use], Instant] = {}
    log, after = Instant(0), b""
    while page := view.rows(FIRST, b"", after, _PAGE):
        for key, raw in page:
            at = Instant(int.from_bytes(raw, "big"))
            if key == _LOG:
                log = at
                continue
            whom, *use = key.decode().split(_GAP)
            if use:
                rights[whom, Use(*use)] = at
            else:
                accounts[whom] = at
        after = page[-1][0]
    return Known(accounts, rights), log


def note_first(desk: Desk, held: Held) -> int:
    """Note what is seen for the first time, and from when on the log is kept; return how much.

    What an account or a role no longer has is forgotten: where it comes back, it is new.
    """
    with desk.store.look() as view:
        there, log = known(view)
        at = Instant(view.now // SECOND * SECOND).to_bytes(8, "big")
    wanted = {_key(account, None) for account in held.by_account()}
    for group, rights in zip(held.groups, held.rights, strict=True):
        roles = {account.partition("/")[0] for account in group}
        wanted |= {_key(role, use) for role in roles for use in rights}
    kept = {_key(a, None) for a in there.accounts}
    by_role = {_key(w, u) for w, u in there.rights if "/" not in w}
    new, gone = sorted(wanted - kept - by_role), sorted((kept | by_role) - wanted)
    if not new and not gone and log:
        return 0
    for start in range(0, max(len(new), len(gone), 1), _PAGE):
        with desk.store.book() as tx:
            if not tx.row(FIRST, _LOG):
                tx.put_row(FIRST, _LOG, at)
            for key in new[start : start + _PAGE]:
                tx.put_row(FIRST, key, at)
            for key in gone[start : start + _PAGE]:
                tx.put_row(FIRST, key, None)
    return len(new)
