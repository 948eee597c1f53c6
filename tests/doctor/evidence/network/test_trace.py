"""Following tensors through a network, against what hooks, counting and arithmetic say."""

import pytest
import torch
from tests.doctor.zoo.healthy import FAST, HEALTHY, SEGMENTATION
from tests.doctor.zoo.sick import HandWritten, Residual, perceptron
from torch import nn
from torch.nn import functional
from torchvision import models

import snellen
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, network_trace
from snellen.doctor.examining import subject_of

CODES = ("M10", "M17", "M21", "M26", "M27", "M28", "M30", "M31", "M32", "M34", "M41", "M42", "M43")
CE = functional.cross_entropy


def traced(model, images=None, *given) -> NetworkTrace:
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)) if images is None else images
    return network_trace(subject_of(model, images if not given else (images, *given), *((CE,) if given else ())))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "googlenet", "shufflenet_v2_x0_5"])
def test_layers_are_the_modules_that_ran(name) -> None:
    """The same set as forward hooks see."""
    kept = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = models.get_model(name, weights=None, **kept)
    ran = []
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda *_, path=path: ran.append(path))
    model(torch.randn(2, 3, 64, 64))
    seen = list(ran)
    trace = traced(model, torch.randn(2, 3, 64, 64))
    assert [layer.module for layer in trace.layers] == seen
    assert not trace.lost
    assert sum(layer.num_weights for layer in trace.layers) == sum(
        p.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear) for p in m.parameters(recurse=False)
    )


@pytest.mark.parametrize(
    ("name", "depth"),
    [("alexnet", 8), ("squeezenet1_1", 18), ("resnet18", 5), ("resnet50", 6), ("densenet121", 5)],
)
def test_least_number_of_layers(name, depth) -> None:
    """Counted by hand: in a ResNet the stem, the projections that no shortcut passes, and the head."""
    model = models.get_model(name, weights=None)
    trace = traced(model, torch.randn(2, 3, 64, 64))
    assert trace.depths[trace.last_layers[0].index] == depth
    assert len(trace.way_to(trace.last_layers[0])) >= depth


def test_figures_are_those_of_hooks() -> None:
    model = HandWritten(bend=torch.sigmoid)
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    results = {}
    for name in ("first", "second"):
        getattr(model, name).register_forward_hook(lambda _, __, x, name=name: results.update({name: x}))
    with torch.no_grad():
        model(images)
    first = traced(model, images).layers[0]
    x = results["first"]
    assert first.std == pytest.approx(float(x.std(correction=0)), rel=1e-5)
    assert first.spread == pytest.approx(float(x.var(0, correction=0).mean() ** 0.5), rel=1e-5)
    assert first.given_spread == pytest.approx(float(images.var(0, correction=0).mean() ** 0.5), rel=1e-5)


