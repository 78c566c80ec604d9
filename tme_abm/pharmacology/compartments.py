"""Compartments: how a drug spreads through the body, leaves it, and holds its target.

Antibody. Two compartments; linear clearance that may change with time on treatment, a saturable (Michaelis-Menten)
path whose capacity may fade, and a target pool in the tissue that binds the drug and is not renewed:

    dA1/dt = input - (CL(t)/V1 + Q/V1) A1 + Q/V2 A2 - S(t) C / (Km + C)          C = A1 / V1
    dA2/dt = Q/V1 A1 - Q/V2 A2 - kint R A2
    dR/dt  = -kint R A2/V2
    CL(t)  = CLinf exp(CLm (1 - t^g / (T^g + t^g))),    S(t) = (Vmax + Vmax' V1) exp(-kdes t)

with `t` since the first dose. This holds the models of isatuximab (fau2020), daratumumab (xu2020) and elotuzumab
(ide2021) as special cases. The equations are stiff only where little drug is left, so they are integrated by the
classical Runge-Kutta method with steps of at most an hour that shorten with the fastest rate.

Small molecule. One or two compartments with an infusion or first-order absorption, all linear, hence advanced
exactly; and a target that the drug engages and that the cell replaces:

    dE/dt = kon s(C) (1 - E) - ln(2)/T E,    s(C) = C^n / (C^n + EC50^n),    0 <= E < 1

E is the fraction of the proteasome inhibited, of Ikaros and Aiolos degraded, or of glucocorticoid receptor engaged.

Where there is drug, steps never cross a whole hour, nor the start or the end of an infusion, so how the time is cut
into calls changes nothing. Amounts are in mg, volumes in L, time in h; 1 mg/L is 1 ug/mL.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel

ANTIBODY = 0
SMALL_MOLECULE = 1

NEGLIGIBLE = 1e-6  # [mg] or [1]: below this a drug counts as gone and its compartments are emptied
STIFFNESS = 0.3  # largest step of the antibody in units of the fastest time constant
SMOOTHNESS = 0.4  # the same for the engagement of a target
FASTEST = 1000.0  # [1/h] at which an antibody may leave its compartments: an hour of it then takes some three thousand steps
MOST_PARTS = 16  # a segment of a small molecule is never cut finer


# what the form of the equations is from
GIBALDI = "gibaldi1982: the form (the value is assumed where a drug gives none)"
FAU = "fau2020: the form (the value is assumed where a drug gives none)"
XU = "xu2020: the form (the value is assumed where a drug gives none)"
IDE = "ide2021: the form (the value is assumed where a drug gives none)"


class Antibody(NamedTuple):
    """Kinetics of an antibody, or of anything with saturable elimination."""

    clearance: Annotated[float, Param("L/h", "linear clearance, after a long time on treatment", GIBALDI)]
    central_volume: Annotated[float, Param("L", "volume of the central compartment", GIBALDI)]
    intercompartmental_clearance: Annotated[float, Param("L/h", "exchange between blood and tissue", GIBALDI)]
    peripheral_volume: Annotated[float, Param("L", "volume of the peripheral compartment", GIBALDI)]
    clearance_change: Annotated[
        float, Param("1", "log ratio of the linear clearance at the first dose to that after a long time", FAU, low=-10.0)
    ] = 0.0
    clearance_change_time: Annotated[float, Param("h", "time on treatment at half of that change", FAU)] = 1000.0
    clearance_change_steepness: Annotated[float, Param("1", "steepness of that change", FAU)] = 1.0
    saturable_rate: Annotated[float, Param("mg/h", "capacity of saturable elimination", XU)] = 0.0
    saturable_rate_per_volume: Annotated[float, Param("mg/L/h", "capacity of saturable elimination per litre of central volume", FAU)] = 0.0
    saturable_half: Annotated[float, Param("ug/mL", "concentration at half of that capacity", FAU)] = 1.0
    saturable_decay: Annotated[float, Param("1/h", "rate at which that capacity fades on treatment", XU)] = 0.0
    target_pool: Annotated[float, Param("ug/mL", "tissue target at the start, in drug equivalents", IDE)] = 0.0
    target_binding: Annotated[float, Param("mL/ug/h", "rate of loss of drug and tissue target to each other", IDE)] = 0.0
    absorption_rate: Annotated[float, Param("1/h", "first-order absorption from under the skin; 0 into a vein", GIBALDI)] = 0.0
    bioavailability: Annotated[float, Param("1", "fraction of the dose that reaches the blood", GIBALDI)] = 1.0


def fastest_rate(p: Antibody) -> float:
    """The sum of the rates [1/h] at which an antibody leaves its compartments; a step is a part of its inverse, but during an infusion."""
    change = max(p.clearance_change, 0.0)
    if change > math.log(FASTEST * p.central_volume / p.clearance):
        return math.inf
    linear = p.clearance * math.exp(change) + p.intercompartmental_clearance
    saturable = p.saturable_rate / p.central_volume + p.saturable_rate_per_volume
    peripheral = p.intercompartmental_clearance / p.peripheral_volume + p.target_binding * p.target_pool
    return linear / p.central_volume + saturable / p.saturable_half + peripheral + p.absorption_rate


class SmallMolecule(NamedTuple):
    """Kinetics of a small molecule and of the target that it engages."""

    clearance: Annotated[float, Param("L/h", "clearance (apparent, where the drug is swallowed)", GIBALDI)]
    central_volume: Annotated[float, Param("L", "volume of the central compartment (apparent likewise)", GIBALDI)]
    onset_rate: Annotated[float, Param("1/h", "rate of engagement of the target at a saturating concentration", GIBALDI)]
    ec50: Annotated[float, Param("ug/mL", "total plasma concentration at half of that rate", GIBALDI)]
    recovery_half_life: Annotated[float, Param("h", "half-life in which the target recovers without drug", GIBALDI)]
    steepness: Annotated[float, Param("1", "Hill exponent of that rate over concentration", GIBALDI)] = 1.0
    intercompartmental_clearance: Annotated[float, Param("L/h", "exchange between blood and tissue; 0: one compartment", GIBALDI)] = 0.0
    peripheral_volume: Annotated[float, Param("L", "volume of the peripheral compartment", GIBALDI)] = 1.0
    absorption_rate: Annotated[float, Param("1/h", "first-order absorption; 0 into a vein", GIBALDI)] = 0.0
    bioavailability: Annotated[float, Param("1", "fraction of the dose that reaches the blood", GIBALDI)] = 1.0


class Plan(NamedTuple):
    """Doses of all drugs, drug by drug and by time within a drug, and where each drug's kinetics stand."""

    first: NDArray[np.int64]  # (n_drugs + 1) first dose of each drug
    start: NDArray[np.float64]  # (n_doses) [h]
    duration: NDArray[np.float64]  # (n_doses) [h]; 0 is given at once
    absorbed: NDArray[np.bool_]  # (n_doses) whether it is swallowed or put under the skin
    amount: NDArray[np.float64]  # (n_doses) [mg]
    model: NDArray[np.int64]  # (n_drugs) ANTIBODY or SMALL_MOLECULE
    row: NDArray[np.int64]  # (n_drugs) place among the drugs of that model


