"""States of a run on disk: written whole, sealed, found again."""
