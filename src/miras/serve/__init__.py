"""Where people meet the model: the terminal chat, the scripted demo and its page, and the pictures they show."""
