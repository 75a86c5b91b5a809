"""The demo: a house of published purchases and generated people, the same on every machine."""
