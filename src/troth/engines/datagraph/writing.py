"""Write a data map as Fides reads it: what was read comes out again, what we know is put first."""

from collections.abc import Mapping, Sequence
from typing import Any

from troth.engines.datagraph.model import (
    STEPS,
    Category,
    Collection,
    DataMap,
    Extra,
    Field,
    Flow,
    Place,
    Reference,
    Store,
    System,
    Use,
)


def write(held: DataMap) -> dict[str, Any]:
    """Return a map as the plain values of a mapping document; `reading.read` reads it back."""
    return _kept(
        dataset=[_store(each) for each in held.stores],
        system=[_system(each) for each in held.systems],
        data_category=[_category(each) for each in held.categories],
    ) | dict(held.extra)


def _kept(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Leave out what says nothing."""
    return {name: value for name, value in values.items() if value not in ("", [], {}, (), None)}


def _meta(place: Place, extra: Extra) -> dict[str, Any]:
    """Return `meta` and whatever else is extra, with our own words about a place in `meta`."""
    measures = {step: list(place.measures[step]) for step in STEPS if step in place.measures}
    ours = _kept(
        country=place.country,
        processor=place.processor,
        agreement=place.agreement,
        owner=place.owner,
        retention=place.retention,
        measures=measures,
    )
    meta = {**extra.get("meta", {}), **({"troth": ours} if ours else {})}
    rest = {name: value for name, value in extra.items() if name != "meta"}
    return rest | ({"meta": meta} if meta else {})


def _store(each: Store) -> dict[str, Any]:
    return {
        "fides_key": each.key,
        **_kept(
            name=each.name,
            description=each.description,
            data_categories=list(each.categories),
            data_uses=list(each.purposes),
            fides_meta=dict(each.meta),
        ),
        **_meta(each.place, each.extra),
        "collections": [_collection(held) for held in each.collections],
    }


def _collection(each: Collection) -> dict[str, Any]:
    return {
        "name": each.name,
        **_kept(
            description=each.description,
            data_categories=list(each.categories),
            data_uses=list(each.purposes),
            fides_meta=dict(each.meta),
        ),
        **each.extra,
        "fields": [_field(held) for held in each.fields],
    }


def _field(each: Field) -> dict[str, Any]:
    meta = {
        **_kept(
            data_type=each.type,
            primary_key=each.key or None,
            identity=each.identity,
            length=each.length or None,
            references=[_reference(held) for held in each.references],
        ),
        **each.meta,
    }
    return {
        "name": each.name,
        **_kept(
            description=each.description,
            data_categories=list(each.categories),
            data_uses=list(each.purposes),
            fides_meta=meta,
        ),
        **each.extra,
        **_kept(fields=[_field(held) for held in each.fields]),
    }


def _reference(each: Reference) -> dict[str, Any]:
    told = {"dataset": each.store, "field": each.column, **_kept(direction=each.direction)}
    return {**told, **each.extra}


def _system(each: System) -> dict[str, Any]:
    return {
        "fides_key": each.key,
        **_kept(name=each.name, description=each.description),
        "system_type": each.kind or "Service",
        **_kept(
            dataset_references=list(each.stores),
            ingress=[_flow(held) for held in each.comes],
            egress=[_flow(held) for held in each.goes],
        ),
        **_meta(each.place, each.extra),
        "privacy_declarations": [_use(held) for held in each.uses],
    }


def _flow(each: Flow) -> dict[str, Any]:
    told = {"fides_key": each.other, "type": each.kind}
    return {**told, **_kept(data_categories=list(each.categories)), **each.extra}


def _use(each: Use) -> dict[str, Any]:
    return {
        **_kept(name=each.name),
        "data_use": each.purpose,
        "data_categories": list(each.categories),
        "data_subjects": list(each.subjects),
        **_kept(retention_period=each.retention, legal_basis_for_processing=each.basis),
        **each.extra,
    }


def _category(each: Category) -> dict[str, Any]:
    told = _kept(name=each.name, description=each.description, parent_key=each.parent)
    return {"fides_key": each.key, **told, **each.extra}


def counts(held: DataMap) -> Mapping[str, int]:
    """Count what a map describes: stores, systems, collections, fields, fields with a category."""
    fields: Sequence[Field] = [each for store in held.stores for _, each in store.walk()]
    return {
        "stores": len(held.stores),
        "systems": len(held.systems),
        "collections": sum(len(store.collections) for store in held.stores),
        "fields": len(fields),
        "categorised": sum(1 for each in fields if each.categories),
    }
