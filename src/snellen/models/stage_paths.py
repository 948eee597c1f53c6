"""Where the stages of a model's backbone lie in it."""

from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone

__all__ = ["stage_paths"]


def stage_paths(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return the paths of the modules of each stage of a model's backbone, by the feature it ends in, first to last.

    Whatever lies in none of them (neck, head, scales of a norm on the way) learns with the head.

    Args:
        model: With a ``Backbone`` as ``backbone``.

    Raises:
        ConfigError: If it has none.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, Backbone):
        raise ConfigError(
            f"rates by depth need a model that stands on a backbone; {type(model).__name__} has none. Leave finetune, "
            "freeze and layer_decay out."
        )
    paths = {id(module): path for path, module in model.named_modules()}
    stages = backbone.stage_modules()
    found: dict[str, tuple[str, ...]] = {}
    for spec in backbone.features:
        chosen = tuple(paths[id(module)] for module in stages.get(spec.name, ()) if id(module) in paths)
        if any(True for path in chosen for _ in model.get_submodule(path).parameters()):
            found[spec.name] = chosen
    return found
