"""Canary people: planted by the officer, found by nobody who has a reason to look.

They are invented, look like others, agreed to nothing and bought nothing. Planting is recorded as
a number in the house chain. Whoever asks for one by any door gets the answer they would get about
anybody, and the alarm is in the record before it.
"""

from dataclasses import dataclass
from typing import Final

from troth.capabilities.access.exports import members_root
from troth.capabilities.access.shipped import shipped
from troth.engines import contact as addresses
from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.canaries import TABLE, ids, is_one, without
from troth.kernel.desk import EXTERNAL, SYSTEM, Desk, put_pointer
from troth.ports import View
from troth.terms import NO_HEAD, Actor, Channel, Instant, PersonId, Role

__all__ = ["ALARM", "MAY_PLANT", "ids", "is_one", "plant", "raised", "sound", "without"]
ALARM: Final = "canary.read"
RAISED: Final = "access.canary.raised"
"""When, and a number of the house chain → the account that asked for a canary."""
MAY_PLANT: Final = frozenset({Role.OFFICER, Role.SYSTEM})
MOST: Final = 100


def sound(desk: Desk, person: PersonId, actor: Actor) -> bool:
    """Raise the alarm if somebody asks for a canary; whoever asks is told nothing.

    One look-up for everybody else. Called at the door, before an answer exists.
    """
    with desk.store.look() as view:
        if not is_one(view, person):
            return False
    account = desk.account(actor)
    said = events.AlarmRaised(ALARM, account=account)
    while True:
        with desk.store.look() as view:
            prepared = desk.house_event(view, said, SYSTEM)
            key = view.now.to_bytes(8, "big") + prepared[0].n.to_bytes(8, "big")
        with desk.store.book() as tx:
            if not tx.append(prepared):
                tx.put_row(RAISED, key, account.encode())
                return True


def raised(view: View, since: Instant) -> list[tuple[Instant, str]]:
    """Return when somebody asked for a canary, and which account; oldest first."""
    after = since.to_bytes(8, "big")
    found = view.rows(RAISED, b"", after, 1_000)
    return [(Instant(int.from_bytes(key[:8], "big")), raw.decode()) for key, raw in found]


@dataclass(frozen=True, slots=True)
class _Invented:
    person: PersonId
    outside: str
    values: dict[str, str]


def plant(desk: Desk, count: int, actor: Actor) -> int:
    """Plant so many canaries; return how many there are now. Nobody is told which they are.

    Raises:
        InvalidInput: This role may not, or the number is none.
    """
    if actor.role not in MAY_PLANT:
        raise InvalidInput("this role plants no canaries", "ask the privacy officer")
    if not 1 <= count <= MOST:
        raise InvalidInput(f"plant between 1 and {MOST}", "a handful is enough")
    with desk.store.look() as view:
        made = [_invent(desk, view) for _ in range(count)]
        size = view.log.size
    root = members_root(desk, [each.person for each in made])
    told = events.SetProcessed("canaries", "canaries", size, {"people": count}, root)
    desk.record_house(told, actor)
    for each in made:
        _book(desk, each)
    with desk.store.look() as view:
        return len(ids(view))


def _invent(desk: Desk, view: View) -> _Invented:
    told, draw = shipped()["canaries"], desk.randomness.take(8)
    given, family = (told[k][draw[i] % len(told[k])] for i, k in enumerate(("given", "family")))
    domain = told["domains"][draw[2] % len(told["domains"])]
    number = f"{int.from_bytes(draw[3:6], 'big') % 900_000 + 100_000}"
    if view.row(EXTERNAL, desk.person_key(number)) is not None:
        return _invent(desk, view)
    email = f"{given}.{family}{draw[6] % 90 + 10}@{domain}".lower()
    values = {
        "name.given": given, "name.family": family, "contact.email": email,
        "external.id": number,
    }  # fmt: skip
    return _Invented(desk.new_person(), number, values)


def _book(desk: Desk, new: _Invented) -> None:
    """Book one as an import books anybody, and what it is in the same commit."""
    desk.vault.keys.make([(new.person, "", 1)])
    source, field = shipped()["canaries"]["source"], "contact.email"
    said: list[events.Payload] = [
        events.PersonCreated("natural", source),
        events.FactsRecorded(source=source, residence="ZA", zone="Africa/Johannesburg",
                             age="adult", language="en"),
        events.ContactAdded(Channel.EMAIL, field, 0, 1, addresses.NORMALISER, source),
        events.ValuesSealed(dict.fromkeys(sorted(new.values), 1), source),
    ]  # fmt: skip
    with desk.store.look() as view:
        prepared = desk.scribe.prepare(new.person, NO_HEAD, said, SYSTEM, view.now)
        sealed = desk.vault.seal_values(new.person, new.values, {}, view.now)
        planted = view.now.to_bytes(8, "big")
    with desk.store.book() as tx:
        tx.put_row(TABLE, new.person, planted)
        tx.append(prepared)
        tx.put_sealed(new.person, sealed)
        point = desk.contact(Channel.EMAIL, new.values[field], addresses.NORMALISER)
        tx.put_contact(new.person, point)
        key = desk.person_key(new.outside)
        put_pointer(tx, new.person, EXTERNAL, key, new.person)
