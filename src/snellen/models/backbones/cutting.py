"""Backbones that end earlier than they were published."""

from typing import Any

from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone, picked_features

__all__ = ["cut_behind"]


def cut_behind(backbone: Backbone, feature: str) -> None:
    """Leave out what comes after a feature: its modules, their weights and the features made of them.

    Args:
        backbone: Changed in place; what is left keeps its keys.
        feature: Name of the last one that stays.

    Raises:
        ConfigError: If there is no such feature.
    """
    picked_features(backbone, [feature])
    names = [spec.name for spec in backbone.features]
    kept = names[: names.index(feature) + 1]
    if len(kept) == len(names):
        return
    stages = backbone.stage_modules()
    dropped = {id(module) for name in names[len(kept) :] for module in stages[name]}
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in dropped:
                setattr(parent, name, _LeftOut())
    backbone.features = picked_features(backbone, kept)
    backbone.register_forward_hook(_only_known)


class _LeftOut(nn.Module):
    """Stands where a module was, and passes on what it is given."""

    def forward(self, x: Any, *_others: Any) -> Any:
        return x


def _only_known(backbone: nn.Module, _given: Any, maps: dict[str, Tensor]) -> dict[str, Tensor]:
    features: Any = backbone.features
    return {spec.name: maps[spec.name] for spec in features}
