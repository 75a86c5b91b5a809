"""The demo's input files, made from published purchases and generated people.

What is written is what any company could hand in: customers, consents, events, suppressions, an
opt-out registry, products and a workspace's drafts. Troth's importers read them like anybody's.
The same moment and seed give the same bytes.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from troth.errors import InvalidInput, NotFound
from troth.surfaces.demo import history, people, sample
from troth.surfaces.demo.clock import ZONE, whole_weeks
from troth.surfaces.demo.draw import Draw
from troth.surfaces.demo.people import Customer, told

SILENT_DAYS = 90
REGISTRY_SCHEME = "sha256-lower-trim"
_REGISTRY_AGE_DAYS = 15
_DRAFTS = (
    "troth.toml", "purposes", "notices", "templates", "audiences", "content", "texts", "words",
)  # fmt: skip

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "customers": (
        "external_id", "email", "phone", "given_name", "family_name", "residence", "zone",
        "language", "birth_year", "subject", "competent_person_email", "interests",
        "relation_kind", "relation_at", "relation_goods", "details_from_sale",
        "objection_offered", "source",
    ),
    "consents": (
        "external_id", "purpose", "channels", "status", "occurred_at", "notice", "method",
        "proof", "categories", "level", "given_by", "confirmed_at", "idempotency_key",
    ),
    "products": ("item", "group", "department", "name", "sensitive", "sensitive_list"),
    "suppressions": ("email", "reason", "since", "source"),
    "list": sample.COLUMNS,
}  # fmt: skip
"""Headings of the CSV files."""


@dataclass(frozen=True, slots=True)
class Material:
    """What was written.

    Attributes:
        now: The demo's moment everything is dated back from.
        weeks: By how many weeks the published purchases were moved.
        paths: By name: customers, consents, events, products, suppressions, registry, list,
            sources.
        counts: By name, such as `customers`, `lines`, `returns`, `silent`, `profile.soft`.
    """

    folder: Path
    now: datetime
    weeks: int
    paths: Mapping[str, Path]
    counts: Mapping[str, int]


def write_material(folder: Path, *, demo_now: datetime, seed: int = 7) -> Material:
    """Write every input file of the demo into `folder`; about 4 s of one core and 400 MB.

    Files of an earlier run are replaced. Needs the extra `[demo]`.

    Raises:
        InvalidInput: `demo_now` has no zone.
        NotFound: The published purchases are not installed. Nothing was written.
    """
    if demo_now.tzinfo is None:
        raise InvalidInput("the demo's moment needs a zone", "write 2026-11-24T10:00:00+02:00")
    shop, now = _shop(), demo_now.astimezone(ZONE)
    lines, weeks = shop.load(), whole_weeks(now)
    households = lines.households()
    everybody = people.customers(households, shop.age_bands(), now, seed) + people.earlier(seed)
    goods = shop.products(_words(shop), _sensitive(shop))
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / file for name, file in _FILES.items()}
    shoppers = {
        who.household: shop.Shopper(who.external_id, who.wall_zone, people.currency(who.residence))
        for who in everybody
        if who.household
    }
    bought = shop.write_events(paths["events"], lines, weeks, shoppers, goods)
    counts = Counter(f"profile.{who.profile}" for who in everybody)
    counts["households"] = len(households)
    counts["lines"], counts["returns"] = bought.lines, bought.returns
    counts["silent"] = silent(bought.last_by.values(), now)
    counts["customers"] = _write(
        paths["customers"], COLUMNS["customers"], _told(everybody, bought.first_by, now)
    )
    acts = [act for who in everybody for act in history.acts(who, now, seed)]
    acts.sort(key=lambda act: act.late)
    counts["consents"] = _write(paths["consents"], COLUMNS["consents"], map(_act_row, acts))
    counts["products"] = _write(paths["products"], COLUMNS["products"], map(_product_row, goods))
    counts["sensitive"] = sum(bool(product.listed) for product in goods)
    blocked = list(_suppressions(everybody, now, seed))
    counts["suppressions"] = _write(paths["suppressions"], COLUMNS["suppressions"], blocked)
    counts["registry"] = _write_registry(paths["registry"], everybody, now, seed)
    counts["list"] = _write(paths["list"], COLUMNS["list"], map(_list_row, sample.rows(now, seed)))
    counts["drafts"] = write_drafts(folder, now)
    _write_sources(paths["sources"], now, weeks, counts)
    return Material(folder, now, weeks, paths, dict(sorted(counts.items())))


def write_events_csv(material: Material) -> Path:
    """Write the events once more as `events.csv`, same rows and columns; about 3 s, 110 MB."""
    path = material.folder / "events.csv"
    _shop().write_csv(material.paths["events"], path)
    return path


def silent(last_s: Iterable[int], now: datetime) -> int:
    """Count those whose last purchase (UTC seconds) lies more than `SILENT_DAYS` before `now`."""
    limit = (now - timedelta(days=SILENT_DAYS)).timestamp()
    return sum(last < limit for last in last_s)


_FILES = {
    "customers": "customers.csv",
    "consents": "consents.csv",
    "events": "events.parquet",
    "products": "products.csv",
    "suppressions": "suppressions.csv",
    "registry": "registry-za.csv",
    "list": sample.FILE,
    "sources": "SOURCES.md",
}


def _shop() -> ModuleType:
    try:
        return import_module("troth.surfaces.demo.purchases")
    except ModuleNotFoundError as error:
        raise NotFound(
            f"the demo needs {error.name}, which is not installed", "install troth[demo]"
        ) from None


def _words(shop: ModuleType) -> Any:  # noqa: ANN401 - a class of the module loaded on demand
    words = told("words")
    return shop.Words(words["labels"], words["tokens"])


def _sensitive(shop: ModuleType) -> list[Any]:
    return [
        shop.Sensitive(
            each["name"],
            *(frozenset(each[part]) for part in ("categories", "departments", "words")),
        )
        for each in told("sensitive")["list"]
    ]


# --- rows ---------------------------------------------------------------------------------------


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write one CSV file (UTF-8, LF, heading row) and return its number of rows."""
    done = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            done += 1
    return done


