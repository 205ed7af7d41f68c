"""Tells the fuzzer who asks: the doorman of the run has a valid token for each case."""

import itertools
import json
import os
import urllib.request

import schemathesis
from schemathesis.core.parameters import ParameterLocation

DOORMAN = os.environ["FUZZ_DOORMAN"]


def ask(what, order):
    data = json.dumps(order).encode()
    with urllib.request.urlopen(f"{DOORMAN}/{what}", data=data) as answer:
        return json.load(answer)


@schemathesis.auth(refresh_interval=None)
class Token:
    def get(self, case, context):
        permission = case.operation.definition.raw.get("x-permission")
        return ask("token", {"permission": permission})["token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


repeated = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    # Few keys are made up, and most cases would only be told that theirs was used before.
    is_meant = case.meta is None or case.meta.is_negative_at(ParameterLocation.HEADER)
    if "Idempotency-Key" in case.headers and not is_meant and next(repeated) % 4 != 0:
        del case.headers["Idempotency-Key"]


@schemathesis.hook
def after_call(context, case, response):
    # The key that signed all tokens may be nothing any more.
    operation = case.operation.definition.raw.get("operationId")
    if operation == "rotateSigningKeys" and response.status_code == 202:
        ask("keys", {})
