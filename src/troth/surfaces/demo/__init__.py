"""The demo: a house made of published purchases and generated people, the same on every machine."""
