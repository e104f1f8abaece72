"""Pictures and pages that show what was learnt, and from what."""
