"""A trained model as others take it: whole, merged, as an adapter, with its card."""
