"""`fit` for any module and any loader, and the parts that it is made of, for a loop of your own."""

import torch

from shortlist import training


class Numbers:
    """A source of batches that can start in the middle of an epoch."""

    def __len__(self) -> int:
        return 20

    def epoch(self, number: int, *, start: int = 0):
        """The batches of an epoch; they depend on its number alone."""
        for batch in range(start, len(self)):
            generator = torch.Generator().manual_seed(number * 1000 + batch)
            yield {"x": torch.rand(16, 1, generator=generator)}


class Line(torch.nn.Linear):
    """Learns to double a number."""

    def compute_loss(self, batch):
        """Squared error."""
        return (self(batch["x"]) - 2 * batch["x"]).square().mean()


# The whole loop.
loader: training.Loader = Numbers()
precision: training.Precision = "float32"
line = Line(1, 1)
history = training.fit(
    line, loader, epochs=3, optimizer=torch.optim.SGD, learning_rate=0.5, precision=precision
)
print([round(row["loss"], 4) for row in history.epochs], "slope", round(line.weight.item(), 2))

# The same by hand.
line, epochs = Line(1, 1), 3
optimizer = torch.optim.SGD(line.parameters(), lr=0.5)
schedule: training.Schedule = training.make_schedule("linear", epochs * len(loader), warmup_steps=5)
stopping = training.EarlyStopping("loss", patience=2, mode=training.infer_mode("loss"))
step = 0
for epoch in range(epochs):
    total = 0.0
    for batch in loader.epoch(epoch):
        optimizer.param_groups[0]["lr"] = 0.5 * schedule.factor(step)
        loss = line.compute_loss(training.to_device(batch, torch.device("cpu")))
        optimizer.zero_grad()
        loss.backward()
        training.clip_gradients(line.parameters(), max_norm=1.0)
        optimizer.step()
        total, step = total + loss.item(), step + 1
    best = stopping.update({"epoch": epoch + 1, "loss": total / len(loader)})
    print(f"epoch {epoch + 1}: loss {total / len(loader):.4f}{', the best so far' if best else ''}")
    if stopping.is_exhausted:
        break
