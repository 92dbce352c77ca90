"""Work on masks by people: tasks for labelme, what comes back, how far it agrees, and what it settles to."""
