"""Training: schedules, early stopping, logs, checkpoints, and a resume to the identical next step."""

import tempfile
from pathlib import Path

import torch

import shortlist as sl
from shortlist import training

folder = Path(tempfile.mkdtemp())
train, test = sl.datasets.synthetic(users=200, items=300, events=8000).split_leave_last_out()


def towers() -> sl.TwoTower:
    """The same untrained model each time."""
    return sl.TwoTower(sl.Tower([sl.Id("user_id")], dim=16), sl.Tower([sl.Id("item_id")], dim=16))


class StopAfter(training.Callback):
    """Ends a training after some steps, as a crash would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, state: training.TrainingState) -> None:
        """Ask the loop to stop."""
        state.stop = state.step >= self.steps


# An epoch's row holds its loss, the validation's metrics, the learning rate and the seconds. The model ends
# with the weights of the best epoch.
logs: list[training.Callback] = [training.CsvLogger(folder / "log.csv"), training.ProgressBar()]
try:
    logs.append(training.TensorBoardLogger(folder / "tensorboard"))
except sl.Error as error:  # an extra of its own
    print(error)
history: training.TrainingHistory = towers().fit(
    train,
    epochs=5,
    validation=test,
    monitor="ndcg@10",
    patience=2,
    schedule="cosine",
    warmup_steps=5,
    max_grad_norm=1.0,
    callbacks=logs,
)
print(f"epoch {history.best_epoch} of {len(history.epochs)} was the best")
print((folder / "log.csv").read_text().splitlines()[0])

# Interrupted and resumed, the weights are those of a run that was never interrupted, bit for bit.
whole, broken, resumed = towers(), towers(), towers()
whole.fit(train, epochs=2)
broken.fit(train, epochs=2, checkpoint_dir=folder / "run", checkpoint_every=3, callbacks=[StopAfter(9)])
resumed.fit(train, epochs=2, checkpoint_dir=folder / "run", resume=True)
print("the same weights:", torch.equal(whole.item_vectors, resumed.item_vectors))
last = training.Checkpoints(folder / "run").last()
print(last.name, "holds", sorted(training.read_checkpoint(last)))
