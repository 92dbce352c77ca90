"""MIRAS: talk about an image over several turns and get the pixels that are meant."""
