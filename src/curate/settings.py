"""`curate.toml` -> frozen settings. Every check brings its own section; unknown keys are refused by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from curate.belonging import Belonging
from curate.checks import Check, CheckSettings, all_checks, find_check
from curate.croissant import CardSettings
from curate.errors import SettingsError
from curate.labelers import Labeler, all_labelers
from curate.transform import Transform

if TYPE_CHECKING:
    from curate.exporters import Exporter

OPINION_CHECKS = ("label_error", "outlier")  # they judge what `curate flag` says

StageName = Literal["clean", "normalize", "prelabel", "flag", "split", "rebalance", "report"]
STAGES: tuple[StageName, ...] = get_args(StageName)  # in the order in which `curate run` goes through them


class ScanSettings(BaseModel):
    """Where pictures and labels come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: str = Field(
        "folders",
        description='Where labels come from: "folders" (the first folder below the root is the class; `_unlabeled` '
        'means none; where all first folders are splits, like train and test, the second is), "none", "imported" '
        "(what `curate import` has read) or a CSV, JSONL or Parquet file with the columns path, label and, if you "
        "like, split.",
    )


class VersionSettings(BaseModel):
    """What a version keeps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_bytes: Literal["auto", "always", "never"] = Field(
        "auto",
        description='Whether a version keeps the kept pictures\' bytes in the store. "auto": where the file system '
        'shares blocks between files (reflink: Btrfs, XFS), so that it costs nothing; "always": copy where it does '
        'not; "never": a version only refers to the source files by sha256.',
    )


class ModelSettings(BaseModel):
    """The model behind pre-labels and label errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(
        "builtin",
        description='Turns a picture into numbers: "builtin", "classic", an ONNX file, a folder of a Hugging Face or '
        "timm model, or a name that `curate models pull` has fetched.",
    )


class PrelabelSettings(BaseModel):
    """When a pre-label may be accepted without a look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Pre-labels are offered for acceptance where at least this share of them is expected to be right. "
        "Origin: at 0.95 about as many are wrong as in famous test sets (3.4 % on average).",
    )


class SplitSettings(Belonging):
    """How pictures are dealt out to splits."""

    train: float = Field(0.8, ge=0, le=1, description="Share of the training pictures.")
    val: float = Field(0.1, ge=0, le=1, description="Share of the validation pictures, to choose models by.")
    test: float = Field(0.1, ge=0, le=1, description="Share of the test pictures, to judge the chosen model by, once.")
    seed: str = Field("curate", description="Any text; another one deals otherwise, where pictures have no split yet.")


class ReviewSettings(BaseModel):
    """Where what people decide is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: str = Field(
        "",
        description="Address of a PostgreSQL database that a team shares, like "
        "postgresql://curate@db.example/flowers; it takes `pip install 'curate[team]'`. Empty: a file of the store. "
        "Read from DIR.curate/curate.toml alone; the variable CURATE_REVIEW_LOG goes before it.",
    )


class RebalanceSettings(BaseModel):
    """How the classes of the training pictures are brought into balance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: tuple[str, ...] = Field(
        (), description="What to do, in this order; docs/balance.md lists the strategies. Empty: nothing."
    )
    target: float = Field(
        1.0, gt=0, le=1, description="Size of the smallest class, as a share of the largest, to aim for; 1 = equal."
    )
    min_per_class: int = Field(
        0,
        ge=0,
        description="No class is cut below so many pictures; where pictures are repeated, each is raised to it.",
    )
    max_per_class: int = Field(0, ge=0, description="No class stays above so many pictures an epoch; 0 = no limit.")
    max_repeat: int = Field(
        10, ge=1, description="No picture is shown more often in an epoch. Origin: see docs/balance.md."
    )
    seed: str = Field("curate", description="Any text; another one chooses others, where chance decides.")


ExecutorKind = Literal["serial", "processes", "ray"]


class ExecutorSettings(BaseModel):
    """Where pictures are worked on. It changes how long that takes, never what comes of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ExecutorKind = Field(
        "processes",
        description='"serial": one after the other, in the process of the command; "processes": on the cores of this '
        "machine; \"ray\": on a Ray cluster, see docs/executors.md; it takes `pip install 'curate[ray]'`.",
    )
    workers: int = Field(
        0, ge=0, description="How many pictures at a time; 0 = one per core. One of processes is the same as serial."
    )
    address: str = Field(
        "",
        description='Of the Ray cluster: host:port of its head, or "auto" on a machine that is part of one. Empty: a '
        "cluster of this machine alone, for as long as the command runs.",
    )

    @property
    def at_a_time(self) -> int:
        """How many pictures at a time were asked for; 0 = as many as there are cores."""
        return 1 if self.kind == "serial" else self.workers


