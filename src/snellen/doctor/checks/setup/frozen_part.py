"""frozen-part (M34)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.frozen import LEARNED, FrozenPart
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Number, Place

__all__ = ["CHECK"]

MOST = 0.5  # of the numbers of the model

_CALIBRATION = "random weights of 13 networks: at most 1.00; 28 checkpoints: at least 1.25; small trained ones: 1.04 up"


def judge(part: FrozenPart, setup: Setup | None) -> Iterator[Finding]:
    """Yield findings for frozen layers that have learned nothing, a frozen last layer, and norms that still move."""
    if not part.layers:
        return
    numbers: dict[str, Number] = {
        "share": round(100 * part.share), "count": len(part.layers), "layers": part.num_layers,
        "structure": "?" if part.structure is None else round(part.structure, 2), "first": part.layers[0],
    }  # fmt: skip
    looks_random = part.structure is not None and part.structure < LEARNED
    looks_trained = part.norms_are_fresh is False or (part.structure is not None and not looks_random)
    if not looks_trained and part.share > MOST:
        is_proven = part.norms_are_fresh is True or (setup is not None and setup.pretrained is False)
        message = "untrained" if is_proven or looks_random else "unknown"
        yield _finding(part, message, Level.ERROR if is_proven else Level.WARNING, numbers)
    elif not looks_trained and (looks_random or part.norms_are_fresh is True):
        yield _finding(part, "part_untrained", Level.WARNING, numbers)
    if part.last_is_frozen and not part.is_all:
        yield _finding(part, "head", Level.WARNING, numbers)
    if part.moving_norms or part.learning_norms:
        yield _norms(part)


def _finding(part: FrozenPart, message: str, level: Level, numbers: dict[str, Number]) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers=numbers,
        measured=part.structure if message.endswith("untrained") else part.share,
        limit=Limit(value=LEARNED, source=_CALIBRATION)
        if message.endswith("untrained")
        else Limit(value=MOST, unit="share", source="checks of the parameters in torchtest2"),
        places=tuple(Place(kind="layer", name=name) for name in part.layers[:50]),
        num_places=len(part.layers),
    )


def _norms(part: FrozenPart) -> Finding:
    names = tuple(dict.fromkeys(part.moving_norms + part.learning_norms))
    return Finding(
        level=Level.INFO,
        message="norms",
        numbers={"moving": len(part.moving_norms), "learning": len(part.learning_norms), "first": names[0]},
        measured=float(len(names)),
        places=tuple(Place(kind="layer", name=name) for name in names[:50]),
        num_places=len(names),
    )


CHECK = Check(
    code="M34",
    name="frozen-part",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M18",),
    covers=("DX-072",),
    source="torchtest2 (frozen parameters); Martin and Mahoney 2021, https://jmlr.org/papers/v22/20-410.html",
    pages={
        "en": Page(
            title="a part is frozen that should not be",
            finds="Frozen layers whose weights are random numbers, a frozen last layer, and norms behind frozen layers "
            "that go on moving.",
            matters="Random features stay random: the rest of the network has to make do with them. A last layer that "
            "is frozen cannot learn the classes. Norms that move change the features of a backbone that was meant to "
            "stay as it is.",
            measured="Frozen matrices are compared with independent random numbers: the largest singular value of "
            "those is s·(√rows + √columns), that of trained weights is larger. Below 1.1 times that edge (middle of "
            "up to 12 matrices) the weights are random: an error if more than half of the model is frozen, a warning "
            "otherwise. A last layer that is frozen is a warning, moving norms are told.",
            false_alarms="Random features on purpose; classifiers that are fixed on purpose (embeddings of words, "
            "simplices). Letting norms adapt to new data can help.",
            fix="Load the weights before freezing, or set requires_grad_(True); never freeze the new head; to freeze a "
            "backbone wholly, also call eval() on its batch norms after every model.train().",
            messages={
                "untrained": "{share} % of the model is frozen, and its weights are random numbers ({structure} of "
                "1.1).",
                "part_untrained": "{count} of {layers} layers are frozen, and their weights are random numbers "
                "({structure} of 1.1), such as {first}.",
                "unknown": "{share} % of the model is frozen; whether its weights have been trained cannot be told.",
                "head": "The last layer is frozen, while others learn.",
                "norms": "Behind frozen layers {moving} batch norms go on collecting statistics and {learning} norms "
                "learn, such as {first}: the frozen features change.",
            },
        ),
        "zh": Page(
            title="不该冻结的部分被冻结",
            finds="权重仍为随机数的冻结层、被冻结的最后一层，以及冻结层之后仍在变动的归一化层。",
            matters="随机特征永远随机：网络其余部分只能将就。冻结的最后一层学不会类别。变动的归一化会改变本应保持不变"
            "的骨干特征。",
            measured="把冻结的矩阵与独立随机数比较：后者的最大奇异值为 s·(√行数 + √列数)，训练过的权重更大。低于该界限"
            "的 1.1 倍（最多 12 个矩阵的中位数）且冻结归一化的缩放和平移仍为初始值，即为随机权重：冻结部分超过模型一半"
            "时为错误；不到一半或没有归一化可供判断时为警告。最后一层被冻结时警告，归一化仍在变动时提示。",
            false_alarms="有意使用随机特征；有意固定的分类器（词向量、单纯形）。让归一化适应新数据有时有益。",
            fix="先加载权重再冻结，或设 requires_grad_(True)；不要冻结新的输出层；要完全冻结骨干，"
            "还须在每次 model.train() 之后对其批归一化调用 eval()。",
            messages={
                "untrained": "模型的 {share}% 被冻结，而其权重是随机数（{structure}，界限 1.1）。",
                "part_untrained": "{layers} 层中有 {count} 层被冻结，而其权重是随机数（{structure}，界限 1.1），例如 "
                "{first}。",
                "unknown": "模型的 {share}% 被冻结；无法判断其权重是否训练过。",
                "head": "最后一层被冻结，而其他层在学习。",
                "norms": "冻结层之后有 {moving} 个批归一化仍在收集统计量，{learning} 个归一化仍在学习，例如 {first}："
                "冻结的特征会改变。",
            },
        ),
    },
)
