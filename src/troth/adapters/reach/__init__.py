"""`data/reach/`: immutable generations of what audiences are narrowed by. Extra `[reach]`.

    writer = ReachWriter(folder, scopes=("offers|email",), sensitive=frozenset({"alcohol"}))
    writer.rebuild(people, purchases, at, ledger_size)       # → Generation; old one stays readable
    reach = Reach.open(folder)
    reach.current()                                          # → Generation | None
    for batch in reach.narrow(audience, at, exclude):        # → lists of PersonId, unordered
        ...                                                  # the gate decides each of them
    reach.count(audience, at, exclude)                       # → int
    reach.reasons_profile(audience, at, exclude)             # → Profile(…, people), one per tuple

How to use it: read `current().ledger_size`, collect who has newer events or is erased, hand these
ids in as `exclude` and judge those with newer events from the record. A generation that appears
in between is newer, so `exclude` is then larger than needed, never too small.

Nothing of the law is here: SQL finds people of whom an audience is true (`kernel.audience`) and,
with a `scope`, who is not refused at every instant. A generation is never changed: the writer
makes the next folder under a temporary name, syncs it, renames it, then replaces `current` by
rename. Readers hold a shared lock on what they read; the last two generations and whatever is
held stay. It is derived data: never backed up, rebuilt from the record. Ibis compiles each
audience once; DuckDB runs the SQL with bound values; nothing is downloaded, ever.
"""

from troth.adapters.reach.filling import PersonRow, PurchaseColumns
from troth.adapters.reach.generation import Generation
from troth.adapters.reach.groups import Groups
from troth.adapters.reach.reader import Profile, Reach
from troth.adapters.reach.writer import ReachWriter

__all__ = [
    "Generation",
    "Groups",
    "PersonRow",
    "Profile",
    "PurchaseColumns",
    "Reach",
    "ReachWriter",
]
