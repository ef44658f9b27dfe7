"""lvo looks inside Stable Diffusion 1.x on CPUs.

    import lvo
    model = lvo.Model("embedded")
    layer = model.layer("up_blocks.2.attentions.1")
    latent = model.encode(model.generate("a large red circle on a blue background", seed=1))
    sae = lvo.SAE.load("embedded")
    layer.dream(feature=570, sae=sae, timestep=301, preset="tuned", seed=1)

`lvo.torch` has layers as differentiable PyTorch modules; docs/python.md explains all.
"""

from . import interop
from .dreams import Dream, dream
from .errors import (
    BadFile,
    Cancelled,
    CannotWrite,
    Closed,
    Error,
    Failed,
    Forked,
    InvalidArgument,
    NotFound,
    OutOfMemory,
    Unsupported,
)
from .generation import Generation, Record, Recording, Steer
from .layers import Layer, LayerList
from .library import version
from .model import Model
from .pictures import grid, save
from .running import Step
from .sae import SAE
from .study import Study, StudyFeature
from .tables import Table
from .trace import VectorJacobianProduct
from .training import Trainer, mixed, train

__version__ = version()
__all__ = [
    "BadFile",
    "Cancelled",
    "CannotWrite",
    "Closed",
    "Dream",
    "Error",
    "Failed",
    "Forked",
    "Generation",
    "InvalidArgument",
    "Layer",
    "LayerList",
    "Model",
    "NotFound",
    "OutOfMemory",
    "Record",
    "Recording",
    "SAE",
    "Steer",
    "Step",
    "Study",
    "StudyFeature",
    "Table",
    "Trainer",
    "Unsupported",
    "VectorJacobianProduct",
    "dream",
    "grid",
    "interop",
    "mixed",
    "save",
    "train",
]
