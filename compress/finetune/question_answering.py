"""Fine-tuning on a SQuAD: as the pipeline, of windows and spans."""

from compress.step import StepResult
from compress.training.config import ClassifierOptions, with_defaults
from compress.training.history import seconds
from compress.training.question_answering import Answering, answering_data, load_reading, require_answering
from compress.training.result import answer_scores, reached
from compress.training.run import TechniqueRun
from compress.training.trainer import train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.loading import OpenedModel


def finetune_answering(opened: OpenedModel, options: ClassifierOptions, run: TechniqueRun) -> StepResult:
    """Train an encoder to find answers in texts, in place.

    Raises:
        EdgepressError: a file is not SQuAD's, or no answer stands whole in a window.
    """
    require_answering(options, opened.source.name)
    task = opened.text_task
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    reading = load_reading(options, task, opened.tokenizer, options.length_for(opened))
    console.step(f"{len(reading.train.questions)} windows, {options.epochs:g} epochs")
    data = answering_data(opened.tokenizer, reading)
    checkpoints = run.checkpoints(options, task, data, reading.contents, model=opened)
    trainer = train(Answering(opened.model), data, options, checkpoints)
    taken, metrics = seconds(trainer), reached(trainer, task.metric, "exact_match")
    said = f"{answer_scores(metrics)} on {task.name}"
    return StepResult(
        opened=opened.after(Step("finetune", options.recorded(), taken, metrics), trained=True),
        score=metrics[task.metric],
        body=f"{opened.record().name} fine-tuned on {task.name}: {said}.\n",
        shown=[f"{said}, {taken:.0f} s"],
    )
