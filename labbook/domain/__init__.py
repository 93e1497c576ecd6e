"""Pure rules of the domain: no Flask, no SQLAlchemy, no clock, no I/O."""
