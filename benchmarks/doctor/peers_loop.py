"""A training as TrainCheck reads one: the model by its name, the loop in the open. See `peers_trainings.py`."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["PEERS_CODE"])
import peers_shim  # noqa: F401 - before PyTorch's attributes are walked through
import torch
import training_runs as runs

told = json.loads(os.environ["PEERS_PLAN"])
plan = runs.Plan(**told["plan"])
torch.set_num_threads(1)
model, optimizer, source = runs.begun(plan, told["seed"], Path(told["data"]), Path(told["scratch"]))
draws = torch.Generator().manual_seed(told["seed"])
for step in range(told["steps"]):
    optimizer.param_groups[0]["lr"] = plan.lr * runs.rate(plan, step)
    optimizer.zero_grad()
    loss = runs.one_loss(plan, model, *next(source), draws)
    loss.backward()
    if plan.clip:
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    optimizer.step()
