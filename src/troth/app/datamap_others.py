"""Other systems of the data map, by their mappings; and the whole map as Fides has it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from troth.app import documents, scans
from troth.app.checks import Step
from troth.app.datamap_model import RECORD, US, Holding, Part, person_categories, taxonomy
from troth.app.scans import all_ours, theirs
from troth.app.workspace import Workspace
from troth.capabilities.trust import Facts
from troth.capabilities.trust.recipients import recipients
from troth.engines import datagraph
from troth.engines.datagraph import DataMap, Place, Store, System
from troth.errors import Fault
from troth.terms import PurposeKind


def published(opened: Workspace) -> tuple[DataMap, str]:
    """Return every published mapping, or an empty one and what is wrong with them."""
    try:
        with opened.store.look() as view:
            return scans.mappings(view), ""
    except Fault as fault:
        return DataMap(), str(fault)


def stores(opened: Workspace, mapped: DataMap) -> Iterator[Part]:
    """Yield a part for each configured source, and for each mapped store that is none."""
    mappings = {str(said.get("mapping", n)): n for n, said in opened.settings.sources.items()}
    for key in sorted({*mappings, *(each.key for each in mapped.stores)}):
        name = mappings.get(key, "")
        said = opened.settings.sources.get(name, {}) if name else {}
        store = mapped.store(key)
        part = _store(key, store, said)
        fed = _fed(mapped, key)
        yield replace(part, key=f"source:{name}" if name else f"store:{key}", into=fed)


def _store(key: str, store: Store | None, said: Mapping[str, Any]) -> Part:
    place = store.place if store else Place()
    country = place.country or str(said.get("country", ""))
    processor = place.processor or str(said.get("processor", ""))
    gaps = [] if store else [f"no mapping describes it: map/{key}.yml"]
    gaps += [] if country else ["country: meta.troth.country of its mapping"]
    gaps += ["agreement with its processor"] if processor and not place.agreement else []
    gaps += [] if place.retention else ["how long it keeps data: meta.troth.retention"]
    bare = [f"{t}.{f.name}" for t, f in store.walk() if not f.categories] if store else []
    covered = store is not None and bool(store.categories)
    return Part(
        key, str(said.get("title", "")) or (store.title if store else key), "stored", "source",
        text=store.description if store else "",
        categories=all_ours(store.held()) if store else (),
        country=country,
        processor=processor,
        agreement=place.agreement,
        owner=place.owner or str(said.get("owner", "")),
        holds=tuple(_collections(store)) if store else (),
        kept=(("All of it", place.retention),) if place.retention else (),
        claims=tuple(f"{step}: {each}" for step, held in place.measures.items() for each in held),
        undescribed=() if covered else tuple(bare)[:200],
        gaps=tuple(gaps),
    )  # fmt: skip


def _collections(store: Store) -> Iterator[Holding]:
    for each in store.collections:
        found = {c for field in each.fields for c in (*field.categories, *each.categories)}
        said = f"{len(each.fields):,} columns"
        yield Holding(each.name, each.description or said, "", all_ours(found))


def _fed(mapped: DataMap, store: str) -> tuple[str, ...]:
    """Return where a store's data goes on to: here, where its system says so."""
    for system in mapped.systems:
        if store in system.stores and any(flow.other == US for flow in system.goes):
            return ("imports",)
    return ()


def systems(mapped: DataMap) -> Iterator[Part]:
    """Yield systems that keep no store described here: services that are only used."""
    known = {each.key for each in mapped.stores}
    for each in mapped.systems:
        if not known & set(each.stores):
            yield _system(each)


def _system(each: System) -> Part:
    found = {c for use in each.uses for c in use.categories}
    found |= {c for flow in (*each.comes, *each.goes) for c in flow.categories}
    gives = any(flow.other == US for flow in each.goes)
    place = each.place
    return Part(
        f"system:{each.key}", each.title, "acquired" if gives else "shared", "system",
        text=each.description,
        categories=all_ours(found),
        country=place.country,
        processor=place.processor,
        agreement=place.agreement,
        owner=place.owner,
        holds=tuple(Holding(u.purpose, u.name, "", all_ours(u.categories)) for u in each.uses),
        kept=tuple((u.name or u.purpose, u.retention) for u in each.uses if u.retention),
        claims=tuple(f"{step}: {said}" for step, held in place.measures.items() for said in held),
        into=(RECORD,) if gives else (),
        gaps=() if place.country else ("country: meta.troth.country of its mapping",),
    )  # fmt: skip


def title(category: str) -> str:
    """Return a category in words: the house's own, else the data file's, else its name."""
    said = documents.category_title(category)
    return scans.titles().get(category, category) if said == category else said


def fides(opened: Workspace) -> DataMap:
    """Return the whole map as Fides describes it: this house as a system, and what is mapped."""
    facts = documents.facts(opened)
    mapped, _ = published(opened)
    return replace(
        mapped,
        systems=(*mapped.systems, *_as_systems(facts)),
        stores=(*mapped.stores, _as_store(facts)),
    )


def _as_store(facts: Facts) -> Store:
    fields = tuple(
        datagraph.Field(name, (theirs(category),))
        for name, category in taxonomy()["fields"].items()
    )
    scopes = sorted(set(person_categories()) - set(taxonomy()["fields"].values()))
    behaviour = tuple(datagraph.Field(name, (theirs(name),)) for name in scopes)
    tables = (
        datagraph.Collection("sealed", fields, description="values, sealed for each person"),
        datagraph.Collection("behaviour", behaviour, description="quarters, sealed likewise"),
    )
    stored = str(facts.table("storage").get("country", ""))
    measures: dict[Step, tuple[str, ...]] = {"stored": (documents.PROTECTION,)}
    return Store(
        "troth_record", tables, "The record of Troth", place=Place(stored, measures=measures)
    )


def _as_systems(facts: Facts) -> Iterator[System]:
    uses = tuple(
        datagraph.Use(
            _DATA_USE.get(each.kind, "operations"),
            tuple(sorted({theirs(c) for c in each.categories})) or ("user",),
            ("customer",),
            each.title,
            f"{each.retention_days} days" if each.retention_days else "",
        )
        for _, each in sorted(facts.purposes.items())
    )
    goes = tuple(datagraph.Flow(_key(each.key)) for each in recipients(facts))
    stored = str(facts.table("storage").get("country", ""))
    yield System(
        US, "Troth", "Personalised marketing with proof", "Service",
        ("troth_record",), uses, (), goes, Place(stored),
    )  # fmt: skip
    for each in recipients(facts):
        yield System(
            _key(each.key), each.title, "", "Service", (), (), (datagraph.Flow(US),), (),
            Place(each.country, agreement=each.transfer),
        )  # fmt: skip


def _key(key: str) -> str:
    return "recipient_" + key.replace(".", "_")


_DATA_USE: Mapping[PurposeKind, str] = {
    PurposeKind.MARKETING: "marketing.communications",
    PurposeKind.CONSENT_REQUEST: "functional.storage.privacy_preferences",
    PurposeKind.PERSONALISE: "personalize",
    PurposeKind.SERVICE: "essential.service",
    PurposeKind.OPERATIONS: "essential.service.operations",
}
