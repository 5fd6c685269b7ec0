"""The source of the configuration, which is read again when it changes."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.faults import explained
from serving.server.errors import StatusError, invalid
from serving.server.mirror import Mirror
from serving.server.model_config import Configs, checked, folder_configs, read_configs
from serving.server.repository import Repository
from serving.server.settings import Settings
from serving.server.storage import no_versions, passed_over


class Source:
    """Configures a repository; all methods belong to the thread that loads.

    Args:
        settings: the settings of the server.
        repository: the repository to configure.
        announce: called with a line if a configuration cannot be used.
        mirror: the mirror of the models, if they are at an address.

    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        announce: Callable[[str], None],
        mirror: Mirror | None = None,
    ) -> None:
        self._settings = settings
        self._mirror = mirror
        self._repository = repository
        self._announce = announce
        self._next_read = 0.0
        self._content = b""
        self._told: set[str] = set()

    def start(self, configs: Configs) -> None:
        """Load the first configuration.

        Raises:
            StatusError: it is rejected, or a model in it does not load; in a folder, such a model is skipped instead.

        """
        file = self._settings.model_config_file
        self._content = file.read_bytes() if file else b""
        self._next_read = time.monotonic() + self._settings.model_config_file_poll_wait_seconds
        new = self._repository.configure(configs)
        self._tell(self._troubles())
        if self._settings.models is None:
            failed = [name for name in new if self._repository.errors(name)]
            self._repository.check_available(failed)

    def reload(self, config: ModelServerConfig) -> None:
        """Apply the configuration of a request.

        Raises:
            StatusError: it is rejected, or a new model in it does not load.

        """
        if self._settings.models is not None:
            raise invalid(
                f"This server serves what lies in {self._settings.models}: change that or its models.config, or start "
                "with --model_config_file"
            )
        if config.WhichOneof("config") is not None:
            self._repository.check_available(self._repository.configure(checked(config)))

    def poll(self) -> None:
        """Check the configuration and the disk once; read errors change nothing."""
        try:
            if self._mirror:
                self._mirror.update()
            configs = self._changed_configs()
            if configs is None:
                self._repository.poll()
            else:
                self._repository.configure(configs)
            self._tell(self._troubles())
        except (OSError, ValueError, StatusError) as error:
            told = explained(error) if isinstance(error, OSError) else error
            self._tell([f"the configuration cannot be used, and the loaded versions are still served: {told}"])

    def _troubles(self) -> list[str]:
        """What is on the disk and cannot be served, as sentences."""
        folder, mirrored = self._settings.folder, self._mirror.troubles if self._mirror else ()
        if folder is not None:
            return [*mirrored, *self._repository.troubles, *passed_over(folder.resolve())]
        odd = [line for path in self._repository.base_paths() for line in no_versions(path)]
        return [*self._repository.troubles, *odd]

    def _tell(self, lines: Iterable[str]) -> None:
        """Announce sentences that were not announced at the last check."""
        found = list(dict.fromkeys(lines))
        for line in found:
            if line not in self._told:
                self._announce(line)
        self._told = set(found)

    def _changed_configs(self) -> Configs | None:
        if self._settings.folder is not None:
            return folder_configs(self._settings.folder.resolve())
        file, wait = self._settings.model_config_file, self._settings.model_config_file_poll_wait_seconds
        if file is None or wait <= 0 or time.monotonic() < self._next_read:
            return None
        self._next_read = time.monotonic() + wait
        content = file.read_bytes()
        if content == self._content:
            return None
        self._content = content
        return read_configs(Path(file))
