"""Troth: personalised marketing that each customer agreed to, with proof."""
