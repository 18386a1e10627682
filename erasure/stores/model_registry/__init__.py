"""Trained models in a folder: ``<model>/<version>/{model.skops, manifest.json}`` and a pointer
``<model>/current``. A manifest says by keyed hashes who was in the training; a person is taken
out by training again without them and removing every version that knew them.
"""

from erasure.stores.model_registry.adapter import ModelRegistryStore
from erasure.stores.model_registry.adopting import adopt
from erasure.stores.model_registry.manifest import Manifest, Retrained
from erasure.stores.model_registry.recipe import Held, Recipe, Rows, Trained
from erasure.stores.model_registry.training import Training, publish

__all__ = [
    "Held",
    "Manifest",
    "ModelRegistryStore",
    "Recipe",
    "Retrained",
    "Rows",
    "Trained",
    "Training",
    "adopt",
    "publish",
]
