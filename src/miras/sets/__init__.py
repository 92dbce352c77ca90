"""The public data sets of the field, read in their official files and turned into conversations."""
