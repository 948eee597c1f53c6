"""Options of the large commands under headings, so that ``--help`` can be read."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from typer.core import TyperCommand

__all__ = ["PANELS", "GroupedCommand"]

_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "Model and weights": "model weights mean std padding finetune layer_decay freeze proposals activation norm "
        "init set_option",
        "Size and length of the training": "epochs image_size batch_size accumulate precision patience validate_every",
        "Steps": "lr optimizer momentum nesterov switch_epoch switch_lr schedule milestone power cycles "
        "plateau_patience warmup_steps weight_decay l1 clip_norm clip_value ema "
        "swa_epochs",
        "Images while training": "augment flip mosaic mixup copy_paste cutmix randaugment erase noise crop "
        "balanced_crops ignored_band enhance multi_scale",
        "Loss and rare classes": "loss class_weights headline sampler subset",
        "How the data are read": "format_name images classes ignore_index task columns separator repairs split_seed",
        "Several models as one": "seeds folds subsets bootstrap keep",
    }
)
PANELS: Mapping[str, str] = MappingProxyType(
    {name: title for title, names in _GROUPS.items() for name in names.split()}
)


class GroupedCommand(TyperCommand):
    """A command whose options stand under headings in its help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if parameter.param_type_name == "option":
                parameter.rich_help_panel = PANELS.get(parameter.name or "", None)  # type: ignore[attr-defined]
