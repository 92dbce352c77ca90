"""From files to batches: images, masks, dialogues, mixtures."""
