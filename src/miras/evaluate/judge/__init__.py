"""A language model as judge of conversations: its rubric, its repeats, and what shows whether it can be trusted."""
