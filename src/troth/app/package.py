"""A person's package put together: asked of the gate, recorded, opened, shaped, proved."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from troth.app import owndata
from troth.app.owndata import Eyes
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.capabilities.access.reading import Reading, book
from troth.capabilities.rights import (
    correcting,
    package,
    package_files,
    package_page,
    package_sections,
    package_story,
    package_words,
)
from troth.capabilities.rights.package_files import Package
from troth.capabilities.rights.package_words import Reader
from troth.kernel import ledger, proof, retention
from troth.kernel.desk import everybody
from troth.kernel.house import parse_toml
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Chunk
from troth.ports import View
from troth.terms import (
    Block,
    Channel,
    Instant,
    PersonId,
    Refusal,
)

NOTED: Final = "package"
"""What a look at the whole is booked as, besides the categories it opens."""
Values = Mapping[PersonId, Mapping[str, str]]
Pieces = Sequence[tuple[str, Chunk]]


def build(opened: Workspace, eyes: Eyes, reader: Reader = package_words.PLAIN) -> Package:
    """Put together everything held about a person, for themselves or whoever acts for them.

    Each category is asked of the gate and booked as read before it is opened, the package itself
    besides. Events a signed checkpoint covers come with their receipt. Costs about 0.5 s for
    10,000 entries of activity, and twice its own size in memory.

    Args:
        opened: The workspace.
        eyes: Who takes whose data.
        reader: Language and look.

    Raises:
        NotFound: The gate refuses: not their own, no mandate any more, or leaving.
        Shredded: The person was erased.
    """
    owndata.note(opened, eyes, NOTED)
    values = owndata.copies(opened, eyes, opened.desk.vault.fields)
    pieces = owndata.behaviour(opened, eyes)
    done = [(piece.scope, piece.chunk) for piece in pieces]
    return _packed(opened, eyes.person, (values, done, {}), reader)


def build_for(
    opened: Workspace, reading: Reading, reader: Reader = package_words.PLAIN
) -> Package | Refusal:
    """Put a package together for the rights desk: as far as its role may take data out.

    What the role may not open is named in it as closed, with nothing of it; the person takes the
    whole themselves.

    Args:
        opened: The workspace.
        reading: Whose, by whom, for which case; `fields` is not used.
        reader: Language and look.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    permit = book(opened.desk, reading, (NOTED,), None)
    if isinstance(permit, Refusal):
        return permit
    vault = opened.desk.vault
    fields = [name for name in vault.fields if vault.category(name) in permit.categories]
    with opened.store.look() as view:
        rows = view.sealed([reading.person], fields).get(reading.person, [])
        values = {reading.person: vault.open(permit, rows, view.now)}
    why = "this role may not open it; the person takes it from their own pages"
    every = {vault.category(name) for name in vault.fields} | set(owndata.SCOPES)
    closed = dict.fromkeys(sorted(every - permit.categories.keys()), why)
    return _packed(opened, reading.person, (values, [], closed), reader)


def _packed(
    opened: Workspace,
    person: PersonId,
    found: tuple[Values, Pieces, Mapping[str, str]],
    reader: Reader,
) -> Package:
    """Read the rest in one look, shape it, write every file."""
    note = opened.sign()
    with opened.store.look() as view:
        holding = _holding(opened, view, person, found)
        story = package_story.story_of(holding.chains, holding.values)
        receipts = dict(_receipts(view, story, note))
    data = package.shape(holding, story)
    parts = package_sections.sections(data, story, reader)
    packed = {
        "README.txt": package_page.readme(data, reader),
        "index.html": package_page.page(data, parts, reader),
        "summary.pdf": package_page.paper(data, parts, reader),
        "data.json": package_files.data_file(data),
        "schema.json": package_files.schema(),
        **package_files.tables(data),
        "events.jsonl": package_files.event_lines(story),
        "policy": holding.party.policy.encode(),
        **receipts,
    }
    names = ("values", "consents", "activity", "messages", "readings", "requests")
    counts = {name: len(data[name]) for name in names}
    counts |= {"events": len(story), "receipts": len(receipts), "closed": len(data["closed"])}
    return Package(packed, counts)


def _holding(
    opened: Workspace,
    view: View,
    person: PersonId,
    found: tuple[Values, Pieces, Mapping[str, str]],
) -> package.Holding:
    desk, (values, pieces, closed) = opened.desk, found
    ids = everybody(view, person)
    kept: dict[PersonId, Sequence[retention.Row]] = {
        planned.person: planned.rows for planned in custody.kept_until(desk, view, ids)
    }
    chains: dict[PersonId, Sequence[Recorded]] = {
        each: desk.scribe.chain(view, each) for each in ids
    }
    shipped = _shipped()
    return package.Holding(
        ids=tuple(ids),
        at=Instant(view.now),
        party=party_of(opened, view),
        house=desk.house(view),
        record=view.gather([person], None)[0].record,
        values=values,
        activity=pieces,
        chains=chains,
        blocks=_blocks(view, person),
        kept=kept,
        labels={name: desk.vault.category(name) for name in desk.vault.fields},
        iris={name: shipped[name] for name in ("category", "purpose", "ground")},
        protection=shipped["protection"]["record"],
        closed=closed,
        statements=correcting.statements([r.event for chain in chains.values() for r in chain]),
    )


@cache
def _shipped() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("troth") / "data/package.toml").read_text("utf-8"))


def _blocks(view: View, person: PersonId) -> dict[str, tuple[Block, ...]]:
    out: dict[str, tuple[Block, ...]] = {}
    for channel in Channel:
        found = view.gather([person], channel)
        if found and found[0].contact is not None and found[0].blocks:
            out[channel] = found[0].blocks
    return out


def party_of(opened: Workspace, view: View) -> package.Party:
    """Return who holds the data and where, as the house has published it."""
    found = view.published("house")
    values = parse_toml("troth.toml", found.data) if found else {}
    house, storage = values.get("house", {}), values.get("storage", {})
    days = storage.get("backup_days")
    return package.Party(
        name=house.get("name") or opened.settings.title,
        address=house.get("address", ""),
        contact=house.get("privacy_contact", ""),
        ledger=opened.signer.origin,
        policy=opened.signer.policy_for(view.note() or ""),
        relays=_relays(opened),
        system=storage.get("system") or package.UNKNOWN,
        country=storage.get("country") or package.UNKNOWN,
        backup_days=days if isinstance(days, int) else -1,
    )


def _relays(opened: Workspace) -> dict[str, str]:
    """Name who carries messages, by channel; the house's own machine where it does itself."""
    host = opened.settings.relay_host
    own = host in {"localhost", "127.0.0.1"}
    out = {str(Channel.EMAIL): "the house's own mail system" if own else f"the mail system {host}"}
    for name, table in opened.settings.channels.items():
        out[name] = f"the provider {table.get('provider') or name}"
    return out


def _receipts(
    view: View, story: Sequence[package_story.Line], note: str
) -> Sequence[tuple[str, bytes]]:
    """Write the receipt of each event under the checkpoint; one that names others proves alone."""
    size = proof.parse_checkpoint(proof.parse_note(note)[0]).size
    out = []
    for each in story:
        held = each.recorded
        if held.seq >= size:
            continue
        extra = proof.erased_extra(held.c) if each.cut else proof.event_extra(held.salt, held.raw)
        text = ledger.receipt(extra, held.seq, note, view.tile)
        out.append((package_files.receipt_name(each), text.encode()))
    return out
