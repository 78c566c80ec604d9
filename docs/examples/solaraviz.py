"""The same marrow in Mesa's own page, for those who know it.

    solara run docs/examples/solaraviz.py

Mesa draws every cell by itself, which takes about a second a picture; `tme view` draws thirty in that time. Needs `pip install altair`,
as all of Mesa's pages do.
"""

from typing import Any

import solara
from mesa.visualization import SolaraViz, SpaceRenderer, make_plot_component
from mesa.visualization.components import AgentPortrayalStyle
from tme_viz.colours import COLOURS

from tme_abm.mesa_model.model import TumourModel

PARAMETERS: dict[str, Any] = {
    "patient": {"type": "Select", "label": "Patient", "value": "typical", "values": ["typical", "high_risk", "elderly", "cd38_low"]},
    "regimen": {"type": "Select", "label": "Arm", "value": "icaria/isa-pd", "values": ["icaria/isa-pd", "icaria/pd", "ikema/isa-kd"]},
    "without": {"type": "InputText", "label": "Without (mechanisms, between blanks)", "value": ""},
    "seed": {"type": "InputText", "label": "Seed", "value": "1"},
    "height": 32,
    "width": 32,
}


def portrayal(agent: Any) -> AgentPortrayalStyle:
    """A cell as a dot in the colour of its type."""
    return AgentPortrayalStyle(color=COLOURS[agent.type.name], size=18)


@solara.component
def Page() -> None:
    """One model a tab: a model made outside of the component would be shared by all tabs."""
    model = solara.use_memo(lambda: TumourModel(regimen="icaria/isa-pd", height=32, width=32, seed=1), [])
    renderer = solara.use_memo(lambda: SpaceRenderer(model, backend="matplotlib"), [])
    solara.use_memo(lambda: renderer.draw_agents(portrayal), [])
    curves = make_plot_component("m_protein_g_per_l")

    def stop_on_leaving() -> Any:
        return lambda: setattr(model, "running", False)  # else Mesa's play loop outlives the tab

    solara.use_effect(stop_on_leaving, [])
    SolaraViz(model, renderer, components=[curves], model_params=PARAMETERS, name="Bone marrow under anti-CD38 therapy")
