"""Whether the restriction journal is whole, and under which name the ledger goes on."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from troth import crypto
from troth.adapters.anchors import FileAnchors
from troth.adapters.sqlite import backup as filtered
from troth.adapters.sqlite import keys as keystore
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.app.restore_place import Given, State, save
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.capabilities.custody.journal import BACKED_UP, RESTORED
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import ledger, proof
from troth.terms import LogState

WHOLE, MISSING, CUT, FORGED = "whole", "missing", "cut", "forged"
_STOP: Final[Mapping[str, str]] = {
    MISSING: "the restriction journal is missing",
    CUT: "the restriction journal is shorter than it was",
    FORGED: "the restriction journal was changed",
}
_REMEDY: Final = "give its copy by --witness DIR, or go --without-journal: then nobody is mailed"


# The journal, and whether it is whole


def read_journal(
    opened: Workspace, state: State, given: Given
) -> list[tuple[str, Mapping[str, str | int]]]:
    """Read the journal as far as it holds, and say whether it is whole."""
    place = opened.settings.witness / "restrictions"
    lines: list[tuple[str, Mapping[str, str | int]]] = []
    verdict = WHOLE if place.exists() else MISSING
    try:
        lines.extend(file_journal(opened).coded())
    except EvidenceBroken:
        verdict = FORGED
    if verdict == WHOLE and not _reaches(opened, [code for code, _ in lines], given):
        verdict = CUT
    if verdict == WHOLE and _lost_before(state, [line for _, line in lines]):
        verdict = CUT
    if state.journal in ("", WHOLE) or verdict == WHOLE:
        state.journal = verdict
    return lines


def _lost_before(state: State, lines: Sequence[Mapping[str, str | int]]) -> bool:
    """Tell whether a restore since this backup went on without its whole journal.

    The record then said whom it may not mail; this backup is older and does not say it. What was
    lost then is lost still, however whole the file is that went on from there.
    """
    since = 0
    for place, line in enumerate(lines):
        if line["act"] == BACKED_UP and line.get("backup") == state.told["id"]:
            since = place
    return any(
        line["act"] == RESTORED and line.get("journal", WHOLE) != WHOLE
        for line in lines[since:]
        if line.get("restore") != state.name
    )


def file_journal(opened: Workspace) -> FileJournal:
    """Return the journal as the file it is."""
    return FileJournal(opened.settings.witness / "restrictions", opened.keys.secret("journal"))


def _reaches(opened: Workspace, codes: Sequence[str], given: Given) -> bool:
    """Tell whether a journal reaches as far as the backup, its own mark, and outsiders know.

    The newest anchor names the journal's end too, so a head somebody saw vouches for the journal
    only where its anchor is there.
    """
    with opened.store.look() as view:
        held = view.row(custody.JOURNAL, b"tip")
    journal, anchors = file_journal(opened), FileAnchors(opened.settings.witness / "anchors")
    beside = journal.reached()
    tips = [json.loads(held)] if held else []
    for count, code in (*tips, *beside, *journal.held_by(anchors.journal_mark())):
        if len(codes) < count or codes[count - 1] != code:
            return False
    if codes and not beside:
        return False
    sizes = [each.size for each in given.seen if each.origin == opened.log.origin]
    anchor = anchors.newest(opened.log.origin)
    anchored = anchor is not None and anchor.size >= max(sizes, default=0)
    return _signed(opened) is not None and (anchored or not sizes)


def _signed(opened: Workspace) -> LogState | None:
    """Return the newest state this ledger is known to have had, from `witness/`."""
    last = opened.log.sizes.last()
    anchor = FileAnchors(opened.settings.witness / "anchors").newest(opened.log.origin)
    known = [last, LogState(anchor.size, anchor.root) if anchor else None]
    return max((k for k in known if k is not None), key=lambda k: k.size, default=None)


def require_journal(state: State, given: Given) -> None:
    """Stop where the journal is not whole, unless somebody decided to go without it.

    Raises:
        Unavailable: With what would help.
    """
    if state.journal != WHOLE and not given.without_journal:
        raise Unavailable(_STOP[state.journal], _REMEDY)


# The ledger's name


def name_log(opened: Workspace, state: State, given: Given) -> None:
    """Go on under the old name, or close it and begin the next where entries were lost."""
    settings = opened.settings
    if not state.origin:
        with opened.store.look() as view:
            kept = view.log
            old = _newest_known(opened, given)
            whole = old is not None and _continues(opened, old)
        if old is None:
            old = proof.Checkpoint(opened.log.origin, kept.size, kept.root)
        state.old = (old.origin, old.size, proof.b64(old.root))
        state.origin = old.origin if whole else _next_origin(opened, state)
        state.left = max(0, old.size - kept.size)
        save(settings.folder, state)
    if state.old is not None and state.origin != state.old[0]:
        _continue(opened, state)
    save(settings.folder, state, "named")
    given.after("named")


def _newest_known(opened: Workspace, given: Given) -> proof.Checkpoint | None:
    """Return the newest checkpoint known outside of what was restored; None nobody knows one."""
    origin, signed = opened.log.origin, _signed(opened)
    known = [each for each in given.seen if each.origin == origin]
    if signed is not None:
        known.append(proof.Checkpoint(origin, signed.size, signed.root))
    return max(known, key=lambda each: each.size, default=None)


def _continues(opened: Workspace, old: proof.Checkpoint) -> bool:
    """Tell whether what was restored holds all that was ever shown of it."""
    with opened.store.look() as view:
        if not 0 < old.size <= view.log.size:
            return False
        return ledger.tree_root(old.size, view.tile) == old.root


def _next_origin(opened: Workspace, state: State) -> str:
    """Count the ledger's name up past every one known; where that may be too few, draw its end."""
    base = opened.settings.origin
    with opened.store.look() as view:
        used = {name for name, _ in custody.origins(view)} | {opened.log.origin}
    anchors = FileAnchors(opened.settings.witness / "anchors")
    with suppress(EvidenceBroken):
        used |= {each.origin for each in anchors.all()}
    numbers = [int(end) for name in used if (end := name.removeprefix(f"{base}-")).isdigit()]
    name = f"{base}-{max([1, *numbers]) + 1}"
    return name if state.journal == WHOLE else f"{name}-{state.name[:6]}"


def _continue(opened: Workspace, state: State) -> None:
    """Book that the ledger goes on under its new name, then give it that name; repeatable."""
    settings, kept = opened.settings, state.told
    origin, size, root = state.old or ("", 0, "")
    end = state.origin.rpartition("/")[2]
    place = settings.keys / f"{custody.FIRST_SECRET}-{end}.key"
    if not place.exists():
        keystore.write_secret(place, opened.desk.randomness.take(crypto.KEY_BYTES))
    with opened.store.look() as view:
        begun = bool(custody.log_keys(view))
    if not begun:
        first = opened.signer
        with opened.store.book() as tx:
            custody.put_keys(tx, [custody.LogKey(first.key.vkey, custody.FIRST_SECRET, 0)])
    held = LogState(int(kept["size"]), proof.unb64(str(kept["root"])))
    custody.continued(
        opened.desk, proof.Checkpoint(origin, size, proof.unb64(root)), held, state.origin
    )
    filtered.name_log(settings.record, state.origin)
    signed = settings.witness / "signed"
    if signed.exists():
        signed.rename(settings.witness / f"signed.before-{end}")
    FileSignedSize(signed).advance(None, held)
