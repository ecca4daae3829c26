"""Training: one small loop with checkpoints that resume to the identical next step."""

from shortlist.training.batches import Loader, to_device
from shortlist.training.callbacks import Callback, TrainingState
from shortlist.training.checkpoint import Checkpoints, read_checkpoint
from shortlist.training.composite_optimizer import CompositeOptimizer
from shortlist.training.early_stopping import EarlyStopping, infer_mode
from shortlist.training.gradients import clip_gradients
from shortlist.training.loggers import CsvLogger, TensorBoardLogger
from shortlist.training.optimizers import Adagrad, ClippyAdagrad
from shortlist.training.precision import Precision
from shortlist.training.progress import ProgressBar
from shortlist.training.schedules import Schedule, make_schedule
from shortlist.training.table_optimizers import LazyAdam, RowwiseAdagrad
from shortlist.training.trainer import TrainingHistory, fit

__all__ = [
    "Adagrad",
    "Callback",
    "Checkpoints",
    "ClippyAdagrad",
    "CompositeOptimizer",
    "CsvLogger",
    "EarlyStopping",
    "LazyAdam",
    "Loader",
    "Precision",
    "ProgressBar",
    "RowwiseAdagrad",
    "Schedule",
    "TensorBoardLogger",
    "TrainingHistory",
    "TrainingState",
    "clip_gradients",
    "fit",
    "infer_mode",
    "make_schedule",
    "read_checkpoint",
    "to_device",
]
