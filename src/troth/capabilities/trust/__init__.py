"""Trust: what was done, told whole to whoever asks, and counted for those who answer for it."""

from troth.capabilities.trust.answer import Dossier, Entry, dossier

__all__ = ["Dossier", "Entry", "dossier"]
