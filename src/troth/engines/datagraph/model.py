"""What a data map is made of: systems, the stores they keep, collections, fields, and flows.

Values only. What a mapping file says beyond these words is kept in `extra`, as it was read, and is
written back where it stood.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Step = Literal["acquired", "used", "stored", "shared", "deleted"]
STEPS: Final[tuple[Step, ...]] = ("acquired", "used", "stored", "shared", "deleted")
"""The way of a datum through a house, in order."""
Extra = Mapping[str, Any]


def _no_extra() -> Extra:
    return {}


@dataclass(frozen=True, slots=True)
class Reference:
    """A field whose values are keys of another store's field.

    Attributes:
        column: Collection and field there, joined by a dot.
        direction: from, to, or "" where both ways.
    """

    store: str
    column: str
    direction: str = ""
    extra: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class Field:
    """One column, or one member of a document; `fields` are members below it.

    Attributes:
        categories: fideslang data categories it holds, such as `user.contact.email`.
        type: Its type as the mapping writes it; "" where it does not.
        key: It is the primary key, or part of it.
        identity: Which identifier of a person it is (email, phone_number, …); "" none.
        length: Longest value, characters; 0 where it is not said.
        purposes: fideslang data uses.
    """

    name: str
    categories: tuple[str, ...] = ()
    description: str = ""
    type: str = ""
    key: bool = False
    identity: str = ""
    length: int = 0
    references: tuple[Reference, ...] = ()
    purposes: tuple[str, ...] = ()
    fields: tuple["Field", ...] = ()
    extra: Extra = field(default_factory=_no_extra)
    meta: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class Collection:
    """A table, a file of rows, or a collection of documents.

    Attributes:
        meta: What `fides_meta` says, as it was read.
    """

    name: str
    fields: tuple[Field, ...] = ()
    categories: tuple[str, ...] = ()
    description: str = ""
    purposes: tuple[str, ...] = ()
    extra: Extra = field(default_factory=_no_extra)
    meta: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system or store lies, who answers for it, and what protects it.

    Attributes:
        country: ISO 3166 code of where it lies.
        processor: The company that runs it for us; "" where we do.
        agreement: What we have agreed with that company.
        owner: Who answers for it here.
        retention: For how long it keeps what it holds, in words.
        measures: Step → what protects data there, as its owner says it; not looked at by anybody.
    """

    country: str = ""
    processor: str = ""
    agreement: str = ""
    owner: str = ""
    retention: str = ""
    measures: Mapping[Step, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """What one mapping calls a dataset: a database, a folder of files, a service's objects."""

    key: str
    collections: tuple[Collection, ...] = ()
    name: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    place: Place = field(default_factory=Place)
    extra: Extra = field(default_factory=_no_extra)
    meta: Extra = field(default_factory=_no_extra)

    @property
    def title(self) -> str:
        """Its name, or its key where it has none."""
        return self.name or self.key

    def walk(self) -> Iterator[tuple[str, Field]]:
        """Yield every field with its collection, members below a field by their whole name."""
        for held in self.collections:
            for each in held.fields:
                yield from ((held.name, found) for found in _below(each, ""))

    def held(self) -> frozenset[str]:
        """Return every category anywhere in it."""
        below = (c for _, each in self.walk() for c in each.categories)
        beside = (c for held in self.collections for c in held.categories)
        return frozenset((*self.categories, *beside, *below))


def _below(each: Field, before: str) -> Iterator[Field]:
    name = f"{before}{each.name}"
    yield each if not before else _named(each, name)
    for inner in each.fields:
        yield from _below(inner, f"{name}.")


def _named(each: Field, name: str) -> Field:
    return Field(name, each.categories, each.description, each.type, each.key, each.identity)


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes from one system into another.

    Attributes:
        other: Key of the system, or a kind of people, at the other end.
        kind: system, user, dataset or organization.
    """

    other: str
    kind: str = "system"
    categories: tuple[str, ...] = ()
    extra: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class Use:
    """What a system does with data: a privacy declaration."""

    purpose: str
    categories: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    name: str = ""
    retention: str = ""
    basis: str = ""
    extra: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class System:
    """Something that handles data: ours, or another company's.

    Attributes:
        stores: Keys of the stores it keeps.
        comes: What flows into it.
        goes: What flows out of it.
    """

    key: str
    name: str = ""
    description: str = ""
    kind: str = ""
    stores: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    comes: tuple[Flow, ...] = ()
    goes: tuple[Flow, ...] = ()
    place: Place = field(default_factory=Place)
    extra: Extra = field(default_factory=_no_extra)

    @property
    def title(self) -> str:
        """Its name, or its key where it has none."""
        return self.name or self.key


@dataclass(frozen=True, slots=True)
class Category:
    """A data category a mapping brings itself."""

    key: str
    name: str = ""
    description: str = ""
    parent: str = ""
    extra: Extra = field(default_factory=_no_extra)


@dataclass(frozen=True, slots=True)
class DataMap:
    """What one or several mapping files say.

    Attributes:
        extra: Resources of other kinds, as they were read.
    """

    systems: tuple[System, ...] = ()
    stores: tuple[Store, ...] = ()
    categories: tuple[Category, ...] = ()
    extra: Extra = field(default_factory=_no_extra)

    def store(self, key: str) -> Store | None:
        """Return a store by its key, None where there is none."""
        return next((each for each in self.stores if each.key == key), None)
