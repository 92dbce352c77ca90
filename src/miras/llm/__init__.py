"""Language models over HTTP: asked once, answered once, paid once."""
