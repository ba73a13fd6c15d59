"""Exported models on the Hugging Face Hub: `hf://owner/name`, with the package huggingface-hub."""

import re
from pathlib import Path
from types import ModuleType

from gen.data.images import data_dir
from gen.errors import UserError, extra, reason
from gen.storage.exchange import CARD, CONFIG, SAMPLES, WEIGHTS

SCHEME = "hf://"


def is_address(text: str) -> bool:
    """Whether a model's place is one on the Hub."""
    return text.startswith(SCHEME)


def parse(address: str) -> tuple[str, str | None]:
    """ "hf://owner/name@revision" -> ("owner/name", "revision"); without a revision None."""
    found = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", address)
    if not found:
        raise UserError(f"{address}: expected hf://owner/name or hf://owner/name@revision.")
    return found[1], found[2]


def download(address: str) -> Path:
    """The folder of an exported model, its files as they are on the Hub now.

    Raises a UserError where the package is missing, or the model cannot be had.
    """
    name, revision = parse(address)
    folder = data_dir() / "hub" / name / (revision or "newest").replace("/", "_")
    try:
        _package().snapshot_download(name, revision=revision, local_dir=str(folder),
                                     allow_patterns=[WEIGHTS, CONFIG, CARD, SAMPLES])
    except UserError:
        raise
    except Exception as error:  # of the network, the account, the name: the package has a type for each
        raise UserError(f"{address} cannot be downloaded: {reason(error)}.") from error
    return folder


def upload(folder: Path, name: str) -> str:
    """Puts an exported model on the Hub as `name` = "owner/name", with the account that is logged in there."""
    parse(SCHEME + name)
    try:
        api = _package().HfApi()
        api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=str(folder), commit_message="Export")
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"--push={name}: {reason(error)}.") from error
    return SCHEME + name


def _package() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(f"Models on the Hugging Face Hub need a package: {extra('hub')}.") from error
    return huggingface_hub
