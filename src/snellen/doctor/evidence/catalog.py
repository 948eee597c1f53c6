"""The sources of evidence that exist: literal tables, by what they look at."""

from collections.abc import Callable

from snellen.doctor.evidence.copies import copies_of_images
from snellen.doctor.evidence.frames import neighbours_of_frames
from snellen.doctor.evidence.images import facts_of_images
from snellen.doctor.evidence.loading import times_of_loading
from snellen.doctor.evidence.probes.batch_images import batch_images
from snellen.doctor.evidence.probes.dependence import dependence
from snellen.doctor.evidence.probes.first_step import first_step
from snellen.doctor.evidence.probes.gradient_flow import gradient_flow
from snellen.doctor.evidence.probes.learning_parameters import learning_parameters
from snellen.doctor.evidence.probes.loss_contract import loss_contract
from snellen.doctor.evidence.probes.loss_scale import loss_scale
from snellen.doctor.evidence.probes.own_step import own_step, own_validation

__all__ = ["DATA_SOURCES", "SETUP_SOURCES"]

DATA_SOURCES: tuple[Callable[..., object], ...] = (
    facts_of_images,
    copies_of_images,
    neighbours_of_frames,
    times_of_loading,
)
SETUP_SOURCES: tuple[Callable[..., object], ...] = (
    batch_images,
    dependence,
    first_step,
    gradient_flow,
    learning_parameters,
    loss_contract,
    loss_scale,
    own_step,
    own_validation,
)
