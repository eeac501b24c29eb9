"""Uploading an exported folder to the Hugging Face hub. Called only for `push_to_hub=owner/name`."""

import re
from pathlib import Path

from selfguide.core.errors import ConfigError


def push(folder: Path, name: str, kind: str, private: bool) -> str:
    """Create the repository (`kind`: "model" or "dataset") if need be, upload the folder, return its address.

    Raises `ConfigError` in one line if the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ConfigError(f"push_to_hub: {name!r} is not allowed; allowed: owner/name")
    api = HfApi()
    try:
        address = api.create_repo(name, repo_type=kind, private=private, exist_ok=True)
        message = "Upload by selfguide"
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=str(folder), commit_message=message)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(f"push_to_hub: the hub refused {name}: {first[:200]} (is HF_TOKEN set?)") from error
    except Exception as error:
        # What the client of huggingface_hub raises where there is no connection; which client differs by its version.
        if not type(error).__module__.startswith("httpx"):
            raise
        raise ConfigError(
            f"push_to_hub: the hub cannot be reached ({error}); the folder {folder} is complete"
        ) from error
    return str(address)
