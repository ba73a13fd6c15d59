"""What a run keeps in its folder, and how: its description, its checkpoints, that they are whole and its own."""
