"""Rows of embedding tables by the native kernels: looked up, added up in bags, and stepped.

Tables are float32, or bfloat16 with stochastic rounding: what comes out of them and their gradients are
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from shortlist import _native
from shortlist.errors import ShapeError
from shortlist.kernels.bag_gradient import Bags
from shortlist.kernels.checks import check_threads
from shortlist.kernels.rounding import Rounding

_MOST = 1 << 32  # rows of a table, and ids of a step
_FRESH = 32 << 20  # bytes from which an array's memory comes from the system each time, and page by page


@dataclass(frozen=True)
class Rule:
    """How a row follows its gradient.

    Args:
        kind: the method.
        learning_rate: factor of the step.
        eps: keeps the root from 0; under it, but for Adam.
        betas: Adam's rates of decay.
        step: the number of Adam's step, from 1.
    """

    kind: Literal["sgd", "adagrad", "rowwise_adagrad", "adam"]
    learning_rate: float
    eps: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    step: int = 1


def update_rows(
    weight: Tensor,
    state: tuple[Tensor, ...],
    ids: Tensor,
    gradients: Tensor,
    rule: Rule,
    *,
    bags: Bags | None = None,
    rounding: Rounding | None = None,
    threads: int | None = None,
) -> None:
    """Take one step for each row that is named, in place; the gradients of repeated rows are summed first.

    Args:
        weight: `[rows, dim]` float32 or bfloat16 on the CPU, contiguous.
        state: of the rule, contiguous, of the dtype of `weight`: nothing, `[rows, dim]` accumulators, or
            Adam's two `[rows, dim]` moments; for `rowwise_adagrad` `[rows, 1]` float32.
        ids: `[n]` int64 row numbers.
        gradients: `[n, dim]` float32; with bags `[bags, dim]`, and the rows' own are their bags' times the
            factors.
        rule: how the rows follow.
        bags: of the ids; ids that are 0 then do not count. None without bags.
        rounding: of bfloat16.
        threads: to work with; PyTorch's number by default. The numbers do not depend on it.

    Raises:
        ShapeError: an id is no row of the table, or the bags are not those of the ids.
    """
    beta1, beta2 = rule.betas
    numbers = (
        rule.kind,
        rule.learning_rate,
        rule.eps,
        beta1,
        beta2,
        1 - beta1**rule.step,
        1 - beta2**rule.step,
    )
    where = (
        ids.contiguous().numpy(),
        gradients.contiguous().numpy(),
        None if bags is None else bags.offsets.contiguous().numpy(),
        None if bags is None or bags.factors is None else bags.factors.contiguous().numpy(),
        check_threads(threads),
    )
    if weight.dtype == torch.float32:
        arrays = (*(_array(each) for each in (weight, *state)), None, None)[:3]
        _run(_native.update_rows, weight, ids, *arrays, *numbers, *where)
        return
    assert rounding is not None
    rowwise = rule.kind == "rowwise_adagrad"
    arrays = (*(_array(each) for each in (weight, *(() if rowwise else state))), None, None)[:3]
    accumulators = _array(state[0]) if rowwise else None
    seed, step = rounding.seed, rounding.step
    _run(_native.update_half_rows, weight, ids, *arrays, accumulators, *numbers, seed, step, *where)


def gather_rows(weight: Tensor, ids: Tensor) -> Tensor:
    """Some rows of a table.

    Args:
        weight: `[rows, dim]`.
        ids: `[n]` int64 row numbers.

    Returns:
        `[n, dim]`, float32 for a table in bfloat16 and of the table's dtype otherwise.

    Raises:
        ShapeError: an id is no row of the table.
    """
    if not is_native(weight):
        rows = weight.detach().index_select(0, ids)
        return rows.float() if weight.dtype == torch.bfloat16 else rows
    rows = empty_rows(len(ids), weight.shape[1])
    numbers = ids.contiguous().numpy()
    _run(_native.gather_rows, weight, ids, _array(weight), numbers, rows.numpy(), check_threads(None))
    return rows


def pool_rows(weight: Tensor, ids: Tensor, bags: Bags) -> Tensor:
    """The sum of the rows of each bag, each times its factor; ids that are 0 do not count.

    Args:
        weight: `[rows, dim]`.
        ids: `[total]` int64 row numbers.
        bags: of the ids.

    Returns:
        `[bags, dim]`, float32 for a table in bfloat16 and of the table's dtype otherwise.

    Raises:
        ShapeError: an id is no row of the table, or the bags are not those of the ids.
    """
    if not is_native(weight):
        rows = gather_rows(weight, ids) * bags.factors_of(ids)[:, None]
        return rows.new_zeros(len(bags), weight.shape[1]).index_add_(0, bags.of_each(), rows)
    sums = empty_rows(len(bags), weight.shape[1])
    _run(
        _native.pool_rows,
        weight,
        ids,
        _array(weight),
        ids.contiguous().numpy(),
        bags.offsets.contiguous().numpy(),
        None if bags.factors is None else bags.factors.contiguous().numpy(),
        sums.numpy(),
        check_threads(None),
    )
    return sums


def factor_gradients(weight: Tensor, ids: Tensor, bags: Bags, gradients: Tensor) -> Tensor:
    """How the gradients of pooled rows reach the factors.

    Args:
        weight: `[rows, dim]`.
        ids: `[total]` int64 row numbers.
        bags: of the ids.
        gradients: `[bags, dim]` of what `pool_rows` returned.

    Returns:
        `[total]`; 0 where the id is 0.
    """
    if not is_native(weight):
        products = (gather_rows(weight, ids) * gradients[bags.of_each()]).sum(1)
        return products.masked_fill(ids == 0, 0)
    factors = torch.empty(len(ids))
    _run(
        _native.pool_factor_gradients,
        weight,
        ids,
        _array(weight),
        ids.contiguous().numpy(),
        bags.offsets.contiguous().numpy(),
        gradients.contiguous().numpy(),
        factors.numpy(),
        check_threads(None),
    )
    return factors


def mean_factors(ids: Tensor, offsets: Tensor) -> Tensor:
    """The factors that make a sum a mean over the ids that are not 0.

    Args:
        ids: `[total]` int64.
        offsets: `[bags + 1]` int64.

    Returns:
        `[total]` float32.
    """
    if ids.device.type != "cpu":
        known = (ids != 0).float()
        of_each = Bags(offsets).of_each()
        counts = known.new_zeros(len(offsets) - 1).index_add_(0, of_each, known)
        return known / counts.clamp(min=1)[of_each]
    factors = torch.empty(len(ids))
    arrays = ids.contiguous().numpy(), offsets.contiguous().numpy(), factors.numpy()
    _run(_native.pool_mean_factors, None, ids, *arrays)
    return factors


def empty_rows(count: int, dim: int) -> Tensor:
    """Rows to be written, `[count, dim]` float32, on large pages where there are many: that halves the time.

    Args:
        count: of rows.
        dim: their width.
    """
    rows = torch.empty(count, dim)
    return with_large_pages(rows) if rows.nbytes > _FRESH else rows


def with_large_pages(values: Tensor) -> Tensor:
    """Ask the system for large pages for a table, which makes its random rows about 1.6 times as quick.

    Args:
        values: into which nothing was written yet, since what has a page keeps it.

    Returns:
        The tensor itself.
    """
    if values.device.type == "cpu" and values.is_contiguous():
        _native.advise_huge_pages(values.data_ptr(), values.numel() * values.element_size())
    return values


def is_native(weight: Tensor) -> bool:
    """Whether the kernels take this table: two axes, float32 or bfloat16, contiguous, on the CPU.

    Args:
        weight: the table.
    """
    return (
        weight.ndim == 2
        and weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and weight.is_contiguous()
        and len(weight) < _MOST
    )


def takes_rows(weight: Tensor, ids: Tensor, gradients: Tensor) -> bool:
    """Whether `update_rows` can step this table.

    Args:
        weight: the table.
        ids: `[n]` row numbers.
        gradients: of the rows or the bags.
    """
    return is_native(weight) and gradients.dtype == torch.float32 and gradients.ndim == 2 and len(ids) < _MOST


def _run(kernel: Callable[..., None], weight: Tensor | None, ids: Tensor, *arguments: Any) -> None:
    try:
        kernel(*arguments)
    except ValueError as error:
        among = "" if weight is None else f" of a table with rows 0 to {len(weight) - 1}"
        span = f"; the ids run from {int(ids.min())} to {int(ids.max())}" if len(ids) else ""
        raise ShapeError(
            f"{error}: {len(ids)} ids{among}{span}",
            remedy="pass row numbers of the table; offsets start at 0, never fall and end at len(ids)",
        ) from None


def _array(values: Tensor) -> Any:
    # NumPy has no bfloat16, so its bits go over the border.
    values = values.detach()
    return (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()
