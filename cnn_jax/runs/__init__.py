"""From a recipe and a folder to a finished run, for one seed or several."""
