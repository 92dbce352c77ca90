"""The photo protocol: masks asked for directly and at the end of a conversation, short answers, controls."""
