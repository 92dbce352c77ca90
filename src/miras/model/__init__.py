"""From pixels and words to words and masks: encoders, alignment, decoder, session."""
