"""Messages: what a template is checked against, how it looks, and keeping and publishing one.

A template's file in the workspace is its draft; its published version is what runs. Publishing
writes both, with the event of who did it in the same commit.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from troth import crypto
from troth.app.starters import write_file
from troth.app.workspace import Workspace
from troth.capabilities.outreach import footer
from troth.engines import mail
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.desk import public
from troth.kernel.facts import House
from troth.kernel.house import read_house
from troth.terms import Actor, Instant, Published, PurposeKind

_INVENTED_DAY = "3 March 2026"


@dataclass(frozen=True, slots=True)
class Face:
    """A message as somebody would see it.

    Attributes:
        level: 0 to 5; at 0 there is none, and `html` is empty.
        used: Categories it shows.
    """

    level: int
    subject: str
    html: str
    text: str
    used: tuple[str, ...]


@cache
def samples() -> dict[str, Any]:
    """Return the invented people of previews, and the limits of looking at real ones."""
    return tomllib.loads((files("troth") / "data/samples.toml").read_text("utf-8"))


# Checking


@cache
def _shorteners() -> frozenset[str]:
    read = tomllib.loads((files("troth") / "data/shorteners.toml").read_text("utf-8"))
    return frozenset(read["hosts"])


def house_of(given: Mapping[str, bytes]) -> House:
    """Read the house from drafts as `begin` takes them."""
    return read_house(-1, [Published(n, 0, Instant(0), "", raw) for n, raw in given.items()])


def wanted(house: House, source: str, postal: str, purpose: str = "") -> mail.Wanted:
    """Say what a template is checked against: its own purpose, or the one named."""
    try:
        named = purpose or str(tomllib.loads(source).get("purpose", ""))
    except tomllib.TOMLDecodeError:
        named = purpose
    found = house.purposes.get(named)
    kind = str(found.kind) if found else str(PurposeKind.MARKETING)
    may = found.categories - house.special if found else None
    return mail.Wanted(named, kind, may, house.levels, postal, _shorteners())


def check_template(
    given: Mapping[str, bytes], source: str, house: House | None = None
) -> list[mail.Finding]:
    """Check a template against a workspace's drafts or published versions.

    Args:
        given: As `begin` takes them; `house` alone will do where the house is given.
        source: The template's text.
        house: As published, where it is at hand; else it is read from `given`, some milliseconds.
    """
    postal = tomllib.loads(given["house"].decode()).get("house", {}).get("address", "")
    return mail.check(source, wanted(house or house_of(given), source, postal))


def check_published(ws: Workspace, source: str) -> list[mail.Finding]:
    """Check a template against what is published; quicker than `check_template`."""
    with ws.store.look() as view:
        house, published = ws.desk.house(view), view.published("house")
    return check_template({"house": published.data if published else b""}, source, house)


def published_drafts(ws: Workspace) -> dict[str, bytes]:
    """Return the newest published version of everything, by name."""
    with ws.store.look() as view:
        return {each.name: each.data for each in view.published_all("")}


# Looking


def faces(house: House, source: str, levels: Sequence[int], person: int = 0) -> list[Face]:
    """Render a template at levels for somebody invented; opens nothing.

    Args:
        house: As published.
        source: The template's text, published or not.
        levels: Which levels.
        person: Which of the invented people.

    Raises:
        InvalidInput: The template does not read or cannot be laid out.
    """
    template = mail.parse_template(source)
    purpose = house.purposes.get(template.purpose)
    kind = purpose.kind if purpose else PurposeKind.MARKETING
    invented = samples()["person"][person]
    given = {k: v for k, v in invented.items() if k != "name"}
    return [_face(house, template, kind, level, given) for level in levels]


def _face(
    house: House, template: mail.Template, kind: PurposeKind, level: int, given: Mapping[str, Any]
) -> Face:
    if kind is PurposeKind.MARKETING and level == 0:
        return Face(0, "", "", "", ())
    shown = _shown(house, template, kind, level)
    draft = _draft(house, template, kind, shown, given, sample_envelope())
    rich, plain = mail.parts_of(draft)
    used = tuple(c for c in footer.USED if c in shown and given.get(footer.SHOWN_BY[c]))
    return Face(level, draft.subject, rich, plain, used)


def _shown(house: House, template: mail.Template, kind: PurposeKind, level: int) -> frozenset[str]:
    """Return the categories a level opens that this template can show."""
    purpose = house.purposes.get(template.purpose)
    may = purpose.categories if purpose else template.categories
    opened = may if kind is PurposeKind.SERVICE else frozenset[str]()
    if kind is PurposeKind.MARKETING:
        opened = frozenset[str]().union(*house.levels[: level + 1]) & may
    return opened & template.categories


def _draft(  # noqa: PLR0913 - what a message is made of
    house: House,
    template: mail.Template,
    kind: PurposeKind,
    shown: frozenset[str],
    given: Mapping[str, Any],
    envelope: mail.Envelope,
) -> mail.Draft:
    purpose = house.purposes.get(template.purpose)
    day = _INVENTED_DAY if kind is PurposeKind.MARKETING else ""
    ground = {PurposeKind.MARKETING: "consent", PurposeKind.CONSENT_REQUEST: "ask_once"}
    title = purpose.title if purpose else template.name
    values = {
        **given,
        "why": footer.because(ground.get(kind, ""), title, day),
        "used": footer.used(sorted(shown), given),
        "your_address": envelope.to_address,
    }
    return mail.Frames(template).of(shown, values).fill(values, envelope)


def drafted(
    house: House, source: str, level: int, envelope: mail.Envelope, mark: str
) -> mail.Draft:
    """Return a message for somebody invented, its subject marked as what it is.

    Raises:
        InvalidInput: The template does not read or cannot be laid out.
    """
    read = tomllib.loads(source)
    template = mail.parse_template({**read, "subject": mark + str(read.get("subject", ""))})
    purpose = house.purposes.get(template.purpose)
    kind = purpose.kind if purpose else PurposeKind.MARKETING
    given = {k: v for k, v in samples()["person"][0].items() if k != "name"}
    shown = _shown(house, template, kind, level)
    return _draft(house, template, kind, shown, given, envelope)


def sample_envelope() -> mail.Envelope:
    """Return an envelope that leads nowhere."""
    return mail.Envelope("Sample", "a@brand.example", "you@post.example", "0@brand.example", 0)


# Keeping and publishing


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A template as it lies in the workspace.

    Attributes:
        source: Its text: the file's, or the published version's where there is no file.
        base: Names exactly this text; a save made from another one is refused.
        seen: The newest published version, 0 for none.
        running: That version's text, "" for none.
    """

    name: str
    source: str
    base: str
    seen: int
    running: str

    @property
    def changed(self) -> bool:
        """Tell whether the text differs from what is published."""
        return self.source != self.running


