"""The sources of evidence that exist: literal tables, by what they look at."""

from collections.abc import Callable

from snellen.doctor.evidence.agreement import agreement_of_labels
from snellen.doctor.evidence.annotation_fit import fit_of_annotations
from snellen.doctor.evidence.copies import copies_of_images
from snellen.doctor.evidence.drift import drift_of_splits
from snellen.doctor.evidence.embeddings import embeddings_of_images
from snellen.doctor.evidence.frames import neighbours_of_frames
from snellen.doctor.evidence.images import facts_of_images
from snellen.doctor.evidence.label_motion import label_motion
from snellen.doctor.evidence.labels import objects_of
from snellen.doctor.evidence.loading import times_of_loading
from snellen.doctor.evidence.locality import locality_of_pixels
from snellen.doctor.evidence.mask_pixels import pixels_of_masks
from snellen.doctor.evidence.naming import named_pairs
from snellen.doctor.evidence.network.affinity import affinity
from snellen.doctor.evidence.network.batch_norms import batch_norms
from snellen.doctor.evidence.network.decayed import decayed_parameters
from snellen.doctor.evidence.network.frozen import frozen_part
from snellen.doctor.evidence.network.identical_units import identical_units
from snellen.doctor.evidence.network.memory import activation_memory
from snellen.doctor.evidence.network.other_size import other_size
from snellen.doctor.evidence.network.trace import network_trace
from snellen.doctor.evidence.object_agreement import agreement_of_objects
from snellen.doctor.evidence.origins import origins_of_images
from snellen.doctor.evidence.pairing import pairing_of_labels
from snellen.doctor.evidence.probes.batch_images import batch_images
from snellen.doctor.evidence.probes.dependence import dependence
from snellen.doctor.evidence.probes.first_step import first_step
from snellen.doctor.evidence.probes.first_updates import first_updates
from snellen.doctor.evidence.probes.gradient_flow import gradient_flow
from snellen.doctor.evidence.probes.learning_parameters import learning_parameters
from snellen.doctor.evidence.probes.loss_contract import loss_contract
from snellen.doctor.evidence.probes.loss_scale import loss_scale
from snellen.doctor.evidence.probes.noise_scale import noise_scale
from snellen.doctor.evidence.probes.numerics import numerics
from snellen.doctor.evidence.probes.one_batch import one_batch
from snellen.doctor.evidence.probes.optimizer_facts import optimizer_facts
from snellen.doctor.evidence.probes.own_step import own_step, own_validation
from snellen.doctor.evidence.probes.worker_randomness import worker_randomness
from snellen.doctor.evidence.resized import resized_objects
from snellen.doctor.evidence.results.answers import answers
from snellen.doctor.evidence.results.calibration import confidence_of_answers
from snellen.doctor.evidence.results.contradicted import contradicted_labels
from snellen.doctor.evidence.results.evaluated import evaluated_run
from snellen.doctor.evidence.results.maps import map_errors
from snellen.doctor.evidence.results.objects import cost_of_errors, detected_objects, wanted_objects
from snellen.doctor.evidence.results.others_answers import answers_of_others
from snellen.doctor.evidence.results.reading import other_reading
from snellen.doctor.evidence.results.scores import scores_of_splits, two_runs
from snellen.doctor.evidence.results.slices import outcomes, slices_of
from snellen.doctor.evidence.set_agreement import agreement_of_sets
from snellen.doctor.evidence.shortcuts import shortcuts_to_labels
from snellen.doctor.evidence.value_agreement import agreement_of_values
from snellen.doctor.evidence.written_boxes import written_boxes
from snellen.doctor.range_test import deep_range
from snellen.doctor.watching.outcome import learning_of
from snellen.doctor.watching.plan import plan_of

__all__ = ["DATA_SOURCES", "RESULT_SOURCES", "SETUP_SOURCES", "TRAINING_SOURCES"]

DATA_SOURCES: tuple[Callable[..., object], ...] = (
    named_pairs,
    objects_of,
    resized_objects,
    written_boxes,
    pixels_of_masks,
    facts_of_images,
    fit_of_annotations,
    copies_of_images,
    neighbours_of_frames,
    times_of_loading,
    agreement_of_labels,
    agreement_of_objects,
    agreement_of_sets,
    agreement_of_values,
    drift_of_splits,
    embeddings_of_images,
    locality_of_pixels,
    origins_of_images,
    pairing_of_labels,
    shortcuts_to_labels,
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
    first_updates,
    optimizer_facts,
    noise_scale,
    numerics,
    one_batch,
    worker_randomness,
    label_motion,
    deep_range,
    network_trace,
    affinity,
    batch_norms,
    decayed_parameters,
    frozen_part,
    identical_units,
    activation_memory,
    other_size,
)
TRAINING_SOURCES: tuple[Callable[..., object], ...] = (learning_of, plan_of)
RESULT_SOURCES: tuple[Callable[..., object], ...] = (
    evaluated_run,
    facts_of_images,
    other_reading,
    answers,
    detected_objects,
    wanted_objects,
    cost_of_errors,
    answers_of_others,
    map_errors,
    scores_of_splits,
    two_runs,
    outcomes,
    slices_of,
    confidence_of_answers,
    contradicted_labels,
)
