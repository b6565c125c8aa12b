#!/usr/bin/python3
"""Images per second of PyTorch: a training step (forward, backward, SGD with momentum) or an evaluation of drawn input.

  torch_step.py NETWORK DOWNSAMPLING train|eval BATCH RANKS THREADS plain|channels_last STEPS [fp32|bf16]

BATCH is over all ranks (DistributedDataParallel over gloo, one core a rank). bf16: training under torch.autocast, but for ReLU6, of which
PyTorch 1.13 has no backward pass in bf16; evaluation of a network of bf16 weights. Prints the median alone."""
import os
import statistics
import sys
import time

import torch
from torch.nn import functional

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import nets  # noqa: E402

WARM_UP = 3


def make(rank, name, downsampling, mode, batch, ranks, memory_format, bf16):
    torch.manual_seed(1)
    if bf16 and mode == "train":
        torch.nn.ReLU6.forward = lambda self, x: functional.relu6(x.float())
    net = nets.Network(name, downsampling).to(memory_format=memory_format)
    x = torch.randn(batch // ranks, 3, 32, 32).contiguous(memory_format=memory_format)
    if mode == "eval":
        net = net.eval()
        if bf16:
            net, x = net.bfloat16(), x.bfloat16()
        net = torch.jit.optimize_for_inference(torch.jit.trace(net, x))

        def evaluate():
            with torch.inference_mode():
                net(x)

        return evaluate
    y = torch.randint(0, 10, (batch // ranks,))
    if ranks > 1:
        net = torch.nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def train():
        optimizer.zero_grad(set_to_none=ranks == 1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()

    return train


def run(rank, name, downsampling, mode, batch, ranks, threads, memory_format, steps, bf16):
    if ranks > 1:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=os.environ.get("PEER_PORT", "29523"))
        torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    torch.set_num_threads(threads)
    step = make(rank, name, downsampling, mode, batch, ranks, memory_format, bf16)
    seconds = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        print(f"{batch / statistics.median(seconds[WARM_UP:]):.1f}", flush=True)


def main():
    name, downsampling, mode, batch, ranks, threads, layout, steps, arithmetic = (*sys.argv[1:], "fp32")[:9]
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    arguments = (
        name, int(downsampling), mode, int(batch), int(ranks), int(threads), memory_format, int(steps), arithmetic == "bf16"
    )
    if int(ranks) > 1:
        torch.multiprocessing.spawn(run, args=arguments, nprocs=int(ranks))
    else:
        run(0, *arguments)


if __name__ == "__main__":
    main()
