"""What a campaign did, counted on request and kept as numbers: effect, what came back, links."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date

import msgspec

from troth.app.returns import limits
from troth.app.workspace import Workspace
from troth.capabilities import trust
from troth.capabilities.insight import effect as insight_effect
from troth.capabilities.outreach import clicks, holdout, steps
from troth.engines.effect import Effect
from troth.errors import NotFound
from troth.ports import View
from troth.terms import DAY, Actor, Instant, moment

RESULTS = "insight.results"
BOOKED = ("booked", "handed", "withheld", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something came back, in parts per 10,000 messages handed over.

    Attributes:
        state: good, amber, red, or unsure where too few left to say.
        amber: From here on it is said.
        red: From here on loudly.
    """

    name: str
    count: int
    per_10k: int
    state: str
    amber: int
    red: int
    source: str


@dataclass(frozen=True, slots=True)
class Results:
    """A campaign's numbers as of one moment. Small ones are for the surface to hide.

    Attributes:
        begun: From when purchases count; 0 where the campaign has not begun.
        until: Until when; later than `at` while the window is open.
        came: Events by what became of the messages: `handed`, `bounced hard`, `replied stop` …
        effect: The comparison; None where nothing was held out.
        left_out: Of the mailed and of the held out, who could not be counted.
    """

    name: str
    at: Instant
    begun: Instant
    until: Instant
    days: int
    came: dict[str, int]
    rates: list[Rate]
    links: list[clicks.LinkCount]
    effect: Effect | None = None
    left_out: tuple[int, int] = (0, 0)
    held_out: int = 0
    mailed: int = 0

    @property
    def handed(self) -> int:
        """Messages handed over."""
        return self.came.get("handed", 0)


def results_of(view: View, name: str) -> Results | None:
    """Return the numbers as last counted; None before the first time."""
    raw = view.row(RESULTS, name.encode())
    return msgspec.json.decode(raw, type=Results) if raw else None


def count_results(opened: Workspace, name: str, actor: Actor) -> Results:
    """Count a campaign's outcome now and keep the numbers; that it was counted is recorded first.

    Raises:
        NotFound: Nothing was ever sent under this name.
    """
    trust.catch_up(opened.desk, actor)
    window = limits()["window"]
    with opened.store.look() as view:
        life = steps.read_life(view, name)
        mailed, held = holdout.groups(view, name)
        came = _came(view, name)
        links, now = clicks.link_counts(view, name), view.now
    if life is None and not mailed:
        raise NotFound("there is no such campaign", "plan it first")
    begun = life.begun if life else Instant(0)
    until = Instant(begun + window["convert_days"] * DAY) if begun else Instant(0)
    found = None
    if begun and held:
        asked = insight_effect.Question(name, window["purpose"], begun, until, window["least"])
        found = insight_effect.measure(opened.desk, asked, mailed, held, actor)
    made = Results(
        name,
        now,
        begun,
        until,
        window["convert_days"],
        came,
        _rates(came),
        links,
        found.effect if found else None,
        (found.mailed_left_out, found.held_left_out) if found else (0, 0),
        len(held),
        len(mailed),
    )
    with opened.store.book() as tx:
        tx.put_row(RESULTS, name.encode(), msgspec.json.encode(asdict(made)))
    return made


def _came(view: View, name: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    last = moment(view.now).date()
    for row in trust.counted(view, date(2000, 1, 1), last):
        if row.campaign != name:
            continue
        family, _, state = row.kind.partition(".")
        if family == "message":
            word = state if state in BOOKED else f"{state} {row.code}".strip()
            found[word] += row.count
        elif row.kind in {"consent.withdrawn", "consent.objected", "consent.opted_out"}:
            found["stopped"] += row.count
    return dict(sorted(found.items()))


def _rates(came: dict[str, int]) -> list[Rate]:
    """Measure what came back against the dated limits."""
    handed, least = came.get("handed", 0), limits()["window"]["least"]
    counts = {
        "complained": came.get("complained", 0),
        "bounced": came.get("bounced hard", 0) + came.get("bounced soft", 0),
        "stopped": came.get("stopped", 0),
    }
    out = []
    for told in limits()["rate"]:
        count = counts[told["name"]]
        per = count * 10_000 // handed if handed else 0
        state = "red" if per >= told["red"] else "amber" if per >= told["amber"] else "good"
        state = state if handed >= least else "unsure"
        out.append(
            Rate(told["name"], count, per, state, told["amber"], told["red"], told["source"])
        )
    return out
