"""The speed of nets that tell a class of every pixel, beside PyTorch's."""
