"""From a permit and what it opens to a signed message; nothing else is read."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from troth import crypto
from troth.capabilities.outreach import clicks, footer, measuring
from troth.capabilities.outreach.model import (
    FAVOURITES,
    WEEKS,
    Campaign,
    Judged,
    Rendered,
    Shelf,
    Value,
)
from troth.engines import contact, mail, ranking
from troth.errors import Fault, InvalidInput
from troth.kernel import exclusions, gate
from troth.kernel.desk import Desk
from troth.kernel.vault import Chunk, Shredded
from troth.ports import View
from troth.terms import (
    DAY,
    SECOND,
    Instant,
    Refusal,
    Sealed,
    address_field,
    moment,
)


def open_values(desk: Desk, view: View, judged: Judged, rows: Sequence[Sealed]) -> dict[str, str]:
    """Open name and interests as far as the permit goes."""
    permit = judged.answer
    if isinstance(permit, Refusal):
        raise InvalidInput("nothing is opened on a refusal")
    categories, channel = permit.categories, permit.request.channel
    address = address_field(channel) if channel is not None else ""
    wanted = [
        r
        for r in rows
        if r.field == address
        or (
            "/" not in r.field
            and ":" not in r.field
            and desk.vault.category(r.field) in categories
        )
    ]
    return desk.vault.open(permit, wanted, view.now)


_LINKLIKE = re.compile(r"[/@:<>\\]|\w\.\w")
"""What a mail program might turn into a link or an address: never set from what people typed."""


def compose(  # noqa: PLR0913 - a permit and what it opens
    desk: Desk,
    view: View,
    permit: gate.Permit,
    opened: Mapping[str, str],
    rows: Sequence[Sealed],
    shelf: Shelf,
) -> dict[str, Value]:
    """Make the personal values of a message from what the permit opens; nothing else is read."""
    values: dict[str, Value] = {}
    name = opened.get("name.given", "")
    if name and not _LINKLIKE.search(name):
        values["first_name"] = name[:40]
    told = [
        each[:40]
        for each in opened.get("interests", "").split(";")[:3]
        if each and not _LINKLIKE.search(each)
    ]
    if told:
        values["interest_line"] = (
            f"You told us you like {footer.listed(told)}; we keep an eye out for you."
        )
    reached = [category for category in WEEKS if category in permit.categories]
    if not reached:
        return values
    excluded = exclusions.excluded(desk.vault, view, [permit])[permit.person]
    if excluded is None:
        return values
    if excluded:
        shelf = replace(shelf, alike=_narrowed(shelf, excluded))
    for category, lines in _history(desk, view, permit, rows, (reached, excluded)).items():
        values |= _FROM_HISTORY[category](view, lines, shelf)
    return values


def _narrowed(shelf: Shelf, excluded: frozenset[str]) -> ranking.Alike:
    """Leave out of what alike people buy every item that is of an excluded group, or may be."""
    shown = {item for item, group in shelf.groups.items() if group not in excluded}
    beside = {
        item: [other for other in others if other in shown]
        for item, others in shelf.alike.beside.items()
    }
    return ranking.Alike(shelf.alike.people, beside)


def _lines(
    chunks: Iterable[Chunk], excluded: frozenset[str] = frozenset()
) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        bought = {i for i, kind in enumerate(chunk.kinds) if kind == "purchase"}
        items = map(chunk.items.__getitem__, chunk.item)
        lines = zip(chunk.at, items, chunk.units, strict=True)
        if excluded.intersection(chunk.groups):
            left = [chunk.groups[group] not in excluded for group in chunk.item_group]
            yield from [
                line
                for line, kind, item in zip(lines, chunk.kind, chunk.item, strict=True)
                if kind in bought and left[item]
            ]
        elif len(bought) == len(chunk.kinds):
            yield from lines
        else:
            yield from [
                line for line, kind in zip(lines, chunk.kind, strict=True) if kind in bought
            ]


def _history(
    desk: Desk,
    view: View,
    permit: gate.Permit,
    rows: Sequence[Sealed],
    within: tuple[Sequence[str], frozenset[str]],
) -> dict[str, list[tuple[int, str, int]]]:
    """Open what a person bought, each chunk once, cut to what each permitted category reaches.

    `within` are these categories, and the groups the person excluded.
    """
    reached, excluded = within
    behaviour = [r for r in rows if r.field.startswith("purchases/")]
    near = _since(behaviour, view.now, max(WEEKS[c] for c in reached))
    windows = desk.vault.open_windows(permit, near, reached, view.now)
    lines = {category: list(_lines(chunks, excluded)) for category, chunks in windows.items()}
    if "cohort.compare" in permit.categories and "purchases.52w" in lines:
        lines["cohort.compare"] = lines["purchases.52w"]
    return lines


Lines = Sequence[tuple[int, str, int]]


def _recent(view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    found = ranking.favourites(lines, shelf.names, FAVOURITES)
    since = _month(view.now - WEEKS["purchases.13w"] * 7 * DAY)
    items = [
        {"title": shelf.names[f.item][:60], "note": f"{_times(f.times)} since {since}"}
        for f in found
    ]
    return {"favourites": items} if items else {}


def _year(_view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    found = ranking.favourites(lines, shelf.names, 1)
    if not found:
        return {}
    visits = len({at // DAY for at, _, _ in lines})
    best = shelf.names[found[0].item]
    days = "one day" if visits == 1 else f"{visits} days"
    return {
        "year_line": f"You came by on {days} this year. What you took home most often: {best}."
    }


def _alike(_view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    if not shelf.alike.beside:
        return {}
    held = [f.item for f in ranking.favourites(lines, shelf.names, ranking.BASKET_ITEMS)]
    names = [shelf.names[i] for i in ranking.rank(shelf.alike, held, 2)]
    return {"alike_line": f"They also take home {footer.listed(names)}."} if names else {}


_FROM_HISTORY: dict[str, Callable[..., dict[str, Value]]] = {
    "purchases.13w": _recent,
    "purchases.52w": _year,
    "cohort.compare": _alike,
}


def _since(rows: Sequence[Sealed], now: Instant, weeks: int) -> list[Sealed]:
    first = moment(Instant(now - weeks * 7 * DAY)).date()
    oldest = f"purchases/{first.year}Q{(first.month + 2) // 3}"
    return [r for r in rows if r.field >= oldest]


def _times(count: int) -> str:
    return {1: "Bought once", 2: "Bought twice"}.get(count, f"Bought {count} times")


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _month(at: int) -> str:
    return _MONTHS[moment(Instant(at)).month - 1]


NO_PIXEL = "no_open_pixel"
FRESH_BYTES = 27
"""What a message takes of randomness: 12 bytes for its ref, 15 for its stop token."""


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = tuple(one + other for one in _LETTERS for other in _LETTERS)


def _base32(raw: bytes) -> str:
    """Write 15 bytes in base32, ten bits at a time: a tenth of what the library's way costs."""
    whole, pairs = int.from_bytes(raw, "big"), _PAIRS
    return "".join([pairs[whole >> place & 1023] for place in range(len(raw) * 8 - 10, -1, -10)])


