"""The API attacked by its own description: no answer that the description does not state, and no defect."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.api.asking import Script
from tests.cast import Cast
from tests.examples import examples

load_all_checks()
HELD = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "unsupported_method",
    ]
)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it is the channel that is attacked
def test_whatever_is_sent_the_answer_is_one_that_is_described(
    app: Flask, app_cast: Cast, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    ada = Script(app, app_cast.ada)
    own = ada.book("chamber").json["id"]
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples(3),
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def attack(case: Any) -> None:
            if "id" in case.path_parameters:
                case.path_parameters["id"] = own
            case.call_and_validate(headers=ada.headers, checks=HELD)
            asked.add((case.method, case.path))

        with contextlib.suppress(Unsatisfiable):  # an address without parameters has no wrong ones
            attack()
    assert len(asked) >= 20 if mode is GenerationMode.POSITIVE else asked
