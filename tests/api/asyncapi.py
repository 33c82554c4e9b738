"""Judges an AsyncAPI 3.0 document: asyncapi.py SCHEMA DOCUMENT."""

import json
import sys

from jsonschema import Draft7Validator

schema, document = (json.load(open(path)) for path in sys.argv[1:3])
errors = list(Draft7Validator(schema).iter_errors(document))
for error in errors:
    print("/".join(map(str, error.absolute_path)), error.message, file=sys.stderr)
sys.exit(bool(errors))
