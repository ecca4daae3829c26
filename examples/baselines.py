"""The models to beat: popularity, item-to-item neighbours, EASE and ALS. They need no gradients."""

import tempfile
import warnings
from pathlib import Path

import shortlist as sl
from shortlist.models import (
    ALS,
    EASE,
    Evaluation,
    ItemKNN,
    LosesToPopularity,
    Popularity,
    evaluate,
    load_model,
    save_model,
)

try:
    data = sl.datasets.movielens("100k")
except sl.Error:
    data = sl.datasets.synthetic()
train, test = data.split_leave_last_out()

for model in (Popularity(), Popularity(half_life="90d"), ItemKNN(), EASE(), ALS(factors=32, iterations=5)):
    figures: Evaluation = evaluate(model.fit(train), test)
    print(f"{model!s:70} NDCG@10 {figures['ndcg@10']:.3f}   hit rate@100 {figures['hit_rate@100']:.3f}")

# A model that loses to popularity says so; this one was trained for a tenth of what it needs.
towers = sl.TwoTower(sl.Tower([sl.Id("user_id")], dim=16), sl.Tower([sl.Id("item_id")], dim=16))
towers.fit(train, epochs=1, batch_size=8192)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", LosesToPopularity)
    print(towers.evaluate(test))
print("warned:", [str(each.message) for each in caught])

# A model in a folder: JSON and safetensors.
folder = Path(tempfile.mkdtemp()) / "towers"
save_model(towers, folder)
print(sorted(path.name for path in folder.iterdir()), type(load_model(folder, train)).__name__)
