"""A run's page over a local port, where own inputs are tried in the browser."""
