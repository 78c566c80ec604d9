"""What the scenario of an experiment on mice may say, and what must fit together in it."""

from typing import Annotated, Literal

from pydantic import Field

from tme_abm.forms import Arm, Drugs, Marrow, Source, Table, Value, check_mechanisms
from tme_abm.foundation.errors import did_you_mean
from tme_abm.foundation.toml import Keys, dotted
from tme_abm.laboratory.inhibition import WHOLE


class Tumour(Table):
    """The nodule and how it is watched."""

    host: str = Field("scid_mouse", description="strain of mice")
    line: str = Field(description="line of human myeloma cells")
    stroma: bool = Field(True, description="whether stroma of the mouse has grown into the tumour")
    spread: float = Field(0.1, ge=0.0, le=1.0, description="standard deviation of the log of division between mice")
    start_mm3: float = Field(150.0, gt=0.0, le=2000.0, description="volume at which treatment starts [mm3]")
    watch: str = Field("21 d", description="from the start of treatment to the last measurement")
    measure: str = Field("3 d", description="time between measurements")


class Patch(Marrow):
    """The section of the tumour and what lies around it."""

    shape: list[int] = Field([96, 96], min_length=2, max_length=2, description="rows and columns of sites")


class Combination(Table):
    """Two drugs given together, and each of them alone."""

    arm: str
    singles: Annotated[list[str], Field(min_length=2, max_length=2)]


class Variant(Table):
    """The same mice, with something taken away."""

    label: str = Field(min_length=1)
    without: list[str] = Field([])
    stroma: bool | None = Field(None, description="with stroma or without it; as in the experiment where not given")


class Changes(Table):
    """Values of the strain and of the line that this study chooses."""

    host: dict[str, Value] = Field({})
    line: dict[str, Value] = Field({})


class Published(Table):
    """A published inhibition for the report to print; the model never reads it."""

    arm: str
    endpoint: Literal["tgi"] = "tgi"
    value: float
    unit: Literal["percent"] = "percent"
    source: str
    grade: str | None = None
    role: Literal["calibration", "prediction"]
    note: str | None = None


class Form(Table):
    """One experiment on mice."""

    kind: Literal["xenograft"]
    title: str
    summary: str
    mice: int = Field(ge=2, description="in each arm")
    seed: int = Field(ge=0, lt=2**62)
    without: list[str] = Field([], description="mechanisms that are switched off under treatment")
    tumour: Tumour
    marrow: Patch = Patch()
    control: str = Field(description="the arm that is given nothing")
    arms: dict[str, Arm] = Field(min_length=2)
    combinations: list[Combination] = Field([])
    variants: list[Variant] = Field([])
    traits: Changes = Changes()
    parameters: dict[str, dict[str, Value]] = Field({}, description="mechanism -> parameter -> value of this study")
    drugs: Drugs = Drugs()
    published: list[Published] = Field([], description="figures for the report to print")

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return f"{self.mice} mice"

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [arm.label for arm in self.arms.values()]


def check(form: Form, source: Source) -> None:
    """Refuse arms, combinations, variants and published figures that do not fit together.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    named: list[tuple[Keys, str]] = [(("control",), form.control)]
    for i, pair in enumerate(form.combinations):
        named += [(("combinations", i, "arm"), pair.arm), *((("combinations", i, "singles"), key) for key in pair.singles)]
        if len({pair.arm, *pair.singles}) < 3:
            raise source.error(("combinations", i), f"combinations[{i}]: an arm is combined with itself")
    named += [(("published", i, "arm"), row.arm) for i, row in enumerate(form.published)]
    for path, key in named:
        if key not in form.arms:
            raise source.error(path, f"{dotted(path)}: there is no arm '{key}'{did_you_mean(key, form.arms)}")
        if key == form.control and path != ("control",):
            raise source.error(path, f"{dotted(path)}: '{key}' is the control, whose growth is not inhibited")
    if form.arms[form.control].doses:
        raise source.error(("arms", form.control, "doses"), f"the control '{form.control}' is given something")
    labels = [WHOLE, *(v.label for v in form.variants)]
    for i, variant in enumerate(form.variants):
        check_mechanisms(variant.without, ("variants", i, "without"), source)
        if variant.label in labels[: i + 1]:
            raise source.error(("variants", i, "label"), f"there are two variants '{variant.label}'")