def test_zeros_and_saturated() -> None:
    """SYS-130, SYS-131, SYS-340: zeros of a ReLU, and places at which the slope of a tanh is below 0.01."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Tanh(), nn.Flatten(), nn.Linear(1152, 2)
    )
    nn.init.normal_(model[2].weight, std=4.0)
    images = torch.randn(4, 3, 12, 12)
    with torch.no_grad():
        rectified, squashed = model[:2](images), model[:4](images)
    found = {each.function: each for each in traced(model, images).forward}
    assert found["relu"].zeros == pytest.approx(float((rectified == 0).float().mean()))
    assert found["tanh"].saturated == pytest.approx(float((1 - squashed**2 < 0.01).float().mean()))


def test_gradient_is_that_of_the_chain_rule() -> None:
    """SYS-183: Through orthogonal matrices the norm of a gradient is kept; through half of one it is halved."""
    model = nn.Sequential(*(nn.Linear(16, 16, bias=False) for _ in range(4)), nn.Linear(16, 3))
    for layer in model[:4]:
        nn.init.orthogonal_(layer.weight)
    images = torch.randn(4, 16)
    assert traced(model, images).layers[0].gradient == pytest.approx(1.0, rel=1e-5)
    with torch.no_grad():
        model[1].weight *= 0.5
    first, second, *_ = traced(model, images).layers
    assert first.gradient == pytest.approx(0.5, rel=1e-5)
    assert second.gradient == pytest.approx(1.0, rel=1e-5)


def test_functions_in_a_hand_written_forward_are_seen() -> None:
    kinds = [each.kind for each in traced(HandWritten()).forward]
    assert kinds == [
        Kind.CONV,
        Kind.ACTIVATION,
        Kind.MEAN_POOL,
        Kind.CONV,
        Kind.ACTIVATION,
        Kind.MEAN_POOL,
        Kind.LINEAR,
    ]


def test_in_place_and_written_into_slices() -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(8, 2, 1)

        def forward(self, images):
            whole = images.new_zeros(len(images), 8, *images.shape[2:])
            whole[:, :4] = self.left(images).relu_()
            whole.narrow(1, 4, 4).add_(self.right(images))
            return self.head(whole)

    trace = traced(Writing())
    assert [layer.module for layer in trace.layers] == ["left", "right", "head"]
    assert not trace.dangling


def test_detector_that_collects_its_images() -> None:
    """torchvision copies images of several sizes into one tensor of zeros, slice by slice."""
    model = models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    images = [torch.rand(3, 64, 80), torch.rand(3, 80, 64)]
    targets = [{"boxes": torch.tensor([[5.0, 5.0, 40.0, 50.0]]), "labels": torch.tensor([1])} for _ in images]
    trace = network_trace(subject_of(model, (images, targets)))
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert {layer.module for layer in trace.layers} == set(convolutions)
    assert {layer.module.rsplit(".", 1)[0] for layer in trace.last_layers} <= {
        name.rsplit(".", 1)[0] for name in convolutions if name.startswith("head")
    }


def test_weights_that_are_computed() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), nn.ReLU(), nn.Linear(8, 2))
    first = traced(model, torch.randn(4, 16)).layers[0]
    assert first.weight_shape == (8, 16)
    assert set(first.parameters) >= {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"}


def test_own_autograd_functions_are_followed() -> None:
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))

    trace = traced(HandWritten(bend=Swish.apply))
    assert len(trace.layers) == 3
    assert not trace.lost
    assert Kind.GATE in {each.kind for each in trace.forward}


def test_lost_tensors_are_told() -> None:
    """What a compiled extension returns has no origin that could be followed."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(16, 8), nn.Linear(8, 2)

        def forward(self, x):
            x = self.first(x)
            with torch._C.DisableTorchFunction():
                x = x.relu()
            return self.second(x)

    trace = traced(Hidden(), torch.randn(4, 16))
    assert trace.lost == ("linear",)


def test_unused_results_dangle() -> None:
    class Spare(HandWritten):
        def forward(self, images):
            self.second(self.first(images))
            return super().forward(images)

    assert [each.module for each in traced(Spare()).dangling] == ["first", "second"]


def test_operations_of_the_loss_are_apart(labelled) -> None:
    trace = traced(perceptron(3), *labelled)
    assert [each.function for each in trace.operations if each.in_loss] == ["cross_entropy", "reshape"]
    assert trace.operations[-1].from_targets


def test_compiled_models_and_shortcuts() -> None:
    trace = traced(torch.compile(Residual(4), backend="eager"))
    assert trace.depths[trace.last_layers[0].index] == 2
    assert len(trace.layers) == 6


@pytest.mark.parametrize("name", FAST)
def test_healthy_networks_raise_no_warning(name) -> None:
    assert not alarms(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HEALTHY, *SEGMENTATION])
def test_all_healthy_networks_raise_no_warning(name) -> None:
    """Of 58 networks none is accused; their figures set the thresholds."""
    assert not alarms(name)


def alarms(name: str) -> list[tuple[str, str]]:
    torch.manual_seed(0)
    build = HEALTHY.get(name) or SEGMENTATION[name]
    side = 96 if "inception" in name else 64
    labels = torch.randint(10, (9, side, side) if name in SEGMENTATION else (9,))
    found = snellen.examine(build(), (torch.randn(9, 3, side, side), labels), CE, select=CODES)
    assert not [result.trace for result in found.results if result.trace]
    return [(finding.code, finding.message) for finding in found.all_findings if finding.level.name != "INFO"]
