"""Weights under other people's names, both ways: original checkpoints, transformers' names, and our own."""
