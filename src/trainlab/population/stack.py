"""Members of a population whose parameters are the rows of one matrix, and the steps of all of them.

Axes: M rows, one for each member and some that are not used, S streams of batches, B images of a batch, D features, P
parameters.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import grad_and_value
from torch.nn.modules.batchnorm import _BatchNorm

from trainlab.models.image_network import ImageNetwork, is_own
from trainlab.population.batch_streams import BatchStreams
from trainlab.population.layers import Tensors, constants, stacked_layers
from trainlab.population.vmapped import own_tensors, vmapped
from trainlab.training.compiler import compiled
from trainlab.training.cuda_graph import GraphedCallable
from trainlab.training.fused_step import to_device
from trainlab.training.loss_checks import checks_loss
from trainlab.training.module import TaskModule, at_least_float32
from trainlab.training.optimizers import clip_norm, has_state, rule_for

ALIGNMENT_BYTES = 64  # of torch's tensors in the processor's memory
LARGE = 2**15  # parameters that a compiled step updates together, at least; fewer take longer to compile


class Stack:
    """Members as one model of M rows. Their networks become views of its rows.

    Args:
        members: trainings of one architecture, on one device, with their optimizers made.
        rows: how many.
        places: the row of each member; the others begin as copies of the first member's and are not used.

    Raises:
        ValueError: the architecture has a layer that cannot be stacked.
    """

    def __init__(self, members: Sequence[TaskModule], rows: int, places: Sequence[int]) -> None:
        self.members, self.places, self.flat = members, list(places), members[0].flat
        of_places = dict(zip(places, members, strict=True))
        self.rows = [of_places.get(row, members[0]) for row in range(rows)]  # whose tensors each row has at first
        first = self.flat.parameter
        networks = [cast(ImageNetwork, member.network) for member in self.rows]
        own = is_own(networks[0].module)
        self._layers = stacked_layers(networks[0].module, "module") if own else vmapped(networks[0])
        # Otherwise torch's optimizers make the steps, row by row: a row fits the CPU's cache.
        self._in_one = own and (members[0].compile_step or GraphedCallable.captures(first.device))
        self.values = _zeros(self.rows)
        # Before the members give up their own tensors, to which the optimizers' states refer.
        self._gradients = None if self._in_one else self._make_gradients()
        for member, place in zip(members, self.places, strict=True):
            member.flat.move_to(self.values[place])
        for row in {*range(rows)} - {*places}:
            self.values[row] = self.values[self.places[0]]
        self.running = (_stack_running_statistics if own else _stack_tensors)(networks, self.places)
        numbers = at_least_float32(first[:0])
        self.constants = {name: c.to(first.device) for name, c in constants(networks, numbers.dtype).items()}
        self._by_name = {**self.flat.by_name(self.values), **self.running, **self.constants}
        tasks = [member.task for member in self.rows]
        self._losses = tasks[0].loss_of_members(tasks, numbers)
        self._stack_step: StackStep | None = None
        # Whether a step has images of its own for each row, a shape that it is compiled for.
        self._separate = self._in_one and any(member.separate for member in members)
        self._root = torch.zeros((), dtype=first.dtype, device=first.device, requires_grad=True)

    def train_epoch(
        self, active: set[TaskModule], start: int, steps: int, before_step: Callable[[], bool]
    ) -> tuple[Tensor, Tensor, list[int]]:
        """Make the steps from ``start`` to ``steps`` of an epoch of the members ``active``.

        They are fewer if no loss is finite any more, or the epoch is stopped; at least one is made.

        A member whose loss is not finite is no longer updated after the next check.

        Args:
            active: the members that have not left.
            start: steps of the epoch that have been made.
            steps: that are to be made in all.
            before_step: called before each; returns whether the epoch is stopped. What it raises ends it.

        Returns:
            losses (steps made now, members), sums of scores of the epoch so far (members,), images of each batch.
        """
        device, count = self.values.device, len(self.rows)
        some = next(member for member in self.members if member in active)
        owners = [member if member in active else some for member in self.rows]
        streams = BatchStreams([member.batches for member in owners], self._separate)
        scale = scaling_of(streams, owners)
        self._separate |= self._in_one and streams.count > 1
        for member in self.members:
            member.separate = self._separate
        losses = torch.zeros(steps - start, count, dtype=torch.float32, device=device)  # as those of a solo run
        scores = torch.zeros(count, dtype=torch.float64, device=device)
        scores[self.places] = torch.stack([member.score_so_far for member in self.members]).to(scores)
        # Random draws are functions of the step in the whole training.
        per_epoch = some.steps_per_epoch
        first = torch.tensor([member.current_epoch * per_epoch for member in self.rows], device=device)
        sizes: list[int] = []
        active, checked = set(active), 0  # steps whose losses were looked at
        for step in range(start, steps):
            if before_step() and sizes:
                break
            images, targets = streams.batch(step)
            x = streams.to_members(scale(images).reshape(*targets.shape[:2], -1))
            loss, score = self._step(active, first + step, x, streams.to_members(targets))
            losses[step - start] = loss
            scores += score
            sizes.append(targets.shape[1])
            if checks_loss(step + 1, device):
                latest, checked = losses[checked : len(sizes)], len(sizes)
                if not math.isfinite(latest.sum()):
                    finite = zip(self.members, latest.isfinite().all(0)[self.places].tolist(), strict=True)
                    active &= {member for member, is_finite in finite if is_finite}
                if not active:
                    break
        return losses[: len(sizes), self.places], scores[self.places], sizes

    def _step(self, active: set[TaskModule], steps: Tensor, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step. Returns loss and sum of scores of each member (M,) before it."""
        if self._stack_step is None and self._in_one and all(has_state(member.optimizer) for member in self.members):
            self._stack_step, self._full = StackStep(self), self.members[0].batches.batch_size
        # A last, smaller batch is not worth a compilation of its own.
        if self._stack_step is not None and targets.shape[1] == self._full:
            return self._stack_step(active, steps, x, targets)
        gradients, by_name = kept = self._gradients or self._make_gradients()
        loss, score = self.objective(x, targets, Tensors(self._by_name, steps, by_name, self._root))
        loss.sum().backward()
        for member, place in zip(self.members, self.places, strict=True):
            if member in active:
                member.update(gradients[place])
        # A fused step has gradients of its own; this one was an exception.
        self._gradients = None if self._in_one else kept
        return loss.detach(), score

    def _make_gradients(self) -> tuple[Tensor, dict[str, Tensor]]:
        """A tensor for them (M, P), and its parts by name."""
        gradients = _zeros(self.rows)
        return gradients, self.flat.by_name(gradients)

    def objective(self, x: Tensor, targets: Tensor, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Mean loss of each member's batch (M,), and the sum of its scores (M,), for inputs (M, B, D)."""
        x = x.transpose(1, 2)
        for layer in self._layers:
            x = layer(x, tensors)
        return self._losses(at_least_float32(x.transpose(1, 2)), targets)


class StackStep:
    """Steps of all members of ``stack`` as one function: forward, backward, clipping and the optimizers' updates.

    Compiled if set, captured as a CUDA graph on a GPU. The optimizers have made a first step; the
    tensors of their states become rows of matrices (M, P), and numbers stay in the optimizers.
    """

    def __init__(self, stack: Stack) -> None:
        self._members, self._places, self._rows = stack.members, stack.places, stack.rows
        values, running = stack.values, stack.running
        flat, constants, first = stack.flat, stack.constants, stack.members[0]
        clip = first.clip.func if first.clip else None
        self._rule = rule = rule_for(first.optimizer)
        self._state = state = self._stack_state()
        limits = [member.clip.keywords["limit"] for member in self._rows if member.clip]
        limit = torch.tensor(limits, dtype=values.dtype, device=values.device)[:, None]

        # Compiled steps update parameters as soon as their gradients are known, while these are in the CPU's cache.
        in_parts = first.compile_step and clip is not clip_norm and values.device.type == "cpu"
        shapes = {name: tensor.shape for name, tensor in flat.by_name(values).items()}
        sizes = {name: math.prod(shape[1:]) for name, shape in shapes.items()}
        blocks = blocks_of(sizes, LARGE) if in_parts else [[*sizes]]
        widths = [sum(sizes[name] for name in block) for block in blocks]
        parts, *others = [
            [_apart(part) for part in tensor.split(widths, 1)] if in_parts else [tensor]
            for tensor in (values, *state.values())
        ]
        states = [dict(zip(state, own, strict=True)) for own in zip(*others, strict=True)] or [{} for _ in parts]

        def step(scalars: Tensor, steps: Tensor, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            def loss(parameters: dict[str, Tensor]) -> Any:
                # A function to differentiate is pure: new running statistics are written back after it.
                fresh = {name: buffer.clone() for name, buffer in running.items()}
                losses, scores = stack.objective(x, targets, Tensors({**parameters, **fresh, **constants}, steps))
                return losses.sum(), (losses, scores, fresh)

            parameters = {
                name: chunk.view(shapes[name])
                for block, part in zip(blocks, parts, strict=True)
                for name, chunk in zip(block, part.split([sizes[name] for name in block], 1), strict=True)
            }
            gradients, (_, (losses, scores, fresh)) = grad_and_value(loss, has_aux=True)(parameters)
            for block, part, own in zip(blocks, parts, states, strict=True):
                gradient = torch.cat([gradients[name].flatten(1) for name in block], 1)
                rule.update(part, clip(gradient, limit) if clip else gradient, own, scalars)
            for name, buffer in running.items():
                buffer.copy_(fresh[name])
            return losses, scores

        self._step, self._values = GraphedCallable(compiled(step) if first.compile_step else step), values

    def _stack_state(self) -> dict[str, Tensor]:
        """Tensors of the optimizers' states as rows (M, P)."""
        found = {}
        for name in self._rule.tensors(self._members[0].optimizer.param_groups[0]):
            states = [member.optimizer.state[member.flat.parameter] for member in self._rows]
            found[name] = stacked = torch.stack([state[name] for state in states])
            for place in self._places:
                states[place][name] = stacked[place]
        return found

    @torch.no_grad()
    def __call__(self, active: set[TaskModule], steps: Tensor, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step.

        Args:
            active: the members that make the step; the other rows make one with the settings of one of these.
            steps: (M,) step numbers, of which random draws are functions.
            x: inputs (M, B, D).
            targets: (M, B, ...).

        Returns:
            losses (M,) and sums of scores (M,) before it.
        """
        columns = {member: self._scalars(member) for member in self._members if member in active}
        some = next(iter(columns.values()))
        scalars = to_device([columns.get(member, some) for member in self._rows], self._values)
        result = self._step(scalars.t()[..., None].contiguous(), steps, x, targets)
        for member in active:
            member.step_schedule("step")
        return result

    def _scalars(self, member: TaskModule) -> list[float]:
        state = member.optimizer.state[member.flat.parameter]
        return self._rule.scalars(member.optimizer.param_groups[0], state)


def scaling_of(streams: BatchStreams, owners: Sequence[TaskModule]) -> Callable[[Tensor], Tensor]:
    """What scales the images of all ``streams``, (S * B, C, H, W): each by the statistics of its own training split.

    ``owners`` are the trainings whose batches the streams have.
    """
    each = [cast(ImageNetwork, owners[first].network).scaling for first in streams.firsts]
    if streams.has_one_split or not each[0].standardize:
        return each[0]
    return lambda images: torch.cat([own(part) for own, part in zip(each, images.chunk(len(each)), strict=True)])


def blocks_of(sizes: Mapping[str, int], least: int) -> list[list[str]]:
    """The keys of ``sizes`` in blocks of at least ``least`` in all; a key of that size begins a block and ends it."""
    blocks: list[list[str]] = []
    total = least
    for name, size in sizes.items():
        if total >= least or size >= least:
            blocks.append([])
            total = 0
        blocks[-1].append(name)
        total += size
    return blocks


def _apart(view: Tensor) -> Tensor:
    """The memory of ``view`` as a tensor with a storage of its own, for access to its elements.

    The compiler takes tensors of one storage for overlapping, and copies all of it where one of them is changed. Other
    views of that memory see all changes, as long as it is not allocated anew.
    """
    return torch.from_dlpack(view.detach())


def _zeros(rows: Sequence[TaskModule]) -> Tensor:
    """Zeros (M, P). Rows are aligned like separate tensors: alignment decides how products round."""
    first = rows[0].flat.parameter
    aligned = -(-first.numel() * first.element_size() // ALIGNMENT_BYTES) * ALIGNMENT_BYTES // first.element_size()
    return first.new_zeros(len(rows), aligned)[:, : first.numel()]


def _stack_running_statistics(networks: Sequence[Any], places: Sequence[int]) -> dict[str, Tensor]:
    """Running statistics (M, ...) by name; those of the networks at ``places`` become views of them."""
    found = {}
    for name, layer in networks[0].named_modules():
        if not isinstance(layer, _BatchNorm):
            continue
        for key, _ in layer.named_buffers(recurse=False):
            owners = [network.get_submodule(name) for network in networks]
            found[f"{name}.{key}"] = stacked = torch.stack([owner.get_buffer(key) for owner in owners])
            for place in places:
                setattr(owners[place], key, stacked[place])
    return found


def _stack_tensors(networks: Sequence[ImageNetwork], places: Sequence[int]) -> dict[str, Tensor]:
    """What modules hold besides trained parameters (M, ...) by name; its ``places`` become views."""
    found = {}
    for name, _ in own_tensors(networks[0].module):
        tensors = [dict(own_tensors(network.module))[name] for network in networks]
        found[f"module.{name}"] = stacked = torch.stack([tensor.detach() for tensor in tensors])
        for place in places:
            tensors[place].data = stacked[place]
    return found