def read_message(ws: Workspace, name: str) -> MessageDraft:
    """Return a template's text and state.

    Raises:
        NotFound: There is neither a file nor a published version.
    """
    with ws.store.look() as view:
        now = view.published(f"template:{name}")
    path = _path(ws, name)
    running = now.data.decode() if now else ""
    try:
        source = path.read_bytes().decode() if path.is_file() else running
    except (OSError, UnicodeDecodeError):
        raise Unavailable(f"templates/{name}.toml cannot be read", "save it as UTF-8") from None
    if not source:
        raise NotFound("there is no such message", "begin one from a starter")
    return MessageDraft(name, source, _base(source), now.version if now else 0, running)


def template_names(ws: Workspace) -> list[str]:
    """Return the names of all templates, published or only written, in order."""
    with ws.store.look() as view:
        named = {p.name.removeprefix("template:") for p in view.published_all("template:")}
    folder = ws.settings.folder / "templates"
    return sorted(named | {path.stem for path in folder.glob("*.toml")})


def template_versions(ws: Workspace, name: str) -> list[Published]:
    """Return every published version of a template, newest first."""
    with ws.store.look() as view:
        found = [p for p in view.published_all(f"template:{name}") if p.name == f"template:{name}"]
    return found[::-1]


def save_message(ws: Workspace, draft: MessageDraft, source: str) -> None:
    """Keep a text as the template's file; what is published goes on running.

    Raises:
        Conflict: The file was changed meanwhile; nothing was written.
        InvalidInput: The text is no TOML.
    """
    if read_message(ws, draft.name).base != draft.base:
        raise Conflict("somebody else saved this message meanwhile", "open it again")
    write_file(_path(ws, draft.name), _versioned(source, draft.name, max(draft.seen, 1)))


def publish_template(  # noqa: PLR0913 - what, by whom, from which state
    ws: Workspace, name: str, source: str, actor: Actor, seen: int, base: str = ""
) -> Published:
    """Publish a new version of one template: version, public leaf and event in one commit.

    The file in the workspace is written after it, so that `troth apply` finds nothing changed.

    Args:
        ws: The workspace.
        name: The template's.
        source: Its text.
        actor: Who publishes; their role and a digest of their id stand in the house chain.
        seen: The version it was edited from, 0 for a new one.
        base: `MessageDraft.base` it was edited from, "" where there was no draft.

    Raises:
        InvalidInput: The check found something bad; says the first.
        Conflict: Somebody else saved or published meanwhile; nothing was published.
    """
    data = _versioned(source, name, seen + 1).encode()
    found = check_published(ws, data.decode())
    if not mail.publishable(found):
        raise InvalidInput(f"{found[0].place}: {found[0].say}", found[0].remedy)
    path = _path(ws, name)
    if base and path.exists() and _base(path.read_bytes().decode()) != base:
        raise Conflict("somebody else saved this message meanwhile", "open it again")
    while (published := _publish(ws, name, data, actor, seen)) is None:
        pass
    write_file(path, data.decode())
    return published


def _base(source: str) -> str:
    return crypto.sha256(source.encode()).hex()[:32]


def _path(ws: Workspace, name: str) -> Path:
    return ws.settings.folder / "templates" / f"{name}.toml"


def _versioned(source: str, name: str, version: int) -> str:
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as fault:
        raise InvalidInput("the template is no TOML", str(fault)) from None
    return mail.write_template({**data, "name": name, "version": version}, mail.head_of(source))


def _publish(ws: Workspace, name: str, data: bytes, actor: Actor, seen: int) -> Published | None:
    """Book once; None where the house chain moved meanwhile."""
    digest = crypto.sha256(data).hex()
    with ws.store.look() as view:
        now = view.published(f"template:{name}")
        if (now.version if now else 0) != seen:
            raise Conflict("somebody published another version meanwhile", "open the page again")
        label = f"template:{name}@{seen + 1}"
        prepared = ws.desk.house_event(view, events.HousePublished(label, digest), actor)
        version = view.house_version
    with ws.store.book(version) as tx:
        if tx.append(prepared):
            return None
        published = tx.publish(f"template:{name}", digest, data)
        statement = {"type": "policy.published", "name": published.label}
        tx.state(public({**statement, "hash": f"sha256:{digest}"}, tx.now))
    return published
