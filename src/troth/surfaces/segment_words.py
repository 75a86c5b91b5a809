"""Segments in words: a sentence for each, its conditions, and what keeps people out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from troth.kernel import audience

STATES: Mapping[str, str] = {
    "no": "it does not hold",
    "unagreed": "unknown: they did not agree to this being looked at",
    "untold": "unknown: this was never told",
}
READS: Mapping[str, str] = {
    "relation.sale": "when they last bought, as a fact of the relation",
    "relation.inquiry": "when they last asked, as a fact of the relation",
    "relation.contract": "the day of the newest contract",
    "relation.donation": "the day of the newest donation",
    "relation.membership": "the day of the newest membership",
    "stage": "where the relation stands, worked out of its dates",
    "residence": "where they live (country or subdivision)",
    "age_class": "whether they are of age",
    "language": "the language they read",
    "level": "how personal they want messages to be",
    "interests.declared": "the interests they told you",
    "purchases.13w": "what they bought in the last 13 weeks",
    "purchases.52w": "what they bought in the last year",
}
FACTS: Mapping[str, str] = {
    "residence": "Lives in",
    "age": "Age",
    "language": "Reads",
    "subject": "Kind",
}
VERDICTS: Mapping[str, tuple[str, str]] = {
    "fine": ("good", "Fine: nothing stands out."),
    "look again": ("bad", "Look again before you publish."),
    "not publishable": ("bad", "This cannot be published."),
}
_WEEK = 7
_STAGES = {
    "prospect": "prospects",
    "customer": "customers",
    "lapsed": "customers who fell silent",
    "ended": "former customers",
}


def span(days: int) -> str:
    """Say a number of days as people do.

    >>> span(91), span(90), span(7)
    ('13 weeks', '90 days', 'week')
    """
    weeks, rest = divmod(days, _WEEK)
    if rest:
        return f"{days} days" if days > 1 else "day"
    return f"{weeks} weeks" if weeks > 1 else "week"


def money(minor: int, currency: str) -> str:
    """Write minor units as an amount.

    >>> money(123450, "ZAR")
    'ZAR 1,234.50'
    """
    return f"{currency} {minor // 100:,}.{minor % 100:02}"


def _or(values: Iterable[Any]) -> str:
    named = [str(v) for v in values]
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _scores(held: Mapping[str, Any]) -> str:
    says = {"recency": "how recently", "frequency": "how often", "monetary": "how much"}
    told = [f"{' to '.join(map(str, held[s]))} for {w}" for s, w in says.items() if s in held]
    return f"score {' and '.join(told)} they bought (1 lowest, 5 highest)"


_SAID: Mapping[str, Callable[[Any], str]] = {
    "has_sale": lambda _h: "bought from you at some time",
    "last_sale_older_than": lambda h: f"bought last {span(h['days'])} ago or longer",
    "relation": lambda h: f"have a {h['kind']} of the last {h['within_months']} months",
    "bought": lambda h: f"bought in the last {span(h['within_days'])}",
    "bought_in": lambda h: f"bought {h['group']} in the last {span(h['within_days'])}",
    "count_at_least": lambda h: (
        f"bought at least {h['n']} times in the last {span(h['within_days'])}"
    ),
    "spent_at_least": lambda h: (
        f"spent at least {money(h['minor'], h['currency'])} in the last {span(h['within_days'])}"
    ),
    "silent_for": lambda h: f"bought nothing in the last {span(h['days'])}",
    "interest": lambda h: f"told you they like {_or(h)}",
    "residence": lambda h: f"live in {_or(h)}",
    "place": lambda h: f"live in {_or(h)} or a part of it",
    "age_class": lambda h: f"are known to be {_or(h)}",
    "language": lambda h: f"read {_or(h)}",
    "level_at_least": lambda h: f"chose level {h} or higher",
    "stage": lambda h: f"are {_or(_STAGES[s] for s in h['values'])}",
    "rfm": _scores,
}


def clause(where: audience.Expression) -> str:
    """Say one condition as it follows "people who"."""
    ((word, held),) = audience.spelt(where).items()
    if not isinstance(where, audience.Group):
        return _SAID[word](held)
    parts = [clause(part) for part in where.parts]
    if isinstance(where, audience.Every):
        return ", and who ".join(parts)
    if isinstance(where, audience.Some):
        return parts[0] if len(parts) == 1 else "either " + ", or ".join(parts)
    return "are not among those who " + ", or who ".join(parts)


def sentence(wanted: audience.Audience) -> str:
    """Say a whole segment in one sentence."""
    return f"People who {clause(wanted.where)}."


def conditions(wanted: audience.Audience) -> list[str]:
    """Say each condition that must hold, in the order of `kernel.audience.musts`."""
    return [clause(each) for each in audience.musts(wanted.where)]


def reads(wanted: audience.Audience) -> list[tuple[str, bool]]:
    """Say what a segment reads; and of each, whether people must have agreed to it."""
    named = audience.categories(wanted)
    return [(said, name not in audience.FACTS) for name, said in READS.items() if name in named]
