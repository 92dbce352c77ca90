"""Variants of a model, each trained that way and scored alike (paper, table 6)."""
