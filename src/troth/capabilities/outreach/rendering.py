"""From a permit and what it opens to a signed message; nothing else is read."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from troth import crypto
from troth.capabilities.outreach.model import (
    FAVOURITES,
    WEEKS,
    Campaign,
    Judged,
    Rendered,
    Shelf,
    Value,
)
from troth.engines import mail, ranking
from troth.errors import InvalidInput
from troth.kernel import gate
from troth.kernel.desk import Desk
from troth.kernel.vault import Chunk
from troth.ports import View
from troth.terms import (
    DAY,
    SECOND,
    Instant,
    Refusal,
    Sealed,
    moment,
)


def open_values(desk: Desk, view: View, judged: Judged, rows: Sequence[Sealed]) -> dict[str, str]:
    """Open name and interests as far as the permit goes."""
    permit = judged.answer
    if isinstance(permit, Refusal):
        raise InvalidInput("nothing is opened on a refusal")
    wanted = [
        r
        for r in rows
        if "/" not in r.field
        and ":" not in r.field
        and (
            desk.vault.category(r.field) in permit.categories
            or r.field == f"contact.{permit.request.channel}"
        )
    ]
    return desk.vault.open(permit, wanted, view.now)


_USED = {
    "identity.name": "your first name",
    "interests.declared": "the interests you told us",
    "purchases.13w": "what you bought in the last 13 weeks",
    "purchases.52w": "what you bought in the last year",
    "cohort.compare": "what people with baskets like yours buy",
}
_BASIS = {
    "consent": "You agreed to offers from us.",
    "customer_exception": "You bought from us, and could object to offers then and now.",
}


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
        if not _LINKLIKE.search(each)
    ]
    if told:
        values["interest_line"] = f"You told us you like {_and(told)}; we keep an eye out for you."
    history = _history(desk, view, permit, rows)
    for category, lines in history.items():
        values |= _FROM_HISTORY[category](view, lines, shelf)
    used = [_USED[c] for c in _USED if c in permit.categories and _shows(c, values)]
    if used:
        values["used"] = f"We used {_and(used)}; nothing else."
    values["why"] = _BASIS.get(permit.basis, "This is about something you asked for.")
    return values


def _shows(category: str, values: Mapping[str, Value]) -> bool:
    slot = {
        "identity.name": "first_name",
        "interests.declared": "interest_line",
        "purchases.13w": "favourites",
        "purchases.52w": "year_line",
        "cohort.compare": "alike_line",
    }[category]
    return bool(values.get(slot))


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _lines(chunks: Iterable[Chunk]) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        bought = {i for i, kind in enumerate(chunk.kinds) if kind == "purchase"}
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if kind in bought:
                yield at, chunk.items[item], units


def _history(
    desk: Desk, view: View, permit: gate.Permit, rows: Sequence[Sealed]
) -> dict[str, list[tuple[int, str, int]]]:
    """Open what a person bought, each chunk once, cut to what each permitted category reaches."""
    reached = [c for c in WEEKS if c in permit.categories]
    if not reached:
        return {}
    behaviour = [r for r in rows if r.field.startswith("purchases/")]
    near = _since(behaviour, view.now, max(WEEKS[c] for c in reached))
    windows = desk.vault.open_windows(permit, near, reached, view.now)
    lines = {category: list(_lines(chunks)) for category, chunks in windows.items()}
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
    return {"alike_line": f"They also take home {_and(names)}."} if names else {}


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


class Unrenderable(InvalidInput):
    """One person's values do not fit the template; the others' messages are not held up."""


class Renderer:
    """Fills and signs messages of one campaign; keeps compiled frames and keys."""

    def __init__(
        self, desk: Desk, campaign: Campaign, shelf: Shelf, signers: Sequence[mail.Signer]
    ) -> None:
        """Compile nothing yet; a template that does not read raises `InvalidInput`."""
        self.desk = desk
        self.campaign = campaign
        self.shelf = shelf
        self.signers = signers
        self._frames = mail.Frames(mail.parse_template(campaign.template.data.decode()))
        self._shapes: dict[tuple[object, ...], mail.Frame] = {}
        self._checked: set[tuple[int, tuple[str, ...]]] = set()

    def draft(
        self, view: View, judged: Judged, rows: Sequence[Sealed], ref: str, token: str
    ) -> mail.Draft:
        """Return the unsigned message for one permitted person."""
        return self._drafted(view, judged, rows, ref, token)[0]

    def _drafted(
        self, view: View, judged: Judged, rows: Sequence[Sealed], ref: str, token: str
    ) -> tuple[mail.Draft, mail.Frame]:
        permit = judged.answer
        if isinstance(permit, Refusal):
            raise InvalidInput("no message is rendered on a refusal")
        sender = self.campaign.sender
        opened = open_values(self.desk, view, judged, rows)
        values = compose(self.desk, view, permit, opened, rows, self.shelf)
        stop = f"{sender.base_url}/stop/{token}"
        values |= {"stop_link": stop, "settings_link": f"{sender.base_url}/"}
        envelope = mail.Envelope(
            from_name=sender.from_name,
            from_address=sender.from_address,
            to_address=opened[f"contact.{self.campaign.channel}"],
            message_id=f"<{ref}@{sender.domain}>",
            date_s=view.now // SECOND,
            list_id=sender.list_id,
            unsubscribe_url=stop,
            ref=ref,
        )
        frame = self._frame(permit.request.categories, values)
        return frame.fill(values, envelope), frame

    def _require_obligations(self, judged: Judged, frame: mail.Frame, data: bytes) -> None:
        """Check once per layout and set of obligations that the finished message carries them."""
        obliged = judged.answer.obligations if not isinstance(judged.answer, Refusal) else ()
        seen = (id(frame), tuple(obliged))
        if seen in self._checked:
            return
        lacking = mail.unmet(data, obliged, self.campaign.sender.postal)
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
        self, view: View, judged: Judged, rows: Sequence[Sealed], signed_at_s: int
    ) -> Rendered:
        """Render and sign one message; about 450 µs, most of it the RSA signature.

        Raises:
            InvalidInput: The message lacks what the permit obliges it to carry.
        """
        raw = self.desk.randomness.take(16)
        number = int.from_bytes(raw[:7], "big")
        ref = f"{number:014x}{raw[7:].hex()}"
        token = self.desk.randomness.take(16).hex()
        try:
            draft, frame = self._drafted(view, judged, rows, ref, token)
        except InvalidInput as fault:
            raise Unrenderable(fault.message, fault.remedy) from None
        data = mail.sign(draft, self.signers, signed_at_s)
        self._require_obligations(judged, frame, data)
        return Rendered(
            judged,
            ref,
            number,
            token,
            data,
            draft.subject,
            crypto.sha256(data).hex(),
            f"<{ref}@{self.campaign.sender.domain}>",
        )
