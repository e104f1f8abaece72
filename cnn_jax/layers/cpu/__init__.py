"""The same layers written for a CPU, with the same results."""
