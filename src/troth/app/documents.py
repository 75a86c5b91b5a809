"""What the company hands over, put together: registers, the manual, forms, and what is missing.

Documents are made from the house as published, at one look, and open nobody's data. The manual is
published as a version of its own: what stood on the page on a day can be shown later.
"""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from troth import crypto
from troth.adapters.drafts import read_drafts
from troth.app import scans
from troth.app.forms import FORMS, form, form_gaps, shipped_data, words
from troth.app.workspace import Workspace
from troth.capabilities import custody, trust
from troth.capabilities.trust import Facts, Gap, Paper
from troth.engines.datagraph import Store
from troth.errors import InvalidInput, NotFound
from troth.kernel.desk import public
from troth.kernel.facts import House
from troth.ports import View
from troth.settings import Settings
from troth.terms import Actor, Instant, Published, Role

PAPERS: Final = ("art30", "s17", "paia-manual")
MANUAL: Final = "paia-manual"
KINDS: Final = ("pdf", "csv", "json")
MAY_PUBLISH: Final = frozenset({Role.OFFICER, Role.SYSTEM})
PROTECTION: Final = (
    "encrypted with AES-256-GCM under keys of one person each, which lie apart from the data"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where and how data is stored; "" and 0 where nobody wrote it down.

    Attributes:
        country: ISO 3166 code.
        abroad: It is another country than that of the responsible party's seat.
        backup_days: For how long backups are kept.
    """

    system: str
    country: str
    abroad: bool
    protection: str
    backup_days: int


def storage_of(settings: Settings, house: House) -> Stored:
    """Say where a person's data is stored, for the cards a customer sees.

    Args:
        settings: Of the workspace: `[storage]`.
        house: As published: the seat, from which another country is abroad.
    """
    said = settings.storage
    country = str(said.get("country", ""))
    return Stored(
        system=str(said.get("system", "")),
        country=country,
        abroad=bool(country) and country.partition("-")[0] != house.seat.partition("-")[0],
        protection=PROTECTION,
        backup_days=int(said.get("backup_days", 0)),
    )


def category_title(category: str) -> str:
    """Return a data category in words; its own name where the data knows none."""
    return str(words().facts["title"].get(category, category))


# Documents


def facts(opened: Workspace) -> Facts:
    """Return everything documents are made of, as published and as of now."""
    with opened.store.look() as view:
        return replace(trust.read_facts(opened.desk, view, words()), others=_others(view))


def _others(view: View) -> list[trust.Other]:
    """Return other systems as their published mappings say; one that does not read is a gap."""
    newest = {p.name: p for p in view.published_all("map:")}
    found = []
    for _, each in sorted(newest.items()):
        read = scans.read_mapping(each)
        unread = Store("mapping", name=f"Mapping {each.name}, which does not read here")
        found += [_other(store, each) for store in (read.stores if read else (unread,))]
    return found


def _other(store: Store, each: Published) -> trust.Other:
    place = store.place
    return trust.Other(
        store.title, scans.all_ours(store.held()), place.country, place.processor,
        place.agreement, place.owner, place.retention,
        f"map/{each.name.removeprefix('map:')}.yml", trust.Source(each.label, each.digest),
    )  # fmt: skip


def document(opened: Workspace, name: str) -> Paper:
    """Make a document from the facts.

    Raises:
        NotFound: There is no such document.
        InvalidInput: Nothing is published yet.
    """
    if name not in PAPERS:
        raise NotFound("there is no such document", f"choose one of {', '.join(PAPERS)}")
    return trust.make_paper(name, shipped_data(f"documents/{name}.toml"), facts(opened))


@dataclass(frozen=True, slots=True)
class Listed:
    """One document in the list.

    Attributes:
        kind: form or paper.
        gaps: What is missing of it.
        published: Newest published version of the manual; 0 where it has none.
        stale: What is published differs from what the facts say now.
    """

    name: str
    title: str
    law: str
    kind: str
    gaps: Sequence[Gap]
    needs_check: bool
    review_by: str
    published: int = 0
    stale: bool = False


def documents(opened: Workspace) -> list[Listed]:
    """Return every document with what is missing of it."""
    out = []
    for name in PAPERS:
        made = document(opened, name)
        head = tomllib.loads(shipped_data(f"documents/{name}.toml").decode())
        held = newest_manual(opened) if name == MANUAL else None
        stale = held is not None and _hashed(made) != _hashed(manual_paper(held))
        out.append(
            Listed(name, made.title, made.law, "paper", made.gaps, bool(made.doubt),
                   str(head["review_by"]), held.version if held else 0, stale)
        )  # fmt: skip
    for name in FORMS:
        asked = form(opened, name)
        out.append(
            Listed(name, asked.title, asked.law, "form", form_gaps(opened, name),
                   asked.needs_check, str(asked.review_by))
        )  # fmt: skip
    return out


def unpublished(opened: Workspace) -> list[str]:
    """Name the drafts that differ from what is published: documents do not tell them yet."""
    return sorted(custody.changes(opened.desk, read_drafts(opened.settings.folder)))


# The manual, a published version of its own


def newest_manual(opened: Workspace) -> Published | None:
    """Return the newest published manual, None where there is none."""
    with opened.store.look() as view:
        return view.published(_MANUAL)


def manuals(opened: Workspace) -> list[Published]:
    """Return every published version of the manual, oldest first."""
    with opened.store.look() as view:
        return [p for p in view.published_all(_MANUAL) if p.name == _MANUAL]


_MANUAL: Final = f"document:{MANUAL}"


def manual_paper(held: Published) -> Paper:
    """Return a published manual as it was."""
    return trust.read_paper(json.loads(held.data), held.at)


def _hashed(paper: Paper) -> bytes:
    """Return what of a document is compared: everything but its moment and where it came from."""
    data = trust.as_data(paper)
    said = [
        [part["heading"], part["text"], [[line["title"], line["said"]] for line in part["lines"]]]
        for part in data["parts"]
    ]
    return crypto.sha256(json.dumps([data["title"], data["version"], said]).encode())


def publish_manual(opened: Workspace, actor: Actor) -> Published:
    """Publish the manual as it is now, as the next version, with a public leaf.

    Raises:
        InvalidInput: This role may not, or a fact is missing: nothing was published.
    """
    if actor.role not in MAY_PUBLISH:
        raise InvalidInput("this role publishes no manual", "ask the privacy officer")
    made = document(opened, MANUAL)
    if made.gaps:
        first = made.gaps[0]
        raise InvalidInput(
            f"{len(made.gaps)} facts are missing, the first: {first.what.lower()}",
            f"fill {first.key} in {first.file}",
        )
    raw = trust.as_json(made)
    digest = crypto.sha256(raw).hex()
    with opened.store.book() as tx:
        done = tx.publish(_MANUAL, digest, raw)
        statement: dict[str, str | int] = {
            "type": "policy.published",
            "name": done.label,
            "hash": f"sha256:{digest}",
        }
        tx.state(public(statement, tx.now))
    opened.sign()
    return done


def render(made: Paper, kind: str, when: Callable[[Instant], str]) -> bytes:
    """Return a document as csv, json or pdf.

    Raises:
        InvalidInput: No such kind.
    """
    if kind == "csv":
        return trust.as_csv(made)
    if kind == "json":
        return trust.as_json(made)
    if kind == "pdf":
        return trust.as_pdf(made, when(made.at))
    raise InvalidInput("a document is written as pdf, csv or json", "name one of them")
