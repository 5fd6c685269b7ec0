"""The rows of `easel bench speed`.

Both sides of a ratio are timed alternately in one process, on the same weights, because times alone depend on the
machine.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from benchmarks.choosing import check_rows
from benchmarks.speed.compiled import export_compiled
from benchmarks.speed.limits import Limits, flops, measure_limits, reading_rate, wait
from benchmarks.speed.networks import (
    SEED,
    Networks,
    Step,
    drawing_model,
    inputs_for,
    keras_inference,
    large_decoder,
    our_inference,
    our_training,
    standard_networks,
)
from benchmarks.speed.rounds import Timing, UnsteadyError, in_turn
from benchmarks.speed.ways import PROMPTS, Fused, Staged, all_prompts, differences
from models.bundle import export_bundle
from models.device import cpu_has_bfloat16, device_policy
from models.drawing import DrawingModel
from models.export import export_generator, export_text_to_image, frozen
from models.language_model import LanguageModel
from models.options import TEMPERATURE
from models.pictures import encode_png
from models.pretrained import export_pretrained, load_pretrained
from models.restorer import Restorer
from models.sampling import uniform_rows
from models.tensors import to_uint8
from models.text_to_image import TextToImage
from models.vocabulary import START
from serving.client import Client
from serving.process import ServerProcess
from tfx_pipeline.config import load_config
from tfx_pipeline.runs.commit import code_commit

AnyDrawingModel = TypeVar("AnyDrawingModel", bound=DrawingModel)
Figures = dict[str, Any]
Say = Callable[[str], None]

KEYS = (
    "vs_keras",
    "draw_256_ms",
    "generate_restore_ms",
    "generate_restore_peak_share",
    "batch64_bf16_peak_share",
    "decode_ms_per_token",
    "inference_served_vs_best_min",
    "inference_vs_torch_min",
    "training_vs_torch_min",
    "cold_start_s",
    "local_start_s",
    "local_peak_mb",
    "serving_peak_mb",
)
"""The figures of every result; those that were not measured are None."""
BATCHES = (1, 4, 16, 64)
ENDS = (1, 64)
NAMES = ("language_model", "generator", "restorer")
STARTS = 3
DRAWN = 256
"""Side in pixels of the large picture that is timed."""
MOST_DIFFERENT = 3
"""The maximum difference in grey levels between the same picture drawn in two ways."""


class SpeedError(Exception):
    """The bench cannot run, or two ways draw different pictures; the message is one sentence."""


@dataclass
class Line:
    """One measured side.

    Attributes:
        what: The work.
        side: The name of the side.
        batch: Batch size.
        ms: Milliseconds per call, the median of the rounds.
        spread: The interquartile range of the rounds, as a share of the median.
        peak_share: Achieved FLOP/s as a share of the machine's peak; None if they are not counted.
        bandwidth_share: Bytes of weights per second, as a share of the bandwidth for a matrix of that size; None if
            they are not counted.
    """

    what: str
    side: str
    batch: int
    ms: float
    spread: float
    peak_share: float | None = None
    bandwidth_share: float | None = None


class Bench:
    """State that the rows share: the machine's limits, and the measured lines.

    Args:
        say: Called with a line of progress.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.limits: Limits = measure_limits()
        self.lines: list[Line] = []
        self.refused: dict[str, str] = {}
        self.pretrained = load_pretrained()
        self.networks = standard_networks(self.pretrained.generator.language_model.vocabulary)

    def compare(
        self,
        what: str,
        batch: int,
        sides: Mapping[str, Step],
        *,
        share_of: int = 1,
        work: int | None = None,
        weights: int | None = None,
        peak: float | None = None,
    ) -> dict[str, float]:
        """Time sides alternately and record their lines.

        Args:
            what: The work.
            batch: Batch size.
            sides: Functions by name.
            share_of: How many times a call does the work.
            work: Floating point operations of the work.
            weights: Bytes that the work has to read.
            peak: Peak GFLOP/s to compare with; by default that of float32.

        Returns:
            Milliseconds of the work by side; empty if one of them varied too much, which `refused` records.
        """
        refused = False
        try:
            timed = in_turn(sides)
        except UnsteadyError as error:
            self.refused[f"{what}, batch {batch}"] = str(error)
            self.say(f"{what}, batch {batch}: refused, since {error}.")
            timed, refused = error.steady, True
        reading_ms = None if weights is None else weights / reading_rate(weights) / 1e6
        timings = {side: Timing(timing.ms / share_of, timing.spread) for side, timing in timed.items()}
        for side, (ms, spread) in timings.items():
            share = None if work is None else work / ms / 1e6 / (peak or self.limits.fp32)
            bandwidth = None if reading_ms is None else reading_ms / ms
            self.lines.append(Line(what, side, batch, ms, spread, share, bandwidth))
            self.say(f"{what}, batch {batch}, {side}: {ms:.3g} ms")
        # Without one of the others, the ratio to the best of them could look too good.
        return {} if refused else {side: timing.ms for side, timing in timings.items()}


