"""Work on whole PRIST files: check, convert, split, merge, sample, fetch, show and describe them."""
