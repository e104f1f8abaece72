"""What nets are made of: layers, blocks and their options."""