def _stamp(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def _yes(flag: object) -> str:
    return "yes" if flag else "no"


def _told(
    everybody: Iterable[Customer], first_by: Mapping[str, int], now: datetime
) -> Iterator[Sequence[str]]:
    for who in everybody:
        first = first_by.get(who.external_id)
        at = (
            now - timedelta(days=who.relation_days)
            if first is None
            else datetime.fromtimestamp(first, UTC)
        )
        yield (
            who.external_id,
            who.email,
            "",
            who.given_name,
            who.family_name,
            who.residence,
            who.zone,
            who.language,
            str(who.birth_year or ""),
            who.subject,
            who.competent_person_email,
            ";".join(who.interests),
            who.relation_kind,
            _stamp(at, who.wall_zone),
            people.GOODS,
            _yes(who.details_from_sale),
            _yes(who.offered),
            who.source,
        )


def _act_row(act: history.Act) -> Sequence[str]:
    return [str(getattr(act, column)) for column in COLUMNS["consents"]]


def _list_row(row: sample.Row) -> Sequence[str]:
    return [row.get(column, "") for column in COLUMNS["list"]]


def _product_row(product: Any) -> Sequence[str]:  # noqa: ANN401 - as in `_words`
    return (
        str(product.item),
        product.group,
        product.department,
        product.name,
        _yes(product.listed),
        product.listed,
    )


# --- who must not be written to -----------------------------------------------------------------


def _stranger(draw: Draw, number: int) -> str:
    names = told("names")
    region = draw.pick("region", sorted(names["given"]))
    given, family = (draw.pick(part, names[part][region]) for part in ("given", "family"))
    return people.address(draw, given, family, number)


def _suppressions(
    everybody: Iterable[Customer], now: datetime, seed: int
) -> Iterator[Sequence[str]]:
    """Yield addresses that once said stop: some of customers, some of nobody here."""
    mix, seen = told("mix"), set()
    for who in everybody:
        draw = Draw(seed, f"suppression {who.external_id}")
        named = who.suppression
        drawn = who.profile != "cast" and draw.share("hit") < mix["share"]["suppressed"]
        if who.email in seen or not (named or drawn):
            continue
        seen.add(who.email)
        reason = named["reason"] if named else _reason(draw)
        days = named["days"] if named else draw.whole("since", 5, 500)
        yield who.email, reason, _stamp(now - timedelta(days=days), who.wall_zone), who.source
    for number in range(mix["counts"]["suppressed_strangers"]):
        draw = Draw(seed, f"stranger {number}")
        since = now - timedelta(days=draw.whole("since", 200, 1500))
        place = told("names")["source"]["list"]["label"]
        yield _stranger(draw, 5000 + number), _reason(draw), _stamp(since, ZONE.key), place


def _reason(draw: Draw) -> str:
    return draw.weigh("reason", {"unsubscribe": 6, "complaint": 2, "hard_bounce": 3})


def _digest(email: str) -> str:
    """Digest an address by `REGISTRY_SCHEME`: SHA-256 over trimmed, lower-cased UTF-8."""
    return sha256(email.strip().lower().encode()).hexdigest()


def _write_registry(path: Path, everybody: Iterable[Customer], now: datetime, seed: int) -> int:
    """Write the opt-out registry: keyless digests in order of digest, so none shows its person."""
    mix = told("mix")
    blocked = {
        _digest(who.email)
        for who in everybody
        if who.residence == "ZA"
        and who.profile != "cast"
        and Draw(seed, f"registry {who.external_id}").share("hit") < mix["share"]["registry"]
    }
    strangers = range(mix["counts"]["registry_strangers"])
    blocked |= {_digest(_stranger(Draw(seed, f"registry {n}"), 6000 + n)) for n in strangers}
    as_of = _stamp(now - timedelta(days=_REGISTRY_AGE_DAYS), ZONE.key)
    lines = [f"# scheme: {REGISTRY_SCHEME}", f"# as-of: {as_of}", "hash", *sorted(blocked)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return len(blocked)


# --- drafts and provenance ----------------------------------------------------------------------


def write_drafts(folder: Path, now: datetime) -> int:
    """Copy the workspace's drafts into `folder`, their `$weeks_N` dated back; return how many."""
    source = files("troth") / "data" / "demo"
    return sum(_copy(source / name, folder / name, now) for name in _DRAFTS)


def _copy(source: Traversable, target: Path, now: datetime) -> int:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        inside = sorted(source.iterdir(), key=lambda each: each.name)
        return sum(_copy(each, target / each.name, now) for each in inside)
    text = _WEEKS_AGO.sub(
        lambda found: (now - timedelta(weeks=int(found[1]))).date().isoformat(),
        source.read_text("utf-8"),
    )
    target.write_text(text, encoding="utf-8", newline="")
    return 1


_WEEKS_AGO = re.compile(r"\$weeks_([0-9]+)")


def _write_sources(path: Path, now: datetime, weeks: int, counts: Mapping[str, int]) -> None:
    text = (files("troth") / "data" / "demo" / "SOURCES.md").read_text("utf-8")
    facts = {name: f"{number:,}" for name, number in counts.items() if "." not in name}
    facts |= {"now": now.isoformat(timespec="seconds"), "weeks": str(weeks)}
    path.write_text(Template(text).substitute(facts), encoding="utf-8", newline="")
