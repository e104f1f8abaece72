"""Nets that tell of each pixel or of boxes, beside PyTorch's and torchvision's."""
