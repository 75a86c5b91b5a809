"""Signing in by a provider's word: the house lists who may come, the provider proves who it is.

The first sign-in binds an account to the provider's own lasting name for somebody. From then on
nobody else is let in under that id, whatever e-mail or user name they carry today.
"""

from troth import crypto
from troth.capabilities.access import accounts, rules
from troth.capabilities.access.model import Method, Office, SignedIn
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.kernel.vault import lp
from troth.terms import Account, Actor, Farewell, Identity, Role

NOBODY = "unknown"
WAY = "oidc"
TAKEN = "signin.taken"
"""The alarm: a listed id came with another subject than the one it belongs to, or the reverse."""


def subject_key(secret: bytes, issuer: str, subject: str) -> bytes:
    """Return the keyed digest a provider's name for somebody is kept under."""
    return crypto.mac(secret, lp(b"subject", issuer.encode(), subject.encode()))


def roles_of(office: Office, identity: Identity) -> list[Role]:
    """Return under which roles somebody is listed; told to nobody but whom a provider proved."""
    return [actor.role for actor in rules.holders(office.listed.items(), identity.name)]


def by_identity(
    office: Office, identity: Identity, role: Role, again: str = ""
) -> SignedIn | None:
    """Sign in whom the provider vouches for; None is all that is said of a failure.

    The account begins here if they are listed and never came before.

    Args:
        office: Where staff sign in.
        identity: Who, after every check of the provider's word held.
        role: Under which of their roles.
        again: "again" where they proved themselves at this very moment.
    """
    actor = Actor(role, identity.name)
    if actor not in accounts.everybody(office):
        refused(office)
        return None
    key, name = accounts.key_of(office, actor), accounts.spelt(office, actor)
    subject = subject_key(office.secret, identity.issuer, identity.subject)
    if not _theirs(office, actor, key, subject):
        office.desk.record_house(events.AlarmRaised(TAKEN, WAY, name), SYSTEM)
        refused(office, name)
        return None
    found = office.store.account(key)
    if found is not None and found.state == "suspended":
        refused(office, name)
        return None
    return _entered(office, actor, key, subject, "oidc_again" if again else "oidc")


def _theirs(office: Office, actor: Actor, key: bytes, subject: bytes) -> bool:
    """Tell whether id and subject belong together, in every role of this id, or are both free."""
    own = [accounts.key_of(office, Actor(role, actor.id)) for role in Role]
    bound = {office.store.bound(each) for each in (key, *own)} - {b""}
    others = [each for each in office.store.accounts_of(subject) if each not in own]
    return bound <= {subject} and not others


def _entered(
    office: Office, actor: Actor, key: bytes, subject: bytes, method: Method
) -> SignedIn | None:
    name, store = accounts.spelt(office, actor), office.store
    if not store.bound(key):
        accounts.note(office, "enrolled", name, actor, WAY)
        if not store.bind(key, subject):
            return None
    store.add_account(Account(key, "invited", office.desk.randomness.take(accounts.HANDLE_BYTES)))
    store.move(key, "invited", "active")
    accounts.note(office, "signed_in", name, actor, WAY)
    if not store.enter(key, office.clock.now()):
        return None
    found = store.account(key)
    return SignedIn(actor, found, method) if found else None


def refused(office: Office, name: str = NOBODY) -> None:
    """Note that somebody was turned away; whose word did not hold is nobody."""
    accounts.note(office, "refused", name, SYSTEM, WAY)


def farewell(office: Office, told: Farewell, key: bytes = b"") -> int:
    """End every session of whom the provider says has signed out; return of how many accounts.

    Args:
        office: Where staff sign in.
        told: The provider's word, after every check held.
        key: The account of the session it names, where this house remembers it.
    """
    keys = {key} - {b""}
    if told.subject:
        subject = subject_key(office.secret, told.issuer, told.subject)
        keys |= set(office.store.accounts_of(subject))
    for each in sorted(keys):
        actor = accounts.holder(office, each)
        name = accounts.spelt(office, actor) if actor else NOBODY
        accounts.note(office, "signed_out", name, SYSTEM, WAY)
        office.store.next_round(each)
    return len(keys)


def unbind(office: Office, who: Actor, by: Actor) -> None:
    """Let an id be claimed anew at the provider; sessions end. For ids no longer listed too."""
    key = accounts.key_of(office, who)
    accounts.note(office, "unbound", accounts.spelt(office, who), by, WAY)
    office.store.unbind(key)
    office.store.next_round(key)
