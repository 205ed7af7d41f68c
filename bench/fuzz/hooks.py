"""
What the fuzzer asks the doorman of the run for: a valid token for each case, things that exist, and
the signatures of vendors. And what it should not take for a finding.
"""

import base64
import itertools
import json
import os
import urllib.request

import schemathesis
from schemathesis.core import NOT_SET
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.jsonschema import make_validator
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


turns = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    turn = next(turns)
    take_things_that_exist(case, turn)
    forget_what_is_made_up(case, turn)
    if case.operation.path.startswith("/webhooks/") and turn % 4 != 0:
        tell_as_vendors_do(case, turn)
        kwargs["auth"] = sign


def take_things_that_exist(case, turn):
    # Made-up ids lead nowhere; a scenario has ids of its own.
    is_scenario = case.meta is not None and case.meta.phase.name.name == "STATEFUL_TESTING"
    if is_scenario or is_negative(case, ParameterLocation.PATH) or turn % 3 == 0:
        return
    values = ask("facts", {"path": case.operation.path})
    for name in values.keys() & case.path_parameters.keys():
        case.path_parameters[name] = values[name]


def forget_what_is_made_up(case, turn):
    # Most cases would only be told that their key was used before, or that there is no such cursor.
    if turn % 4 == 0:
        return
    if not is_negative(case, ParameterLocation.HEADER):
        case.headers.pop("Idempotency-Key", None)
        case.headers.pop("If-Match", None)
    if not is_negative(case, ParameterLocation.QUERY):
        case.query.pop("cursor", None)


def tell_as_vendors_do(case, turn):
    # What was made up stays, in the place of what a vendor would tell.
    if case.method != "POST" or turn % 2 == 0 or case.body is NOT_SET:
        return
    made_up = case.body
    if "/twilio/" in case.operation.path:
        sid = "SM" + "0" * 32
        told = {"MessageSid": sid, "MessageStatus": "delivered", "From": "+4915112345000"}
        case.body = {**told, "To": "+15005550006", "Body": "STOP", "Odd": str(made_up)}
    elif "/sendgrid" in case.operation.path:
        told = {"event": "delivered", "timestamp": 1_800_000_000, "sg_event_id": str(turn)}
        case.body = [{**told, "email": "c0@example.com", "odd": made_up}, made_up]
    else:
        status = {"id": f"wamid.{turn}", "status": "read", "timestamp": "1800000000"}
        value = {"metadata": {"phone_number_id": made_up}, "statuses": [status, made_up]}
        case.body = {"entry": [{"changes": [{"field": "messages", "value": value}, made_up]}]}


def sign(request):
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    order = {"url": request.url, "body": base64.b64encode(content).decode()}
    request.headers.update(ask("signature", order))
    return request


def is_negative(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


@schemathesis.hook
def after_call(context, case, response):
    # The key that signed all tokens may be nothing any more.
    operation = case.operation.definition.raw.get("operationId")
    if operation == "rotateSigningKeys" and response.status_code == 202:
        ask("keys", {})


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # Spaces around a text are dropped before it is measured, which no schema can say.
    return not (isinstance(failure, AcceptedNegativeData) and is_right_when_trimmed(case))


def is_right_when_trimmed(case):
    body = case.operation.get_body_for_media_type(case.media_type)
    if body is None or not is_negative(case, ParameterLocation.BODY):
        return False
    validator = case.operation.schema.adapter.jsonschema_validator_cls
    return make_validator(body.optimized_schema, validator).is_valid(trimmed(case.body))


def trimmed(value):
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [trimmed(item) for item in value]
    if isinstance(value, dict):
        return {name: trimmed(item) for name, item in value.items()}
    return value
