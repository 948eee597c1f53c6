"""The checks that exist: one literal table, causes before their consequences."""

from snellen.doctor.check import Check
from snellen.doctor.checks.data import (
    class_imbalance,
    colour_cast,
    copies_made_by_resampling,
    degraded_images,
    exact_duplicates,
    exif_orientation,
    labels_of_copies_differ,
    leak_across_splits,
    low_contrast,
    mixed_channels,
    slow_loading,
    uneven_exposure,
    unreadable_image,
)
from snellen.doctor.checks.setup import (
    ascends,
    gradient_carry_over,
    head_does_not_match_classes,
    ignores_its_input,
    initial_loss_off,
    input_scale,
    loss_contract,
    nearly_all_dropped,
    no_gradient,
    parameters_not_in_optimizer,
    samples_leak_into_one_another,
    softmax_for_many_labels,
    wrong_loss_for_task,
    wrong_mode,
)
from snellen.errors import ConfigError, did_you_mean

__all__ = ["CHECKS", "find_check", "selected"]

CHECKS: tuple[Check, ...] = (
    unreadable_image.CHECK,
    exif_orientation.CHECK,
    mixed_channels.CHECK,
    copies_made_by_resampling.CHECK,
    exact_duplicates.CHECK,
    leak_across_splits.CHECK,
    labels_of_copies_differ.CHECK,
    class_imbalance.CHECK,
    degraded_images.CHECK,
    colour_cast.CHECK,
    low_contrast.CHECK,
    uneven_exposure.CHECK,
    slow_loading.CHECK,
    head_does_not_match_classes.CHECK,
    input_scale.CHECK,
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
