"""Many conversations of one model, held and answered side by side."""
