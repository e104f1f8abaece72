"""The speed of nets that tell boxes, beside torchvision's."""
