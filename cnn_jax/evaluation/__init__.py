"""What is asked of a finished run: its metrics on a split, its predictions."""
