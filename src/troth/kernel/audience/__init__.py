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
| `place = […]` | `CA` holds `CA-ON`; whether a plain `CA` lies in `CA-ON` is unknown |
| `stage = {values, silent_days, ended_days}` | prospect, customer, lapsed or ended |
| `rfm = {recency, days, frequency, lines, monetary, minor, currency}` | scores 1 to 5, see `Rfm` |
| `level_at_least = k` | the level is k or higher |

Three values: what is missing or not agreed to is unknown, `all`, `any` and `none` follow Kleene,
only true selects: `none` of unknown is unknown. Facts of the relation itself lie in clear and are
permitted under the purpose (`FACTS`); behaviour is read only where the person agreed to exactly
the category the word names. Days are UTC days: day d of an instant is `at // DAY`; the last n days
are today and the n - 1 before it. Nothing here decides about a message: the gate does.
"""

from troth.kernel.audience.meaning import (
    BINDING,
    FACTS,
    FIRST,
    INTERESTS,
    OPEN_ENDED,
    WINDOWS,
    Known,
    Purchase,
    Window,
    categories,
    category,
    country,
    evaluate,
    expanded,
    months_back,
    newest_relations,
    predicates,
    stage,
    today,
    window,
)
from troth.kernel.audience.reading import (
    digest,
    folded,
    parse_audience,
    sensitive_word,
    spelt,
)
from troth.kernel.audience.standing import (
    STATES,
    Crowd,
    Outside,
    State,
    is_plain,
    musts,
    needs,
    outside,
)
from troth.kernel.audience.words import (
    RELATION_KINDS,
    STAGES,
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
    PlaceIn,
    Predicate,
    Related,
    ResidenceIn,
    Rfm,
    SilentFor,
    Some,
    SpentAtLeast,
    StageIn,
)
from troth.kernel.audience.writing import TEXT_MOST, read_text, written

__all__ = [
    "BINDING",
    "FACTS",
    "FIRST",
    "INTERESTS",
    "OPEN_ENDED",
    "RELATION_KINDS",
    "STAGES",
    "STATES",
    "TEXT_MOST",
    "WINDOWS",
    "AgeIn",
    "Audience",
    "Bought",
    "BoughtIn",
    "Buying",
    "CountAtLeast",
    "Crowd",
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
    "Outside",
    "PlaceIn",
    "Predicate",
    "Purchase",
    "Related",
    "ResidenceIn",
    "Rfm",
    "SilentFor",
    "Some",
    "SpentAtLeast",
    "StageIn",
    "State",
    "Window",
    "categories",
    "category",
    "country",
    "digest",
    "evaluate",
    "expanded",
    "folded",
    "is_plain",
    "months_back",
    "musts",
    "needs",
    "newest_relations",
    "outside",
    "parse_audience",
    "predicates",
    "read_text",
    "sensitive_word",
    "spelt",
    "stage",
    "today",
    "window",
    "written",
]
