"""Dialogues made from images: what a teacher sees, asks itself and says, and a run that survives being killed."""
