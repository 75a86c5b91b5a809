"""What documents are made of: the house as published, at one look; nobody's data is opened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.capabilities.trust.papers import Gap, Source
from troth.kernel import proof
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose, parse_toml
from troth.ports import View
from troth.terms import Instant, Published, Purpose

FILE: Final = "troth.toml"


@dataclass(frozen=True, slots=True)
class Words:
    """What the data files say: names of categories, usual grounds, measures, IRIs, authorities."""

    facts: Mapping[str, Any]
    iris: Mapping[str, str]
    fields: Mapping[str, str]
    authorities: Sequence[Mapping[str, Any]]
    program: str


@dataclass(frozen=True, slots=True)
class Other:
    """Another system that holds people's data, as its published mapping says.

    Attributes:
        categories: Data categories, in the house's own words where it has some.
        file: The draft of its mapping, for what is missing.
    """

    title: str
    categories: tuple[str, ...]
    country: str
    processor: str
    agreement: str
    owner: str
    retention: str
    file: str
    source: Source


@dataclass(frozen=True, slots=True)
class Facts:
    """What documents are made of, as of one moment.

    Attributes:
        values: `troth.toml` as published.
        source: Its version and hash.
        purposes: As published, by name.
        published: Newest version by published name.
        signed: How many entries of the ledger the newest signed head covers.
        others: Other systems, as mapped.
    """

    at: Instant
    values: Mapping[str, Any]
    source: Source
    house: House
    purposes: Mapping[str, Purpose]
    published: Mapping[str, Published]
    spoken: Mapping[str, frozenset[str]]
    signed: int
    words: Words
    others: Sequence[Other] = ()

    @property
    def company(self) -> str:
        """The responsible party's name, or the brand's."""
        return str(self.table("house").get("name") or self._brand().get("title") or "")

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table of `troth.toml`, empty where there is none."""
        held = self.values.get(name, {})
        return held if isinstance(held, dict) else {}

    def _brand(self) -> Mapping[str, Any]:
        return next(iter(self.table("brands").values()), {})

    @property
    def domain(self) -> str:
        """The brand's domain."""
        return str(self._brand().get("domain", ""))

    def title(self, category: str) -> str:
        """Return a category in words; its own name where the data knows none."""
        return str(self.words.facts["title"].get(category, category))

    def iri(self, category: str) -> str:
        """Return a category's DPV IRI, of its base where it names a window of time; "" none."""
        found = self.words.iris.get(category) or self.words.iris.get(category.rpartition(".")[0])
        return found or ""

    def of(self, name: str) -> Source:
        """Name the published version something stands in."""
        held = self.published[name]
        return Source(held.label, held.digest)

    def program(self) -> Source:
        """Name the program as the source of what it does by itself."""
        return Source(self.words.program)


def read_facts(desk: Desk, view: View, words: Words) -> Facts:
    """Read everything documents are made of, at one look; nobody's data is opened.

    Raises:
        InvalidInput: Nothing is published yet.
    """
    every = view.published_all("")
    newest = {p.name: p for p in every}
    house = desk.house(view)
    held = newest["house"]
    note = view.note()
    return Facts(
        at=view.now,
        values=parse_toml(FILE, held.data),
        source=Source(held.label, held.digest),
        house=house,
        purposes=house.purposes,
        published=newest,
        spoken=notices_by_purpose(every),
        signed=proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0,
        words=words,
    )


def told(facts: Facts, table: str, wanted: Iterable[tuple[str, str]]) -> tuple[
    tuple[tuple[str, str], ...], tuple[Gap, ...]
]:  # fmt: skip
    """Return what a table of `troth.toml` says under these keys, and what it does not."""
    held = facts.table(table)
    pairs, gaps = [], []
    for key, what in wanted:
        if text := str(held.get(key, "")).strip():
            pairs.append((what, text))
        else:
            gaps.append(Gap(what, FILE, f"{table}.{key}"))
    return tuple(pairs), tuple(gaps)
