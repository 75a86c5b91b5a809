"""Read a mapping as Fides writes it: `dataset`, `system` and `data_category` resources.

Takes the plain values of a YAML or JSON document. A value of the wrong kind is refused with its
place, such as `dataset.0.collections.2.fields.1.name`; a key that is not known is kept as it is.
Our own words about a place stand under `meta.troth`, which fideslang leaves alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

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
    Step,
    Store,
    System,
    Use,
)
from troth.errors import InvalidInput

FIELDS_MAX: Final = 50_000
_KEY: Final = re.compile(r"[A-Za-z0-9_.<>-]{1,200}")
_TEXT_MAX: Final = 4_000
_Each = TypeVar("_Each")
_Keyed = TypeVar("_Keyed", System, Store, Category)


@dataclass(slots=True)
class _Node:
    """One table of a document: each key is taken once, what is left is kept as extra."""

    values: dict[str, Any]
    place: str

    def wrong(self, key: str, said: str) -> InvalidInput:
        dot = f"{self.place}." if self.place else ""
        return InvalidInput(f"the mapping: {dot}{key} {said}", "correct the file")

    def text(self, key: str) -> str:
        value = self.values.pop(key, None)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.wrong(key, "is no text")
        if len(str(value)) > _TEXT_MAX:
            raise self.wrong(key, f"is longer than {_TEXT_MAX} characters")
        return str(value)

    def key(self, key: str) -> str:
        value = self.text(key)
        if not _KEY.fullmatch(value):
            raise self.wrong(key, "is no key: letters, digits and _ . - alone")
        return value

    def name(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise self.wrong(key, "is missing")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(str(each) for each in self._list(key, str, "is no list of texts"))

    def keys(self, key: str) -> tuple[str, ...]:
        found = self.texts(key)
        if any(not _KEY.fullmatch(each) for each in found):
            raise self.wrong(key, "holds what is no key: letters, digits and _ . - alone")
        return found

    def flag(self, key: str) -> bool:
        value = self.values.pop(key, None)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "is neither true nor false")
        return bool(value)

    def number(self, key: str) -> int:
        value = self.values.pop(key, None)
        if value is not None and (type(value) is not int or value < 1):
            raise self.wrong(key, "is no whole number above 0")
        return int(value or 0)

    def nodes(self, key: str) -> Iterator["_Node"]:
        dot = f"{self.place}." if self.place else ""
        for n, each in enumerate(self._list(key, dict, "is no list of tables")):
            yield _Node(dict(each), f"{dot}{key}.{n}")

    def node(self, key: str) -> "_Node":
        value = self.values.pop(key, None)
        dot = f"{self.place}." if self.place else ""
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, "is no table")
        return _Node(dict(value or {}), f"{dot}{key}")

    def _list(self, key: str, kind: type, said: str) -> list[Any]:
        value = self.values.pop(key, None)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, kind) for each in value):
            raise self.wrong(key, said)
        return value

    def left(self) -> Extra:
        return {name: value for name, value in self.values.items() if value is not None}


def read(document: object) -> DataMap:
    """Read the plain values of one mapping document.

    Raises:
        InvalidInput: It is no mapping; a value is of the wrong kind, a key or a name stands twice;
            names the place, never the value.
    """
    if not isinstance(document, dict) or not all(isinstance(k, str) for k in document):
        raise InvalidInput("this is no mapping", "begin it with dataset: or system:")
    node = _Node(dict(document), "")
    read_map = DataMap(
        systems=_once(node, "system", [_system(each) for each in node.nodes("system")]),
        stores=_once(node, "dataset", [_store(each) for each in node.nodes("dataset")]),
        categories=_once(
            node, "data_category", [_category(each) for each in node.nodes("data_category")]
        ),
        extra=node.left(),
    )
    if sum(1 for store in read_map.stores for _ in store.walk()) > FIELDS_MAX:
        raise InvalidInput(f"a mapping has at most {FIELDS_MAX:,} fields", "cut it into several")
    return read_map


def _once(node: _Node, key: str, found: list[_Keyed]) -> tuple[_Keyed, ...]:
    return _distinct(node, key, found, lambda each: each.key)


def _distinct(
    node: _Node, key: str, found: list[_Each], name: Callable[[_Each], str]
) -> tuple[_Each, ...]:
    seen: set[str] = set()
    for n, each in enumerate(found):
        if name(each) in seen:
            raise node.wrong(f"{key}.{n}", "has the name of one before it")
        seen.add(name(each))
    return tuple(found)


def _store(node: _Node) -> Store:
    made = [_collection(each) for each in node.nodes("collections")]
    meta = node.node("meta")
    return Store(
        key=node.key("fides_key"),
        collections=_distinct(node, "collections", made, lambda each: each.name),
        name=node.text("name"),
        description=node.text("description"),
        categories=node.keys("data_categories"),
        purposes=node.keys("data_uses"),
        place=_place(meta.node("troth")),
        extra=_with_meta(node, meta),
        meta=_meta(node),
    )


def _with_meta(node: _Node, meta: _Node) -> Extra:
    """Keep what `meta` says besides our own words."""
    left = meta.left()
    return {**node.left(), **({"meta": left} if left else {})}


def _meta(node: _Node) -> Extra:
    """Return `fides_meta`, under its older name too, as it was read."""
    name = "fidesops_meta" if "fidesops_meta" in node.values else "fides_meta"
    return node.node(name).left()


def _collection(node: _Node) -> Collection:
    made = [_field(each, 0) for each in node.nodes("fields")]
    meta = _meta(node)
    return Collection(
        name=node.name("name"),
        fields=_distinct(node, "fields", made, lambda each: each.name),
        categories=node.keys("data_categories"),
        description=node.text("description"),
        purposes=node.keys("data_uses"),
        extra=node.left(),
        meta=meta,
    )


_DEEP: Final = 16


def _field(node: _Node, depth: int) -> Field:
    if depth > _DEEP:
        raise node.wrong("fields", f"lies more than {_DEEP} tables deep")
    made = [_field(each, depth + 1) for each in node.nodes("fields")]
    name = "fidesops_meta" if "fidesops_meta" in node.values else "fides_meta"
    meta = node.node(name)
    return Field(
        name=node.name("name"),
        categories=node.keys("data_categories"),
        description=node.text("description"),
        type=meta.text("data_type"),
        key=meta.flag("primary_key"),
        identity=meta.text("identity"),
        length=meta.number("length"),
        references=tuple(_reference(each) for each in meta.nodes("references")),
        purposes=node.keys("data_uses"),
        fields=_distinct(node, "fields", made, lambda each: each.name),
        extra=node.left(),
        meta=meta.left(),
    )


def _reference(node: _Node) -> Reference:
    direction = node.text("direction")
    if direction not in {"", "from", "to"}:
        raise node.wrong("direction", "is neither from nor to")
    return Reference(node.key("dataset"), node.name("field"), direction, node.left())


_PLACE: Final = ("country", "processor", "agreement", "owner", "retention")


def _place(node: _Node) -> Place:
    told = {name: node.text(name) for name in _PLACE}
    measures = node.node("measures")
    found: dict[Step, tuple[str, ...]] = {}
    for step in STEPS:
        if said := measures.texts(step):
            found[step] = said
    for rest in (measures, node):
        if unknown := rest.left():
            raise rest.wrong(min(unknown), "is not known here")
    return Place(**told, measures=found)


def _system(node: _Node) -> System:
    meta = node.node("meta")
    comes, goes = ([_flow(e) for e in node.nodes(name)] for name in ("ingress", "egress"))
    return System(
        key=node.key("fides_key"),
        name=node.text("name"),
        description=node.text("description"),
        kind=node.text("system_type"),
        stores=node.keys("dataset_references"),
        uses=tuple(_use(each) for each in node.nodes("privacy_declarations")),
        comes=tuple(comes),
        goes=tuple(goes),
        place=_place(meta.node("troth")),
        extra=_with_meta(node, meta),
    )


def _flow(node: _Node) -> Flow:
    return Flow(
        other=node.key("fides_key"),
        kind=node.name("type"),
        categories=node.keys("data_categories"),
        extra=node.left(),
    )


def _use(node: _Node) -> Use:
    return Use(
        purpose=node.key("data_use"),
        categories=node.keys("data_categories"),
        subjects=node.keys("data_subjects"),
        name=node.text("name"),
        retention=node.text("retention_period"),
        basis=node.text("legal_basis_for_processing"),
        extra=node.left(),
    )


def _category(node: _Node) -> Category:
    return Category(
        key=node.key("fides_key"),
        name=node.text("name"),
        description=node.text("description"),
        parent=node.text("parent_key"),
        extra=node.left(),
    )


def merge(maps: Mapping[str, DataMap]) -> DataMap:
    """Put several mappings together, each under its file's name.

    Raises:
        InvalidInput: Two files describe one store or system; names both files.
    """
    owner: dict[tuple[str, str], str] = {}
    for file, each in sorted(maps.items()):
        named = [("store", s.key) for s in each.stores] + [("system", s.key) for s in each.systems]
        for kind, key in named:
            if other := owner.get((kind, key)):
                raise InvalidInput(
                    f"{file} and {other} describe one {kind}", "keep it in one of them"
                )
            owner[kind, key] = file
    held = [maps[name] for name in sorted(maps)]
    return DataMap(
        systems=tuple(s for each in held for s in each.systems),
        stores=tuple(s for each in held for s in each.stores),
        categories=tuple(c for each in held for c in each.categories),
        extra={},
    )
