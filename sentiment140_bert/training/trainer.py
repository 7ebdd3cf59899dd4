"""Fine-tune with the Hugging Face Trainer: exact loss, batches of like lengths, a checkpoint whenever it stops."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from sentiment140_bert.errors import HardwareError, diverged
from sentiment140_bert.run import step_of
from sentiment140_bert.training import memory, optimization, resume
from sentiment140_bert.training.arguments import explain_refusal
from sentiment140_bert.training.batching import LengthGroupedBatches, Share, TokenRows, keep_batch, make_rows, share_of
from sentiment140_bert.training.callbacks import (
    EarlyStopping,
    EpochOrder,
    LossBreaksTies,
    Progress,
    StepRandomness,
    StopOnSignal,
)
from sentiment140_bert.training.checkpoints import CheckpointSealer, training_seconds
from sentiment140_bert.training.memory import explain_failed_batch
from sentiment140_bert.training.private_trainer import PrivateTrainer, uses_sdpa

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from sentiment140_bert.training.distillation import Distillation

log = logging.getLogger(__name__)
# Models that take a mask as it goes into their attention, of shape (tweets, 1, 1, tokens).
READY_MASKS = {"bert", "distilbert", "roberta", "xlm-roberta"}


class SentimentTrainer(PrivateTrainer):
    """Trainer with length-grouped training batches; evaluation and prediction keep the data's order.

    Its datasets are :class:`~sentiment140_bert.training.batching.TokenRows`, which make complete batches.

    Args:
        share: How each step is split; by default as in the arguments.
        finds_batch: Try the widest part first, and score in smaller batches where memory does not suffice.
        lr_decay: Factor of the learning rate from each layer to the one below it.
    """

    def __init__(
        self,
        *positional: Any,
        share: Share | None = None,
        finds_batch: bool = False,
        lr_decay: float = 1.0,
        **named: Any,
    ) -> None:
        super().__init__(*positional, data_collator=keep_batch, preprocess_logits_for_metrics=only_logits, **named)
        self.lr_decay = lr_decay
        self.share = share or share_of(self.args)
        config = self.model.config
        takes_mask = config.model_type in READY_MASKS and uses_sdpa(config)
        self.has_ready_mask = takes_mask and self.args.device.type == "cuda"
        self.parameters: int = self.model.num_parameters(exclude_embeddings=True)
        self.finds_batch = finds_batch
        self._steps_before = 0
        self._is_over = False
        self._batches: LengthGroupedBatches | None = None
        self._tried: set[int] = set()
        self._within_step = False
        self._randomness = StepRandomness()
        if finds_batch and self.args.world_size == 1:
            self.add_callback(self._randomness)

    def train(self, resume_from_checkpoint: str | None = None, **named: Any) -> Any:
        """Train to the end, from a checkpoint if there is one."""
        checkpoint = Path(resume_from_checkpoint) if resume_from_checkpoint else None
        self._steps_before = step_of(checkpoint) if checkpoint else 0
        self._is_over = checkpoint is not None and resume.is_stopped_early(checkpoint)
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **named)

    def set_initial_training_values(self, *positional: Any, **named: Any) -> Any:
        """Return no epochs if the checkpoint is of the last step, after which Trainer would take one more."""
        epochs, *others, max_steps = super().set_initial_training_values(*positional, **named)
        return (0 if self._is_over or self._steps_before >= max_steps else epochs, *others, max_steps)

    def get_train_dataloader(self) -> DataLoader[Any]:
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._batches = batches = LengthGroupedBatches(self.train_dataset.lengths, self.share, seed)
        self.add_callback(EpochOrder(batches))
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Build it as Trainer does, with a learning rate for each layer if they are to differ.

        Raises:
            RecipeError: The optimizer does not suit the model.
        """
        trained = self.model if model is None else model
        with explain_refusal(f"optim: {self.args.optim.value}"):
            if self.optimizer is None and self.lr_decay != 1.0:
                names, rate = self.get_decay_parameter_names(trained), self.args.learning_rate
                kind, options = self.get_optimizer_cls_and_kwargs(self.args, trained)
                groups = optimization.groups(trained, names, rate, self.args.weight_decay, self.lr_decay)
                self.optimizer = kind(groups, **options)
            optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Count as Trainer does, which would count the model's parameters again in each step."""
        return 6 * int(inputs["input_ids"].numel()) * self.parameters

    def compute_loss(self, model: Any, inputs: dict[str, Any], *positional: Any, **named: Any) -> Any:
        """Compute it as Trainer does, on a GPU with a ready mask: transformers would wait to look into another one.

        Raises:
            HardwareError, ModelError: As :func:`~sentiment140_bert.training.memory.explain_failed_batch`.
        """
        if self.has_ready_mask:
            inputs["attention_mask"] = inputs["attention_mask"].bool()[:, None, None, :]
        if self.compute_loss_func:
            self.compute_loss_func.soft_targets = inputs.pop("soft_targets", None)  # none of tweets that are scored
        with explain_failed_batch(self.model.name_or_path, self.args.torch_compile):
            return super().compute_loss(model, inputs, *positional, **named)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        # Twice: the optimizer takes its memory in the first step.
        if self.finds_batch and len(self._tried) < 2 and self.state.global_step not in self._tried:
            self._tried.add(self.state.global_step)
            self._try_widest(model)
        self._within_step = True
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._within_step = False
        return loss

    def keep_last_step(self) -> None:
        """Write a checkpoint of the last complete step, after a part of the next one did not fit.

        Its weights and the optimizer are untouched, and what the part drew at random is taken back. Does nothing where
        another thing failed, or several processes would have to agree.
        """
        if not self._within_step or not self._randomness.states:
            return
        step = self.state.global_step
        if step and not (Path(self.args.output_dir) / f"checkpoint-{step}").is_dir():
            memory.release(self.model)
            self._randomness.restore()
            self.save_now()

    def _try_widest(self, model: Any) -> None:
        """Compute the most demanding part there is and forget it: better to fail now than when it comes, hours later.

        Raises:
            TooLarge: It does not fit in one of the processes; raised in all of them.
        """
        assert self._batches  # noqa: S101 - training begins with them
        part = self.train_dataset.__getitems__(self._batches.widest())
        failure: RuntimeError | None = None
        gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        try:
            with torch.random.fork_rng(gpus), self.accelerator.no_sync(model):
                super().training_step(model, part, torch.tensor(len(part["labels"])))
        except RuntimeError as error:
            if not memory.is_out_of_memory(error):
                raise
            failure = error.with_traceback(None)  # whose frames would hold what was computed so far
        model.zero_grad(set_to_none=True)
        if memory.any_process(failure is not None, self.args.device):
            raise memory.TooLarge(memory.reason(failure) if failure else "another process is out of memory")

    def evaluate(self, *positional: Any, **named: Any) -> dict[str, float]:
        while True:
            try:
                scores: dict[str, float] = super().evaluate(*positional, **named)
                return scores
            except RuntimeError as error:
                if not memory.is_out_of_memory(error):
                    raise
                failure = memory.reason(error)
            size = self.args.per_device_eval_batch_size
            if not self.finds_batch or size == 1 or self.args.world_size > 1:
                problem = f"{size} tweets to be scored do not fit into memory at once: {failure}."
                raise HardwareError(problem, "Lower --per-device-eval-batch-size; the scores stay the same.")
            memory.release(self.model)
            self.args.per_device_eval_batch_size = size // 2
            log.warning("memory: %s; scoring %d tweets at once from now on", failure, size // 2)

    def evaluation_loop(self, *positional: Any, **named: Any) -> Any:
        """Correct the loss of several processes, which score some rows twice so that each has equally many."""
        output = super().evaluation_loop(*positional, **named)
        name = f"{named.get('metric_key_prefix', 'eval')}_loss"
        if self.args.world_size > 1 and name in output.metrics and output.predictions is not None:
            logits, labels = torch.as_tensor(output.predictions).float(), torch.as_tensor(output.label_ids)
            loss = cross_entropy(logits, labels, label_smoothing=self.args.label_smoothing_factor)
            output.metrics[name] = float(loss)
        return output


def only_logits(outputs: Any, _labels: Any) -> Any:
    """Return the logits of what a model gives; T5 and XLNet give more."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


@dataclass(frozen=True)
class Outcome:
    """The end of a training, earlier parts of a resumed run included.

    ``signal`` is its number if one stopped it; the model then is not the finished one. ``stopped_early`` is True if
    the validation score had stopped to improve before the last step. ``share`` is how a step was
    shared out in the end, ``out_of_memory`` how often it had to be halved.
    """

    steps: int
    epochs: float
    best_step: int | None
    best_metric: float | None
    seconds: float
    tweets_per_second: float
    signal: int | None
    share: Share
    out_of_memory: int
    stopped_early: bool


def train(
    model: Any,
    tokenizer: Any,
    splits: Any,
    arguments: TrainingArguments,
    *,
    history: Path,
    compute_metrics: Callable[[Any], dict[str, float]],
    resume_from: Path | None = None,
    callbacks: list[TrainerCallback] | None = None,
    on_checkpoint: Callable[[], None] | None = None,
    finds_batch: bool = False,
    monitor: AbstractContextManager[Any] | None = None,
    shown: bool = True,
    lr_decay: float = 1.0,
    patience: int | None = None,
    distillation: Distillation | None = None,
) -> Outcome:
    """Fine-tune ``model`` in place; afterwards it holds the best checkpoint's weights if the arguments say so.

    Args:
        model, tokenizer: A sequence classifier, and what pads its batches.
        splits: ``train`` and ``validation`` with ``input_ids`` and ``labels``.
        arguments: From :func:`sentiment140_bert.training.arguments.training_arguments`.
        history: File that gets a JSON line for each log entry.
        compute_metrics: Function from an ``EvalPrediction`` to named numbers.
        resume_from: A complete checkpoint.
        callbacks, on_checkpoint: Further callbacks, and one called after each complete checkpoint, in another thread.
        finds_batch: Compute a step in smaller parts where memory does not suffice.
        monitor: Open during the training.
        shown: Show the progress.
        lr_decay: Factor of the learning rate from each layer to the one below it.
        patience: Evaluations in a row without a better score after which training ends; None: never.
        distillation: A teacher's scores of the tweets of ``train``, to be learned, too.

    Raises:
        HardwareError: A batch does not fit into memory, and no smaller part may be tried or fits either.
        RunError: The checkpoint is unusable, or the loss is not a number.
    """
    checkpoints = _open_checkpoints(resume_from, arguments.save_total_limit, on_checkpoint)
    rows = make_rows(model, tokenizer, splits, arguments, distillation.soft_targets if distillation else None)
    stop, progress = StopOnSignal(), Progress(history, len(rows["train"]), shown)
    early = [EarlyStopping(patience)] if patience else []
    options: dict[str, Any] = {"compute_metrics": compute_metrics, "lr_decay": lr_decay, "finds_batch": finds_batch}
    options["callbacks"] = [progress, checkpoints, stop, LossBreaksTies(), *early, *(callbacks or [])]
    make_trainer = partial(_make_trainer, model, tokenizer, rows, arguments, distillation, **options)
    attempts = memory.Attempts(make_trainer, model, checkpoints, progress, finds_batch)
    with stop, monitor or nullcontext(), closing(checkpoints):
        trainer, loss = attempts.run(share_of(arguments), resume_from)
    return _describe(trainer, loss, checkpoints.seconds(), stop.received, attempts.halvings, early)


def _open_checkpoints(
    resume_from: Path | None, limit: int | None, on_checkpoint: Callable[[], None] | None
) -> CheckpointSealer:
    if resume_from:
        resume.check_contents(resume_from)
    return CheckpointSealer(training_seconds(resume_from) if resume_from else 0.0, limit, on_checkpoint)


def _make_trainer(
    model: Any,
    tokenizer: Any,
    rows: dict[str, TokenRows],
    arguments: TrainingArguments,
    distillation: Distillation | None,
    share: Share,
    **options: Any,
) -> SentimentTrainer:
    settings = copy.copy(arguments)
    settings.save_total_limit = None  # older checkpoints are removed once a new one is complete
    settings.per_device_train_batch_size, settings.gradient_accumulation_steps = share.per_device, share.accumulated
    trainer = SentimentTrainer(
        model=model,
        args=settings,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"].longest_first(),
        processing_class=tokenizer,
        compute_loss_func=optimization.ExactLoss(arguments.label_smoothing_factor, distillation),
        share=share,
        **options,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _describe(
    trainer: SentimentTrainer, loss: float, seconds: float, signal: int | None, halved: int, early: list[EarlyStopping]
) -> Outcome:
    if not math.isfinite(loss):
        raise diverged("the loss is no longer a number")
    state = trainer.state
    epochs = state.epoch or 0.0
    return Outcome(
        steps=state.global_step,
        epochs=round(epochs, 4),
        best_step=state.best_global_step,
        best_metric=state.best_metric,
        seconds=round(seconds, 2),
        tweets_per_second=round(epochs * len(trainer.train_dataset) / seconds, 1),
        signal=signal,
        share=trainer.share,
        out_of_memory=halved,
        stopped_early=any(callback.is_over() for callback in early) and state.global_step < state.max_steps,
    )
