"""A campaign's results in words and numbers; small numbers are kept back here."""

from dataclasses import dataclass
from typing import Any

from troth.app import Results
from troth.engines.effect import Effect, Group, wilson
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.terms import zulu

RATES = {
    "complained": "Reported as unwanted",
    "bounced": "Did not arrive",
    "stopped": "Stopped by the reader",
}
STATES = {
    "good": ("good", "within the limit"),
    "amber": ("bad", "look into it"),
    "red": ("bad", "too many: stop and look into it"),
    "unsure": ("plain", "too few messages to say"),
}
CAME = {
    "handed": "Handed to the mail relay",
    "bounced hard": "Will never arrive; the address is closed",
    "bounced soft": "Did not arrive this time",
    "complained": "Reported as unwanted",
    "stopped": "Stopped, by link or by answer",
    "replied stop": "of these by an answer that means stop",
    "replied question": "Answers for somebody to read",
    "opened": "Opened, of those who agreed that it is noted",
    "clicked": "Links followed, of those who agreed that it is noted",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One group as a table shows it; `text` is said where a number is kept back."""

    title: str
    people: str
    bought: str
    rate: str


def hides(group: Group) -> bool:
    """Tell whether a group's numbers would give somebody away."""
    return 0 < group.did < chart.K or 0 < group.people - group.did < chart.K


def per_cent(share: float) -> str:
    """Write a share.

    >>> per_cent(0.0836), per_cent(-0.0021)
    ('8.4 %', '-0.2 %')
    """
    return f"{100 * share:.1f} %"


def lines(found: Effect) -> list[Line]:
    """Return both groups as a table shows them."""
    shown = not (hides(found.mailed) or hides(found.held_out))
    return [
        Line(
            title,
            chart.few(group.people),
            words.number(group.did) if shown else "kept back",
            per_cent(group.rate) if shown and group.people else "kept back",
        )
        for title, group in (("Got the message", found.mailed), ("Held out", found.held_out))
    ]


def verdict(results: Results) -> tuple[str, str]:
    """Say what the comparison tells: one line, and one of what it rests on."""
    found = results.effect
    if found is None:
        return (
            "Nobody was held out, so nobody can say what it did.",
            "Hold out 5 to 10 per cent next time: then purchases with and without it compare.",
        )
    if results.at < results.until:
        rest = f"Purchases count until {results.days} days after its start; some are to come."
    else:
        rest = f"Purchases in the {results.days} days after its start, of both groups alike."
    said = {
        "too_few": "Too few people to compare.",
        "cannot_tell": "You cannot tell: the difference may be chance.",
        "more": "More people bought who got it.",
        "fewer": "Fewer people bought who got it.",
    }[found.verdict]
    open_ = not (hides(found.mailed) or hides(found.held_out)) and found.verdict != "too_few"
    if open_:
        low, high = 100 * found.low, 100 * found.high
        said += f" The difference is {100 * found.uplift:.1f} percentage points"
        said += f" ({low:.1f} to {high:.1f}, at 95 per cent confidence)."
    if found.verdict == "more" and open_:
        rest = f"About {words.number(found.extra)} people bought because of it. {rest}"
    return said, rest


def bars(found: Effect) -> list[dict[str, Any]]:
    """Lay both rates out, each with its interval; none where a number is kept back."""
    if hides(found.mailed) or hides(found.held_out) or found.verdict == "too_few":
        return []
    ends = [wilson(group)[1] for group in (found.mailed, found.held_out)]
    widest = max(*ends, 0.01)
    out = []
    for kind, title, group in (
        ("yes", "Got the message", found.mailed), ("other", "Held out", found.held_out)
    ):  # fmt: skip
        low, high = wilson(group)
        text = f"{per_cent(group.rate)} ({per_cent(low)} to {per_cent(high)})"
        share = round(100 * group.rate / widest, 1)
        out.append({"kind": kind, "title": title, "text": text, "share": share})
    return out


def rates(results: Results) -> list[dict[str, str]]:
    """Return what came back beside its limits."""
    out = []
    for rate in results.rates:
        kind, said = STATES[rate.state]
        shown = rate.state != "unsure" and not 0 < rate.count < chart.K
        out.append(
            {
                "title": RATES[rate.name],
                "count": chart.few(rate.count),
                "rate": f"{rate.per_10k / 100:.2f} %" if shown else "kept back",
                "limit": f"{rate.amber / 100:.2f} % / {rate.red / 100:.2f} %",
                "kind": kind,
                "said": said,
                "source": rate.source,
            }
        )
    return out


def alarm(results: Results) -> str:
    """Say which rates are too high; "" where none is."""
    high = [RATES[rate.name].lower() for rate in results.rates if rate.state == "red"]
    return f"Too many: {', '.join(high)}" if high else ""


def came(results: Results) -> list[tuple[str, str]]:
    """Return what became of the messages, in words."""
    return [
        (title, chart.few(results.came[name]))
        for name, title in CAME.items()
        if results.came.get(name) or name == "handed"
    ]


def data(results: Results) -> dict[str, Any]:
    """Return results as programs read them; what is kept back is null."""
    found = results.effect
    shown = found is not None and not (hides(found.mailed) or hides(found.held_out))
    return {
        "campaign": results.name,
        "at": zulu(results.at),
        "days": results.days,
        "over": bool(results.until) and results.at >= results.until,
        "came": {name: _count(n) for name, n in results.came.items()},
        "rates": {r.name: {"state": r.state, "count": _count(r.count)} for r in results.rates},
        "links": [{"url": each.url, "count": _count(each.count)} for each in results.links],
        "effect": {
            "verdict": found.verdict,
            "mailed": _count(found.mailed.people),
            "held_out": _count(found.held_out.people),
            "uplift": round(found.uplift, 4) if shown else None,
            "low": round(found.low, 4) if shown else None,
            "high": round(found.high, 4) if shown else None,
        }
        if found
        else None,
        "k": chart.K,
    }


def _count(count: int) -> int | None:
    return None if 0 < count < chart.K else count