class State(NamedTuple):
    """What a patient's body holds of each drug."""

    depot: NDArray[np.float64]  # (n_drugs) [mg] under the skin or in the gut
    central: NDArray[np.float64]  # (n_drugs) [mg]
    peripheral: NDArray[np.float64]  # (n_drugs) [mg]
    target: NDArray[np.float64]  # (n_drugs) [ug/mL] free target in the tissue (antibodies)
    effect: NDArray[np.float64]  # (n_drugs) engaged fraction of the target (small molecules)


class Exposure(NamedTuple):
    """What the marrow sees: means over each step, a column per drug in the regimen's order."""

    concentration: NDArray[np.float64]  # (n_steps, n_drugs) [ug/mL] in plasma
    effect: NDArray[np.float64]  # (n_steps, n_drugs) engaged fraction of the target, 0 for antibodies


class Amounts(NamedTuple):
    """One drug's compartments at one time, and what is gained over time."""

    depot: float
    central: float
    peripheral: float
    target: float
    area: float  # [ug h/mL] area under the plasma concentration


class Flow(NamedTuple):
    """Rate constants [1/h] and the rest that holds over one segment."""

    absorption: float
    elimination: float
    outward: float
    inward: float
    capacity: float  # [mg/h]
    half: float  # [ug/mL]
    binding: float  # [mL/ug/h]
    volume: float  # [L]
    peripheral_volume: float  # [L]
    infusion: float  # [mg/h]


class Propagator(NamedTuple):
    """The coefficients of one exact step of linear compartments."""

    slow: float  # [1/h] slow exponent
    kept: float
    mixing: float  # [h]
    infused: float  # [h]
    infused_mixing: float  # [h2]
    absorbed: float
    absorbed_mixing: float  # [h]
    depot_kept: float
    h: float  # [h] length of the step


