"""The learners that exist."""

from snellen.errors import ConfigError, did_you_mean
from snellen.models.shallow.learners import bayes, boosting_libraries, crossed, kernel, linear, neighbours, trees
from snellen.models.shallow.learners.rows import Learner
from snellen.models.shallow.learners.tree_arrays import BOOSTED, VOTING, WEIGHTED_VOTES
from snellen.models.shallow.learners.values import VALUE_LEARNERS, ValueLearner
from snellen.models.shallow.preparation import Scaling

__all__ = ["LEARNERS", "find_learner", "find_value_learner", "learner_row"]

_AS_IT_IS: tuple[Scaling, ...] = ("none",)


_COSTS = {"cost": (0.1, 1.0, 10.0, 100.0)}  # of images whose mean square length is 1
_SVM_COSTS = {"cost": (0.1, 1.0, 10.0)}  # a squared hinge loss is larger, and solvers take long above

LEARNERS: tuple[Learner, ...] = (
    Learner(
        name="knn",
        summary="k nearest neighbours",
        paper="https://doi.org/10.1109/TIT.1967.1053964",
        settings=neighbours.KnnSettings,
        fit=neighbours.fit_knn,
        predictor=neighbours.NEIGHBOURS,
        grid={"k": (1, 3, 5, 10, 20)},
        scales=("none", "standard"),
        keeps_images=True,
    ),
    Learner(
        name="tangent_knn",
        summary="k nearest neighbours by tangent distance",
        paper="https://doi.org/10.1007/3-540-49430-8_13",
        settings=neighbours.TangentKnnSettings,
        fit=neighbours.fit_tangent_knn,
        predictor=neighbours.TANGENT_NEIGHBOURS,
        grid={"k": (1, 3, 5)},
        scales=_AS_IT_IS,
        most_images=10_000,
        tried_images=400,
        only=("pixels",),
        keeps_images=True,
    ),
    Learner(
        name="naive_bayes",
        summary="naive Bayes with Gaussians",
        paper="https://doi.org/10.1023/A:1007413511361",
        settings=bayes.GaussianBayesSettings,
        fit=bayes.fit_gaussian_bayes,
        predictor=bayes.GAUSSIANS,
        grid={"smoothing": (1e-9, 1e-3, 0.1)},
    ),
    Learner(
        name="multinomial_bayes",
        summary="naive Bayes with counts",
        paper="https://www.cs.cmu.edu/~knigam/papers/multinomial-aaaiws98.pdf",
        settings=bayes.CountBayesSettings,
        fit=bayes.fit_multinomial_bayes,
        predictor=linear.LINEAR_SOFTMAX,
        grid={"smoothing": (0.01, 0.1, 1.0, 10.0)},
        scales=_AS_IT_IS,
        counts=True,
    ),
    Learner(
        name="bernoulli_bayes",
        summary="naive Bayes with what lies above its median",
        paper="https://www.cs.cmu.edu/~knigam/papers/multinomial-aaaiws98.pdf",
        settings=bayes.CountBayesSettings,
        fit=bayes.fit_bernoulli_bayes,
        predictor=bayes.BINARY,
        grid={"smoothing": (0.1, 1.0, 10.0)},
        scales=_AS_IT_IS,
    ),
    Learner(
        name="lda",
        summary="linear discriminant analysis",
        paper="https://doi.org/10.1111/j.1469-1809.1936.tb02137.x",
        settings=linear.LdaSettings,
        fit=linear.fit_lda,
        predictor=linear.LINEAR_SOFTMAX,
        pca=256,
    ),
    Learner(
        name="svm",
        summary="linear support vector machine",
        paper="https://doi.org/10.1007/BF00994018",
        settings=linear.SvmSettings,
        fit=linear.fit_linear_svm,
        predictor=linear.LINEAR,
        grid=_SVM_COSTS,
        most_images=20_000,
    ),
    Learner(
        name="rbf_svm",
        summary="support vector machine with a Gaussian kernel",
        paper="https://doi.org/10.1007/BF00994018",
        settings=kernel.KernelSvmSettings,
        fit=kernel.fit_kernel_svm,
        predictor=kernel.KERNEL,
        grid={"cost": (1.0, 10.0), "gamma": (0.3, 1.0, 3.0)},
        most_images=10_000,
        tried_images=1500,
    ),
    Learner(
        name="logistic",
        summary="logistic regression, each class against the rest",
        paper="https://doi.org/10.1111/j.2517-6161.1958.tb00292.x",
        settings=linear.LogisticSettings,
        fit=linear.fit_logistic,
        predictor=linear.LINEAR_SIGMOIDS,
        grid=_COSTS,
    ),
    Learner(
        name="softmax",
        summary="softmax regression, all classes at once",
        paper="https://doi.org/10.1111/j.2517-6161.1958.tb00292.x",
        settings=linear.LogisticSettings,
        fit=linear.fit_softmax,
        predictor=linear.LINEAR_SOFTMAX,
        grid=_COSTS,
    ),
    Learner(
        name="binned_logistic",
        summary="softmax regression on features cut into bins",
        paper="https://doi.org/10.1111/j.2517-6161.1958.tb00292.x",
        settings=crossed.BinnedSettings,
        fit=crossed.fit_binned,
        predictor=crossed.BINNED,
        grid={"cost": (0.01, 0.1, 1.0)},
        scales=_AS_IT_IS,
        most_images=20_000,
    ),
    Learner(
        name="crossed_logistic",
        summary="softmax regression on bins and pairs of bins",
        paper="https://doi.org/10.1111/j.2517-6161.1958.tb00292.x",
        settings=crossed.CrossedSettings,
        fit=crossed.fit_crossed,
        predictor=crossed.CROSSED,
        grid={"cost": (0.01, 0.1, 1.0)},
        scales=_AS_IT_IS,
        most_images=20_000,
    ),
    Learner(
        name="perceptron",
        summary="perceptron",
        paper="https://doi.org/10.1037/h0042519",
        settings=linear.PerceptronSettings,
        fit=linear.fit_perceptron,
        predictor=linear.LINEAR,
    ),
    Learner(
        name="tree",
        summary="decision tree",
        paper="https://doi.org/10.1201/9781315139470",
        settings=trees.TreeSettings,
        fit=trees.fit_tree,
        predictor=VOTING,
        grid={"depth": (2, 4, 8, 16)},
        scales=_AS_IT_IS,
    ),
    Learner(
        name="forest",
        summary="random forest",
        paper="https://doi.org/10.1023/A:1010933404324",
        settings=trees.ForestSettings,
        fit=trees.fit_forest,
        predictor=VOTING,
        scales=_AS_IT_IS,
    ),
    Learner(
        name="adaboost",
        summary="AdaBoost over small trees",
        paper="https://doi.org/10.4310/SII.2009.v2.n3.a8",
        settings=trees.AdaBoostSettings,
        fit=trees.fit_adaboost,
        predictor=WEIGHTED_VOTES,
        grid={"depth": (1, 3)},
        scales=_AS_IT_IS,
        pca=64,
        most_images=10_000,
        tried_images=1000,
    ),
    Learner(
        name="boosting",
        summary="gradient boosting on binned features",
        paper="https://doi.org/10.1214/aos/1013203451",
        settings=trees.BoostingSettings,
        fit=trees.fit_boosting,
        predictor=BOOSTED,
        scales=_AS_IT_IS,
        pca=64,
        most_images=20_000,
    ),
    Learner(
        name="xgboost",
        summary="gradient boosting with XGBoost",
        paper="https://doi.org/10.1145/2939672.2939785",
        settings=trees.BoostingSettings,
        fit=boosting_libraries.fit_xgboost,
        predictor=BOOSTED,
        scales=_AS_IT_IS,
        pca=64,
        most_images=20_000,
        extra=boosting_libraries.EXTRA,
    ),
    Learner(
        name="lightgbm",
        summary="gradient boosting with LightGBM",
        paper="https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree",
        settings=trees.BoostingSettings,
        fit=boosting_libraries.fit_lightgbm,
        predictor=BOOSTED,
        scales=_AS_IT_IS,
        pca=64,
        most_images=20_000,
        extra=boosting_libraries.EXTRA,
    ),
    Learner(
        name="kmeans",
        summary="nearest of the centres of each class (k-means)",
        paper="https://doi.org/10.1109/TIT.1982.1056489",
        settings=bayes.KmeansSettings,
        fit=bayes.fit_kmeans,
        predictor=bayes.CENTRES,
        grid={"centres": (1, 3, 10)},
    ),
    Learner(
        name="mixture",
        summary="mixture of Gaussians for each class (EM)",
        paper="https://doi.org/10.1111/j.2517-6161.1996.tb02073.x",
        settings=bayes.MixtureSettings,
        fit=bayes.fit_mixture,
        predictor=bayes.GAUSSIANS,
        grid={"components": (1, 2, 4)},
        pca=64,
    ),
)


def learner_row(name: str) -> Learner | ValueLearner:
    """Return the row of a learner, of classes or of values.

    Raises:
        ConfigError: If there is none of that name.
    """
    values = {row.name: row for row in VALUE_LEARNERS}
    return values[name] if name in values else find_learner(name)


def find_value_learner(name: str) -> ValueLearner:
    """Return the row of a learner of values.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {row.name: row for row in VALUE_LEARNERS}
    if name not in rows:
        raise ConfigError(f"there is no learner of values {name!r}.{did_you_mean(name, rows)}")
    return rows[name]


def find_learner(name: str) -> Learner:
    """Return the row of a learner.

    Raises:
        ConfigError: If there is none of that name.
    """
    rows = {row.name: row for row in LEARNERS}
    if name not in rows:
        raise ConfigError(f"there is no learner {name!r}.{did_you_mean(name, rows)}")
    return rows[name]
