"""Pages and pictures that people look at: masks drawn on photos, and what every HTML page of the project shares."""
