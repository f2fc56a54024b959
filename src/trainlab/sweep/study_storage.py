"""Where the study of a search is stored: in a journal, or in a database, whose password is in no file or message.

Needs Optuna, so only searches import it.
"""

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage

from trainlab.runs.files import read_listed, write_atomically
from trainlab.runs.optuna_storage import STUDY, mend_journal, open_journal
from trainlab.sweep.items import items_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

JOURNAL, SUMMARY = "study.journal", "study.json"
_NAME = "study.name"  # file with the name of the study in a database
_VARIABLE = re.compile(r"env:([A-Za-z_]\w*)")
_WAIT_S = 10  # for a server that does not answer; while a search runs, it is asked again
_LOCKED_S = 60  # for another process that writes to a file of SQLite
_MIN_SECRET = 3  # characters; shorter ones would be parts of most words


@dataclass(frozen=True)
class Database:
    """A database that a variable of the environment has the URL of.

    Attributes:
        variable: its name.
        url: its value.
    """

    variable: str
    url: str = field(repr=False)

    def open(self) -> BaseStorage:
        """Connect to it, and make the tables of Optuna where there are none.

        Each operation has a connection of its own: processes that are forked meanwhile have none in common.

        Raises:
            ValueError: it cannot be used.
        """
        from sqlalchemy.exc import SQLAlchemyError  # which takes a while, and a journal does not need
        from sqlalchemy.pool import NullPool

        url = self._parsed()
        wait = {"sqlite": {"timeout": _LOCKED_S}, "postgresql": {"connect_timeout": _WAIT_S}}
        own = {key: value for key, value in wait.get(url.get_backend_name(), {}).items() if key not in url.query}
        try:
            # RDBStorage takes text alone.
            text = url.render_as_string(hide_password=False)
            return get_storage(RDBStorage(text, {"poolclass": NullPool, "connect_args": own}))
        except ImportError as error:
            missing = self.reason(error.__cause__ or error)
            raise ValueError(
                f"the database of {self.variable} needs a driver ({missing}); for PostgreSQL pip install "
                "'trainlab[postgresql]'"
            ) from None
        except (SQLAlchemyError, StorageInternalError, RuntimeError, TypeError, ValueError, LookupError) as error:
            raise ValueError(
                f"the database of {self.variable} cannot be used ({self.reason(error)}); set {self.variable}"
            ) from None

    def reason(self, error: BaseException) -> str:
        """The first line of an error, without any part of the URL that may be secret."""
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        text = str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text or type(cause).__name__

    def _parsed(self) -> "URL":
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url)
        except (ArgumentError, ValueError):  # whose messages may have parts of it
            raise ValueError(
                f"{self.variable} must be the URL of a database, such as postgresql://user:password@host/name, with "
                f"characters such as / or @ in a password written as %2F or %40; set {self.variable}"
            ) from None
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError(
                f"{self.variable} must name a file, as memory ends with the process; set sqlite:////path/of/study.db"
            )
        # The driver of the extra, whichever is SQLAlchemy's default.
        return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url

    def _secrets(self) -> Iterator[str]:
        """Parts of the URL that are, or may be, of a password."""
        scheme, _, rest = self.url.partition("://")
        before, _, query = rest.partition("?")
        user, at, _ = before.rpartition("@")
        hidden = [user.partition(":")[2], *(setting.partition("=")[2] for setting in query.split("&"))]
        if not at and not scheme.startswith("sqlite"):  # no URL of the usual form: all of it may be secret
            hidden.append(rest)
        for text in hidden:
            for part in (text, unquote(text), *re.split(r"[/@:?#]", text)):
                if len(part) >= _MIN_SECRET:
                    yield part


def database_of(setting: str) -> Database | None:
    """The database that ``sweep.storage`` names; None for a journal.

    The URL is removed from the environment of this process: no job inherits it, and no scheduler stores it with a job.

    Raises:
        ValueError: it is neither, or there is no such variable.
    """
    if setting == "journal":
        return None
    found = _VARIABLE.fullmatch(setting)
    if not found:  # without the value, which may have a password
        got = "a URL" if "://" in setting else repr(setting)
        raise ValueError(
            "storage must be journal, or env:NAME with the name of an environment variable that has the URL of a "
            f"database, so that no file has its password, got {got}; set sweep.storage"
        )
    if not (url := os.environ.pop(found[1], "")):
        raise ValueError(f"the environment has no variable {found[1]}; set it to the URL of a database")
    return Database(found[1], url)


def open_storage(folder: Path, database: Database | None) -> tuple[BaseStorage, str]:
    """The storage of the search in a folder, and the name of its study there, which need not exist.

    Raises:
        ValueError: it cannot be used, or the folder has a search that is stored elsewhere.
    """
    journal, kept = folder / JOURNAL, read_listed(folder / _NAME)
    if database is None:
        if kept is not None:
            raise ValueError(
                f"{folder} holds a search that is stored in a database; set sweep.storage=env:NAME, or another name="
            )
        mend_journal(journal, is_alone=not items_of(folder))
        return open_journal(journal), STUDY
    if read_listed(journal):
        raise ValueError(f"{folder} holds a search in {JOURNAL}; leave out sweep.storage, or set another name=")
    storage = database.open()
    if kept is None:
        name = f"{folder.resolve().name}-{uuid.uuid4().hex[:12]}"
        write_atomically(folder / _NAME, name.encode())
        return storage, name
    name = kept.decode()
    if (folder / SUMMARY).exists() and not has_study(storage, name):
        raise ValueError(
            f"the database of {database.variable} has no study {name}, which {folder} has the runs of; set "
            f"{database.variable} to the URL of the one that has it, or another name="
        )
    return storage, name


def copied_from(folder: Path, origin: str) -> bool:
    """Whether the folder of a search is a copy of the ``origin`` that its study in a database was begun in."""
    other = Path(origin)
    return other != folder.resolve() and read_listed(other / _NAME) == read_listed(folder / _NAME)


def has_study(storage: BaseStorage, name: str) -> bool:
    """Whether a storage has a study of that name."""
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True
