"""Runs a training program that `programs.py` wrote; needs only JAX and NumPy, and nothing else of this project.

    python run_programs.py FOLDER [--minutes M]

FOLDER is that of the program. The variables are written into it, also if the time is over before all steps are taken;
the same command then resumes the training.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

SPEC, CODE, START, GIVEN = "program.json", "step.mlir", "start.npz", "given.npz"
PARTLY, TRAINED, FIGURES = "partly.npz", "trained.npz", "figures.json"
CHUNK = 50
"""Steps between two checks of the clock and the losses."""


def run(folder: Path, *, minutes: float) -> dict[str, Any]:
    """Take the steps of a program, or resume it.

    Args:
        folder: The folder of the program.
        minutes: Maximum duration, including compilation.

    Returns:
        `device`; `steps` and `seconds` in total; `steps_per_s` without compilation; `compile_s`; `flops_per_step` as
        counted by XLA, with the body of a loop counted once; and the last losses by name.
    """
    import jax

    started = monotonic()
    jax.config.update("jax_enable_x64", True)
    spec = read(folder / SPEC)
    before = read(folder / FIGURES).get("seconds", 0.0)
    state, done = begin(folder)
    given = [jax.device_put(array) for array in arrays(folder / GIVEN)]
    step = stepping(spec, program(spec, (folder / CODE).read_bytes()), given)
    many = jax.jit(lambda state, xs: jax.lax.scan(step, state, xs), donate_argnums=0)
    losses, runs, compiled, first = [], {}, 0.0, done
    rows = rows_of(spec, done)
    while done < spec["steps"] and monotonic() - started < 60 * minutes:
        count = min(CHUNK, spec["steps"] - done)
        batches = np.arange(done, done + count), np.stack([next(rows) for _ in range(count)])
        if count not in runs:
            runs[count] = many.lower(state, batches).compile()
        state, chunk = runs[count](state, batches)
        done += count
        losses = [float(np.mean(column)) for column in chunk]
        if not compiled:
            compiled, first = monotonic(), done
        if (done // CHUNK) % 20 == 1:
            print(folder, done, dict(zip(spec["losses"], losses, strict=True)), flush=True)
    spent = monotonic() - compiled
    write(folder, state, done, whole=done >= spec["steps"])
    figures = {
        "device": jax.devices()[0].device_kind,
        "steps": done,
        "steps_per_s": round((done - first) / spent, 2) if done > first else None,
        "seconds": round(before + monotonic() - started, 1),
        "compile_s": round(compiled - started, 1),
        "flops_per_step": max(map(counted, runs.values()), default=0.0),
        **dict(zip(spec["losses"], losses, strict=False)),
    }
    (folder / FIGURES).write_text(json.dumps(figures), encoding="utf-8")
    return figures


def read(file: Path) -> dict[str, Any]:
    """A JSON file; empty if there is none."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def begin(folder: Path) -> tuple[list[Any], int]:
    """The variables, and the number of steps that have been taken."""
    if (folder / PARTLY).exists():
        *state, done = arrays(folder / PARTLY)
        return state, int(done)
    return arrays(folder / START), 0


def write(folder: Path, state: list[Any], done: int, *, whole: bool) -> None:
    """Write the variables, final ones or those of a checkpoint."""
    values = [np.asarray(value) for value in state]
    np.savez(folder / TRAINED, *values) if whole else np.savez(folder / PARTLY, *values, np.asarray(done))


def arrays(file: Path) -> list[Any]:
    """The arrays of a `.npz`, in the order of their numbers."""
    with np.load(file) as content:
        return [content[f"arr_{number}"] for number in range(len(content.files))]


def program(spec: dict[str, Any], code: bytes) -> Any:
    """A step as a function in JAX, from all inputs of the module to all outputs."""
    import dataclasses

    import jax
    from jax import export

    takes, gives = (
        tuple(jax.core.ShapedArray(tuple(shape), np.dtype(dtype)) for shape, dtype in spec[side])
        for side in ("inputs", "outputs")
    )
    nothing = export.export(jax.jit(lambda: 0))()
    return dataclasses.replace(
        nothing,
        in_tree=jax.tree_util.tree_structure((tuple(takes), {})),
        out_tree=jax.tree_util.tree_structure(tuple(gives)),
        in_avals=takes,
        out_avals=gives,
        in_shardings_hlo=(None,) * len(takes),
        out_shardings_hlo=(None,) * len(gives),
        _in_named_shardings=(None,) * len(takes),
        _out_named_shardings=(None,) * len(gives),
        mlir_module_serialized=code,
        module_kept_var_idx=tuple(range(len(takes))),
    )


def stepping(spec: dict[str, Any], code: Any, given: list[Any]) -> Any:
    """A step: from the variables, a step's number and its rows to the new variables and the losses."""
    losses = len(spec["losses"])

    def step(state: list[Any], batch: tuple[Any, Any]) -> tuple[list[Any], list[Any]]:
        captured = [state[place] if place >= 0 else given[-1 - place] for place in spec["captured"]]
        out = code.call(*batch, *captured)
        return list(out[losses : losses + len(state)]), list(out[:losses])

    return step


def counted(executable: Any) -> float:
    """The number of floating-point operations of a step."""
    return float((executable.cost_analysis() or {}).get("flops", 0.0))


def rows_of(spec: dict[str, Any], done: int) -> Iterator[Any]:
    """The rows of each batch from a step on; every epoch has a new order."""
    size, left = spec["batch_size"], np.zeros(0, np.int64)
    random = np.random.default_rng([spec["seed"], done])
    while True:
        while len(left) < size:
            left = np.concatenate([left, random.permutation(spec["total"])])
        yield left[:size]
        left = left[size:]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    print(json.dumps(run(options.folder, minutes=options.minutes)))


if __name__ == "__main__":
    main()