# ---- rows ------------------------------------------------------------------------------------------------------------


def prompt(bench: Bench) -> Figures:
    """From a prompt to a PNG, with the shipped weights."""
    model = bench.pretrained
    with tempfile.TemporaryDirectory() as folder:
        fused = exported(model, Path(folder, "fp32"))
        staged = Staged(model)
        worst = max(differences(staged, fused))
        if worst > MOST_DIFFERENT:
            raise SpeedError(f"Plain Keras draws other pictures than the fused model: they differ by {worst} of 255.")
        calls = {"plain Keras": all_prompts(staged), "ours": all_prompts(fused)}
        ms = bench.compare("prompt to PNG", 1, calls, share_of=len(PROMPTS))
        fine = {"ours": lambda: fused.finer(PROMPTS, DRAWN // model.generator.picture_size)}
        fine_ms = bench.compare(f"prompt to PNG of {DRAWN}x{DRAWN} pixels", 1, fine, share_of=len(PROMPTS))
        low = in_bfloat16(model)
        variants = {
            "ours, fp32": fused,
            "ours, fp32, XLA": exported(model, Path(folder, "fp32-xla"), export_compiled),
            "ours, bf16": exported(low, Path(folder, "bf16")),
            "ours, bf16, XLA": exported(low, Path(folder, "bf16-xla"), export_compiled),
        }
        for batch in BATCHES:
            bench.compare("prompt to PNG", batch, {name: batched(variant, batch) for name, variant in variants.items()})
    return {"vs_keras": ratio(ms, "plain Keras"), "draw_256_ms": fine_ms.get("ours")}


def stages(bench: Bench) -> Figures:
    """The parts of Easel's model at batch size 1, each as a graph of its own: the profile of a prompt."""
    model, seeds = bench.pretrained.generator.language_model, tf.constant([1], tf.int64)
    generator, restorer = drawing_model(bench.pretrained), bench.pretrained.restorer
    caption, prompt = tf.constant(["a red cat to the left of a white house"]), tf.constant(PROMPTS[:1])
    ids, drawn = model.tokenizer.tokenize(caption), generator.draw(caption, seeds)
    chances, embedding = generator.chances(seeds), model.embed_ids(ids)
    noise = generator.noise(embedding, *chances)
    parts: dict[str, tuple[Callable[..., Any], list[Any]]] = {
        "split a text": (model.tokenizer.tokenize, [prompt]),
        "continue it": (model.continue_texts, [prompt, seeds, tf.constant([TEMPERATURE.default])]),
        "read the caption": (model.embed_ids, [ids]),
        "draw at random": (generator.chances, [seeds]),
        "choose noise": (generator.noise, [embedding, *chances]),
        "draw it": (generator.sketch, [embedding, noise]),
        "restore it": (lambda drawn: restorer.restore_batch(drawn, None, tf.constant([-1.0])), [drawn]),
        "encode it": (encode_png, [to_uint8(drawn)]),
    }
    bench.compare("a stage of ours", 1, {name: one_graph(run, inputs) for name, (run, inputs) in parts.items()})
    return {}


def drawing(bench: Bench) -> Figures:
    """The generator and the restorer of the `standard` profile at 64x64, one after the other in one graph."""
    figures: Figures = {}
    for batch in ENDS:
        for precision, networks, peak in (
            ("fp32", bench.networks, bench.limits.fp32),
            ("bf16", low_networks(bench.networks), bench.limits.bf16),
        ):
            sides = {
                f"ours, {precision}{', XLA' if xla else ''}": drawn(networks, batch, xla=xla) for xla in (False, True)
            }
            work = flops(next(iter(sides.values()))[1])
            ms = bench.compare(
                "generator and restorer", batch, {name: step for name, (step, _) in sides.items()}, work=work, peak=peak
            )
            if ms:
                figures[f"{precision}_{batch}_ms"] = ms[f"ours, {precision}"]
                figures[f"{precision}_{batch}_share"] = work / ms[f"ours, {precision}"] / 1e6 / peak
    return {
        "generate_restore_ms": figures.get("fp32_1_ms"),
        "generate_restore_peak_share": figures.get("fp32_1_share"),
        "batch64_fp32_peak_share": figures.get("fp32_64_share"),
        "batch64_bf16_peak_share": figures.get("bf16_64_share"),
    }


def decoding(bench: Bench) -> Figures:
    """One piece of a caption, by a language model of two layers of 512 units."""
    model = large_decoder(bench.networks.language_model.vocabulary)
    sides, weights = decoders(model), 4 * sum(variable.shape.num_elements() for variable in read_each_step(model))
    ms = bench.compare("a piece", 1, sides, share_of=model.length - 1, work=weights // 2, weights=weights)
    return {
        "decode_ms_per_token": ms.get("ours"),
        "decode_xla_ms_per_token": ms.get("ours, XLA"),
        "decoding_vs_torch": served_against_best(ms),
    }


def inference(bench: Bench) -> Figures:
    """Each network alone, compared with plain Keras, PyTorch, ONNX Runtime and LiteRT."""
    ratios: dict[str, list[float | None]] = {name: [] for name in NAMES}
    served: list[float | None] = []
    for batch in ENDS:
        inputs = inputs_for(bench.networks, batch)
        for name in NAMES:
            own = {kind: our_inference(bench.networks, name, inputs.of(name), xla=xla) for kind, xla in OURS.items()}
            sides = {kind: step for kind, (step, _) in own.items()} | others(bench, name, inputs.of(name))
            ms = bench.compare(name, batch, sides, work=flops(own["ours"][1]))
            ratios[name].append(ratio(ms, "PyTorch"))
            served.append(served_against_best(ms))
    return {f"{name}_vs_torch": least(values) for name, values in ratios.items()} | {
        "inference_served_vs_best_min": least(served)
    }


def training(bench: Bench) -> Figures:
    """A training step of each network, with the same loss and Adam."""
    config = load_config("standard")
    figures: Figures = {}
    sizes = {
        "language_model": config.language.batch_size,
        "generator": config.drawing.batch_size,
        "restorer": config.restoration.batch_size,
    }
    for name, batch in sizes.items():
        networks = standard_networks(bench.networks.language_model.vocabulary)
        inputs = inputs_for(networks, batch)
        work = 3 * flops(our_inference(networks, name, inputs.of(name), xla=False)[1])
        sides = {"ours": our_training(networks, name, inputs)}
        if torch_is_there():
            from benchmarks.speed import twins

            kinds = {"PyTorch, eager": False} | ({"PyTorch, compiled": True} if twins.can_compile() else {})
            sides |= {
                kind: twins.training(networks, name, inputs, compile_it=compiled) for kind, compiled in kinds.items()
            }
        ms = bench.compare(f"training step, {name}", batch, sides, work=work)
        figures[f"{name}_steps_per_s"] = 1000 / ms["ours"] if ms else None
        figures[f"{name}_training_vs_torch"] = ratio(ms, "PyTorch")
    return figures


def start(bench: Bench) -> Figures:
    """A new process, from the start of Python to the first picture with the shipped weights."""
    program = "from models.pretrained import load_pretrained; load_pretrained().generate('a red house', seed=1)"
    seconds = []
    for _ in range(STARTS):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.DEVNULL)
        seconds.append(time.monotonic() - began)
    return {"cold_start_s": statistics.median(seconds)}


DRAWING_LOCALLY = """
import atexit, re
from pathlib import Path
from easel.cli import main
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
main()
"""


def local(bench: Bench) -> Figures:
    """A process of `easel generate --local`, from the start of Python to the PNG, and its peak memory."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return {}
    seconds, megabytes = [], []
    with tempfile.TemporaryDirectory() as folder:
        export_bundle(bench.pretrained, Path(folder, "bundle"))
        where = ["--root", f"{folder}/bundle", "--out", f"{folder}/drawn.png", "--json"]
        command = [sys.executable, "-c", DRAWING_LOCALLY, "generate", PROMPTS[0], "--local", *where]
        # The first one reads the files into the page cache.
        for _ in range(1 + STARTS):
            began = time.monotonic()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds.append(time.monotonic() - began)
            megabytes.append(int(done.stdout.split()[-1]) / 1024)
    return {"local_start_s": statistics.median(seconds[1:]), "local_peak_mb": max(megabytes)}


def memory(bench: Bench) -> Figures:
    """The memory of a server with all four models, after requests to each of them with up to 64 prompts."""
    with tempfile.TemporaryDirectory() as folder:
        export_pretrained(Path(folder))
        export_generator(bench.pretrained.generator, Path(folder, "generator", "1"))
        with ServerProcess(Path(folder)) as server, Client(server.grpc_address) as client:
            pictures = client.generate(list(PROMPTS) * 16, seed=list(range(64)))
            client.restore(pictures[0].image)
            client.continue_prompt(PROMPTS[0])
            return {"serving_peak_mb": peak_resident_mb(server.pid)}


ROWS: dict[str, Callable[[Bench], Figures]] = {
    "prompt": prompt,
    "stages": stages,
    "drawing": drawing,
    "decoding": decoding,
    "inference": inference,
    "training": training,
    "start": start,
    "local": local,
    "memory": memory,
}
"""The rows by name; each measures a group of figures."""


def measure(*, rows: Sequence[str] = tuple(ROWS), say: Say = print) -> Figures:
    """Run rows, one after the other.

    Args:
        rows: Names of rows.
        say: Called with a line of progress.

    Returns:
        The figures by name; those of `KEYS` that were not measured are None. `lines` contains every timed side,
        `refused` the reasons for missing figures by row, `limits` the machine's limits, `machine` its description.

    Raises:
        RowError: A row does not exist.
        SpeedError: Two ways draw different pictures.
    """
    check_rows(rows, ROWS)
    began, bench = time.monotonic(), started(say)
    figures: Figures = {}
    for name in rows:
        say(f"{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
        figures |= ROWS[name](bench)
    return {
        **dict.fromkeys(KEYS),
        **figures,
        "inference_vs_torch_min": least(
            [figures.get(name) for name in (*(f"{name}_vs_torch" for name in NAMES), "decoding_vs_torch")]
        ),
        "training_vs_torch_min": least([figures.get(f"{name}_training_vs_torch") for name in NAMES]),
        "minutes": (time.monotonic() - began) / 60,
        "limits": bench.limits._asdict(),
        "machine": machine(),
        "refused": bench.refused,
        "lines": [asdict(line) for line in bench.lines],
    }


def started(say: Say) -> Bench:
    """A bench, with the machine's limits measured.

    Raises:
        SpeedError: The timings vary too much even for these.
    """
    if not torch_is_there():
        say("PyTorch is not installed: its rows, and ONNX Runtime's, are left out.")
    try:
        return Bench(say)
    except UnsteadyError as error:
        raise SpeedError(f"The machine's limits cannot be measured: {error}.") from None


# ---- sides -----------------------------------------------------------------------------------------------------------

OURS = {"ours": False, "ours, XLA": True}
"""Whether a side is compiled by XLA, by name."""


def exported(
    model: TextToImage, folder: Path, export: Callable[[TextToImage, Path], None] = export_text_to_image
) -> Fused:
    """The fused model, exported and loaded again."""
    export(model, folder)
    return Fused(folder)


def one_graph(run: Callable[..., Any], inputs: list[Any]) -> Step:
    """A function as a graph of its own, on its inputs."""
    graph = tf.function(run, autograph=False)
    return lambda: wait(graph(*inputs))


def batched(fused: Fused, batch: int) -> Step:
    """A function that draws a batch of prompts."""
    prompts = [PROMPTS[number % len(PROMPTS)] for number in range(batch)]
    return lambda: fused.batch(prompts, list(range(batch)))


def drawn(networks: Networks, batch: int, *, xla: bool) -> tuple[Step, Any]:
    """Generator and restorer in one graph with the weights as constants: a function that runs it, and the graph."""
    inputs = inputs_for(networks, batch)
    given = [tf.constant(part) for part in (inputs.noise, inputs.embedding, inputs.masks, inputs.known)]

    def both(noise: tf.Tensor, embedding: tf.Tensor, masks: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return networks.restorer([networks.generator([noise, embedding]), masks, known])

    (with_constants,) = frozen([networks.generator, networks.restorer], both)
    graph = tf.function(with_constants, autograph=False, jit_compile=xla).get_concrete_function(*given)
    return lambda: wait(graph(*given)), graph


def decoders(model: LanguageModel) -> dict[str, Step]:
    """The sides that write a caption of the maximum length: the loop as it is served, under XLA, and PyTorch's."""
    ids = tf.one_hot([0], model.length, dtype=tf.int64) * START
    draws = uniform_rows(tf.constant([SEED], tf.int64), model.length, stream=0)
    given = (ids, tf.not_equal(ids, 0), draws[:, None], tf.constant([TEMPERATURE.default]), tf.constant([model.length]))
    served = tf.function(model.decode, autograph=False)
    sides: dict[str, Step] = {
        "ours": lambda: wait(served(*given)),
        "ours, XLA": lambda: wait(model.decode_by_xla(*given)),
    }
    if torch_is_there():
        from benchmarks.speed import twins

        sides["PyTorch, eager"] = twins.decoding(model, draws.numpy(), TEMPERATURE.default, compile_it=False)
        if twins.can_compile():
            sides["PyTorch, compiled"] = twins.decoding(model, draws.numpy(), TEMPERATURE.default, compile_it=True)
    return sides


def read_each_step(model: LanguageModel) -> list[Any]:
    """The variables that are read completely for every piece."""
    return [*(weight for lstm in model.lstms for weight in lstm.weights), *model.next_piece.weights]


def others(bench: Bench, name: str, inputs: list[Any]) -> dict[str, Step]:
    """Functions that run a network in plain Keras and, if they are installed, in LiteRT, PyTorch and ONNX Runtime.

    Raises:
        SpeedError: One of them gives another result.
    """
    own = our_inference(bench.networks, name, inputs, xla=False)[0]()
    sides: dict[str, Step] = {"plain Keras": keras_inference(bench.networks, name, inputs)}
    if name != "language_model" and importlib.util.find_spec("ai_edge_litert"):
        from benchmarks.speed import edge

        sides["LiteRT"] = edge.inference(bench.networks, name, inputs)
        check_same("LiteRT", name, own, sides["LiteRT"]())
    if not torch_is_there():
        return sides
    from benchmarks.speed import twins

    twin = twins.twin_of(bench.networks, name).eval()
    sides["PyTorch, eager"] = twins.inference(twin, inputs, compile_it=False)
    check_same("PyTorch", name, own, sides["PyTorch, eager"]())
    if twins.can_compile():
        sides["PyTorch, compiled"] = twins.inference(twin, inputs, compile_it=True)
    if name != "language_model" and all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        from benchmarks.speed import exchange

        sides["ONNX Runtime"] = exchange.inference(bench.networks, name, inputs)
    return sides


def check_same(library: str, name: str, own: Any, theirs: Any) -> None:
    """Compare the output of another library with ours."""
    difference = float(np.abs(np.asarray(own) - np.asarray(theirs)).max())
    if difference > 1e-3:
        raise SpeedError(f"{library}'s {name} is not ours: the output differs by {difference:.2g}.")


def in_bfloat16(model: TextToImage) -> TextToImage:
    """The same models with the dense layers at each point and the convolutions in bfloat16."""
    return TextToImage(low_generator(drawing_model(model)), low_restorer(model.restorer))


def low_networks(networks: Networks) -> Networks:
    """Generator and restorer in mixed bfloat16, with the same weights."""
    return networks._replace(generator=low_generator(networks.generator), restorer=low_restorer(networks.restorer))


def low_generator(generator: AnyDrawingModel) -> AnyDrawingModel:
    """A generator in mixed bfloat16, with the same weights and the same language model."""
    config = generator.get_config() | {"dtype": "mixed_bfloat16", "language_model": generator.language_model}
    low = type(generator)(config.pop("language_model"), **config)
    low.set_weights(generator.get_weights())
    return low


def low_restorer(restorer: Restorer) -> Restorer:
    """A restorer in mixed bfloat16, with the same weights."""
    low = Restorer(**restorer.get_config() | {"dtype": "mixed_bfloat16"})
    low.set_weights(restorer.get_weights())
    return low


# ---- figures ---------------------------------------------------------------------------------------------------------


def best(ms: Mapping[str, float], who: str) -> Any:
    """The shortest time of the sides whose names begin with a prefix; None if there is none."""
    return min((value for side, value in ms.items() if side.startswith(who)), default=None)


def ratio(ms: Mapping[str, float], other: str) -> float | None:
    """The time of the fastest of the others divided by that of the fastest of ours; None if either is missing."""
    theirs, own = best(ms, other), best(ms, "ours")
    return None if theirs is None or own is None else theirs / own


def served_against_best(ms: Mapping[str, float]) -> float | None:
    """The time of the fastest of all others divided by that of ours without XLA, as it is served."""
    others = [value for side, value in ms.items() if not side.startswith("ours")]
    return min(others) / ms["ours"] if others and "ours" in ms else None


def least(values: Sequence[float | None]) -> float | None:
    """The minimum; None if a value is missing."""
    there = [value for value in values if value is not None]
    return min(there) if len(there) == len(values) else None


def torch_is_there() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def peak_resident_mb(pid: int) -> float:
    """Peak memory of a process so far, in MB of 2^20 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def machine() -> dict[str, Any]:
    """A description of this machine."""
    policy = device_policy()
    packages = ("tensorflow", "keras", "torch", "onnxruntime")
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "bfloat16": cpu_has_bfloat16(),
        "device": policy.device,
        "commit": code_commit(),
        **{name: installed(name) for name in packages},
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and its widest vector instructions."""
    fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = named.get("flags", "").split()
    widest = next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags), "none of AVX")
    return f"{named.get('model name', 'unknown')} ({widest})"


def installed(package: str) -> str | None:
    """A package's version; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
