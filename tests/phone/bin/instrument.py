"""What stands in for the demo app's bench entry: the same contract, kept by ONNX Runtime in Python.

`am instrument -w -r -e NAME VALUE ... PACKAGE/CLASS`. Everything that it answers it has run; it is slow or
fast as this machine, so the device says that it is emulated. /data/phone/fault makes it fail on purpose.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

STATE = Path("/data/phone")
OUTBOX = Path("/sdcard/Android/media/org.edgepress.demo/edgepress")


def extras(arguments):
    return {arguments[at + 1]: arguments[at + 2] for at, part in enumerate(arguments) if part == "-e"}


def fault():
    place = STATE / "fault"
    return place.read_text().strip() if place.exists() else ""


def timed_ms(call):
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


class App:
    """One launch."""

    def __init__(self, asked):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(asked["threads"])
        self.asked = asked
        start = time.perf_counter_ns()
        self.session = onnxruntime.InferenceSession(asked["model"], options, ["CPUExecutionProvider"])
        self.load_ms = (time.perf_counter_ns() - start) / 1e6
        self.names = {entry.name for entry in self.session.get_inputs()}

    def run(self, batch):
        rows = {name: np.array(values, np.int64) for name, values in batch.items() if name in self.names}
        return self.session.run(None, rows)[0]

    def timed(self, batches):
        logits = self.run(batches[0]).tolist()
        for at in range(int(self.asked["warmup"])):
            self.run(batches[at % len(batches)])
        samples, end = [], time.monotonic() + float(self.asked["min_ms"]) / 1000
        while len(samples) < int(self.asked["runs"]) or time.monotonic() < end:
            samples.append(timed_ms(lambda: [self.run(batch) for batch in batches]))
        hot = len(samples) // 2 if fault() == "heats" else len(samples)
        statuses = [0 if at < hot else 2 for at in range(len(samples))]
        return {"samples_ms": samples, "logits": logits, "thermal_status": statuses}

    def texts(self, rows):
        if not rows:
            return {}
        tokenizer = Tokenizer.from_file(str(Path(self.asked["model"]).with_name("tokenizer.json")))
        logits, times = [], []
        for row in rows:
            start = time.perf_counter_ns()
            found = tokenizer.encode(*row)
            times.append((time.perf_counter_ns() - start) / 1e6)
            ids = {
                "input_ids": found.ids,
                "attention_mask": found.attention_mask,
                "token_type_ids": found.type_ids,
            }
            logits.append(self.run({name: [values] for name, values in ids.items()})[0].tolist())
        return {"text_logits": logits, "tokenize_ms": times}

    def result(self):
        request = json.loads(Path(self.asked["request"]).read_text(encoding="utf-8"))
        first_ms = timed_ms(lambda: self.run(request["inputs"][0]))
        return {
            "schema_version": 1,
            "run_id": self.asked["run_id"],
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "load_ms": self.load_ms,
            "first_forward_ms": first_ms,
            **self.timed(request["inputs"]),
            **self.texts(request["texts"]),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def answer(content, run_id):
    OUTBOX.mkdir(parents=True, exist_ok=True)
    partial = OUTBOX / f"{run_id}.partial"
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.rename(OUTBOX / f"{run_id}.json")


def main():
    asked = extras(sys.argv)
    which = fault()
    if which == "missing":
        print("INSTRUMENTATION_STATUS: Error=Unable to find instrumentation info for: ComponentInfo{x}")
        print("INSTRUMENTATION_STATUS_CODE: -1")
        return
    if which.startswith("crash") and asked["run_id"].endswith(which.removeprefix("crash").strip()):
        print("INSTRUMENTATION_RESULT: shortMsg=Process crashed.")
        print("INSTRUMENTATION_CODE: 0")
        return
    if which.startswith("kills adbd") and asked["run_id"].endswith(which.removeprefix("kills adbd").strip()):
        os.kill(int((STATE / "adbd-15555.pid").read_text()), signal.SIGKILL)
    if which.startswith("hang") and asked["run_id"].endswith(which.removeprefix("hang").strip()):
        (STATE / "hanging").touch()
        time.sleep(600)
    try:
        content = App(asked).result()
    except Exception as error:  # whatever is wrong with the file, the app says so in its JSON
        content = {"schema_version": 1, "error": str(error).splitlines()[0]}
    if which == "silent":
        content = {}
    if which != "no result":
        answer(content, asked["run_id"])
    print("INSTRUMENTATION_CODE: -1")


main()
