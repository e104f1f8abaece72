"""What `cnn-jax train TASK` trains: a recipe for each task that suits the data given."""