@kernel
def clearance_factor(t, change, half_time, steepness):
    """Linear clearance at `t` [h] on treatment relative to that after a long time."""
    if change == 0.0:
        return 1.0
    if t <= 0.0:
        return math.exp(change)
    power = steepness * math.log(t / half_time)
    if power > 700.0:
        return 1.0
    return math.exp(change / (1.0 + math.exp(power)))


@kernel
def antibody_slope(x, flow):
    """Time derivative of an antibody's compartments."""
    concentration = x.central / flow.volume
    absorbed = flow.absorption * x.depot
    outward = flow.outward * x.central - flow.inward * x.peripheral
    saturable = flow.capacity * concentration / (flow.half + concentration)
    bound = flow.binding * x.target
    return Amounts(
        -absorbed,
        absorbed + flow.infusion - flow.elimination * x.central - saturable - outward,
        outward - bound * x.peripheral,
        -bound * x.peripheral / flow.peripheral_volume,
        concentration,
    )


@kernel
def along(x, slope, h):
    """`x` moved by `h` along `slope`."""
    return Amounts(
        x.depot + h * slope.depot,
        x.central + h * slope.central,
        x.peripheral + h * slope.peripheral,
        x.target + h * slope.target,
        x.area + h * slope.area,
    )


@kernel
def antibody_step(x, flow, h):
    """One classical Runge-Kutta step of `h` [h]."""
    k1 = antibody_slope(x, flow)
    k2 = antibody_slope(along(x, k1, 0.5 * h), flow)
    k3 = antibody_slope(along(x, k2, 0.5 * h), flow)
    k4 = antibody_slope(along(x, k3, h), flow)
    return along(along(along(along(x, k1, h / 6.0), k2, h / 3.0), k3, h / 3.0), k4, h / 6.0)


@kernel
def antibody_segment(x, p, row, t, span):
    """Advance an antibody from `t` [h] after its first dose by `span[0]` [h] at an infusion of `span[1]` [mg/h]."""
    h, infusion = span
    volume = p.central_volume[row]
    middle = t + 0.5 * h
    factor = clearance_factor(middle, p.clearance_change[row], p.clearance_change_time[row], p.clearance_change_steepness[row])
    capacity = p.saturable_rate[row] + p.saturable_rate_per_volume[row] * volume
    flow = Flow(
        p.absorption_rate[row],
        p.clearance[row] * factor / volume,
        p.intercompartmental_clearance[row] / volume,
        p.intercompartmental_clearance[row] / p.peripheral_volume[row],
        capacity * math.exp(-p.saturable_decay[row] * middle),
        p.saturable_half[row],
        p.target_binding[row],
        volume,
        p.peripheral_volume[row],
        infusion,
    )
    steady = flow.elimination + flow.outward + flow.inward + flow.binding * p.target_pool[row]
    if x.depot > 0.0:
        steady += flow.absorption
    left = h
    while left > 0.0:
        # While the drug comes in, the saturable path fills up as fast as the concentration passes its half.
        filling = flow.infusion + flow.absorption * x.depot if flow.capacity > 0.0 else 0.0
        fastest = steady + (flow.capacity + filling) / (volume * flow.half + x.central)
        step = min(left, STIFFNESS / fastest)
        if left - step < 1e-9:
            step = left
        x = antibody_step(x, flow, step)
        left -= step
    return x


@kernel
def filled(exponent, h):
    """Solution at `h` of y' = 1 - exponent y from y(0) = 0."""
    if exponent * h < 1e-12:
        return h
    return -math.expm1(-exponent * h) / exponent


@kernel
def passed(absorption, exponent, h):
    """Solution at `h` of y' = absorption exp(-absorption t) - exponent y from y(0) = 0."""
    difference = exponent - absorption
    if abs(difference) * h < 1e-9:
        return absorption * h * math.exp(-exponent * h)
    return absorption * (math.exp(-absorption * h) - math.exp(-exponent * h)) / difference


