"""Beginning a workspace, checking and publishing its drafts, an officer's decision."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from troth import app, settings
from troth.app import access_bench, base_policy, notices
from troth.capabilities import custody, preferences
from troth.engines import mail, texts
from troth.errors import Conflict, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import audience
from troth.kernel.house import parse_toml, read_house, read_purpose, read_ruleset
from troth.kernel.rules import Rule
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import LOCAL, Call, plain_name, read_instant
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.words import spoken
from troth.terms import SECOND, Actor, Instant, Published, Role, moment, zulu

_KEPT = ("purpose:", "notice:", "template:", "access")
"""Kinds of draft that are never taken back by deleting a file."""


def init(call: Call, folder: Path, source: str | None) -> Answer:
    """Begin a workspace; a folder that is one already is left as it is."""
    at = call.standing() or Instant(app.real_seconds() * SECOND)
    if source and (folder / "troth.toml").exists():
        raise Conflict("this folder holds drafts already", "leave out --from")
    if source:
        _write_demo(folder, at)
    elif not (folder / "troth.toml").is_file():
        raise NotFound(
            "this folder holds no troth.toml", "write one (docs/workspace.md) or add --from demo"
        )
    app.init(folder)
    read = settings.read_settings(folder)
    data = {"workspace": str(folder), "brand": read.brand, "origin": read.origin}
    return Answer(
        data,
        [
            f"A workspace for {read.title} lies in {folder}.",
            "Back up keys/ apart from data/: without keys nothing can be read.",
            f"Next: troth check -w {folder}, then troth apply -w {folder}",
            _first(read.staff, folder),
        ],
    )


def _first(staff: Mapping[str, Sequence[str]], folder: Path) -> str:
    """Say how the first colleague gets an account: somebody of IT, else the officer, else any."""
    for role in (Role.IT, Role.OFFICER, *staff):
        for name in staff.get(role, ()):
            return f"Then the first account: troth staff invite {role}:{name} -w {folder}"
    return "Then list your staff under [roles] in troth.toml, and: troth staff invite ROLE:ID"


def _write_demo(folder: Path, at: Instant) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_drafts(folder, moment(at))
    except OSError:
        raise Unavailable("the folder cannot be written", "check owner and mode") from None


def check(call: Call) -> Answer:
    """Read every draft alone, then all of them together; name each fault with its file."""
    drafts = app.drafts(call.folder)
    changed, gone = _changed(call, drafts)
    faults = _every_fault(call.folder, drafts, gone)
    data = {
        "ok": not faults,
        "drafts": len(drafts),
        "changed": changed,
        "faults": [
            {"draft": name, "message": f.message, "remedy": f.remedy} for name, f in faults
        ],
    }
    lines = [f"  {name}: {fault}" for name, fault in faults]
    if faults:
        lines.insert(
            0, f"{len(faults)} of {len(drafts)} drafts do not read. Nothing was published."
        )
        return Answer(data, lines, 2)
    lines.append(f"{len(drafts)} drafts read.")
    overdue = _overdue(call, drafts)
    data["overdue_reviews"] = [rule.id for rule in overdue]
    if overdue:
        named = ", ".join(rule.id for rule in overdue[:_SHOWN])
        more = f" and {len(overdue) - _SHOWN} more" if len(overdue) > _SHOWN else ""
        lines.append(f"Past their review, still applied: {named}{more}. Ask counsel, then renew.")
    lines += [f"  changed: {name}" for name in changed]
    lines.append("Next: troth apply" if changed else "Everything is published as it stands.")
    untold = notices.missing(call.folder, drafts["house"])
    data["untold"] = [asdict(each) for each in untold]
    if untold:
        lines.append(f"Notices lack {len(untold)} things the law wants told (nothing is blocked):")
        lines += [
            f"  {m.file}:{m.line}: {m.duty} {m.title} ({m.source}): {m.remedy}" for m in untold
        ]
    return Answer(data, lines, 1 if untold else 0)


_SHOWN = 8
"""How many rules past their review a line names."""


def _overdue(call: Call, drafts: Mapping[str, bytes]) -> Sequence[Rule]:
    """Return the rules whose review is overdue at the moment the command stands at."""
    read = [Published(n, 0, Instant(0), "", raw) for n, raw in drafts.items()]
    at = call.standing() or Instant(app.real_seconds() * SECOND)
    return read_ruleset(read).overdue_reviews(at)


def _every_fault(
    folder: Path, drafts: Mapping[str, bytes], gone: Sequence[str]
) -> list[tuple[str, Fault]]:
    """List what is wrong draft by draft; only if nothing is, what is wrong together."""
    lost = InvalidInput("this draft is published and missing here", "restore its file")
    faults = [(name, lost) for name in gone]
    if not any(name.startswith("purpose:") for name in drafts) and not gone:
        none = InvalidInput("there is no purpose", "write purposes/NAME.toml")
        faults.append(("purposes", none))
    found = [*faults, *_faults(drafts), *_audience_faults(folder, drafts)]
    found += [] if found else app.policy_faults(drafts)
    return found or list(_together(drafts))


def _faults(drafts: Mapping[str, bytes]) -> Iterator[tuple[str, Fault]]:
    for name, raw in drafts.items():
        kind, _, title = name.partition(":")
        try:
            if kind == "purpose":
                _check_purpose(title, raw, drafts)
            elif kind == "template":
                _check_template(raw.decode(), drafts)
            elif kind == "text":
                texts.parse_text(raw.decode())
            elif kind == "house":
                parse_toml("troth.toml", raw)
        except UnicodeDecodeError:
            yield name, InvalidInput("this file is not UTF-8", "save it as UTF-8")
        except Fault as fault:
            yield name, fault


def _check_template(source: str, drafts: Mapping[str, bytes]) -> None:
    mail.parse_template(source)
    found = app.check_template(drafts, source)
    if not mail.publishable(found):
        worst = next(each for each in found if each.weight == "bad")
        raise InvalidInput(worst.say, worst.remedy)


def _check_purpose(name: str, raw: bytes, drafts: Mapping[str, bytes]) -> None:
    purpose = read_purpose(name, raw)
    if purpose.parent and f"purpose:{purpose.parent}" not in drafts:
        raise InvalidInput(
            f"purposes/{name}.toml: its parent is no purpose", "write the parent or leave it empty"
        )


def _audience_faults(folder: Path, drafts: Mapping[str, bytes]) -> Iterator[tuple[str, Fault]]:
    for path in sorted((folder / "audiences").glob("*.toml")):
        name = f"audiences/{path.name}"
        try:
            read = parse_toml(name, path.read_bytes())
            found = audience.parse_audience(read, app.proxies().refused)
            if found.name != path.stem:
                raise InvalidInput(f"{name} names another audience", "rename one of them")
            if f"purpose:{found.purpose}" not in drafts:
                raise InvalidInput(f"{name}: its purpose does not exist", "name a purpose")
        except Fault as fault:
            yield f"audience:{path.stem}", fault


def _together(drafts: Mapping[str, bytes]) -> Iterator[tuple[str, Fault]]:
    try:
        read_house(-1, [Published(n, 0, Instant(0), "", raw) for n, raw in drafts.items()])
    except Fault as fault:
        yield "all together", fault


def _changed(call: Call, drafts: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """Name the drafts that differ from what runs, and those that run and are missing here."""
    if not settings.read_settings(call.folder).record.exists():
        return sorted(drafts), []
    with call.opened() as ws:
        with ws.store.look() as view:
            runs = {p.name for kind in _KEPT for p in view.published_all(kind)}
        return sorted(custody.changes(ws.desk, drafts)), sorted(runs - drafts.keys())


def apply(call: Call) -> Answer:
    """Publish what changed and sign a checkpoint over it.

    Raises:
        InvalidInput: A draft does not read, or is missing. Nothing was published.
    """
    drafts = app.drafts(call.folder)
    gone = _changed(call, drafts)[1]
    for name, fault in _every_fault(call.folder, drafts, gone):
        raise InvalidInput(f"{name}: {fault.message}", fault.remedy or "run: troth check")
    with call.opened() as ws:
        actor = call.actor(ws)
        published = ws.apply()
        if any(p.name == base_policy.POLICY for p in published):
            access_bench.note_policy(ws, actor)
        ws.sign()
    data = {"published": [p.label for p in published]}
    if not published:
        return Answer(data, ["Nothing changed: what is published stands."])
    return Answer(data, [f"Published {len(published)}:", *(f"  {p.label}" for p in published)])


def waive_registry(call: Call, registry: str, until: str, reason: str) -> Answer:
    """Record the officer's decision; it is public and ends by itself."""
    plain_name(registry.lower(), "--registry")
    end = read_instant(until, "--until")
    with call.opened() as ws:
        officer = call.actor(ws)
        _require_officer(officer)
        with ws.store.look() as view:
            since = view.now
        preferences.waive_registry(ws.desk, registry, officer, reason, since, end)
        ws.sign()
        said = spoken(end, ws.settings.zone)
    data = {"registry": registry, "since": zulu(since), "until": zulu(end), "reason": reason}
    return Answer(
        data,
        [
            f"Recorded and published. It lifts only that the {registry} file is out of date,",
            f"and ends by itself on {said}.",
        ],
    )


def _require_officer(actor: Actor) -> None:
    if actor == LOCAL or actor.role is not Role.OFFICER:
        raise InvalidInput(
            "only the privacy officer may decide this", "add --as privacy_officer:ID"
        )
