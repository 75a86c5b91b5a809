"""People: who is known, from where; customers and their behaviour as files bring them in.

An import never widens consent and never lifts a suppression; it books what a row says and no more.
"""

from troth.capabilities.people.activity import (
    Choice,
    Deleted,
    Place,
    choose_keeping,
    chosen,
    delete,
    finish_deletion,
    mark_of,
)
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
    of_age,
    relate,
    stage,
    unlink,
)
from troth.capabilities.people.behaviour import import_events, quarter_scope
from troth.capabilities.people.customers import import_customers, registry_key
from troth.capabilities.people.exclusions import set_exclusions
from troth.capabilities.people.finding import Progress, done_before, find_by_address, whom

__all__ = [
    "MAY_MOVE",
    "MAY_TELL",
    "RELATIONS",
    "Choice",
    "Dealing",
    "Deleted",
    "Link",
    "Place",
    "Progress",
    "Relation",
    "change_address",
    "choose_keeping",
    "chosen",
    "delete",
    "done_before",
    "find_by_address",
    "finish_deletion",
    "import_customers",
    "import_events",
    "link",
    "links",
    "mark_of",
    "of_age",
    "quarter_scope",
    "registry_key",
    "relate",
    "set_exclusions",
    "stage",
    "unlink",
    "whom",
]
