"""The subcommands of `cnn-jax`: each a dataclass of its flags, called to be carried out."""
