"""workers-repeat-randomness (M12)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.worker_randomness import WorkerRandomness
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]


def judge(found: WorkerRandomness) -> Iterator[Finding]:
    """Yield a finding if processes or epochs draw the same random numbers."""
    if not found.is_random:
        return
    if found.workers_agree and found.num_workers > 1:
        yield Finding(level=Level.ERROR, message="workers", numbers={"workers": found.num_workers})
    elif found.epochs_agree and not found.is_persistent:
        yield Finding(level=Level.WARNING, message="epochs")


CHECK = Check(
    code="M12",
    name="workers-repeat-randomness",
    stage=Stage.SETUP,
    judge=judge,
    source="pytorch/pytorch#5059, #3880; TrainCheck, Jiang et al. 2025; users' reports in five projects",
    pages={
        "en": Page(
            title="worker processes that draw the same random numbers",
            finds="Loader processes whose augmentation draws the same numbers as the one beside it, or in every epoch.",
            matters="Every image is then augmented in the few ways that the shared stream gives, again and again; the "
            "loss falls as usual and the result is worse than it could be. Nothing tells.",
            measured="The first sample of the data set is drawn twelve times in each of two processes that are started "
            "as the loader starts them, and in a second epoch. Draws that differ from one another within a process and "
            "are bit for bit the same in both are an error; the same in both epochs, where processes are started anew, "
            "a warning. Data that are not random are not judged.",
            false_alarms="Augmentation that is meant to be the same in every epoch.",
            fix="Make generators (numpy.random.default_rng, random.Random) in the worker and not in the data set's "
            "constructor, or seed them from torch.initial_seed() in worker_init_fn; do not seed with a constant there.",
            messages={
                "workers": "The {workers} processes of the loader draw the same random numbers.",
                "epochs": "The processes of the loader draw the same random numbers in every epoch.",
            },
        ),
        "zh": Page(
            title="工作进程抽取相同的随机数",
            finds="数据增强与旁边进程抽取相同随机数，或每个 epoch 都抽取相同随机数的加载进程。",
            matters="每张图像只会反复以共享随机流给出的少数几种方式增强；损失照常下降，结果却不如应有的水平，而且没有"
            "任何提示。",
            measured="按加载器的方式启动两个进程，在每个进程中把数据集的第一个样本抽取十二次，并在第二个 epoch 重复。"
            "进程内各次互不相同、而两个进程逐位相同，为错误；进程重新启动的两个 epoch 相同，为警告。没有随机性的数据不"
            "作判断。",
            false_alarms="有意让每个 epoch 相同的增强。",
            fix="在工作进程中而不是在数据集构造函数中创建随机数生成器（numpy.random.default_rng、random.Random），或在 "
            "worker_init_fn 中用 torch.initial_seed() 设置种子；不要在那里使用固定的种子。",
            messages={
                "workers": "加载器的 {workers} 个进程抽取相同的随机数。",
                "epochs": "加载器的进程在每个 epoch 都抽取相同的随机数。",
            },
        ),
    },
)
