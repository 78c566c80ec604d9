"""What the patient is given: drugs as data, regimens on a calendar, concentrations and target engagement over time."""
