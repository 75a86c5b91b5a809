"""Correct one's own data: what is held with its source, the change in every copy, who is told.

A new address is put in the place of the old one only once it is proven: whoever asks shows the
code that went to it. What is to be proved waits in the visit alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from troth import crypto
from troth.app import owndata
from troth.app.owndata import Eyes
from troth.app.workspace import Workspace
from troth.capabilities import connections, people, rights
from troth.capabilities.rights import correcting
from troth.capabilities.rights.correcting import Corrected, How, Question
from troth.engines import contact as addresses
from troth.errors import Conflict, InvalidInput, Unavailable
from troth.kernel import events
from troth.kernel.desk import everybody
from troth.ports import View
from troth.terms import SECOND, Channel, Instant, PersonRecord, address_field, address_of

SOURCE: Final = "portal"
FIELDS: Final = ("name.given", "name.family", "birth.year", "interests")
"""Sealed values a person corrects at once; addresses and facts come beside them."""
ADDRESSES: Final = ("contact.email", "contact.sms", "contact.post")
PROVEN: Final = frozenset({"contact.email", "contact.sms"})
PROOF_LIFE: Final = 30 * 60 * SECOND
PROOF_TRIES: Final = 5
_DIGITS: Final = 6
PLAINLY: Final = How()


@dataclass(frozen=True, slots=True)
class HeldValue:
    """One value as the person sees it.

    Attributes:
        how: at_once, or proven: a code goes to the new one first.
        differs: Two records of the person hold different ones.
        statement: What the person says of it, where a correction was refused.
    """

    field: str
    value: str
    source: str
    since: Instant
    how: Literal["at_once", "proven"]
    differs: bool = False
    statement: str = ""


def held(opened: Workspace, eyes: Eyes, record: PersonRecord) -> list[HeldValue]:
    """Return what can be corrected, with where each came from; what is not told has value "".

    Raises:
        NotFound: The gate refuses: not their own, no mandate any more, or leaving.
        Shredded: The person was erased.
    """
    names = (*FIELDS, *ADDRESSES)
    copies = owndata.copies(opened, eyes, names)
    with opened.store.look() as view:
        desk = opened.desk
        told = [
            r.event for who in everybody(view, eyes.person) for r in desk.scribe.chain(view, who)
        ]
    origins, said = _origins(told), correcting.statements(told)
    out = []
    for name in names:
        found = [text for each in copies.values() if (text := each.get(name, ""))]
        out.append(_held(name, found, origins, said))
    for name, fact in correcting.FACTS.items():
        value = str(getattr(record, fact))
        out.append(_held(name, [value] if value else [], origins, said))
    return out


def _held(
    name: str,
    found: list[str],
    origins: Mapping[str, tuple[str, Instant]],
    said: Mapping[str, str],
) -> HeldValue:
    source, since = origins.get(name, ("", Instant(0)))
    return HeldValue(
        field=name,
        value=found[0] if found else "",
        source=source if found else "",
        since=since,
        how="proven" if name in PROVEN else "at_once",
        differs=len(set(found)) > 1,
        statement=said.get(name, ""),
    )


def _origins(told: list[events.Event]) -> dict[str, tuple[str, Instant]]:
    """Return by field where the newest word on it came from, and when."""
    out: dict[str, tuple[str, Instant]] = {}
    for event in sorted(told, key=lambda each: each.at):
        said = event.payload
        if isinstance(said, events.ValuesSealed):
            out |= dict.fromkeys(said.rows, (said.source, event.at))
        elif isinstance(said, events.ValueCorrected):
            out[said.field] = (said.source, event.at)
        elif isinstance(said, events.FactsRecorded):
            facts = {n: getattr(said, fact) for n, fact in correcting.FACTS.items()}
            out |= {n: (said.source, event.at) for n, value in facts.items() if value}
    return out


def correct(
    opened: Workspace, eyes: Eyes, name: str, text: str, how: How = PLAINLY
) -> Corrected | Question:
    """Change a value of one's own at once, in every copy; systems that asked to be told are.

    Raises:
        InvalidInput: No such field, or no value of it.
        Conflict: It is what is held already.
        NotFound: They may not, or nothing is held.
        Shredded: The person was erased.
    """
    _require_mandate(opened, eyes)
    if name == "contact.post":
        return _moved(opened, eyes, Channel.POST, text, how.given_by)
    born = ""
    if name == "fact.residence":
        born = owndata.values(opened, eyes, ("birth.year",)).get("birth.year", "")
    how = replace(how, told=_listeners(opened), born=born)
    return rights.correct(opened.desk, eyes.person, name, text, SOURCE, eyes.actor, how)


def ask_the_desk(opened: Workspace, eyes: Eyes, name: str, text: str, given_by: str) -> str:
    """Open a request for a correction the person cannot make at once; return its id."""
    _require_mandate(opened, eyes)
    asked = rights.Asked("correction", SOURCE, (name,), text, given_by=given_by)
    return rights.open_request(opened.desk, eyes.person, asked, eyes.actor).id


def _require_mandate(opened: Workspace, eyes: Eyes) -> None:
    """Look once more whether they may: an act asks for more than a page that was open.

    Raises:
        NotFound: They may not.
    """
    owndata.note(opened, eyes, "correct")


def _listeners(opened: Workspace) -> int:
    """Count the systems that are told of a correction."""
    with opened.store.look() as view:
        live = [hook for hook in connections.hooks(view) if not hook.ended]
    return sum(events.ValueCorrected.TYPE in hook.events for hook in live)


# A new address


Prove = Callable[[Workspace, Eyes, Channel, str, str], None]
"""Sends a code to a new address; raises `Unavailable` where it cannot."""


def nobody_proves(
    _opened: Workspace, _eyes: Eyes, _channel: Channel, _address: str, _code: str
) -> None:
    """Stand in where no code can be sent: the desk has to ask at the new address itself."""
    raise Unavailable("no code can be sent there", "ask for the correction", 60)


@dataclass(slots=True)
class Pending:
    """A new address that waits for its proof; kept in the visit alone, never in the record.

    Attributes:
        code: Digest of the code that was sent.
    """

    channel: Channel
    address: str = field(repr=False)
    code: bytes = field(repr=False)
    until: Instant
    left: int = PROOF_TRIES


def begin_move(
    opened: Workspace, eyes: Eyes, channel: Channel, text: str, prove: Prove
) -> Pending:
    """Send a code to a new address; nothing changes before it comes back.

    Raises:
        InvalidInput: No address of that channel.
        Conflict: It is the address they have already.
        Unavailable: No code can be sent by this way.
    """
    _require_mandate(opened, eyes)
    channel = address_of(channel)
    with opened.store.look() as view:
        region, now = opened.desk.house(view).seat, view.now
        address = addresses.normalise(channel, text, region)
        _refuse_same(opened, view, eyes, channel, address)
    drawn = int.from_bytes(opened.desk.randomness.take(8), "big") % 10**_DIGITS
    code = f"{drawn:0{_DIGITS}}"
    prove(opened, eyes, channel, address, code)
    return Pending(channel, address, _digest(opened, code), Instant(now + PROOF_LIFE))


def _refuse_same(
    opened: Workspace, view: View, eyes: Eyes, channel: Channel, address: str
) -> None:
    point = opened.desk.contact(channel, address, addresses.NORMALISER)
    found = view.gather([eyes.person], channel)
    if found and found[0].contact is not None and found[0].contact.sup == point.sup:
        raise Conflict("this is the address we hold already")


def _digest(opened: Workspace, code: str) -> bytes:
    return crypto.mac(opened.desk.vault.keys.secret("token"), b"address" + code.encode())


def finish_move(
    opened: Workspace, eyes: Eyes, pending: Pending, code: str, given_by: str = "self"
) -> Corrected:
    """Put the proven address in the place of the old one.

    Raises:
        InvalidInput: Another code; how many tries are left is counted down in `pending`.
        Unavailable: It has run out, or was tried too often: begin again.
    """
    with opened.store.look() as view:
        now = view.now
    if now >= pending.until or not pending.left:
        raise Unavailable("this code has run out", "ask for a new one", 1)
    pending.left -= 1
    if not crypto.same(_digest(opened, code.strip().replace(" ", "")), pending.code):
        raise InvalidInput("this is another code", "look at the newest message")
    pending.left = 0
    _require_mandate(opened, eyes)
    return _moved(opened, eyes, pending.channel, pending.address, given_by)


def _moved(opened: Workspace, eyes: Eyes, channel: Channel, text: str, given_by: str) -> Corrected:
    """Move an address: a no goes along, the old one keeps its own; then note the correction."""
    desk, name = opened.desk, address_field(channel)
    with desk.store.look() as view:
        rows = [r for r in view.sealed([eyes.person], [name]).get(eyes.person, ()) if not r.row]
        before = {r.field: desk.vault.value_mac(eyes.person, r, view.now).hex() for r in rows}
        ids = everybody(view, eyes.person)
        points = {g.person: g.contact.sup for g in view.gather(ids, channel) if g.contact}
    old = next((points[each] for each in ids if each in points), b"")
    people.change_address(desk, eyes.person, channel, text, SOURCE, eyes.actor)
    for each in ids:  # a merged record with the same address would go on leading here by it
        if each != eyes.person and points.get(each) == old:
            people.change_address(desk, each, channel, text, SOURCE, eyes.actor)
    with desk.store.look() as view:
        rows = [r for r in view.sealed([eyes.person], [name]).get(eyes.person, ()) if not r.row]
    said = events.ValueCorrected(
        name, rows[0].version, SOURCE, before.get(name), _listeners(opened), given_by
    )
    prepared = desk.record(eyes.person, [said], eyes.actor)
    return Corrected(name, prepared[0].n, 1)


def statement(
    opened: Workspace, eyes: Eyes, name: str, text: str, request: str
) -> Mapping[str, str]:
    """Attach what the person says of a value that was not corrected; return all they say.

    Raises:
        NotFound: There is no such request, or they may not.
        InvalidInput: It was not refused, or the text is empty or too long.
    """
    _require_mandate(opened, eyes)
    with opened.store.look() as view:
        found = rights.request_of(opened.desk, view, eyes.person, request)
    if found.right != "correction" or found.state != "denied":
        raise InvalidInput("this correction was not refused", "ask for it again")
    rights.attach_statement(opened.desk, eyes.person, name, text, request, eyes.actor)
    with opened.store.look() as view:
        chain = opened.desk.scribe.chain(view, eyes.person)
    return correcting.statements(r.event for r in chain)
