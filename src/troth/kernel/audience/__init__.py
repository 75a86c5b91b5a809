"""Audiences as data: a small typed expression, its one meaning, its digest, what it reads.

Written in TOML or JSON; a node is one word:

    name = "winback"
    purpose = "offers"
    [where]
    all = [
      { last_sale_older_than = { days = 90 } },
      { any = [ { bought_in = { group = "coffee", within_days = 91 } }, { interest = ["tea"] } ] },
      { none = [ { residence = ["DE", "FR"] } ] },
    ]

| word | true when |
|---|---|
| `has_sale = {}` | the record holds a sale |
| `last_sale_older_than = {days}` | the newest sale is that old; no sale: unknown |
| `relation = {kind, within_months}` | the newest of that kind is that young |
| `bought = {within_days}` | at least one purchase; purchases.13w or .52w, as all here below |
| `bought_in = {group, within_days}` | at least one from the group |
| `count_at_least = {n, within_days}` | so many lines, returns left out |
| `spent_at_least = {minor, currency, within_days}` | so much, returns subtracted |
| `silent_for = {days}` | no purchase; true of those who never bought |
| `interest = […]` | one of them was declared; interests.declared |
| `residence`, `age_class`, `language = […]` | the fact is one of them |
| `level_at_least = k` | the level is k or higher |

Three values: what is missing or not agreed to is unknown, `all`, `any` and `none` follow Kleene,
only true selects: `none` of unknown is unknown. Facts of the relation itself lie in clear and are
permitted under the purpose (`FACTS`); behaviour is read only where the person agreed to exactly
the category the word names. Days are UTC days: day d of an instant is `at // DAY`; the last n days
are today and the n - 1 before it. Nothing here decides about a message: the gate does.
"""

from troth.kernel.audience.meaning import (
    FACTS,
    INTERESTS,
    WINDOWS,
    Known,
    Purchase,
    Window,
    categories,
    category,
    evaluate,
    months_back,
    newest_relations,
    predicates,
    today,
    window,
)
from troth.kernel.audience.reading import digest, folded, parse_audience, spelt
from troth.kernel.audience.words import (
    RELATION_KINDS,
    AgeIn,
    Audience,
    Bought,
    BoughtIn,
    Buying,
    CountAtLeast,
    Every,
    Expression,
    Group,
    HasSale,
    InterestIn,
    LanguageIn,
    LastSaleOlderThan,
    LevelAtLeast,
    Listed,
    Neither,
    Predicate,
    Related,
    ResidenceIn,
    SilentFor,
    Some,
    SpentAtLeast,
)

__all__ = [
    "FACTS",
    "INTERESTS",
    "RELATION_KINDS",
    "WINDOWS",
    "AgeIn",
    "Audience",
    "Bought",
    "BoughtIn",
    "Buying",
    "CountAtLeast",
    "Every",
    "Expression",
    "Group",
    "HasSale",
    "InterestIn",
    "Known",
    "LanguageIn",
    "LastSaleOlderThan",
    "LevelAtLeast",
    "Listed",
    "Neither",
    "Predicate",
    "Purchase",
    "Related",
    "ResidenceIn",
    "SilentFor",
    "Some",
    "SpentAtLeast",
    "Window",
    "categories",
    "category",
    "digest",
    "evaluate",
    "folded",
    "months_back",
    "newest_relations",
    "parse_audience",
    "predicates",
    "spelt",
    "today",
    "window",
]
