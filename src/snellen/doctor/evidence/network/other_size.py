"""Whether a network takes images of another size."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.network.trace import batch_sources
from snellen.doctor.evidence.network.tracing import Tracer, traced
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["OtherSize", "other_size"]

_NO_SIZE = Text(en="the images of the batch are no plain tensor with a size", zh="批次中的图像不是带尺寸的普通张量")


@dataclass(frozen=True, kw_only=True)
class OtherSize:
    """What came of images twice as high and wide, in evaluation mode.

    Attributes:
        size: Height and width of the batch, pixels.
        tried: Height and width that were tried, pixels.
        error: What the model raised; empty if it ran.
        layer: Path of the module that raised.
        layer_type: Its class.
    """

    size: tuple[int, int]
    tried: tuple[int, int]
    error: str
    layer: str
    layer_type: str


def other_size(subject: Subject) -> OtherSize:
    """Try.

    Raises:
        NotCheckable: If the images have no size, or the model does not run at all.
    """
    batch = subject.rows(subject.batch, torch.arange(1))
    images = subject.images(batch)
    if images.ndim != 4 or not images.is_floating_point():
        raise NotCheckable(_NO_SIZE)
    height, width = images.shape[-2:]
    larger = subject.with_images(batch, functional.interpolate(images, scale_factor=2.0, mode="nearest"))
    if subject.images(larger).shape[-1] != 2 * width:
        raise NotCheckable(_NO_SIZE)
    with subject.probed(training=False) as model, torch.no_grad():
        tracer = Tracer(model, batch_sources(subject, larger)[0])
        error = ""
        try:
            with traced(tracer, model):
                subject.output(model, larger)
        except NotCheckable:
            raise
        except Exception as raised:  # noqa: BLE001 - models raise anything about sizes
            error = str(raised).splitlines()[0] if str(raised) else type(raised).__name__
        layer = tracer.failed_in or ""
        return OtherSize(
            size=(height, width),
            tried=(2 * height, 2 * width),
            error=error,
            layer=layer,
            layer_type=type(model.get_submodule(layer)).__name__,
        )
