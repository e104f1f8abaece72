"""Pages in HTML that tell of runs: one file each, which loads nothing."""
