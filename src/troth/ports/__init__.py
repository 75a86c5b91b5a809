"""What the core asks of the outside world. Implemented by adapters, chosen in `app` only."""

from troth.ports.keys import EpochStore, EscrowableProvider, KeyProvider, KeyStore
from troth.ports.mail import (
    HandoverLog,
    LocalInbox,
    MailListener,
    MailTransport,
    PathLike,
    ReceivedMail,
)
from troth.ports.policy import StaffPolicy
from troth.ports.record import Mark, Projections, Store, Transaction, View
from troth.ports.signin import IdentityProvider, Passkeys, SigninStore
from troth.ports.system import Clock, Randomness
from troth.ports.witness import Anchor, Anchors, RestrictionJournal, SignedSize, WitnessPort

__all__ = [
    "Anchor",
    "Anchors",
    "Clock",
    "EpochStore",
    "EscrowableProvider",
    "HandoverLog",
    "IdentityProvider",
    "KeyProvider",
    "KeyStore",
    "LocalInbox",
    "MailListener",
    "MailTransport",
    "Mark",
    "Passkeys",
    "PathLike",
    "Projections",
    "Randomness",
    "ReceivedMail",
    "RestrictionJournal",
    "SignedSize",
    "SigninStore",
    "StaffPolicy",
    "Store",
    "Transaction",
    "View",
    "WitnessPort",
]
