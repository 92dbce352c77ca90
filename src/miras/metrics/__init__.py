"""Figures from predictions: they know the project's types and nothing of models or data sets."""
