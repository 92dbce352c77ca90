"""People in the place of a model: their answers are asked for, judged as a model is, and stand beside it."""
