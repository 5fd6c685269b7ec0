import subprocess
import sys

SCRIPT = """
import sys
from serving.server import leave_keras_out
leave_keras_out()
from tensorflow.python.framework import op_def_registry
from serving.server import text_ops
text_ops.register({"MatMul", "NormalizeUTF8"})
known = [name for name in ("NormalizeUTF8", "SentencepieceOp") if op_def_registry.get(name)]
print(known, "tensorflow_text" in sys.modules)
"""


def test_only_the_library_that_a_model_needs_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['NormalizeUTF8'] False"
