"""What the house decides by: published as new versions, all or none."""

from collections.abc import Mapping

from troth import crypto
from troth.kernel.desk import SYSTEM, Desk, public
from troth.kernel.events import PersonCreated
from troth.kernel.house import read_house
from troth.terms import (
    Published,
)


def found(desk: Desk) -> None:
    """Begin the house chain and the ledger; repeating it changes nothing."""
    with desk.store.look() as view:
        if view.log.size:
            return
        house = desk.scribe.house
        desk.vault.keys.make([(house, "", 1)])
        prepared = desk.house_event(view, PersonCreated("house", "init"), SYSTEM)
        start = public({"type": "log.start"}, view.now)
    with desk.store.book() as tx:
        tx.state(start)
        tx.append(prepared)


def changes(desk: Desk, drafts: Mapping[str, bytes]) -> list[str]:
    """Name the drafts that differ from what is published."""
    with desk.store.look() as view:
        return [
            name
            for name, raw in drafts.items()
            if (now := view.published(name)) is None or now.data != raw
        ]


def apply(desk: Desk, drafts: Mapping[str, bytes]) -> list[Published]:
    """Publish drafts that changed, as new versions, with a public leaf each; all or none.

    The whole house is read once with the new versions in it first: what does not read together
    is not published.

    Raises:
        InvalidInput: A draft does not read; names file and place. Nothing was published.
    """
    names = changes(desk, drafts)
    if not names:
        return []
    with desk.store.look() as view:
        now = view.now
        kept = [p for p in view.published_all("") if p.name not in names]
    trial = [Published(n, 0, now, "", drafts[n]) for n in names]
    read_house(-1, [*kept, *trial])
    out = []
    with desk.store.book() as tx:
        for name in names:
            digest = crypto.sha256(drafts[name]).hex()
            published = tx.publish(name, digest, drafts[name])
            statement = {"type": "policy.published", "name": published.label}
            tx.state(public({**statement, "hash": f"sha256:{digest}"}, tx.now))
            out.append(published)
        house = read_house(tx.house_version, tx.published_all(""))
        ruleset = {"type": "ruleset.published", "hash": f"sha256:{house.ruleset.digest}"}
        tx.state(public({**ruleset, "label": house.ruleset.label}, tx.now))
    return out
