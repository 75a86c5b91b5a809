"""Restores a lost house in a process of its own, so that it can be killed.

    python restorer.py FOLDER MOMENT [CUT]

`FOLDER` holds `backup`, `keys-copy` and `witness-copy`; the house is `FOLDER/house`. With a cut it
kills itself right after that step, as hard as can be.
"""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

from troth.adapters.system import FixedClock
from troth.app import restore
from troth.terms import instant


def main(folder, moment, cut=""):
    def after(step):
        if step == cut:
            os.kill(os.getpid(), signal.SIGKILL)

    folder = Path(folder)
    given = restore.Given(
        keys=folder / "keys-copy", witness=folder / "witness-copy", after=after,
        clock=FixedClock(instant(datetime.fromisoformat(moment))),
    )  # fmt: skip
    print("go", flush=True)
    if not (folder / "house" / "data" / "record.db").exists() or _begun(folder):
        restore.restore(folder / "house", folder / "backup", given)
    print("done", flush=True)


def _begun(folder):
    return (folder / "house" / "restore.unfinished").exists()


if __name__ == "__main__":
    main(*sys.argv[1:])
