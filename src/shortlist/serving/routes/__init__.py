"""The operations of the server, one file a subject."""

from shortlist.serving.operations import Operation
from shortlist.serving.routes import (
    bundles,
    console,
    events,
    experiments,
    health,
    items,
    recommend,
    users,
)
from shortlist.serving.routes.model_servers import kserve, tensorflow

OPERATIONS: tuple[Operation, ...] = (
    *recommend.OPERATIONS,
    *events.OPERATIONS,
    *items.OPERATIONS,
    *users.OPERATIONS,
    *bundles.OPERATIONS,
    *experiments.OPERATIONS,
    *health.OPERATIONS,
    *console.OPERATIONS,
    *tensorflow.OPERATIONS,
    *kserve.OPERATIONS,
)
