"""Loops of other libraries, with those libraries."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.doctor import read_trace
from snellen.doctor.watching.adapters import hugging_face_callback, lightning_callback, ultralytics_callbacks
from snellen.errors import ConfigError


def data() -> TensorDataset:
    made = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(16, 6, generator=made), torch.randint(0, 3, (16,), generator=made))


@pytest.mark.filterwarnings("ignore")  # of transformers about itself
def test_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x=None, labels=None):
            logits = self.layer(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 16

        def __getitem__(self, row):
            x, label = data()[row]
            return {"x": x, "labels": label}

    def trained(callbacks):
        torch.manual_seed(0)
        trainer = transformers.Trainer(
            model=Net(),
            args=transformers.TrainingArguments(
                output_dir=str(tmp_path / "hf"), num_train_epochs=2, per_device_train_batch_size=4, use_cpu=True,
                report_to=[], save_strategy="no", eval_strategy="epoch", disable_tqdm=True, logging_strategy="no",
            ),
            train_dataset=Rows(),
            eval_dataset=Rows(),
            callbacks=callbacks,
        )  # fmt: skip
        trainer.train()
        return trainer.model.layer.weight.detach().clone()

    callback = hugging_face_callback(folder=tmp_path / "trace", every=1)
    assert torch.equal(trained([callback]), trained([]))
    trace = read_trace(tmp_path / "trace")
    assert trace.steps.tolist() == list(range(1, 9))
    assert trace.planned_steps == 8
    assert np.isfinite(trace.losses["loss"]).all()
    assert [column.name for column in trace.parameters] == ["layer.weight", "layer.bias"]
    assert (trace.update > 0).all()
    assert [row.step for row in trace.validations] == [4, 8]
    assert "loss" in trace.validations[0].scores


@pytest.mark.filterwarnings("ignore")  # of Lightning about itself
def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x)

        def training_step(self, batch, _number):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch, _number):
            self.log("accuracy", (self(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def trained(callbacks):
        torch.manual_seed(0)
        net = Net()
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=callbacks, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(net, DataLoader(data(), 4), DataLoader(data(), 8))
        return net.layer.weight.detach().clone()

    callback = lightning_callback(folder=tmp_path / "trace", every=1)
    assert torch.equal(trained([callback]), trained([]))
    trace = read_trace(tmp_path / "trace")
    assert trace.steps.tolist() == list(range(1, 9))
    assert trace.planned_steps == 8
    assert np.isfinite(trace.losses["loss"]).all()
    assert [row.step for row in trace.validations] == [4, 8]
    assert 0 <= trace.validations[0].scores["accuracy"] <= 1


def test_ultralytics_events():
    """ultralytics is under AGPL and is not installed here: its trainer is what its documentation says of it."""

    class Trainer:
        epochs, start_epoch, accumulate = 2, 0, 1
        train_loader = tuple(DataLoader(data(), 4))
        loss_names = ("box_loss", "cls_loss")

        def __init__(self) -> None:
            self.model = nn.Linear(6, 3)
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.metrics = {"metrics/mAP50(B)": 0.5}

        def train(self, calls) -> None:
            calls["on_train_start"](self)
            for _ in range(self.epochs):
                for x, labels in self.train_loader:
                    self.loss = nn.functional.cross_entropy(self.model(x), labels)
                    self.loss_items = torch.stack([self.loss.detach() / 2] * 2)
                    self.loss.backward()
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                    calls["on_train_batch_end"](self)
                calls["on_fit_epoch_end"](self)
            calls["on_train_end"](self)

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Trainer().train(ultralytics_callbacks(folder=folder))
        trace = read_trace(folder)
    assert trace.planned_steps == 8
    assert list(trace.losses) == ["loss", "box_loss", "cls_loss"]
    assert [row.scores for row in trace.validations] == [{"metrics/mAP50(B)": 0.5}] * 2


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightning.pytorch", None)
    with pytest.raises(ConfigError, match="pip install lightning"):
        lightning_callback()
