"""Without a driver, one attribute of PyTorch raises RuntimeError where walkers expect AttributeError."""

from typing import NoReturn

import torch


def missing(_self: object, name: str) -> NoReturn:
    raise AttributeError(name)


torch.backends.cuda.cuFFTPlanCacheManager.__getattr__ = missing
