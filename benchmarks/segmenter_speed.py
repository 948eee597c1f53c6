"""Time steps and inferences of segmenters against segmentation_models_pytorch's: same network, weights and inputs.

    python benchmarks/segmenter_speed.py --models unet_resnet18 deeplab_v3_resnet18 --batches 2 8

The variants take turns (round robin), so that their ratios share the machine's mood. A speedup is the median over the
rounds of the peer's time over ours in that round. One JSON line for each row. "snellen fp32" computes in the peer's
precision; "snellen default" is what a user gets on this machine. Before anything is timed the logits of both are
compared. DeepLabv3+ is put together from our parts as theirs is (one separable convolution more behind the pyramid, one
less behind the fine map). Inference ends in the likeliest class of every pixel and its probability, on both sides.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional

from dense_speed import CPU, autocast, measure
from snellen.errors import CheckpointError
from snellen.models import find_model, load_weights
from snellen.models.backbones import chosen_backbone
from snellen.models.segmentation import AtrousPyramid, DetailDecoder, Segmenter, deeplab_v3
from snellen.models.segmentation.context import Context, dilated_conv
from snellen.nn import quick_layout
from snellen.structures import ImageBatch, MaskTarget
from snellen.training.precision import best_precision

NUM_CLASSES = 11
CLOSE = 1e-4  # of the largest logit
Calls = tuple[Callable[[], None], Callable[[], None]]


class PeerContext(Context):
    """Their DeepLabv3+ has a separable convolution behind the pyramid."""

    def __init__(self, pyramid: AtrousPyramid) -> None:
        super().__init__()
        self.out_channels = pyramid.out_channels
        self.pyramid = pyramid
        self.refine = dilated_conv(self.out_channels, self.out_channels, 1, separable=True)

    def forward(self, x: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        return self.refine(self.pyramid(x, cells))


def dilated(encoder: str, output_stride: int):
    """Return our encoder on their grid."""
    return chosen_backbone(encoder, usual=encoder, output_stride=output_stride, dilated_entry=True)


def our_deeplab_v3_plus(encoder: str) -> Segmenter:
    """Return the parts of ours, put together as theirs are."""
    backbone, width = dilated(encoder, 16), 256
    detail = next(spec for spec in backbone.features if spec.name == "c2")
    pyramid = AtrousPyramid(backbone.features[-1].channels, width, rates=(12, 24, 36), separable=True)
    decoder = DetailDecoder(width, 16, detail, width=width, num_convs=1, separable=True, align_corners=True)
    head = nn.Conv2d(width, NUM_CLASSES, 1)
    return Segmenter(backbone, NUM_CLASSES, context=PeerContext(pyramid), decoder=decoder, head=head,
                     align_corners=True)  # fmt: skip


# Name of the system: theirs and ours on an encoder.
SYSTEMS: Mapping[str, tuple[Callable[[str], nn.Module], Callable[[str], Segmenter]]] = {
    "unet": (
        lambda encoder: smp.Unet(encoder, encoder_weights=None, classes=NUM_CLASSES),
        lambda encoder: find_model(f"unet_{encoder}").build(NUM_CLASSES),
    ),
    "deeplab_v3": (
        lambda encoder: smp.DeepLabV3(encoder, encoder_weights=None, classes=NUM_CLASSES, encoder_output_stride=8),
        lambda encoder: deeplab_v3(dilated(encoder, 8), NUM_CLASSES, align_corners=True),
    ),
    "deeplab_v3_plus": (
        lambda encoder: smp.DeepLabV3Plus(encoder, encoder_weights=None, classes=NUM_CLASSES),
        our_deeplab_v3_plus,
    ),
}
MODELS = ("unet_resnet18", "unet_mobilenet_v2", "deeplab_v3_resnet18", "deeplab_v3_plus_resnet18")


def parts_of(model: str) -> tuple[str, str]:
    """Return the system and the encoder of a name."""
    system = max((name for name in SYSTEMS if model.startswith(f"{name}_")), key=len)
    return system, model.removeprefix(f"{system}_")


def with_weights_of(theirs: nn.Module, ours: Segmenter) -> Segmenter:
    """Return ours with their weights: by names, or in the order in which they stand in both where names are others."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        torch.save(theirs.state_dict(), file)
        try:
            report = load_weights(ours, file)
            is_whole = not (report.missing or report.unexpected)
        except CheckpointError:  # no name is alike
            is_whole = False
    if not is_whole:
        parts = [(theirs.encoder, ours.backbone), (theirs.segmentation_head, ours.head)]
        aspp, pyramid = theirs.decoder.aspp[0], ours.context.pyramid
        parts += [(aspp.convs[:-1], pyramid.convs), (aspp.convs[-1], pyramid.pooling), (aspp.project, pyramid.project)]
        parts += [(theirs.decoder.aspp[1:], ours.context.refine), (theirs.decoder.block1, ours.decoder.reduce)]
        parts += [(theirs.decoder.block2, ours.decoder.refine)]
        for source, place in parts:
            values, names = source.state_dict().values(), place.state_dict()
            place.load_state_dict(dict(zip(names, values, strict=True)))
    return ours


