"""`python -m models.pretrain ARCH --speech DIR --run FOLDER`: an encoder that has heard sentences, phone by phone.

A corpus of single words has few speakers and few words; transcribed sentences have many of both. The encoder of a
network learns to tell the phones of sentences by connectionist temporal classification (Graves et al. 2006), which
needs no word of where in a sentence a phone is; `models.train ARCH --weights FOLDER/encoder.pth` goes on from there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from kws_stream.config import FrontendConfig
from kws_stream.errors import KwsError
from models import augment
from models.augment import AugmentConfig
from models.batches import load_noise, load_responses
from models.callbacks import Report, Seeds, hush, say
from models.command import complete
from models.dataset import list_audio
from models.encoder import ENCODER_FILE, encoder_of, encoder_weights
from models.labels import LABELS
from models.layout import lay_out
from models.phones import RARE, Inventory
from models.registry import find_architecture, list_architectures
from models.sentences import PhoneBatch, PhoneBatches, Renderings, list_transcribed, plain, render
from models.task import one_cycle
from models.train import pick_precision

PHONE_FRAMES = 4
"""Phones are shorter than the columns of some encoders; such a column answers more than once."""
LONGEST_GRADIENT = 5.0
"""norm; the loss of a sentence that was aligned wrongly is large"""


class PhoneTask(L.LightningModule):
    """The encoder of a registered architecture learning `phones` phones, in features that `frontend` standardises."""

    def __init__(self, architecture: str, frontend: dict[str, Any], phones: int, learning_rate: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config, self.learning_rate = FrontendConfig(**frontend), learning_rate
        found = find_architecture(architecture)
        self.network = found.build(found.frames, self.config.bins, len(LABELS))
        encoder = encoder_of(self.network.eval())
        with torch.no_grad():
            columns = encoder.encode(torch.zeros(1, 1, found.frames, self.config.bins)).shape[2]
        self.network.train()
        self.spread = max(1, round(found.frames / columns / PHONE_FRAMES))  # answers a column
        self.head = nn.Linear(encoder.width, self.spread * (phones + 1))  # 0 is none, the blank of the method

    def training_step(self, batch: PhoneBatch, _: int) -> Tensor:
        bent = augment.bend_spectrum(batch.features, self.config.std, AugmentConfig())
        return self._measure("train/loss", batch._replace(features=bent))

    def validation_step(self, batch: PhoneBatch, _: int) -> None:
        self._measure("val/loss", batch)

    def _measure(self, name: str, batch: PhoneBatch) -> Tensor:
        """Nats a phone."""
        encoded = encoder_of(self.network).encode(batch.features)  # (batch, width, answers)
        logits = self.head(encoded.transpose(1, 2)).float()  # (batch, columns, spread * (phones + 1))
        logits = logits.unflatten(2, (self.spread, -1)).flatten(1, 2)  # (batch, answers, phones + 1)
        answers = -(-batch.frames * logits.shape[1] // batch.features.shape[2])  # (batch,), rounded up
        # float32, whatever the multiplies are: probabilities of a whole sentence are small.
        with torch.autocast(logits.device.type, enabled=False):
            spoken = logits.log_softmax(2).transpose(0, 1)
            loss = functional.ctc_loss(
                spoken, batch.phones, answers, batch.counts, reduction="sum", zero_infinity=True
            ) / max(1, len(batch.phones))
        self.log(name, loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch.phones), sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        # Not fused: Lightning does not clip the gradients of such.
        optimizer = torch.optim.AdamW(self.parameters(), self.learning_rate, weight_decay=0.01)
        return one_cycle(self.trainer, optimizer, self.learning_rate)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.pretrain", description=__doc__)
    parser.add_argument("architecture", choices=list_architectures(), metavar="ARCH")
    parser.add_argument("--speech", type=Path, required=True, help="folder of train/ val/ and transcripts.csv")
    parser.add_argument("--noise", type=Path, nargs="+", required=True, help="folders of noise")
    parser.add_argument("--rir", type=Path, help="folder of room impulse responses")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run; what is learnt is in encoder.pth")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16, help="sentences")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--versions", type=int, default=4, help="of every sentence: noise, room, level and speed")
    parser.add_argument("--rare", type=int, default=RARE, help="phones that are spoken less often are left out (100)")
    parser.add_argument("--threads", type=int, help="on a CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on where the run stopped")
    return parser.parse_args(arguments)


def load_batches(options: argparse.Namespace) -> tuple[PhoneBatches, PhoneBatches, Inventory, FrontendConfig]:
    """To learn from and to judge by, with the phones in them, and the front end that standardises the former."""
    frontend = find_architecture(options.architecture).frontend
    training, validation = (list_transcribed(options.speech, split) for split in ("train", "val"))
    inventory = Inventory((sentence.phones for sentence in training), options.rare)
    if not len(inventory):
        raise KwsError(
            f"no phone is spoken {options.rare} times in {options.speech}; give more sentences or less --rare"
        )
    noise = load_noise(tuple(options.noise), options.speech)
    responses = load_responses(list_audio(options.rir) if options.rir else [])
    features = render(Renderings(training, options.versions, frontend, noise, responses, AugmentConfig(), options.seed))
    seen = torch.cat(features[:200]).float()
    frontend = replace(frontend, mean=round(float(seen.mean()), 4), std=round(float(seen.std()), 4))
    learnt = PhoneBatches(features, training, inventory, frontend, options.batch, options.seed)
    judged = PhoneBatches(render(plain(validation, frontend)), validation, inventory, frontend, options.batch)
    return learnt, judged, inventory, frontend


def build_trainer(options: argparse.Namespace, learnt: PhoneBatches) -> L.Trainer:
    """Lightning's trainer, on one device: sentences are few."""
    return L.Trainer(
        max_epochs=options.epochs,
        accelerator="auto",
        devices=1,
        precision=pick_precision("auto"),  # type: ignore[arg-type]  # one of its names
        logger=False,
        gradient_clip_val=LONGEST_GRADIENT,
        callbacks=[
            Seeds(learnt),
            ModelCheckpoint(options.run, "last", enable_version_counter=False),
            RichProgressBar() if sys.stderr.isatty() else Report(),
        ],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def pretrain(options: argparse.Namespace) -> Path:
    """Train, and return the path of what the encoder learnt: of the last epoch, which ends the cycle."""
    last = options.run / "last.ckpt"
    if options.resume and not last.exists():
        raise KwsError(f"nothing to resume: no {last}")
    found = find_architecture(options.architecture)
    encoder_of(found.build(found.frames, found.frontend.bins, len(LABELS)))  # before an hour goes into sentences
    if options.threads:
        torch.set_num_threads(options.threads)
    learnt, judged, inventory, frontend = load_batches(options)
    L.seed_everything(options.seed, verbose=False)
    task = PhoneTask(options.architecture, asdict(frontend), len(inventory), options.learning_rate)
    lay_out(task.network)
    trainer = build_trainer(options, learnt)
    say(
        f"{options.architecture}: {len(learnt.phones):,} sentences of {learnt.minutes:.0f} minutes, "
        f"{len(inventory)} phones: {inventory.phones}"
    )
    trainer.fit(
        task,
        DataLoader(learnt, batch_size=None),
        DataLoader(judged, batch_size=None),
        ckpt_path=last if options.resume else None,
        weights_only=True,
    )
    path: Path = options.run / ENCODER_FILE
    torch.save({name: tensor.contiguous() for name, tensor in encoder_weights(task.network).items()}, path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    hush()
    options = parse_arguments(arguments)
    return complete("models.pretrain", lambda: print(pretrain(options)))


if __name__ == "__main__":
    sys.exit(main())
