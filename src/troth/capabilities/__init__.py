"""Capabilities meet in the record, never in code."""
