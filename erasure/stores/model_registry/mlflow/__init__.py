"""Models in MLflow's registry, with its database and its artifacts in reach.

MLflow's own deletion leaves most of a version where it was: the version loads by its logged model's
URI, the logged model keeps its ``input_example``, rows of dataset inputs stay. Here a version goes
the whole way down, and is then asked for by every name, URI and path it had.
"""

from erasure.stores.model_registry.mlflow.adapter import MlflowStore

__all__ = ["MlflowStore"]
