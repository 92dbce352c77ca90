"""A training run as one typed object, whose settings do not contradict one another."""

from miras.config.names import GROUPS, OWN, PARTS, SOURCES
from miras.config.train import Augmentation, LossWeights, TrainConfig, load_config, plain

__all__ = ["GROUPS", "OWN", "PARTS", "SOURCES", "Augmentation", "LossWeights", "TrainConfig", "load_config", "plain"]