class RunSettings(BaseModel):
    """What `curate run` goes through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[StageName, ...] = Field(
        STAGES,
        description="The stages, always in this order. One that the data or the settings give no reason for is "
        "skipped, and you are told why: normalize needs `normalize.size`, rebalance `rebalance.strategy`, prelabel "
        "pictures with and without a label, flag two classes, split labels or a section `[split]`.",
    )


def _section(name: str, parts: Mapping[str, Check] | Mapping[str, Labeler] | Mapping[str, Exporter]) -> type[BaseModel]:
    """A section with one subsection per check, labeler or export format, of its own settings class."""
    fields: dict[str, Any] = {
        part: (one.settings, Field(default_factory=one.settings, description=one.summary))
        for part, one in parts.items()
    }
    return create_model(name, __config__=ConfigDict(frozen=True, extra="forbid"), **fields)


@cache
def settings_model() -> type[BaseModel]:
    """The class of all settings, checks included."""
    from curate.exporters import all_exporters  # formats see releases, and those the settings of their versions

    exporters = _section("Exporters", all_exporters())
    labelers, checks = _section("Labelers", all_labelers()), _section("Checks", all_checks())
    return create_model(
        "Settings",
        __config__=ConfigDict(frozen=True, extra="forbid"),
        scan=(ScanSettings, ScanSettings()),
        versions=(VersionSettings, VersionSettings()),
        models=(ModelSettings, ModelSettings()),
        prelabel=(PrelabelSettings, PrelabelSettings()),
        normalize=(Transform, Transform()),
        split=(SplitSettings, SplitSettings()),
        rebalance=(RebalanceSettings, RebalanceSettings()),
        review=(ReviewSettings, ReviewSettings()),
        executor=(ExecutorSettings, ExecutorSettings()),
        run=(RunSettings, RunSettings()),
        card=(CardSettings, CardSettings()),
        exporters=(exporters, exporters()),
        labelers=(labelers, labelers()),
        checks=(checks, checks()),
    )


class Settings(BaseModel):
    """All settings, as `settings_model()` makes them; this declaration serves type checkers."""

    scan: ScanSettings
    versions: VersionSettings
    models: ModelSettings
    prelabel: PrelabelSettings
    normalize: Transform
    split: SplitSettings
    rebalance: RebalanceSettings
    review: ReviewSettings
    executor: ExecutorSettings
    run: RunSettings
    card: CardSettings
    exporters: Any  # one field per export format, of its own settings class
    labelers: Any  # one field per labeler, of its own settings class
    checks: Any  # one field per check, of its own settings class

    def of(self, check: str) -> CheckSettings:
        """The settings of one check."""
        settings: CheckSettings = getattr(self.checks, check)
        return settings


def load_settings(file: Path | None, changes: dict[str, Any] | None = None) -> Settings:
    """The settings of a TOML file, with the changes of the command line on top.

    file: None means all defaults. changes: dotted key -> value, for example
    {"checks.blurry.action": "drop"}.
    Raises SettingsError that names the key, what was expected, and the nearest key there is.
    """
    return _validated(_read_toml(file) if file is not None else {}, changes, file)


def settings_of_version(
    recorded: Mapping[str, Any], file: Path | None, changes: dict[str, Any] | None = None
) -> Settings:
    """The settings a version was made with, so that what is added to it changes nothing else.

    What concerns models (sections `models`, `prelabel` and `labelers`, the checks of models' opinions) and executors
    comes from the file, and changes go on top. Raises SettingsError as `load_settings` does.
    """
    values = _read_toml(file) if file is not None else {}
    checks = {name: chosen for name, chosen in recorded["checks"].items() if name in all_checks()}
    checks |= {name: values.get("checks", {}).get(name, {}) for name in OPINION_CHECKS}
    of_today = ("models", "prelabel", "labelers", "executor")
    from_file: dict[str, Any] = {name: values[name] for name in of_today if name in values}
    kept = {
        name: recorded[name] for name in ("scan", "versions", "normalize", "split", "rebalance") if name in recorded
    }
    return _validated({**kept, **from_file, "checks": checks}, changes, file)


def _validated(values: dict[str, Any], changes: dict[str, Any] | None, file: Path | None) -> Settings:
    for key, value in (changes or {}).items():
        if key.partition(".")[0] == "review":
            raise SettingsError(
                "review.log can't be set on the command line: other commands would not find the log.",
                "Set it in DIR.curate/curate.toml, or in the variable CURATE_REVIEW_LOG.",
            )
        _set(values, key.split("."), value)
    model = settings_model()
    try:
        parsed = model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, model), _where(file)) from error
    return Settings.model_construct(**{name: getattr(parsed, name) for name in model.model_fields})


def with_executor(changes: Mapping[str, Any] | None, executor: str | None, workers: int | None) -> dict[str, Any]:
    """These changes, and on top those of `--executor` and `--workers`; None = as the settings say."""
    chosen = {"executor.kind": executor, "executor.workers": workers}
    return {**(changes or {}), **{key: value for key, value in chosen.items() if value is not None}}


def action_changes(**actions: tuple[str, ...]) -> dict[str, Any]:
    """Settings changes for `--drop NAME --review NAME …`: action -> check names. Raises SettingsError."""
    changes: dict[str, Any] = {}
    for action, names in actions.items():
        for name in names:
            find_check(name)
            key = f"checks.{name}.action"
            if changes.get(key, action) != action:
                raise SettingsError(f"--{changes[key]} {name} and --{action} {name} contradict each other.")
            changes[key] = action
    return changes


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Settings changes for `--set KEY=VALUE`; the value as in TOML, or a bare word. Raises SettingsError."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise SettingsError(
                f"--set {assignment!r} sets nothing.", "Expected KEY=VALUE, like checks.blurry.action=drop."
            )
        try:
            changes[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key.strip()] = value.strip()
    return changes


def as_dict(settings: Settings) -> dict[str, Any]:
    """Every setting with its value, as plain data: recorded in each version.

    Without where the log is and where pictures are worked on: they change no outcome, and may tell of passwords.
    """
    names = [name for name in settings_model().model_fields if name not in ("review", "executor")]
    return {name: getattr(settings, name).model_dump(mode="json") for name in names}


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{str(file)!r} is not valid TOML: {error}.", "Correct that line; see docs/settings.md."
        ) from error
    except OSError as error:
        raise SettingsError(f"The settings file {str(file)!r} can't be read: {error.strerror}.") from error


def _set(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise SettingsError(f"The setting {key!r} is a value, not a section.", "docs/settings.md lists them all.")
    values[keys[-1]] = value


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem in the user's words."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list(_model_at(model, problem["loc"][:-1]).model_fields)
        return f"There is no setting {key!r}. {_nearest(str(problem['loc'][-1]), known)}"
    said = "" if problem["loc"][0] == "review" else f" = {problem['input']!r}"  # it may hold a password
    return f"The setting {key}{said} does not fit: {problem['msg']}."


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    for key in location:
        annotation = model.model_fields[str(key)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return model


def _nearest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."


def _where(file: Path | None) -> str:
    return f"Settings are read from {str(file)!r}; docs/settings.md lists them all." if file else ""
