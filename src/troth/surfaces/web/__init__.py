"""The hub: pages of one workspace on this machine, its ledger tiles and its HTTP interface."""
