"""The checks that exist: one literal table, causes before their consequences."""

from snellen.doctor.check import Check
from snellen.doctor.checks.data import (
    annotation_count_outliers,
    annotations_of_other_images,
    box_format,
    broken_annotation,
    class_ids,
    class_imbalance,
    class_missing_in_split,
    colour_cast,
    copies_made_by_resampling,
    crowded_objects,
    degenerate_boxes,
    degraded_images,
    exact_duplicates,
    exif_orientation,
    high_label_noise,
    images_without_labels,
    labels_of_copies_differ,
    leak_across_splits,
    low_contrast,
    mask_values,
    mixed_channels,
    no_local_correlation,
    objects_below_stride,
    objects_share_a_cell,
    odd_aspect_boxes,
    ordered_data,
    pixel_imbalance,
    pooled_sources,
    shortcut,
    shuffled_pairing,
    slow_loading,
    split_drift,
    statistics_of_all_data,
    tiny_objects_after_resize,
    too_few_samples,
    too_little_data_for_scratch,
    uneven_exposure,
    unreadable_image,
    unsplit_data,
    wrong_image_labels,
    wrong_objects,
)
from snellen.doctor.checks.setup import (
    affine_network,
    anchors_miss_boxes,
    ascends,
    augmentation_moves_labels,
    batch_norm_with_tiny_batch,
    batch_too_small_or_large,
    cannot_fit_one_batch,
    checkerboard,
    constant_initialisation,
    deep_without_shortcuts,
    excessive_memory,
    fine_tuning_rate_too_high,
    fixed_input_size,
    frozen_part,
    gradient_carry_over,
    head_does_not_match_classes,
    huge_first_dense_layer,
    ignores_its_input,
    initial_loss_off,
    initialisation_misfits_activation,
    input_scale,
    labels_resized_wrongly,
    loss_contract,
    lr_outside_range,
    nearly_all_dropped,
    no_clipping_or_warmup,
    no_gradient,
    numerics,
    optimizer_misfit,
    parameters_not_in_optimizer,
    receptive_field_too_small,
    resize_misaligned,
    samples_leak_into_one_another,
    saturating_activations_in_depth,
    softmax_for_many_labels,
    static_hygiene,
    step_size,
    too_few_steps,
    weight_decay_on_norms,
    weights_not_loaded,
    workers_repeat_randomness,
    wrong_loss_for_task,
    wrong_mode,
)
from snellen.doctor.checks.training import (
    class_collapse,
    dead_units,
    diverging,
    exploding_gradients,
    gradient_noise,
    images_in_order,
    loss_and_metric_disagree,
    loss_not_falling,
    loss_terms_out_of_balance,
    memory_grows,
    norms_differ_in_evaluation,
    not_finite,
    oscillating,
    outputs_begin_too_large,
    overfitting,
    patience_too_short,
    saturated_units,
    schedule_not_as_planned,
    steps_get_slower,
    steps_skipped,
    stopped_too_early,
    too_much_dropout,
    units_alike,
    update_ratio,
    vanishing_gradients,
    waiting_for_data,
    weights_never_change,
    weights_shrink_away,
)
from snellen.errors import ConfigError, did_you_mean

__all__ = ["CHECKS", "find_check", "selected"]

