"""Staff as the house's directory tells of them: it ends accounts, it never invents one.

The directory speaks for ids listed in `troth.toml` and no others. It may take back its own
suspension, never a colleague's.
"""

from dataclasses import dataclass
from typing import Final

from troth import crypto
from troth.capabilities.access import accounts, leavers, rules
from troth.capabilities.access.leavers import Ends
from troth.capabilities.access.model import Office
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel.vault import lp
from troth.terms import DAY, Actor, Instant, Role

DIRECTORY: Final = Actor(Role.SYSTEM, "directory")
MARK: Final = "troth_scim_"
SECRET_BYTES: Final = 24
ID_BYTES: Final = 16


class NotTheirs(Conflict):
    """A colleague suspended this account; only a colleague restores it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody the directory told of.

    Attributes:
        id: What the directory knows them by; says nothing by itself.
        active: Whether any account of theirs may sign in.
    """

    id: str
    name: str
    active: bool
    made: Instant


def make_feed_key(office: Office, days: int, by: Actor) -> str:
    """Make the one key the directory's feed is believed by; shown this once. An older one ends.

    Raises:
        InvalidInput: It would last too long.
    """
    if not 0 < days <= office.limits.key_most_days:
        raise InvalidInput(f"a key lasts 1 to {office.limits.key_most_days} days")
    token = MARK + office.desk.randomness.take(SECRET_BYTES).hex()
    accounts.note(office, "key_made", accounts.spelt(office, DIRECTORY), by)
    now = office.clock.now()
    office.store.put_feed_key(crypto.sha256(token.encode()), now, Instant(now + days * DAY))
    return token


def is_feed_key(office: Office, token: str) -> bool:
    """Tell whether this is the feed's key, and lasts."""
    held = office.store.feed_key(office.clock.now())
    return bool(held) and crypto.same(held, crypto.sha256(token.encode("utf-8", "replace")))


def _who(office: Office, name: str) -> bytes:
    return crypto.mac(office.secret, lp(b"directory", name.encode("utf-8", "replace")))[:ID_BYTES]


def _roles(office: Office, name: str) -> list[Actor]:
    return rules.holders(office.listed.items(), name)


def told_of(office: Office) -> list[Listed]:
    """Return whom the directory told of and who is listed still, in the order it did."""
    names = {_who(office, actor.id): actor.id for actor in accounts.everybody(office)}
    held = office.store.provided().items()
    return [_listed(office, names[who], at) for who, (at, _) in held if at and who in names]


def _listed(office: Office, name: str, made: Instant) -> Listed:
    active = not all(leavers.is_suspended(office, actor) for actor in _roles(office, name))
    return Listed(_who(office, name).hex(), name, active, made)


def told(office: Office, ident: str) -> Listed:
    """Return one of them.

    Raises:
        NotFound: The directory never told of them, or dropped them.
    """
    for each in told_of(office):
        if each.id == ident:
            return each
    raise NotFound("there is no such user")


def tell(office: Office, name: str, wish: str, ends: Ends) -> Listed | None:
    """Take the directory's word that somebody is staff; None where the house does not list them.

    Args:
        office: Where staff sign in.
        name: The id, as `troth.toml` has it.
        wish: active or suspended.
        ends: What else ends with an account.

    Raises:
        Conflict: The directory told of them already.
        NotTheirs: A colleague suspended them; nothing is kept.
    """
    if not _roles(office, name):
        return None
    who = _who(office, name)
    at, mark = office.store.provided().get(who, (Instant(0), 0))
    if at:
        raise Conflict("this user is there already")
    now = office.clock.now()
    office.store.put_provided(who, now, mark)
    try:
        return turn(office, _listed(office, name, now), wish, ends)
    except NotTheirs:
        office.store.put_provided(who, Instant(0), mark)
        raise


def turn(office: Office, user: Listed, wish: str, ends: Ends) -> Listed:
    """Suspend somebody's accounts, or take the directory's own suspension back.

    Raises:
        NotTheirs: A colleague suspended them: a colleague restores them.
    """
    if wish == "suspended":
        _suspend(office, user, ends, user.made)
    elif not user.active:
        _restore(office, user)
    return _listed(office, user.name, user.made)


def drop(office: Office, user: Listed, ends: Ends) -> None:
    """Suspend somebody's accounts and forget that the directory told of them."""
    _suspend(office, user, ends, Instant(0))


def _suspend(office: Office, user: Listed, ends: Ends, made: Instant) -> None:
    who = _who(office, user.name)
    _, mark = office.store.provided().get(who, (made, 0))
    left = [a for a in _roles(office, user.name) if not leavers.is_suspended(office, a)]
    for actor in left:
        leavers.leave(office, actor, DIRECTORY, ends)
    office.store.put_provided(who, made, _rounds(office, user.name) + 1 if left else mark)


def _restore(office: Office, user: Listed) -> None:
    who = _who(office, user.name)
    shut = [a for a in _roles(office, user.name) if leavers.is_suspended(office, a)]
    _, mark = office.store.provided().get(who, (user.made, 0))
    if shut and mark != _rounds(office, user.name) + 1:
        raise NotTheirs("a colleague suspended this account", "restore it on the page Staff")
    for actor in shut:
        accounts.restore(office, actor, DIRECTORY)
    office.store.put_provided(who, user.made, 0)


def _rounds(office: Office, name: str) -> int:
    """Add up the rounds of somebody's accounts: any act on one of them since moves the sum."""
    found = (office.store.account(accounts.key_of(office, a)) for a in _roles(office, name))
    return sum(account.round for account in found if account is not None)
