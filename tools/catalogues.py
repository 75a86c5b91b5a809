# ruff: noqa: INP001 - a script
"""Bring the catalogues of the customer's side in step with its sentences, and compile them.

Usage: python tools/catalogues.py [--check]

Reads every sentence of the portal's pages and modules, updates `portal.po` of each language
(translations that fit are kept, new sentences are left empty) and writes `portal.mo` beside it.
With --check nothing is written; the exit code says whether something is missing or out of step.
"""

import re
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).resolve().parents[1] / "src" / "troth"
PLACE = SOURCE / "data" / "locale"
LANGUAGES = ("af", "zu")
PAGES = (
    "my_*", "portal*", "public_*", "embed_*", "notice", "notices", "notice_changes", "record",
    "receipt_check",
)  # fmt: skip
METHODS = [
    ("surfaces/portal/**.py", "python"),
    ("surfaces/said.py", "python"),
    ("surfaces/timeline.py", "python"),  # the star below stands for one sign at least
    ("surfaces/timeline*.py", "python"),
    ("capabilities/rights/package_*.py", "python"),
    *((f"surfaces/web/templates/{name}.html", "jinja2") for name in PAGES),
]
OPTIONS = {
    f"surfaces/web/templates/{name}.html": {"trimmed": "true", "newstyle_gettext": "true"}
    for name in PAGES
}
KEYWORDS = {
    "_": None, "N_": None, "gettext": None, "Said": None, "ngettext": (1, 2), "counted": (1, 2)
}  # fmt: skip
DATED = datetime(2026, 11, 23, tzinfo=UTC)
HEAD = """\
# Sentences of the customer's side. A machine's drafts: no native reader has read them yet.
# Brought in step by tools/catalogues.py.
#"""
_NAMED = re.compile(r"%\((\w+)\)s")


def sentences() -> Catalog:
    """Return every sentence there is, with where it stands."""
    found = Catalog(project="troth", charset="utf-8", fuzzy=False)
    every = extract_from_dir(
        SOURCE, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=(), strip_comment_tags=True
    )
    for place, _line, text, _comments, context in every:
        found.add(text, locations=[(place, 0)], context=context)
    return found


def in_step(language: str, every: Catalog) -> Catalog:
    """Return a language's catalogue with today's sentences and the translations that fit them."""
    path = PLACE / language / "LC_MESSAGES" / "portal.po"
    held = (
        read_po(BytesIO(path.read_bytes()), locale=language)
        if path.is_file()
        else Catalog(locale=language, fuzzy=False)
    )
    held.update(every, no_fuzzy_matching=True)
    held.obsolete.clear()
    held.header_comment, held.fuzzy = HEAD, False
    held.project, held.version = "troth", "1"
    held.creation_date = held.revision_date = DATED
    return held


def faults(catalogue: Catalog) -> list[str]:
    """Name what is missing or names something else than its sentence does."""
    out = []
    for message in catalogue:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        if not all(said):
            out.append(f"not translated: {ids[0]}")
        named = {name for text in ids for name in _NAMED.findall(text)}
        for text in said:
            if text and not set(_NAMED.findall(text)) <= named:
                out.append(f"names something else: {ids[0]}")
            if text and "%" in _NAMED.sub("", text).replace("%%", ""):
                out.append(f"has a stray per cent sign: {ids[0]}")
    return out


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """Return a catalogue as `.po` and `.mo`, without dates, so that the same gives the same."""
    po, mo = BytesIO(), BytesIO()
    write_po(po, catalogue, width=96, sort_output=True, omit_header=False, include_lineno=False)
    write_mo(mo, catalogue)
    return _HEADS.sub(b"", po.getvalue()), mo.getvalue()


_HEADS = re.compile(
    rb'^"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|'
    rb'Language-Team|Report-Msgid-Bugs-To): [^"]*"\n',
    re.MULTILINE,
)


def main() -> int:
    """Bring every language in step, or say what is out of step."""
    check, every, bad = "--check" in sys.argv, sentences(), 0
    for language in LANGUAGES:
        made = in_step(language, every)
        said = faults(made)
        bad += len(said)
        sys.stdout.write("".join(f"{language}: {each}\n" for each in said[:40]))
        place = PLACE / language / "LC_MESSAGES"
        po, mo = written(made)
        if check:
            bad += (place / "portal.po").read_bytes() != po
            continue
        place.mkdir(parents=True, exist_ok=True)
        (place / "portal.po").write_bytes(po)
        (place / "portal.mo").write_bytes(mo)
        sys.stdout.write(f"{language}: {len(made)} sentences, {len(said)} to mend\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