CHECKS: tuple[Check, ...] = (
    unreadable_image.CHECK,
    broken_annotation.CHECK,
    images_without_labels.CHECK,
    box_format.CHECK,
    class_ids.CHECK,
    mask_values.CHECK,
    degenerate_boxes.CHECK,
    exif_orientation.CHECK,
    mixed_channels.CHECK,
    copies_made_by_resampling.CHECK,
    exact_duplicates.CHECK,
    leak_across_splits.CHECK,
    labels_of_copies_differ.CHECK,
    class_missing_in_split.CHECK,
    class_imbalance.CHECK,
    too_few_samples.CHECK,
    pixel_imbalance.CHECK,
    unsplit_data.CHECK,
    degraded_images.CHECK,
    colour_cast.CHECK,
    low_contrast.CHECK,
    uneven_exposure.CHECK,
    slow_loading.CHECK,
    shuffled_pairing.CHECK,
    annotations_of_other_images.CHECK,
    high_label_noise.CHECK,
    wrong_image_labels.CHECK,
    wrong_objects.CHECK,
    split_drift.CHECK,
    shortcut.CHECK,
    ordered_data.CHECK,
    no_local_correlation.CHECK,
    statistics_of_all_data.CHECK,
    pooled_sources.CHECK,
    annotation_count_outliers.CHECK,
    tiny_objects_after_resize.CHECK,
    objects_below_stride.CHECK,
    objects_share_a_cell.CHECK,
    odd_aspect_boxes.CHECK,
    crowded_objects.CHECK,
    too_little_data_for_scratch.CHECK,
    head_does_not_match_classes.CHECK,
    anchors_miss_boxes.CHECK,
    receptive_field_too_small.CHECK,
    weights_not_loaded.CHECK,
    labels_resized_wrongly.CHECK,
    augmentation_moves_labels.CHECK,
    workers_repeat_randomness.CHECK,
    input_scale.CHECK,
    constant_initialisation.CHECK,
    frozen_part.CHECK,
    affine_network.CHECK,
    saturating_activations_in_depth.CHECK,
    initialisation_misfits_activation.CHECK,
    deep_without_shortcuts.CHECK,
    batch_norm_with_tiny_batch.CHECK,
    checkerboard.CHECK,
    resize_misaligned.CHECK,
    huge_first_dense_layer.CHECK,
    fixed_input_size.CHECK,
    excessive_memory.CHECK,
    weight_decay_on_norms.CHECK,
    static_hygiene.CHECK,
    parameters_not_in_optimizer.CHECK,
    loss_contract.CHECK,
    softmax_for_many_labels.CHECK,
    wrong_loss_for_task.CHECK,
    ascends.CHECK,
    initial_loss_off.CHECK,
    no_gradient.CHECK,
    wrong_mode.CHECK,
    samples_leak_into_one_another.CHECK,
    ignores_its_input.CHECK,
    nearly_all_dropped.CHECK,
    gradient_carry_over.CHECK,
    numerics.CHECK,
    optimizer_misfit.CHECK,
    step_size.CHECK,
    lr_outside_range.CHECK,
    fine_tuning_rate_too_high.CHECK,
    no_clipping_or_warmup.CHECK,
    cannot_fit_one_batch.CHECK,
    batch_too_small_or_large.CHECK,
    too_few_steps.CHECK,
    not_finite.CHECK,
    schedule_not_as_planned.CHECK,
    weights_never_change.CHECK,
    steps_skipped.CHECK,
    units_alike.CHECK,
    images_in_order.CHECK,
    too_much_dropout.CHECK,
    outputs_begin_too_large.CHECK,
    weights_shrink_away.CHECK,
    update_ratio.CHECK,
    exploding_gradients.CHECK,
    dead_units.CHECK,
    saturated_units.CHECK,
    vanishing_gradients.CHECK,
    diverging.CHECK,
    oscillating.CHECK,
    class_collapse.CHECK,
    loss_not_falling.CHECK,
    stopped_too_early.CHECK,
    norms_differ_in_evaluation.CHECK,
    overfitting.CHECK,
    patience_too_short.CHECK,
    loss_and_metric_disagree.CHECK,
    loss_terms_out_of_balance.CHECK,
    gradient_noise.CHECK,
    waiting_for_data.CHECK,
    memory_grows.CHECK,
    steps_get_slower.CHECK,
)


def find_check(name: str) -> Check:
    """Return a check by code or name.

    Raises:
        ConfigError: If there is none.
    """
    for check in CHECKS:
        if name.upper() == check.code or name.lower() == check.name:
            return check
    known = [word for check in CHECKS for word in (check.code, check.name)]
    raise ConfigError(f"a code or name of a check was expected, such as D13; got {name!r}.{did_you_mean(name, known)}")


def selected(
    checks: tuple[Check, ...], select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()
) -> tuple[Check, ...]:
    """Return the checks that are asked for.

    Args:
        checks: To choose from.
        select: Codes, names, or beginnings of codes (``D`` is all of data); all if empty.
        ignore: What is left out of them, in the same terms.

    Raises:
        ConfigError: If a term means no check at all.
    """
    wanted = _meant(select) if select else {check.code for check in CHECKS}
    wanted -= _meant(ignore)
    return tuple(check for check in checks if check.code in wanted)


def _meant(terms: tuple[str, ...]) -> set[str]:
    codes: set[str] = set()
    for term in terms:
        if len(term) == 1 and any(check.code.startswith(term.upper()) for check in CHECKS):
            codes |= {check.code for check in CHECKS if check.code.startswith(term.upper())}
        else:
            codes.add(find_check(term).code)
    return codes
