"""The coded hazards that equipment may state and that busy blocks show."""

HAZARDS = (
    "chemicals",
    "coolant",
    "electromagnetic_field",
    "gas",
    "heat",
    "cold",
    "high_voltage",
    "ionising_radiation",
    "laser",
    "lifting",
    "liquid_nitrogen",
    "noise",
    "pressure",
    "rotating",
    "stored_energy",
    "vibration",
)
