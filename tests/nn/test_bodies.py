"""Bodies of rankers: what each network computes from its fields, and which numbers it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.nn import Cross, pairwise_sum
from shortlist.nn.bodies import (
    BODIES,
    DCN,
    DIN,
    FM,
    LR,
    AutoInt,
    DeepFM,
    FieldLayout,
    FinalMLP,
    MaskNet,
    WideDeep,
    XDeepFM,
    body_from_dict,
)
from shortlist.nn.bodies.din import Dice

DIM = 4
LAYOUT = FieldLayout(query=(DIM, DIM), candidate=(DIM,), dim=DIM)
UNEVEN = FieldLayout(query=(3,), candidate=(5, 2), dim=DIM)
EVERY = (
    LR(),
    FM(),
    WideDeep(hidden=(6,)),
    DeepFM(hidden=(6, 5), batch_norm=True),
    DCN(),
    DCN(cross_layers=3, hidden=(6,), structure="parallel"),
    DCN(hidden=(), structure="parallel"),
    DCN(cross_layers=0, hidden=(6,)),
    DCN(projection_dim=2),
    DCN(projection_dim=2, num_experts=3, structure="parallel", hidden=(6,)),
    XDeepFM(maps=(3, 2), hidden=(6,)),
    XDeepFM(hidden=()),
    AutoInt(attention_dim=6),
    AutoInt(layers=1, heads=1, hidden=(6,)),
    FinalMLP(hidden_query=(6, 4), hidden_candidate=(8,), batch_norm=True),
    FinalMLP(gates=0),
    MaskNet(hidden=(6, 5)),
    MaskNet(structure="parallel", blocks=2, block_dim=3, hidden=(6,), reduction=0.5),
    DIN(hidden=(6, 5)),
)


def fields_of(layout: FieldLayout, rows: int = 7, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, width, generator=draw) for width in (*layout.query, *layout.candidate)]


def built(body, layout: FieldLayout = LAYOUT) -> nn.Module:
    torch.manual_seed(0)
    return body.build(layout)


@pytest.mark.parametrize("body", EVERY, ids=str)
def test_a_network_scores_every_row_by_itself(body):
    network = built(body).eval()
    fields = fields_of(LAYOUT)
    if not body.has_fields:
        assert network([]).tolist() == [0.0]
        return
    scores = network(fields)
    assert scores.shape == (7,)
    alone = torch.cat([network([field[row : row + 1] for field in fields]) for row in range(7)])
    torch.testing.assert_close(alone, scores)


@pytest.mark.parametrize("body", EVERY, ids=str)
def test_gradients_reach_every_parameter_and_every_field(body):
    network = built(body).train()
    fields = [field.requires_grad_() for field in fields_of(LAYOUT, rows=200)]
    target = torch.randn(200, generator=torch.Generator().manual_seed(1))
    (network(fields) - target).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    for field in fields if body.has_fields else ():
        assert field.grad.isfinite().all()
        assert field.grad.abs().sum() > 0


@pytest.mark.parametrize("body", [each for each in EVERY if not each.one_width], ids=str)
def test_a_body_that_only_puts_fields_side_by_side_reads_any_widths(body):
    scores = built(body, UNEVEN).eval()(fields_of(UNEVEN))
    assert scores.shape == ((7,) if body.has_fields else (1,))


@pytest.mark.parametrize("body", EVERY, ids=str)
def test_one_row_can_be_learned_from(body):
    network = built(body).train()
    assert network(fields_of(LAYOUT, rows=1)).isfinite().all()


@pytest.mark.parametrize("body", [each for each in EVERY if each.has_fields], ids=str)
def test_no_rows_have_no_scores(body):
    assert built(body).eval()(fields_of(LAYOUT, rows=0)).shape == (0,)


@pytest.mark.parametrize("body", EVERY, ids=str)
def test_a_body_is_a_value_that_survives_json(body):
    again = body_from_dict(json.loads(json.dumps(body.to_dict())))
    assert again == body
    assert hash(again) == hash(body)
    assert type(again) in BODIES


def test_every_kind_of_body_is_among_those_tested():
    assert {type(body) for body in EVERY} == set(BODIES)


def test_fm_is_the_sum_over_pairs_and_deep_fm_adds_a_perceptron():
    fields = fields_of(LAYOUT)
    block = torch.stack(fields, dim=1)
    torch.testing.assert_close(built(FM())(fields), pairwise_sum(block))
    network = built(DeepFM(hidden=(6,))).eval()
    expected = pairwise_sum(block) + network.deep(block.flatten(1)).squeeze(1)
    torch.testing.assert_close(network(fields), expected)


@pytest.mark.parametrize("projection_dim", [None, 2])
def test_stacked_crosses_are_cross_layers_and_then_a_perceptron(projection_dim):
    network = built(DCN(cross_layers=3, hidden=(6,), projection_dim=projection_dim)).eval()
    assert all(isinstance(cross, Cross) for cross in network.crosses)
    base = torch.cat(fields_of(LAYOUT), dim=1)
    crossed = base
    for cross in network.crosses:
        crossed = cross(base, crossed)
    torch.testing.assert_close(network(fields_of(LAYOUT)), network.deep(crossed).squeeze(1))


def test_parallel_crosses_are_the_papers_linear_layer_over_both_parts():
    network = built(DCN(cross_layers=2, hidden=(6,), structure="parallel", dropout=0)).eval()
    base = torch.cat(fields_of(LAYOUT), dim=1)
    crossed = network.crosses[1](base, network.crosses[0](base, base))
    hidden = network.deep.linears[0](base).relu()
    last = network.deep.linears[1]
    weights = torch.cat([network.head.weight, last.weight], dim=1)
    expected = torch.cat([crossed, hidden], dim=1) @ weights.T + last.bias
    torch.testing.assert_close(network(fields_of(LAYOUT)), expected.squeeze(1))


def test_the_gates_of_a_stream_look_at_their_own_side_alone():
    network = built(FinalMLP()).eval()
    fields = fields_of(LAYOUT)
    gates: list[Tensor] = []
    for gate in network.gates:
        gate.register_forward_hook(lambda module, inputs, output: gates.append(output))
    network(fields)
    network([*fields[:2], fields[2] + 1])
    assert gates[0].equal(gates[2])
    assert not gates[1].equal(gates[3])


def test_a_mask_of_ones_leaves_plain_layers():
    network = built(MaskNet(hidden=(6,), dropout=0)).eval()
    block = network.blocks[0]
    with torch.no_grad():
        block.mask[2].weight.zero_()
        block.mask[2].bias.fill_(1.0)
    fields = fields_of(LAYOUT)
    normalised = torch.cat([nn.functional.layer_norm(field, (DIM,)) for field in fields], dim=1)
    hidden = nn.functional.layer_norm(normalised @ block.linear.weight.T, (6,)).relu()
    torch.testing.assert_close(network(fields), network.head(hidden).squeeze(1))


def test_dice_is_the_papers_formula_over_the_batch():
    dice = Dice(3).train()
    with torch.no_grad():
        dice.slope.copy_(torch.tensor([0.0, 0.25, 1.0]))
    inputs = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    deviation = (inputs.var(0, unbiased=False) + dice.norm.eps).sqrt()
    share = 1 / (1 + torch.exp(-(inputs - inputs.mean(0)) / deviation))
    expected = share * inputs + (1 - share) * dice.slope * inputs
    torch.testing.assert_close(dice(inputs), expected)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DeepFM(hidden=()), r"hidden is \[\] \(DeepFM\); give positive widths, at least one"),
        (lambda: WideDeep(hidden=(4, 0)), r"hidden is \[4, 0\] \(WideDeep\)"),
        (lambda: DCN(hidden=(-1,)), r"hidden is \[-1\] \(DCN\); give positive widths, such as"),
        (lambda: DCN(cross_layers=-1), r"cross_layers is -1 \(DCN\); give at least 0"),
        (lambda: DCN(projection_dim=0), r"projection_dim is 0 \(DCN\); give at least 1"),
        (lambda: DCN(structure="paralel"), "structure 'paralel' is unknown.*did you mean 'parallel'"),
        (lambda: DCN(num_experts=4), "num_experts is 4, but experts are low-rank.*set projection_dim"),
        (lambda: DCN(dropout=1.0), r"dropout is 1.0 \(DCN\); give a share"),
        (lambda: XDeepFM(maps=()), r"maps is \[\]"),
        (lambda: AutoInt(attention_dim=5), "attention_dim is 5 and heads 2.*make attention_dim a multiple"),
        (lambda: AutoInt(layers=0), "layers is 0"),
        (lambda: FinalMLP(heads=3), "end in 64 and 64 units, which 3 heads do not divide"),
        (lambda: FinalMLP(gates=-1), "gates is -1"),
        (lambda: MaskNet(reduction=0.0), "reduction is 0.0"),
        (lambda: MaskNet(structure="stacked"), "structure 'stacked' is unknown"),
        (lambda: DIN(dropout=-0.5), "dropout is -0.5"),
        (lambda: body_from_dict({"kind": "DeepFm"}), "kind 'DeepFm' is unknown; did you mean 'DeepFM'"),
        (lambda: body_from_dict({"kind": "FM", "hidden": [3]}), "hidden.*body FM"),
    ],
)
def test_a_number_that_means_nothing_is_refused_with_the_remedy(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
