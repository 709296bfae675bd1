"""The published formats: what the records are is what the shipped schema says."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from gradschool.grading.records import record_schema
from gradschool.report.schema import load_schema, publish
from gradschool.verify.records import verify_schema

SCHEMAS = {"grade-record.v1": record_schema, "verify-record.v1": verify_schema}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_shipped_schema_is_the_records_own(name):
    assert load_schema(name) == publish(SCHEMAS[name]())


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_shipped_schema_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(load_schema(name))


def test_every_sample_record_fits_the_schema(class_records):
    for record in class_records:
        jsonschema.validate(json.loads(msgspec.json.encode(record)), load_schema("grade-record.v1"))


def test_a_record_without_its_score_does_not_fit(record):
    data = json.loads(msgspec.json.encode(record))
    del data["score"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, load_schema("grade-record.v1"))
