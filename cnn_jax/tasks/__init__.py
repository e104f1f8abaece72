"""What a model is trained for: losses and metrics."""
