"""The model behind HTTP: sessions with turns, OpenAI's chat completions, what they refuse and what they count."""
