"""What must never be wrong: events, ledger, proof, consent, regimes, retention, gate, vault."""
