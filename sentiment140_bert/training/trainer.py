"""Fine-tuning with the Hugging Face Trainer: exact loss, batches of like lengths, and a checkpoint whenever it
stops."""

from __future__ import annotations

import copy
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from sentiment140_bert.errors import HardwareError, ModelError, diverged, first_line
from sentiment140_bert.models.model_inputs import padding_number
from sentiment140_bert.run_dir import disk_full, is_disk_full
from sentiment140_bert.training import layerwise, memory, resuming
from sentiment140_bert.training.batching import LengthGroupedBatches, Share
from sentiment140_bert.training.callbacks import EachEpochItsOrder, Progress, RandomnessOfEachStep, StopOnSignal
from sentiment140_bert.training.checkpoints import MANIFEST, WholeCheckpoints, newest_whole, remove, seconds_until
from sentiment140_bert.training.loss import exact_loss
from sentiment140_bert.training.rows import TokenRows, as_it_is

if TYPE_CHECKING:
    from transformers import TrainingArguments

log = logging.getLogger(__name__)
# Models that take a mask as it goes into their attention, of shape (tweets, 1, 1, tokens).
READY_MASKS = {"bert", "distilbert", "roberta", "xlm-roberta"}


class SentimentTrainer(Trainer):  # type: ignore[misc]
    """Trainer with length-grouped training batches; evaluation and prediction keep the data's order.

    Its datasets are :class:`~sentiment140_bert.training.rows.TokenRows`, which make whole batches.

    Args:
        share: How each step is shared out; what the arguments say when it is not given.
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
        self.optimizer: torch.optim.Optimizer | None
        super().__init__(*positional, data_collator=as_it_is, preprocess_logits_for_metrics=only_logits, **named)
        self.lr_decay = lr_decay
        self.share = share or share_of(self.args)
        config = self.model.config
        known = config.model_type in READY_MASKS and config._attn_implementation == "sdpa"
        self.has_ready_mask = known and self.args.device.type == "cuda"
        self.parameters: int = self.model.num_parameters(exclude_embeddings=True)
        self.finds_batch = finds_batch
        self._batches: LengthGroupedBatches | None = None
        self._tried: set[int] = set()
        self._within_step = False
        self._randomness = RandomnessOfEachStep()
        if finds_batch and self.args.world_size == 1:
            self.add_callback(self._randomness)

    def get_train_dataloader(self) -> DataLoader[Any]:
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._batches = batches = LengthGroupedBatches(self.train_dataset.lengths, self.share, seed)
        self.add_callback(EachEpochItsOrder(batches))
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.lr_decay != 1.0:
            trained = self.model if model is None else model
            names, rate = self.get_decay_parameter_names(trained), self.args.learning_rate
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, trained)
            self.optimizer = kind(
                layerwise.groups(trained, names, rate, self.args.weight_decay, self.lr_decay), **options
            )
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As Trainer counts them, which would count the model's parameters anew in each step."""
        return 6 * int(inputs["input_ids"].numel()) * self.parameters

    def _run_epoch(self, *positional: Any, **named: Any) -> None:
        """As Trainer does it; but where the last step was done before, in mid-epoch, it would take one more."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*positional, **named)

    def _determine_best_metric(self, *positional: Any, **named: Any) -> bool:
        """As Trainer does it; but a checkpoint that a signal asked for is written where only better ones are, too."""
        better: bool = super()._determine_best_metric(*positional, **named)
        return better or any(isinstance(each, StopOnSignal) and each.agreed for each in self.callback_handler.callbacks)

    def _save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        """As Trainer does it.

        Raises:
            RunError: The disk is full; what was written of the checkpoint is removed.
        """
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if folder.is_dir():  # it is written once more, and may be being sealed
            for each in self.callback_handler.callbacks:
                if isinstance(each, WholeCheckpoints):
                    each.finish()
        (folder / MANIFEST).unlink(missing_ok=True)  # a damaged one may lie there, which is written anew
        try:
            super()._save_checkpoint(*arguments, **options)
        except (OSError, RuntimeError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            full = disk_full(folder)  # as full as it was
            if folder.is_dir():
                remove(folder)
            raise full from None

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *positional: Any, **named: Any) -> None:
        with resuming.refuse_unreadable(f"model.safetensors of {Path(resume_from_checkpoint).name}"):
            super()._load_from_checkpoint(resume_from_checkpoint, *positional, **named)

    def _load_best_model(self) -> None:
        with resuming.refuse_unreadable(f"The best checkpoint, {self.state.best_model_checkpoint},"):
            super()._load_best_model()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            resuming.check_schedule(Path(checkpoint), self.lr_scheduler.state_dict().keys())
            with resuming.refuse_unreadable(f"optimizer.pt or scheduler.pt of {Path(checkpoint).name}"):
                super()._load_optimizer_and_scheduler(checkpoint)
            resuming.check_loaded(self.optimizer, self.lr_scheduler)

    def _load_scaler(self, checkpoint: str | None) -> None:
        with resuming.refuse_unreadable(f"scaler.pt of {Path(checkpoint or '').name}"):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with resuming.refuse_unreadable(f"The random states of {Path(checkpoint or '').name}"):
            super()._load_rng_state(checkpoint)

    def _prepare_inputs(self, inputs: Any) -> Any:
        """On a GPU the mask is made ready here: transformers would look into it, which waits for all steps before."""
        inputs = super()._prepare_inputs(inputs)
        if self.has_ready_mask:
            inputs["attention_mask"] = inputs["attention_mask"].bool()[:, None, None, :]
        return inputs

    def compute_loss(self, model: Any, inputs: dict[str, Any], *positional: Any, **named: Any) -> Any:
        """Compute it as Trainer does.

        Raises:
            ModelError: The model does not take what it is given.
        """
        try:
            return super().compute_loss(model, inputs, *positional, **named)
        except (IndexError, ValueError) as error:
            raise ModelError(
                f"The model {self.model.name_or_path!r} cannot compute a batch of tweets: {first_line(error)}.",
                "Choose another model. If a tweet is too long for it, lower --max-length; if one holds the model's own "
                "sign for an end, as </s>, leave that tweet out.",
            ) from error

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        # Twice: the optimizer takes its memory in the first step.
        if self.finds_batch and len(self._tried) < 2 and self.state.global_step not in self._tried:
            self._tried.add(self.state.global_step)
            self._try_widest(model)
        self._within_step = True
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._within_step = False
        return loss

    def keep_whole_steps(self) -> None:
        """Writes a checkpoint of the last whole step, after a part of the next one did not fit: its weights and the
        optimizer are untouched, and what the part drew at random is taken back.

        Does nothing where another thing failed, or several processes would have to agree.
        """
        if not self._within_step or not self._randomness.states:
            return
        step = self.state.global_step
        if step and not (Path(self.args.output_dir) / f"checkpoint-{step}").is_dir():
            memory.release(self.model)
            self._randomness.restore()
            self._save_checkpoint(self.model, None)
            self.callback_handler.on_save(self.args, self.state, self.control)

    def _try_widest(self, model: Any) -> None:
        """Computes the most demanding part there is and forgets it: better now than when it comes, hours later.

        Raises:
            TooLarge: In every process, when it does not fit in one of them.
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
        if memory.everywhere(failure is not None, self.args.device):
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
            log.warning("memory: %s; scoring goes on with %d tweets at once", failure, size // 2)

    def evaluation_loop(self, *positional: Any, **named: Any) -> Any:
        """Several processes score some rows twice, so that each has equally many, and Trainer's loss counts these."""
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


def share_of(arguments: TrainingArguments) -> Share:
    """How the arguments ask a step to be shared out."""
    processes, accumulated = arguments.world_size, arguments.gradient_accumulation_steps
    return Share(arguments.per_device_train_batch_size * accumulated * processes, processes, accumulated)


@dataclass(frozen=True)
class Outcome:
    """How training ended, earlier parts of a resumed run included.

    ``signal`` is its number if one stopped it; the model then is not the finished one. ``share`` is how a step was
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
) -> Outcome:
    """Fine-tunes ``model`` in place; afterwards it holds the best checkpoint's weights if the arguments say so.

    Args:
        model: A sequence classifier.
        tokenizer: Pads the batches.
        splits: ``train`` and ``validation`` with ``input_ids`` and ``labels``.
        arguments: From :func:`sentiment140_bert.training.arguments.training_arguments`.
        history: File that gets a JSON line for each log entry.
        compute_metrics: From an ``EvalPrediction`` to named numbers.
        resume_from: A whole checkpoint.
        callbacks: Further ones, such as a tracker's.
        on_checkpoint: Called after each complete checkpoint, in a thread of its own.
        finds_batch: Where memory does not suffice, go on in parts of half the size; a step's tweets stay the same.
        monitor: Open during the training.
        shown: Whether progress is told.
        lr_decay: Factor of the learning rate from each layer to the one below it.

    Raises:
        HardwareError: A batch does not fit into memory, and no smaller part was to be tried or does either.
        RunError: The loss became infinite or no number.
    """
    if resume_from:
        resuming.check_contents(resume_from)
    half = arguments.fp16 or arguments.bf16
    if getattr(model.config, "pad_token_id", None) is None:  # GPT-2 and its kin find the end of a text by it
        model.config.pad_token_id = tokenizer.pad_token_id
    padding = padding_number(model, tokenizer)
    rows = {name: TokenRows(splits[name], tokenizer, 8 if half else 1, padding) for name in ("train", "validation")}
    stop = StopOnSignal()
    seconds_before = seconds_until(resume_from) if resume_from else 0.0
    started = time.perf_counter()
    checkpoints = WholeCheckpoints(seconds_before, arguments.save_total_limit, on_checkpoint)

    def made(share: Share) -> SentimentTrainer:
        settings = copy.copy(arguments)
        settings.save_total_limit = None  # older ones are removed by `checkpoints`, once a new one is whole
        settings.per_device_train_batch_size, settings.gradient_accumulation_steps = share.per_device, share.accumulated
        trainer = SentimentTrainer(
            model=model,
            args=settings,
            train_dataset=rows["train"],
            eval_dataset=rows["validation"].longest_first(),
            processing_class=tokenizer,
            compute_loss_func=exact_loss(arguments.label_smoothing_factor),
            compute_metrics=compute_metrics,
            callbacks=[Progress(history, len(rows["train"]), shown), checkpoints, stop, *(callbacks or [])],
            share=share,
            finds_batch=finds_batch,
            lr_decay=lr_decay,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    in_main_thread = threading.current_thread() is threading.main_thread()
    with stop if in_main_thread else nullcontext(), monitor or nullcontext(), closing(checkpoints):
        trainer, loss, halved = _trained(made, share_of(arguments), model, resume_from, finds_batch, checkpoints)
    if not math.isfinite(loss):
        raise diverged("the loss is no longer a number")
    seconds = seconds_before + time.perf_counter() - started
    state = trainer.state
    seen = (state.epoch or 0.0) * len(rows["train"])
    return Outcome(
        steps=state.global_step,
        epochs=round(state.epoch or 0.0, 4),
        best_step=state.best_global_step,
        best_metric=state.best_metric,
        seconds=round(seconds, 2),
        tweets_per_second=round(seen / seconds, 1),
        signal=stop.received,
        share=trainer.share,
        out_of_memory=halved,
    )


def _trained(
    made: Callable[[Share], SentimentTrainer],
    share: Share,
    model: Any,
    resume_from: Path | None,
    finds_batch: bool,
    checkpoints: WholeCheckpoints,
) -> tuple[SentimentTrainer, float, int]:
    """The Trainer that came to the end, its loss, and how often its parts had to be halved before.

    Each attempt begins where a resumed run would: at a checkpoint of the last whole step, or with the weights of the
    beginning.
    """
    beginning = memory.copy_of(model) if finds_batch and not resume_from else None
    halved = 0
    while True:
        trainer = made(share)
        try:
            result = trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
            return trainer, result.training_loss, halved
        except RuntimeError as error:
            if not memory.is_out_of_memory(error):
                raise
            failure = error.with_traceback(None)  # whose frames would hold what was computed so far
        share, halved = memory.smaller(share, failure, finds_batch), halved + 1
        trainer.keep_whole_steps()
        checkpoints.finish()
        trainer.accelerator.wait_for_everyone()  # all are to find the same checkpoint
        resume_from = newest_whole(Path(trainer.args.output_dir)) if trainer.state.global_step else resume_from
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # the next attempt wraps it anew
        trainer.accelerator.free_memory()
        if trainer.is_world_process_zero():
            log.warning(
                "memory: %s; a step's %d tweets are now computed in %d parts of %d, with the same loss; %s",
                memory.reason(failure),
                share.tweets,
                share.parts,
                share.per_device,
                f"going on from {resume_from.name}" if resume_from else "starting anew",
            )
        for bar in trainer.callback_handler.callbacks:
            if isinstance(bar, Progress):
                bar.close()
        del trainer
        memory.release(model)
        if beginning and not resume_from:
            memory.restore(model, beginning)
