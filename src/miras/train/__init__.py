"""One loop for every stage: a YAML file in, checkpoints and logs out."""
