"""The log of looks, as access builds on it: exposure, tightening, quotas, replay.

Its rows and their reading are the kernel's (`kernel.looking`), since the gate asks them too.
"""

from troth.kernel.looking import Use, day_of, looked_at, note, people_on, seen_of, uses

__all__ = ["Use", "day_of", "looked_at", "note", "people_on", "seen_of", "uses"]
