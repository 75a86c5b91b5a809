"""API keys: who a program is, whatever it says; and which actors the staff policy knows."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from troth import crypto
from troth.capabilities.access import accounts, rules
from troth.capabilities.access.model import Office
from troth.errors import Conflict, InvalidInput, NotFound
from troth.ports import Clock, SigninStore
from troth.terms import DAY, Action, Actor, ApiKey, Instant, Role

PREFIX = "key:"
MARK = "troth_"
SECRET_BYTES = 24
USUAL = frozenset({Action.SEND, Action.PERSONALISE})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def actor_of(key: ApiKey) -> Actor:
    """Return as whom a key asks."""
    return Actor(key.role, PREFIX + key.name)


def make_key(  # noqa: PLR0913 - what a key is, word by word
    office: Office, name: str, role: Role, actions: frozenset[Action], days: int, by: Actor
) -> str:
    """Make an API key and return it; it is shown this once and kept as a digest.

    Raises:
        InvalidInput: Name, role, actions or days are not ones a key may have.
        Conflict: A key of this name is in use.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("this is no name of a key", "use small letters, digits and -")
    if role in (Role.SYSTEM, Role.PERSON):
        raise InvalidInput("a key has no such role", "name a role of the staff")
    if not 0 < days <= office.limits.key_most_days:
        raise InvalidInput(f"a key lasts 1 to {office.limits.key_most_days} days")
    if not actions:
        raise InvalidInput("a key needs an action", "name at least one")
    token = MARK + office.desk.randomness.take(SECRET_BYTES).hex()
    now = office.clock.now()
    made = ApiKey(
        crypto.sha256(token.encode()), name, role, actions, now, Instant(now + days * DAY)
    )
    if any(key.name == name and not key.ended for key in office.store.api_keys()):
        raise Conflict("a key of this name is there already", "end it first, or choose a name")
    accounts.note(office, "key_made", accounts.spelt(office, actor_of(made)), by)
    office.store.put_api_key(made)
    return token


def end_key(office: Office, name: str, by: Actor) -> None:
    """End a key; from now on it opens nothing.

    Raises:
        NotFound: No key of this name is in use.
    """
    now = office.clock.now()
    found = next((k for k in office.store.api_keys() if k.name == name and not k.ended), None)
    if found is None:
        raise NotFound("no key of this name is in use", "see: troth key list")
    accounts.note(office, "key_ended", accounts.spelt(office, actor_of(found)), by)
    office.store.put_api_key(replace(found, ended=now))


def held_key(office: Office, token: str) -> ApiKey | None:
    """Return the key that was sent, None if it is none or is over."""
    found = office.store.api_key(crypto.sha256(token.encode("utf-8", "surrogateescape")))
    return found if found and _live(found, office.clock.now()) else None


def _live(key: ApiKey, now: Instant) -> bool:
    return not key.ended and now < key.until


def knows(
    listed: Mapping[str, list[str]], store: SigninStore, secret: bytes, clock: Clock
) -> Callable[[Actor], bool]:
    """Return what the staff policy asks of an actor: listed and not suspended, or a live key."""

    def known(actor: Actor) -> bool:
        if actor.id.startswith(PREFIX):
            now = clock.now()
            return any(actor_of(key) == actor and _live(key, now) for key in store.api_keys())
        if actor.id not in listed.get(actor.role, ()):
            return False
        account = store.account(rules.account_key(secret, actor.role, actor.id))
        return account is None or account.state != "suspended"

    return known
