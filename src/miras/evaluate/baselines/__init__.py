"""General models that see, measured by the boxes they name (paper, appendix C.3)."""
