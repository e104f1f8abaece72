"""What updates parameters: optimizers, learning rates, rules by path."""
