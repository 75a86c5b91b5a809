"""Signing in: the same answer, after the same work, whether or not the id exists."""

from dataclasses import replace

from troth import crypto
from troth.capabilities.access import accounts, rules
from troth.capabilities.access.model import Method, Office, SignedIn
from troth.errors import InvalidInput
from troth.kernel.desk import SYSTEM
from troth.terms import Account, Actor, Instant, Passkey, Role, Site

NAME_MAX = 200
_NOBODY = "unknown"


def by_code(office: Office, name: str, given: str) -> SignedIn | None:
    """Sign in by id and a one-time or recovery code; None is all that is said of a failure.

    An attempt is counted before it is judged, so that many at once are not judged for free. An id
    that stands under two roles signs in as the one whose code was given.
    """
    name = name.strip()[:NAME_MAX]
    now = office.clock.now()
    who = rules.who_key(office.secret, name)
    count, until = office.store.attempt(who, now, office.limits.waits)
    known = rules.holders(office.listed.items(), name)
    found = _by_code(office, known, given.strip(), now)
    if not count:
        return None
    if found is None:
        _refused(office, known, "totp", until)
        return None
    actor, account, method = found
    if not _spent(office, account, method, given.strip(), now):
        _refused(office, known, method, until)
        return None
    entered = _enter(office, actor, account, method)
    if entered is not None:
        office.store.succeeded(who)
    return entered


def _by_code(
    office: Office, known: list[Actor], given: str, now: Instant
) -> tuple[Actor, Account, Method] | None:
    """Compare with every account of an id, or with an invented one: always one at least."""
    found: tuple[Actor, Account, Method] | None = None
    for actor in known or [Actor(Role.IT, "nobody")]:
        account = office.store.account(accounts.key_of(office, actor))
        method = _fits(office, account, given, now)
        method = method if open_here(office, actor, method) else None
        if account is not None and account.state == "active" and actor in known and method:
            found = (actor, account, method)
    return found


def open_here(office: Office, actor: Actor, method: Method | None) -> bool:
    """Tell whether a way of this house's own is open: with a provider alone, IT's spare codes."""
    return office.ways == "own" or (method == "recovery" and actor.role is Role.IT)


def _fits(office: Office, account: Account | None, given: str, now: Instant) -> Method | None:
    kept = bool(account and account.totp)
    secret = accounts.opened_secret(office, account) if account and kept else b"\0" * 20
    step = rules.matching_step(secret, given, now, office.limits)
    code = _recovery(office, account, given)
    if step and kept:
        return "totp"
    return "recovery" if code else None


def _recovery(office: Office, account: Account | None, given: str) -> bytes:
    """Return the kept hash of a recovery code, b"" if it is none; as long for everybody."""
    raw = rules.read_recovery(given)
    kept = office.store.codes(account.key) if account else []
    blank = (b"\0" * accounts.SALT_BYTES, b"\0" * crypto.KEY_BYTES)
    kept += [blank] * (office.limits.recovery_count - len(kept))
    found = b""
    for salt, hashed in kept:
        if crypto.same(rules.recovery_hash(office.secret, salt, raw), hashed):
            found = hashed
    return found if raw else b""


def _spent(office: Office, account: Account, method: Method, given: str, now: Instant) -> bool:
    """Use the code up; of two attempts with one code, one gets in."""
    if method == "recovery":
        return office.store.spend_code(account.key, _recovery(office, account, given))
    secret = accounts.opened_secret(office, account)
    step = rules.matching_step(secret, given, now, office.limits)
    return office.store.spend_step(account.key, step)


def _enter(office: Office, actor: Actor, account: Account, method: Method) -> SignedIn | None:
    act = "recovered" if method == "recovery" else "signed_in"
    accounts.note(office, act, accounts.spelt(office, actor), actor, method)
    if not office.store.enter(account.key, office.clock.now()):
        return None
    return SignedIn(actor, account, method)


def _refused(office: Office, known: list[Actor], method: str, until: int) -> None:
    name = accounts.spelt(office, known[0]) if known else _NOBODY
    accounts.note(office, "locked" if until else "refused", name, SYSTEM, method)


def by_passkey(office: Office, site: Site, challenge: bytes, answer: str) -> SignedIn | None:
    """Sign in by a passkey; None is all that is said of a failure.

    Guessing is no way into a passkey, so its attempts lock nobody out. A signature count that
    does not rise betrays a copy: that passkey opens nothing any more.
    """
    found = _named(office, answer)
    if found is None:
        accounts.note(office, "refused", _NOBODY, SYSTEM, "passkey")
        return None
    actor, account, passkey = found
    count = _count(office, site, challenge, found, answer)
    if count is None:
        accounts.note(office, "refused", accounts.spelt(office, actor), SYSTEM, "passkey")
        return None
    if (count or passkey.count) and count <= passkey.count:
        accounts.note(office, "locked", accounts.spelt(office, actor), SYSTEM, "passkey")
        office.store.put_passkey(replace(passkey, state="copied"))
        return None
    office.store.put_passkey(replace(passkey, count=count, used=office.clock.now()))
    return _enter(office, actor, account, "passkey")


_Found = tuple[Actor, Account, Passkey]


def _named(office: Office, answer: str) -> _Found | None:
    """Return whose passkey an answer names, before anything of it is believed."""
    try:
        ident, _ = office.passkeys.named(answer)
    except InvalidInput:
        return None
    passkey = office.store.passkey(ident)
    actor = accounts.holder(office, passkey.account) if passkey else None
    account = office.store.account(passkey.account) if passkey else None
    return (actor, account, passkey) if passkey and actor and account else None


def _count(office: Office, site: Site, challenge: bytes, found: _Found, answer: str) -> int | None:
    """Return the signature count of an answer that holds, None where it does not."""
    _, account, passkey = found
    if account.state != "active" or passkey.state != "good" or office.ways != "own":
        return None
    try:
        return office.passkeys.asserted(site, challenge, passkey.public, answer)
    except InvalidInput:
        return None


def turned_away(office: Office) -> None:
    """Note, once for many, that attempts were turned away unjudged: there were too many."""
    accounts.note(office, "refused", _NOBODY, SYSTEM, "rate")


def alive(office: Office, key: bytes, round_: int) -> bool:
    """Tell whether sessions of this account and round still hold."""
    found = office.store.account(key)
    return found is not None and found.state == "active" and found.round == round_


def may_enter(office: Office, actor: Actor) -> bool:
    """Tell whether somebody is listed and not suspended, account or none: doors ask it."""
    if actor not in accounts.everybody(office):
        return False
    found = office.store.account(accounts.key_of(office, actor))
    return found is None or found.state != "suspended"


def signed_out(office: Office, actor: Actor, method: str) -> None:
    """Note that somebody signed out."""
    accounts.note(office, "signed_out", accounts.spelt(office, actor), actor, method)


def through_door(office: Office, actor: Actor) -> None:
    """Note that somebody came in by a door of the demo, without proof."""
    accounts.note(office, "signed_in", accounts.spelt(office, actor), actor, "door")