def inputs(batch: int, size: int) -> tuple[ImageBatch, MaskTarget]:
    """Return noise and blobs of classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)
    coarse = torch.randint(0, NUM_CLASSES, (batch, size // 16, size // 16), generator=generator)
    labels = coarse.repeat_interleave(16, 1).repeat_interleave(16, 2)
    sizes = torch.full((batch, 2), size)
    return ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes), MaskTarget(labels=labels.to(torch.uint8))


def their_calls(theirs: nn.Module, images: ImageBatch, target: MaskTarget, normalize: nn.Module) -> Calls:
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-6, momentum=0.9)
    labels = target.labels.long()

    def step() -> None:
        theirs.train()
        optimizer.zero_grad()
        functional.cross_entropy(theirs(normalize(images)), labels, ignore_index=255).backward()
        optimizer.step()

    def inference() -> None:
        theirs.eval()
        with torch.inference_mode():
            theirs(normalize(images)).softmax(dim=1).max(dim=1)

    return step, inference


def our_calls(model: Segmenter, images: ImageBatch, target: MaskTarget, precision: str) -> Calls:
    device = images.pixels.device
    quick_layout(model)
    images = images.map(lambda t: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        with autocast(device, precision):
            output = model(images, target)
        sum(model.loss(output, target).values()).backward()
        optimizer.step()

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            with autocast(device, precision):
                output = model(images)
            model.decode(output, images.original_sizes)

    return step, inference


def variants(model: str, batch: int, size: int, device: torch.device) -> dict[str, Calls]:
    """Return a training step and an inference of each variant; their logits were compared."""
    system, encoder = parts_of(model)
    their_build, our_build = SYSTEMS[system]
    torch.manual_seed(0)
    theirs = their_build(encoder).to(device)
    images, target = (part.to(device) for part in inputs(batch, size))
    nets = {
        label: with_weights_of(theirs, our_build(encoder).to(device)) for label in ("snellen fp32", "snellen default")
    }
    normalize = nets["snellen fp32"].normalize
    with torch.no_grad():
        wanted, found = theirs.eval()(normalize(images)), nets["snellen fp32"].eval()(images).logits
    gap = float((found - wanted).abs().max() / wanted.abs().max())
    if gap > CLOSE:
        raise SystemExit(f"{model}: expected equal logits; they differ by {gap:.1e} of the largest. Nothing is timed.")
    rows = {"smp": their_calls(theirs, images, target, normalize)}
    for label, net in nets.items():
        precision = "fp32" if label == "snellen fp32" else best_precision(device)
        rows[label] = our_calls(net, images, target, precision)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="SYSTEM_ENCODER")
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--size", type=int, default=256, help="side in pixels, a multiple of 32")
    parser.add_argument("--modes", nargs="+", choices=("train", "infer"), default=["train", "infer"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", type=torch.device, default=CPU)
    parser.add_argument("--cpu-time", action="store_true", help="processor time of all threads; see dense_speed.py")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    device = arguments.device
    facts = {"python": platform.python_version(), "torch": torch.__version__, "smp": smp.__version__}
    facts |= {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "clock": clock.__name__,
        "size": arguments.size,
    }
    print(json.dumps(facts | {"default": best_precision(device)}), flush=True)
    for model in arguments.models:
        for batch in arguments.batches:
            rows = variants(model, batch, arguments.size, device)
            for which, mode in enumerate(("train", "infer")):
                if mode not in arguments.modes:
                    continue
                times = measure({label: pair[which] for label, pair in rows.items()}, arguments.repeats, clock, device)
                for label, row in times.items():
                    ratios = [theirs / own for theirs, own in zip(times["smp"], row, strict=True)]
                    line = {"model": model, "batch": batch, "mode": mode, "variant": label}
                    line |= {"median_ms": round(statistics.median(row) * 1000, 1)}
                    print(json.dumps(line | {"speedup": round(statistics.median(ratios), 2)}), flush=True)


if __name__ == "__main__":
    main()
