"""Templates: what to begin from, a new one, and everything that is wrong with one."""

from collections.abc import Sequence
from pathlib import Path

from troth import app
from troth.engines import mail
from troth.errors import NotFound
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, plain_name


def listed(call: Call) -> Answer:
    """Name the starters, and the templates this workspace has."""
    begun = [{"name": s.name, "kind": s.kind, "about": s.about} for s in app.starters()]
    folder = call.folder / "templates"
    own = sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []
    lines = ["To begin from:", *columns([(s["name"], s["about"]) for s in begun])]
    lines += ["Here:", *(f"  {name}" for name in own)] if own else ["None is here yet."]
    return Answer({"starters": begun, "templates": own}, lines)


def new(call: Call, name: str, starter: str, purpose: str) -> Answer:
    """Write templates/NAME.toml from a starter, filled with the brand's own facts."""
    plain_name(name, "the template")
    path = app.write_new(call.folder, app.drafts(call.folder), name, starter, purpose)
    found = app.check_template(app.drafts(call.folder), path.read_text("utf-8"))
    data = {"file": str(path), "starter": starter, "findings": _data(found)}
    left = sum(f.code == "to_write" and f.place != "text" for f in found)
    lines = [f"{path}: begun from {starter}."]
    if left:
        lines.append(f"{left} places in [brackets] are yours to write.")
    return Answer(data, [*lines, f"Next: troth template check {name}"])


def check(call: Call, name: str, *, live: bool) -> Answer:
    """Name everything to put right; exit 1 if something keeps it from being published."""
    plain_name(name, "the template")
    path = call.folder / "templates" / f"{name}.toml"
    if not path.is_file():
        raise NotFound(f"there is no templates/{name}.toml", "see: troth template list")
    source = path.read_text("utf-8")
    found = app.check_template(app.drafts(call.folder), source)
    if live:
        found = [*found, *app.check_links(source, call.tell)]
    good = mail.publishable(found)
    data = {"ok": good, "template": name, "findings": _data(found)}
    lines = [_said(path, f) for f in found]
    if not good:
        lines.append("It cannot be published like this.")
    elif found:
        lines.append("It can be published; look at the notes above.")
    else:
        lines.append("Nothing to put right.")
    return Answer(data, lines, 0 if good else 1)


def _said(path: Path, f: mail.Finding) -> str:
    place = f"templates/{path.name}:{f.line}" if f.line else f"templates/{path.name}"
    return f"{'NO  ' if f.weight == 'bad' else 'note'} {place} ({f.place}) {f.say}; {f.remedy}"


def _data(found: Sequence[mail.Finding]) -> list[dict[str, object]]:
    return [
        {
            "weight": f.weight,
            "place": f.place,
            "line": f.line,
            "code": f.code,
            "say": f.say,
            "remedy": f.remedy,
        }
        for f in found
    ]
