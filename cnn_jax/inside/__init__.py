"""What goes on inside a trained net: its values on the way, and what they hang on."""