@kernel
def propagator(flow, h):
    """What a step of `h` [h] does to one or two linear compartments.

    With M the matrix of the two compartments and its fast and slow exponents, exp(M h) is a combination of the identity
    and of M + slow, which spares the eigenvectors and covers one compartment (slow exponent 0) as it stands.
    """
    total = flow.elimination + flow.outward + flow.inward
    fast = 0.5 * (total + math.sqrt(max(total * total - 4.0 * flow.elimination * flow.inward, 0.0)))
    slow = flow.elimination * flow.inward / fast
    spread = fast - slow
    kept = math.exp(-slow * h)
    infused = filled(slow, h)
    absorbed = 0.0
    absorbed_mixing = 0.0
    if flow.absorption > 0.0:
        absorbed = passed(flow.absorption, slow, h)
        absorbed_mixing = (absorbed - passed(flow.absorption, fast, h)) / spread
    return Propagator(
        slow,
        kept,
        (kept - math.exp(-fast * h)) / spread,
        infused,
        (infused - filled(fast, h)) / spread,
        absorbed,
        absorbed_mixing,
        math.exp(-flow.absorption * h),
        h,
    )


@kernel
def linear_step(x, flow, p):
    """Take one exact step of one or two linear compartments with absorption and infusion."""
    own = p.slow - flow.elimination - flow.outward
    source = flow.infusion * p.infused + x.depot * p.absorbed
    source_mixing = flow.infusion * p.infused_mixing + x.depot * p.absorbed_mixing
    central = p.kept * x.central + p.mixing * (own * x.central + flow.inward * x.peripheral) + source + source_mixing * own
    peripheral = (
        p.kept * x.peripheral + p.mixing * (flow.outward * x.central + (p.slow - flow.inward) * x.peripheral) + source_mixing * flow.outward
    )
    depot = x.depot * p.depot_kept
    # What went in and is no longer there was cleared, and clearance times area is what was cleared.
    cleared = flow.infusion * p.h + (x.depot - depot) + (x.central - central) + (x.peripheral - peripheral)
    area = x.area + cleared / (flow.elimination * flow.volume)
    return Amounts(depot, max(central, 0.0), max(peripheral, 0.0), 0.0, area)


@kernel
def engagement_rate(concentration, onset_rate, ec50, steepness):
    """Rate [1/h] at which the free target is engaged at a plasma `concentration` [ug/mL]."""
    if concentration <= 0.0:
        return 0.0
    if steepness == 1.0:
        return onset_rate * concentration / (concentration + ec50)
    return onset_rate / (1.0 + (ec50 / concentration) ** steepness)


@kernel
def engage(effect, rates, recovery, h):
    """Engaged fraction after `h` [h], and its integral over that time.

    `rates` are the rates of engagement at the start, in the middle and at the end. The fraction is pulled towards
    r / (r + recovery); the pull of each of the three is weighted by how much of it survives to the end, so the result
    stays in [0, 1] and is exact for constant rates.
    """
    r0, rm, r1 = rates
    first_half = h * (5.0 * r0 + 8.0 * rm - r1) / 24.0 + 0.5 * h * recovery
    whole = h * (r0 + 4.0 * rm + r1) / 6.0 + h * recovery
    kept = math.exp(-whole)
    w0 = kept * (r0 + recovery)
    wm = 4.0 * math.exp(min(first_half - whole, 0.0)) * (rm + recovery)
    w1 = r1 + recovery
    pull = (kept * r0 + 4.0 * math.exp(min(first_half - whole, 0.0)) * rm + r1) / (w0 + wm + w1)
    after = pull + (effect - pull) * kept
    slope0 = r0 * (1.0 - effect) - recovery * effect
    slope1 = r1 * (1.0 - after) - recovery * after
    area = 0.5 * h * (effect + after) + h * h * (slope0 - slope1) / 12.0
    return after, area


@kernel
def small_molecule_segment(x, effect, p, row, span, known):
    """Advance a small molecule by `span[0]` [h] at a constant infusion of `span[1]` [mg/h].

    `known` is the propagator of the last segment, which this one takes too where its parts are as long.

    Returns its compartments, the engaged fraction of its target, the integral of that fraction, and the propagator.
    """
    h, infusion = span
    recovery = math.log(2.0) / p.recovery_half_life[row]
    if infusion == 0.0 and x.depot + x.central + x.peripheral == 0.0:
        return x, effect * math.exp(-recovery * h), effect * filled(recovery, h), known
    volume = p.central_volume[row]
    flow = Flow(
        p.absorption_rate[row],
        p.clearance[row] / volume,
        p.intercompartmental_clearance[row] / volume,
        p.intercompartmental_clearance[row] / p.peripheral_volume[row],
        0.0,
        1.0,
        0.0,
        volume,
        p.peripheral_volume[row],
        infusion,
    )
    onset = p.onset_rate[row]
    ec50 = p.ec50[row]
    steepness = p.steepness[row]
    slope = flow.absorption * x.depot + infusion + flow.inward * x.peripheral - (flow.elimination + flow.outward) * x.central
    r0 = engagement_rate(x.central / volume, onset, ec50, steepness)
    parts = 1
    if x.central <= 0.0:
        parts = MOST_PARTS
    else:
        quickest = max(abs(slope) / x.central, r0 + recovery)
        parts = int(min(1.0 + math.floor(h * quickest / SMOOTHNESS), float(MOST_PARTS)))
    part = h / parts
    half_part = known if known.h == 0.5 * part else propagator(flow, 0.5 * part)
    engaged = 0.0
    for _ in range(parts):
        x = linear_step(x, flow, half_part)
        rm = engagement_rate(x.central / volume, onset, ec50, steepness)
        x = linear_step(x, flow, half_part)
        r1 = engagement_rate(x.central / volume, onset, ec50, steepness)
        effect, area = engage(effect, (r0, rm, r1), recovery, part)
        engaged += area
        r0 = r1
    return x, effect, engaged, half_part


