"""The outside world: stores, keys, mail, files, clock. Chosen by `app` only."""
