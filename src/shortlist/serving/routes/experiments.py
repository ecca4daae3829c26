"""Funnels side by side."""

from __future__ import annotations

from shortlist.serving.experiments.experiment import Experiment, ExperimentState
from shortlist.serving.operations import Call, Operation
from shortlist.serving.service import Service


async def get(service: Service, call: Call[None]) -> ExperimentState:
    """The experiment in progress."""
    return service.trials.state


async def put(service: Service, call: Call[Experiment]) -> ExperimentState:
    """Begin an experiment once its bundles are verified and warm; it takes the place of the one before."""
    return await service.trials.change(call.body)


async def delete(service: Service, call: Call[None]) -> ExperimentState:
    """End the experiment; everybody gets the server's own bundle."""
    return await service.trials.change(None)


OPERATIONS = (
    Operation(
        "get_experiment",
        "GET",
        "/v1/experiment",
        "The experiment in progress",
        ExperimentState,
        get,
        "bundles",
    ),
    Operation(
        "put_experiment",
        "PUT",
        "/v1/experiment",
        "Begin an experiment: several bundles side by side",
        ExperimentState,
        put,
        "bundles",
        body=Experiment,
        audited=True,
    ),
    Operation(
        "delete_experiment",
        "DELETE",
        "/v1/experiment",
        "End the experiment",
        ExperimentState,
        delete,
        "bundles",
        audited=True,
    ),
)
