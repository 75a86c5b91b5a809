"""Erasing again whoever a backup brought back: the journal says who, a restore asks for it."""

from collections.abc import Callable
from typing import Final

import msgspec

from troth.capabilities.rights.erasing import OPEN, SALT_BYTES, Steps, erase, is_erased
from troth.kernel.desk import SYSTEM, Desk
from troth.terms import PersonId

PLAIN: Final = Steps()
"""Nothing goes on around the steps."""


def erase_again(
    desk: Desk,
    person: PersonId,
    request: str,
    settle: Callable[[], None],
    steps: Steps = PLAIN,
) -> bool:
    """Erase whom a backup brought back, or what is left of them; repeatable.

    Where a copy of the keys came back too, the whole erasure runs once more: event, keys, rows,
    leaf. Where the key is destroyed, no event can be written: rows and leaf alone. An id the
    record does not know is fenced, so that nothing is ever kept under it. With `steps` that
    search nothing, as a restore's, the certificate says that nothing was searched.

    Returns:
        Whether anything was held under the id.

    Raises:
        Unavailable: A store did not answer; repeat.
    """
    with desk.store.look() as view:
        known, now = bool(view.gather([person], None)), view.now
        begun = view.row(OPEN, person) is not None
    if is_erased(desk, person):
        return True
    if not known:
        desk.vault.keys.shred(person, None, now)
        return False
    if not begun and desk.vault.keys.destroyed(person, now):
        state = [request, desk.randomness.take(SALT_BYTES).hex(), [person.hex()], 0, {}]
        with desk.store.book() as tx:
            tx.put_row(OPEN, person, msgspec.json.encode(state))
    erase(desk, person, request, SYSTEM, settle, steps)
    return True