class Unrenderable(InvalidInput):
    """One person's values do not fit the template; the others' messages are not held up."""


class _Begun(NamedTuple):
    """A message before it is signed."""

    judged: Judged
    raw: bytes
    token: str
    draft: mail.Draft
    frame: mail.Frame
    measured: Sequence[measuring.Measured]
    mark: str


class Renderer:
    """Fills and signs messages of one campaign; keeps compiled frames and keys."""

    def __init__(  # noqa: PLR0913 - what a message is made of
        self,
        desk: Desk,
        campaign: Campaign,
        shelf: Shelf,
        signers: Sequence[mail.Signer],
        counting: mail.Counting | None = None,
        anchor: mail.Anchored | None = None,
    ) -> None:
        """Compile nothing yet; a template that does not read raises `InvalidInput`.

        With `counting` the message's links lead through the counter: for what is really sent.
        `anchor` is the ledger's newest head, for the last line of every message of this wave.
        """
        self.desk = desk
        self.campaign = campaign
        self.shelf = shelf
        self.signers = signers
        self.counting = counting
        self.anchor = anchor
        self.targets: dict[int, str] = {}
        template = mail.parse_template(campaign.template.data.decode())
        self._categories = template.categories
        if counting is not None:
            template, self.targets = mail.counted(template, counting, self._tag)
        self._frames = mail.Frames(mail.anchored(template, anchor) if anchor else template)
        self._measuring: tuple[int, Mapping[str, frozenset[str]]] = (-1, {})
        self._shapes: dict[tuple[object, ...], mail.Frame] = {}
        self._checked: set[tuple[int, tuple[str, ...]]] = set()

    def of(self, campaign: Campaign) -> "Renderer":
        """Return what renders the same for another round of the campaign."""
        return Renderer(self.desk, campaign, self.shelf, self.signers, self.counting, self.anchor)

    def draft(
        self, view: View, judged: Judged, rows: Sequence[Sealed], ref: str, token: str
    ) -> mail.Draft:
        """Return the unsigned message for one permitted person."""
        return self._drafted(view, judged, rows, ref, token)[0]

    def _tag(self, number: int, url: str) -> str:
        return clicks.tag(self.desk, self.campaign.name, number, url)

    def _measured(self, judged: Judged) -> list[measuring.Measured]:
        """Return what of this message's reading may be noted: nothing, but for an own yes."""
        house = judged.facts.house
        if self.counting is None or isinstance(judged.answer, Refusal):
            return []
        if self._measuring[0] != house.version:
            self._measuring = (house.version, measuring.purposes(house))
        at, asked = judged.request.at, self._measuring[1]
        return measuring.permitted(self.desk, house, judged.gathered, at, asked)

    def _drafted(  # noqa: PLR0913 - one message of a batch
        self,
        view: View,
        judged: Judged,
        rows: Sequence[Sealed],
        ref: str,
        token: str,
        measured: frozenset[str] = frozenset(),
        mark: str = "",
    ) -> tuple[mail.Draft, mail.Frame]:
        permit = judged.answer
        if isinstance(permit, Refusal):
            raise InvalidInput("no message is rendered on a refusal")
        sender = self.campaign.sender
        opened = open_values(self.desk, view, judged, rows)
        values = compose(self.desk, view, permit, opened, rows, self.shelf)
        stop = f"{sender.base_url}/stop/{token}"
        values |= {
            "stop_link": stop,
            "settings_link": f"{sender.base_url}/my/mail/{token}",
            "ask_link": f"{sender.base_url}/ask/{token}",
            "your_address": opened[address_field(self.campaign.channel)],
            "why": footer.why(judged),
            "used": footer.used(self._shown(permit), values),
        }
        envelope = mail.Envelope(
            from_name=sender.from_name,
            from_address=sender.from_address,
            to_address=opened[address_field(self.campaign.channel)],
            message_id=f"<{ref}@{sender.domain}>",
            date_s=view.now // SECOND,
            list_id=sender.list_id,
            unsubscribe_url=stop,
            ref=ref,
        )
        categories = permit.request.categories
        if measured:
            values |= {"click_mark": f".{mark}", "open_mark": mark}
            categories |= measured
        frame = self._frame(categories, values)
        return frame.fill(values, envelope), frame

    def _shown(self, permit: gate.Permit) -> list[str]:
        """Name the permitted categories that this template can show at all."""
        return [c for c in permit.categories if c in self._categories]

    def _require_obligations(  # noqa: PLR0913 - one message, and what it must carry
        self,
        view: View,
        judged: Judged,
        frame: mail.Frame,
        data: bytes,
        ask: tuple[str, str],
        *,
        marked: bool,
    ) -> None:
        """Check once per layout and set of obligations that the finished message carries them."""
        obliged = judged.answer.obligations if not isinstance(judged.answer, Refusal) else ()
        if marked:  # who reads it said yes to that one mark
            obliged = tuple(each for each in obliged if each != NO_PIXEL)
        seen = (id(frame), tuple(obliged))
        if seen in self._checked:
            return
        told = footer.told(view, judged, self._frames.template.carries, *ask)
        lacking = mail.lacking(data, obliged, self.campaign.sender.postal, told)
        if lacking:
            raise InvalidInput(
                f"the message does not carry: {', '.join(lacking)}",
                "correct the template or the brand in troth.toml",
            )
        self._checked.add(seen)

    def _frame(self, categories: frozenset[str], values: Mapping[str, Value]) -> mail.Frame:
        """Return the frame for these categories and what there is to show; found once a shape."""
        filled = tuple([(k, 0 if type(v) is str else len(v)) for k, v in values.items() if v])
        frame = self._shapes.get((categories, filled))
        if frame is None:
            frame = self._shapes[categories, filled] = self._frames.of(categories, values)
        return frame

    def render(
        self,
        view: View,
        judged: Judged,
        rows: Sequence[Sealed],
        signed_at_s: int,
        fresh: bytes = b"",
    ) -> Rendered:
        """Render and sign one message; about 450 µs, most of it the RSA signature.

        Its ref and its stop token begin with the second of the look, so that the rows they name
        lie beside those of the batch; what follows, 12 and 15 bytes, nobody can guess.

        Args:
            view: The look it was decided in.
            judged: The permit and what it rests on.
            rows: Sealed rows of that person.
            signed_at_s: Real POSIX seconds, for DKIM.
            fresh: `FRESH_BYTES` drawn for this message alone; without it they are drawn here.

        Raises:
            InvalidInput: The message lacks what the permit obliges it to carry.
        """
        begun = self._begin(view, judged, rows, fresh)
        return self._end(view, begun, mail.sign(begun.draft, self.signers, signed_at_s))

    def render_all(
        self,
        view: View,
        wanted: Sequence[tuple[Judged, Sequence[Sealed], bytes]],
        signed_at_s: int,
    ) -> list[Rendered | Fault]:
        """Render a batch as `render` does, its signatures one after the other: a tenth cheaper.

        In place of a message that cannot be written stands why: `Shredded` or `Unrenderable`.

        Raises:
            InvalidInput: A message lacks what its permit obliges it to carry.
        """
        begun: list[_Begun | Fault] = []
        for judged, rows, fresh in wanted:
            try:
                begun.append(self._begin(view, judged, rows, fresh))
            except (Shredded, Unrenderable) as fault:
                begun.append(fault.with_traceback(None))
        signed = [
            b"" if isinstance(each, Fault) else mail.sign(each.draft, self.signers, signed_at_s)
            for each in begun
        ]
        return [
            each if isinstance(each, Fault) else self._end(view, each, data)
            for each, data in zip(begun, signed, strict=True)
        ]

    def _begin(self, view: View, judged: Judged, rows: Sequence[Sealed], fresh: bytes) -> "_Begun":
        """Draft a message under a ref and a token of its own."""
        fresh = fresh or self.desk.randomness.take(FRESH_BYTES)
        second = (view.now // SECOND & 0xFFFFFFFF).to_bytes(4, "big")
        raw = second + fresh[:12]
        ref = raw.hex()
        token = f"t{ref[1:8]}{_base32(fresh[12:FRESH_BYTES])}"
        measured = self._measured(judged)
        agreed = measuring.categories_of(measured)
        drawn = self.desk.randomness.take(measuring.MARK_BYTES) if measured else b""
        mark = base64.b32encode(drawn).decode().lower() if drawn else ""
        try:
            draft, frame = self._drafted(view, judged, rows, ref, token, agreed, mark)
        except InvalidInput as fault:
            raise Unrenderable(fault.message, fault.remedy) from None
        return _Begun(judged, raw, token, draft, frame, measured, mark)

    def _end(self, view: View, begun: "_Begun", data: bytes) -> Rendered:
        """Check a signed message and take it apart for its waiting."""
        judged, raw, token, draft, frame, measured, mark = begun
        ref, agreed = raw.hex(), measuring.categories_of(measured)
        ask = f"{self.campaign.sender.base_url}/ask/{token}"
        address = next(v for name, v in draft.headers if name == "To")
        opens = mail.links.OPENS in agreed
        self._require_obligations(view, judged, frame, data, (ask, address), marked=opens)
        return Rendered(
            judged,
            ref,
            int.from_bytes(raw[:7], "big"),
            token,
            data,
            draft.subject,
            crypto.sha256(data).hex(),
            f"<{ref}@{self.campaign.sender.domain}>",
            mail.pack(data, draft.body, draft.filled, frame.skeleton),
            frame.skeleton,
            tuple(measured),
            mark,
            self.targets,
            self.desk.seal_beside_token(token, contact.masked(self.campaign.channel, address)),
        )
