"""A design as its file says it, and what that means once its trial is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tme_abm.forms import Source, Table, hours
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import did_you_mean

if TYPE_CHECKING:  # which compile kernels when they are imported, and `tme list` needs none
    from tme_abm.trial.study import FollowUp, Study

FEWEST = 4  # patients of a trial


class Form(Table):
    """One design."""

    kind: Literal["design"]
    title: str
    summary: str
    scenario: str = Field(description="the trial whose population, arms and ways out are used: a bundled one, or a path from this file")
    compare: list[str] = Field(min_length=2, max_length=2, description="arm and reference")
    patients: list[Annotated[int, Field(ge=FEWEST)]] = Field(min_length=1, description="sizes of the trial, of both arms together")
    allocation: list[Annotated[int, Field(ge=1)]] = Field([1, 1], min_length=2, max_length=2, description="weights of arm and reference")
    accrual: str = Field(description="time over which patients enter")
    follow_up: str = Field(description="from the last patient in to the final look")
    looks: list[float] = Field([1.0], min_length=1, description="looks, as shares of the time to the final one; the last is 1")
    alpha: float = Field(0.025, gt=0.0, lt=0.5, description="one-sided error")
    question: int | None = Field(None, description="the size about which the title asks; the largest where it is left out")

    def size(self) -> str:
        """How large the trials are, for the list of scenarios."""
        return f"{min(self.patients)} to {max(self.patients)}" if len(self.patients) > 1 else str(self.patients[0])

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [" against ".join(self.compare)]


@dataclass(frozen=True)
class Design:
    """A design, resolved but for its trial.

    Attributes:
        name: Of the file.
        title: What it asks.
        summary: The same in more words.
        scenario: Name or path of the trial.
        form: What the file says.
        source: Where it stands in the file.
        accrual_days: Time over which patients enter [d].
        follow_up_days: From the last patient in to the final look [d].
        resolved: The file as resolved.
    """

    name: str
    title: str
    summary: str
    scenario: str
    form: Form
    source: Source
    accrual_days: float
    follow_up_days: float
    resolved: Mapping[str, Any]

    @property
    def end_days(self) -> float:
        """Of the calendar, from the first patient in to the final look [d]."""
        return self.accrual_days + self.follow_up_days

    @property
    def asked(self) -> int:
        """The size about which the design asks."""
        return self.form.question or max(self.form.patients)

    def follow_up(self) -> "FollowUp":
        """How long patients are watched until the final look."""
        from tme_abm.trial.study import FollowUp

        return FollowUp(self.follow_up_days, self.end_days)

    def check_arms(self, study: "Study") -> None:
        """Refuse arms that the trial has not got.

        Raises:
            InputError: With the line.
        """
        keys = [arm.key for arm in study.arms]
        for i, key in enumerate(self.form.compare):
            if key not in keys:
                raise self.source.error(("compare", i), f"{study.name} has no arm '{key}'{did_you_mean(key, keys)}")


def build(form: Form, source: Source) -> Design:
    """The design that a file describes.

    Raises:
        InputError: One sentence with the place and what is wrong.
    """
    if form.compare[0] == form.compare[1]:
        raise source.error(("compare",), f"compare: the arm '{form.compare[0]}' is compared with itself")
    looks = form.looks
    if any(not 0.0 < look <= 1.0 for look in looks) or looks[-1] != 1.0 or sorted(set(looks)) != looks:
        raise source.error(("looks",), f"looks: write shares of the time that rise to 1, such as [0.6, 1.0], not {looks}")
    if form.question is not None and form.question not in form.patients:
        raise source.error(("question",), f"question: {form.question} is none of the sizes in patients")
    accrual, follow_up = (
        hours(text, (key,), source) / HOURS_PER_DAY for key, text in (("accrual", form.accrual), ("follow_up", form.follow_up))
    )
    scenario = str(source.folder / form.scenario) if form.scenario.endswith(".toml") else form.scenario
    resolved = form.model_dump(mode="json", exclude_none=True)
    return Design(source.name, form.title, form.summary, scenario, form, source, accrual, follow_up, resolved)
