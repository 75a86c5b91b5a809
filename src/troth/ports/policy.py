"""The staff policy's word."""

from typing import Protocol

from troth.terms import Claim, Refusal, UseRequest


class StaffPolicy(Protocol):
    """The word of the staff policy on a claim; asked once per distinct claim."""

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say which categories this actor may use for this, or why not. Never sees a person."""
        ...