@kernel
def follow(drug, kinetics, plan, state, exposure, clock):
    """One drug over all steps of a call.

    Args:
        drug: Column of the drug.
        kinetics: The blocks of all antibodies and of all small molecules.
        plan: Doses.
        state: Compartments, changed in place.
        exposure: Means over the steps, filled in place.
        clock: Hour at which the call starts and length of a step [h].
    """
    antibodies, small_molecules = kinetics
    hour, dt = clock
    row = plan.row[drug]
    is_antibody = plan.model[drug] == ANTIBODY
    available = antibodies.bioavailability[row] if is_antibody else small_molecules.bioavailability[row]
    last = plan.first[drug + 1]
    running = plan.first[drug]
    begun = hour if running == last else plan.start[running]
    while running < last and plan.start[running] < hour and plan.start[running] + plan.duration[running] <= hour:
        running += 1
    coming = running
    while coming < last and plan.start[coming] < hour:
        coming += 1
    x = Amounts(state.depot[drug], state.central[drug], state.peripheral[drug], state.target[drug], 0.0)
    effect = state.effect[drug]
    half_part = Propagator(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    t = hour
    for step in range(exposure.concentration.shape[0]):
        end = hour + (step + 1) * dt
        x = Amounts(x.depot, x.central, x.peripheral, x.target, 0.0)
        engaged = 0.0
        while t < end:
            while coming < last and plan.start[coming] <= t:
                if plan.duration[coming] == 0.0:
                    if plan.absorbed[coming]:
                        x = Amounts(x.depot + available * plan.amount[coming], x.central, x.peripheral, x.target, x.area)
                    else:
                        x = Amounts(x.depot, x.central + plan.amount[coming], x.peripheral, x.target, x.area)
                coming += 1
            while running < coming and plan.start[running] + plan.duration[running] <= t:
                running += 1
            following = end if coming == last else min(end, plan.start[coming])
            if running == coming and x.depot + x.central + x.peripheral + effect == 0.0:
                t = following
                continue
            infusion = 0.0
            stop = following
            if running < coming or x.depot + x.central + x.peripheral > 0.0:
                stop = min(following, math.floor(t) + 1.0)
            for dose in range(running, coming):
                finish = plan.start[dose] + plan.duration[dose]
                if finish > t:
                    infusion += plan.amount[dose] / plan.duration[dose]
                    stop = min(stop, finish)
            if is_antibody:
                x = antibody_segment(x, antibodies, row, t - begun, (stop - t, infusion))
            else:
                x, effect, area, half_part = small_molecule_segment(x, effect, small_molecules, row, (stop - t, infusion), half_part)
                engaged += area
            if infusion == 0.0 and x.depot + x.central + x.peripheral < NEGLIGIBLE:
                x = Amounts(0.0, 0.0, 0.0, x.target, x.area)
                if effect < NEGLIGIBLE:
                    effect = 0.0
            t = stop
        exposure.concentration[step, drug] = x.area / dt
        exposure.effect[step, drug] = engaged / dt
    state.depot[drug] = x.depot
    state.central[drug] = x.central
    state.peripheral[drug] = x.peripheral
    state.target[drug] = x.target
    state.effect[drug] = effect


@kernel
def run(kinetics, plan, state, exposure, clock):
    """All drugs of a regimen over all steps of a call."""
    for drug in range(plan.row.shape[0]):
        follow(drug, kinetics, plan, state, exposure, clock)
