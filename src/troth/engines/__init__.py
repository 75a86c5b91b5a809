"""Pure craft, usable without a workspace."""
