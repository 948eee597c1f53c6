import torch
from torchvision.transforms.v2 import functional as tv

from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, Normalize
from snellen.structures import ImageBatch


def images(*sizes: tuple[int, int], canvas: tuple[int, int]) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (len(sizes), 3, *canvas), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels=pixels, sizes=torch.tensor(sizes), original_sizes=torch.tensor(sizes))


def test_content_equals_torchvision_and_padding_is_zero():
    batch = images((7, 5), (8, 8), canvas=(8, 8))
    ours = Normalize()(batch)
    theirs = tv.normalize(tv.to_dtype(batch.pixels, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(ours[1], theirs[1])
    torch.testing.assert_close(ours[0, :, :7, :5], theirs[0, :, :7, :5])
    assert not ours[0, :, 7:].any()
    assert not ours[0, :, :, 5:].any()


def test_other_statistics():
    batch = images((4, 4), canvas=(4, 4))
    half = (0.5, 0.5, 0.5)
    torch.testing.assert_close(Normalize(half, half)(batch), batch.pixels / 127.5 - 1)


def test_input_stays_and_memory_format_is_kept():
    batch = images((4, 6), canvas=(5, 6)).map(lambda x: x.to(memory_format=torch.channels_last) if x.dim() == 4 else x)
    before = batch.pixels.clone()
    result = Normalize()(batch)
    assert torch.equal(batch.pixels, before)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_nothing_is_saved():
    assert not Normalize().state_dict()
