"""People: who is known, from where; customers and their behaviour as files bring them in.

An import never widens consent and never lifts a suppression; it books what a row says and no more.
"""

from troth.capabilities.people.acts import (
    MAY_MOVE,
    MAY_TELL,
    RELATIONS,
    Dealing,
    Link,
    Relation,
    change_address,
    link,
    links,
    relate,
    stage,
    unlink,
)
from troth.capabilities.people.behaviour import import_events, quarter_scope
from troth.capabilities.people.customers import import_customers, registry_key
from troth.capabilities.people.finding import Progress, done_before, find_by_address, whom

__all__ = [
    "MAY_MOVE",
    "MAY_TELL",
    "RELATIONS",
    "Dealing",
    "Link",
    "Progress",
    "Relation",
    "change_address",
    "done_before",
    "find_by_address",
    "import_customers",
    "import_events",
    "link",
    "links",
    "quarter_scope",
    "registry_key",
    "relate",
    "stage",
    "unlink",
    "whom",
]
